"""Seamless: run a step once and never again.

Everything here is loaded on first use, so that `import seamless` costs next to nothing.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

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

__all__ = sorted(_LAZY)


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module 'seamless' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_LAZY))
