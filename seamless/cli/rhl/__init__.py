"""The helpers of the launcher: one command a module, each a short process that looks at or changes one thing."""
