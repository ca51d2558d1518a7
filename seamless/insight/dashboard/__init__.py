"""The dashboard: what there is, what runs and what has failed, in a browser. Only reads."""
