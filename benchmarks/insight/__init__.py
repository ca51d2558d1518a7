"""Benchmarks of explaining and clearing: a store of many transformations, and how long it takes to look into it."""
