"""Insight into a store: why a step runs or not, what can go, what belongs together, and whether results come again."""
