"""Configuration: which stores are active, how many transformations are in flight.

In this version the embedded store is the only one; `$SEAMLESS_CACHE` names its directory.
"""

from __future__ import annotations

from seamless.session import session


def init() -> None:
    """Activate what the environment configures. Not needed: it happens at the first use of a store."""
    session.ensure_active()


def set_nparallel(nparallel: int) -> None:
    """Set how many transformations `parallel` keeps in flight. Raises ValueError unless an int >= 1."""
    from seamless.transformer.parallelism import bound

    session.nparallel = bound(nparallel)


def get_nparallel() -> int:
    """Return how many transformations `parallel` keeps in flight."""
    from seamless.transformer.parallelism import bound

    return bound()


__all__ = ["get_nparallel", "init", "set_nparallel"]
