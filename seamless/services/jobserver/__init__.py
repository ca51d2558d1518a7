"""The jobserver: executes transformations in worker processes, for clients that may come and go.

It looks up, executes once and keeps, as any program does: nothing of that is written a second time here.
"""
