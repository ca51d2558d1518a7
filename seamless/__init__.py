"""Seamless: run a step once and never again.

Everything here is loaded on first use, so that `import seamless` costs next to nothing.
"""

from __future__ import annotations

import os

from seamless.version import __version__

TYPE_CHECKING = False  # that of `typing`, which takes longer to import than all of this
if TYPE_CHECKING:
    from typing import Any

    from seamless.session import Session

# public name -> module that defines it
_LAZY = {
    "Buffer": "seamless.buffer",
    "Checksum": "seamless.checksum",
    "CacheMissError": "seamless.errors",
    "close": "seamless.shutdown",
    "ensure_open": "seamless.shutdown",
    "register_close_hook": "seamless.shutdown",
    "is_worker": "seamless.shutdown",
    "set_is_worker": "seamless.shutdown",
}

__all__ = ["__version__", *sorted(_LAZY)]


def _wire() -> None:
    """Tell the core what to do at the first need of a store or of a recomputation: import it then."""
    from seamless.session import session

    def activate(session: Session) -> None:
        from seamless.config.embedded import activate_from_environment

        activate_from_environment(session)

    def recompute(checksum: Any) -> Any:
        from seamless.transformer.recompute import recompute

        return recompute(checksum)

    def enforce_limit(directory: str) -> None:
        from seamless.insight.enforcement import enforce_quietly

        enforce_quietly(directory)

    session.initial_activation = session.default_activation = activate
    session.recompute = recompute
    session.enforce_limit = enforce_limit
    if os.environ.get("SEAMLESS_DEBUG_SHUTDOWN"):
        import seamless.shutdown  # noqa: F401  its signal handler must be there before anything hangs


_wire()


def __getattr__(name: str) -> Any:
    if name == "_closed":
        from seamless.session import session

        return session.closed
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module 'seamless' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_LAZY))
