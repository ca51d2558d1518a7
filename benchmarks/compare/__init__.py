"""The same small task with several tools: `python -m benchmarks.compare`."""
