"""Benchmarks of the worker processes: `python -m benchmarks.workers`."""
