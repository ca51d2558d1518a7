"""Days of use in minutes, and whether anything grows meanwhile: `python -m benchmarks.soak --help`."""
