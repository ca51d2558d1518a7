"""The embedded default: a cache directory, opened in-process, chosen by the environment.

`$SEAMLESS_CACHE` names it. Without it Python keeps everything in memory, and the command line uses
`$XDG_CACHE_HOME/seamless` (`~/.cache/seamless`).
"""

from __future__ import annotations

import os

from seamless.session import Session, session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from seamless.stores.embedded import EmbeddedStore


def cache_from_environment() -> str | None:
    """Return the absolute directory named by `$SEAMLESS_CACHE`, or None if it is unset or blank."""
    value = os.environ.get("SEAMLESS_CACHE", "").strip()
    return os.path.abspath(os.path.expanduser(value)) if value else None


def activate_embedded(
    *,
    project: str | None = None,
    subproject: str | None = None,
    stage: str | None = None,
    directory: str | os.PathLike[str] | None = None,
) -> EmbeddedStore:
    """Open the cache directory and make it the active store.

    `directory`: the cache root; default `$SEAMLESS_CACHE`, then the per-user cache directory.
    Raises StoreError if the directory cannot be used.
    """
    from seamless.stores.embedded import cache_subdirectory, default_cache_directory, open_embedded

    root = os.path.abspath(directory) if directory is not None else cache_from_environment()
    if root is None:
        root = default_cache_directory()
    store = open_embedded(cache_subdirectory(root, project, subproject, stage))
    session.activate([store.buffers], [store.results])
    return store


def activate_from_environment(session: Session) -> None:
    """Activate `$SEAMLESS_CACHE`, else the services in `$SEAMLESS_REMOTE_CLIENTS`; else all stays in memory."""
    root = cache_from_environment()
    if root is None:
        if "SEAMLESS_REMOTE_CLIENTS" in os.environ and not session.is_worker:
            from seamless.config.extern_clients import set_remote_clients_from_env

            set_remote_clients_from_env()
        return
    from seamless.config.limit import watch_limit
    from seamless.stores.embedded import cache_subdirectory, open_embedded

    store = open_embedded(cache_subdirectory(root, None, None, None))
    watch_limit(store)
    session.activate([store.buffers], [store.results])
