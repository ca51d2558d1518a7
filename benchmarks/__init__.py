"""The budgets of Seamless, each measured beside its floor and its peers in one run: `python -m benchmarks --help`."""
