"""Clients that are handed down from one process to another, as JSON in $SEAMLESS_REMOTE_CLIENTS or as a dict."""

from __future__ import annotations

import os
import sys

from seamless.config.context import context
from seamless.config.errors import ConfigurationError
from seamless.session import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VARIABLE = "SEAMLESS_REMOTE_CLIENTS"


def collect_remote_clients(cluster: str) -> dict[str, list[dict[str, Any]]]:
    """Return how another process reaches the active stores: the extern ones, and those launched for a cluster.

    Launches a service whose address is not known yet. Raises StoreError.
    """
    if "seamless.remote.active" not in sys.modules:  # then no client was ever made
        return {"database": [], "buffer": []}
    from seamless.remote.forwarding import collect

    return collect(cluster)


def set_remote_clients(clients: dict[str, Any], in_remote: bool = False) -> None:
    """Activate exactly these clients; no project file is read from then on.

    `in_remote`: this process is inside the cluster, so use `remote_url` and `remote_directory`. Raises
    RuntimeError after `init`, ValueError for an entry without an address.
    """
    from seamless.remote.forwarding import activate_forwarded

    with context.lock:
        if context.initialised:
            raise RuntimeError("set_remote_clients cannot be called after initialization")
        activate_forwarded(clients, in_remote=in_remote)
        context.forwarded = True


def set_remote_clients_from_env(include_dask: bool = False) -> bool:
    """Activate the clients of $SEAMLESS_REMOTE_CLIENTS; False if it is not set, or $SEAMLESS_CACHE is.

    `include_dask`: also connect to $SEAMLESS_DASK_SCHEDULER. Raises ConfigurationError for malformed JSON.
    """
    from seamless.config.embedded import cache_from_environment

    text = os.environ.get(VARIABLE)
    if text is None or cache_from_environment() is not None:
        return False
    import json

    try:
        clients = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ConfigurationError(f"{VARIABLE} is not JSON: {exc}; unset it, or have it set by Seamless") from exc
    if include_dask and not session.is_worker and os.environ.get("SEAMLESS_DASK_SCHEDULER"):
        raise ConfigurationError(
            "SEAMLESS_DASK_SCHEDULER is set, but this version of Seamless executes transformations in this process "
            "only; unset it"
        )
    set_remote_clients(clients, in_remote=True)
    return True
