"""Benchmarks of the execution of steps on every engine: `python -m benchmarks.execution`."""
