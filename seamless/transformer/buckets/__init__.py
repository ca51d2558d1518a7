"""Buckets: what is known of the machine and the software that steps are executed with, for execution records.

A bucket is a buffer that describes one thing (a node, an environment, both together); a database entry says which
bucket is the latest of its label, and by which tokens it is told whether that is still true. Nothing
here executes steps.
"""
