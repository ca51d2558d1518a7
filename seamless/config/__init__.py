"""Configuration: from project files and cluster definitions to the stores that are active.

Everything here is loaded on first use: without project files a program pays nothing for it.
"""

from __future__ import annotations

TYPE_CHECKING = False  # that of `typing`, which takes longer to import than all of this
if TYPE_CHECKING:
    from typing import Any

_SELECTION = (
    "check_remote_redundancy", "get_current", "get_execution", "get_node", "get_nparallel", "get_persistent",
    "get_queue", "get_record", "get_remote", "get_selected_cluster", "get_selected_project",
    "get_selected_subproject", "get_stage", "get_substage", "select_cluster", "select_execution", "select_node",
    "select_nparallel", "select_persistent", "select_project", "select_queue", "select_record", "select_remote",
    "select_stage", "select_subproject", "select_substage", "set_nparallel",
)  # fmt: skip
_API = (
    "change_stage", "describe", "get_seamless_cache", "get_workdir", "init", "load", "resolve", "set_overrides",
    "set_stage", "set_substage", "set_workdir",
)  # fmt: skip
_SERVICES = (
    "configure_daskserver", "configure_database", "configure_hashserver", "configure_jobserver",
    "configure_pure_daskserver",
)  # fmt: skip
_CLIENTS = ("collect_remote_clients", "set_remote_clients", "set_remote_clients_from_env")
_ERRORS = ("ClusterDefinitionError", "ConfigurationError", "SeamlessConfigWarning")

# public name -> module that defines it
_LAZY = {
    **dict.fromkeys(_SELECTION, "seamless.config.selection"),
    **dict.fromkeys(_API, "seamless.config.api"),
    **dict.fromkeys(_SERVICES, "seamless.config.services"),
    **dict.fromkeys(_CLIENTS, "seamless.config.extern_clients"),
    **dict.fromkeys(_ERRORS, "seamless.config.errors"),
    "ResolvedConfig": "seamless.config.resolved",
}

__all__ = sorted(_LAZY)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module 'seamless.config' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_LAZY))
