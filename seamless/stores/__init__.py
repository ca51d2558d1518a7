"""Where bytes and results live on disk: the buffer directory, seamless.db, and what keeps both whole after a crash."""
