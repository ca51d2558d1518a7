"""The threads in which transformations are executed that were begun in the background."""

from __future__ import annotations

import os

from seamless.util.thread_pool import ThreadPool


def default_threads() -> int:
    """Return `$SEAMLESS_COMPUTE_THREADS`, or the number of processors + 4, at most 32."""
    text = os.environ.get("SEAMLESS_COMPUTE_THREADS", "").strip()
    if text.isdigit() and int(text) > 0:
        return int(text)
    return min(32, (os.cpu_count() or 1) + 4)


pool = ThreadPool(default_threads())
