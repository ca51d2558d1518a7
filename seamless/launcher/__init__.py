"""Start, reach and stop HTTP services: exactly one per key, in a process that outlives its launcher.

Knows nothing of what a service serves. All state is JSON files (`paths`); the standard library is all it needs.
The names below are loaded at their first use.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from seamless.launcher.client import connect, forget, run, status, stop
    from seamless.launcher.configuration import Configuration
    from seamless.launcher.errors import (
        ConfigurationRefused,
        ElsewhereError,
        GuardRejected,
        HelperMissing,
        LauncherError,
        SSHConnectionError,
        StartFailed,
        TunnelError,
    )
    from seamless.launcher.handshake import HandshakeConfig, build_handshake_url
    from seamless.launcher.observers import Observer, Phase

_MODULES = {
    "Configuration": "configuration",
    "ConfigurationRefused": "errors",
    "ElsewhereError": "errors",
    "GuardRejected": "errors",
    "HandshakeConfig": "handshake",
    "HelperMissing": "errors",
    "LauncherError": "errors",
    "Observer": "observers",
    "Phase": "observers",
    "SSHConnectionError": "errors",
    "StartFailed": "errors",
    "TunnelError": "errors",
    "build_handshake_url": "handshake",
    "connect": "client",
    "forget": "client",
    "run": "client",
    "status": "client",
    "stop": "client",
}

__all__ = [
    "Configuration",
    "ConfigurationRefused",
    "ElsewhereError",
    "GuardRejected",
    "HandshakeConfig",
    "HelperMissing",
    "LauncherError",
    "Observer",
    "Phase",
    "SSHConnectionError",
    "StartFailed",
    "TunnelError",
    "build_handshake_url",
    "connect",
    "forget",
    "run",
    "status",
    "stop",
]


def __getattr__(name: str) -> object:
    """Load the module that has the name."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the names that can be loaded."""
    return sorted(__all__)
