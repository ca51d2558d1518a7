"""`rhl-guard`: the forced command of an SSH key that may call the helpers of the launcher, as configured, and no more.

It judges one command, writes what it has decided to a log, and becomes the helper. What it does not know it refuses.
"""
