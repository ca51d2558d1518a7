"""The services beside nginx, plain files, raw sqlite3 and the reference: `python -m benchmarks.services --help`."""
