"""Measure compiled steps: their speed beside numpy's, and what a call costs beside a bare call through cffi."""
