"""Execution of bash transformations: each in a private directory, in a process group of its own.

`run.run_bash` is the way in. Nothing here looks results up or writes them to a database.
"""
