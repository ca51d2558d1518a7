"""How hard the campaign tries: a little in every run of the tests, harder with CAMPAIGN_FACTOR in the environment."""

from __future__ import annotations

import os
import tempfile

from hypothesis import HealthCheck, settings

FACTOR = int(os.environ.get("CAMPAIGN_FACTOR", "1"))  # times as many examples


def examples(number: int, *, steps: int = 50) -> settings:
    """Return settings for so many examples, times the factor; of a state machine, each with at most so many steps."""
    return settings(
        max_examples=number * FACTOR,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def quick_directory() -> tempfile.TemporaryDirectory[str]:
    """Return a directory in memory, where there is one: nothing is waited for that only a disk needs."""
    return tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
