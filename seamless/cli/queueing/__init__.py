"""The queue: a file to which steps are appended, and the server that executes them.

Knows nothing of the options of commands; what a step is and how it is executed is decided below.
"""
