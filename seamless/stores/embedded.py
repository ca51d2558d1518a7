"""The embedded store: buffers and results in one directory, opened in-process.

<cache>/__TOPLEVEL__[/STAGE-<stage>]  or  <cache>/<project>[/<subproject>][/STAGE-<stage>]
    .HASHSERVER_PREFIX, ab/<hex>      the buffer directory
    seamless.db, .running/            the results, and who is computing
"""

from __future__ import annotations

import os
import time

from seamless.errors import StoreError, StoreReadOnlyError, UsageError
from seamless.stores.database import ResultDatabase
from seamless.stores.directory import BufferDirectory
from seamless.stores.errors import ANOTHER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from seamless.stores.memory import MemoryResults

TOPLEVEL = "__TOPLEVEL__"
DATABASE = "seamless.db"
SIZE_LIMIT = ".seamless-limit"  # beside the database: the bytes that the buffers may take, in decimal digits
_STAMP = ".swept"
_SWEEP_EVERY = 24 * 3600.0  # seconds
_SWEEP_OLDER = 24.0  # hours


class EmbeddedStore:
    """The two stores of a directory."""

    def __init__(self, directory: str, buffers: BufferDirectory, results: ResultDatabase | MemoryResults):
        self.directory, self.buffers, self.results = directory, buffers, results

    def __repr__(self) -> str:
        return f"EmbeddedStore({self.directory!r})"


def default_cache_directory() -> str:
    """Return the cache directory of this user: `$XDG_CACHE_HOME/seamless` or `~/.cache/seamless`."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # by the rules of XDG a relative one is to be ignored
        base = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "seamless")


def cache_subdirectory(
    root: str | os.PathLike[str], project: str | None = None, subproject: str | None = None, stage: str | None = None
) -> str:
    """Return the directory below the cache directory `root` that belongs to a project and stage.

    Raises UsageError for a name that leads elsewhere.
    """
    parts = [os.fspath(root), _name("project", project) if project else TOPLEVEL]
    if subproject:
        if not project:
            raise UsageError(f"subproject {subproject!r} needs a project")
        parts.append(_name("subproject", subproject, nested=True))
    if stage:
        parts.append("STAGE-" + _name("stage", stage))
    return os.path.join(*parts)


def open_embedded(directory: str | os.PathLike[str], *, writable: bool | None = None) -> EmbeddedStore:
    """Open the store in a directory, which is created if need be.

    `writable`: True demands it, False never writes, None writes where that is permitted. Raises StoreError if the
    directory cannot be used, StoreReadOnlyError if it is to be written but may not.
    """
    path = os.path.abspath(directory)
    try:
        buffers = BufferDirectory(path, writable=writable is not False)
    except StoreError as exc:
        if writable is not False and type(exc) is StoreError:  # the others say themselves what helps
            raise StoreError(f"{exc}; {ANOTHER}") from exc
        raise
    if writable and not buffers.writable:
        raise StoreReadOnlyError(f"cannot write to {path}; make it writable, or {ANOTHER}")
    database = os.path.join(path, DATABASE)
    results: ResultDatabase | MemoryResults
    if buffers.writable or os.path.exists(database):
        results = ResultDatabase(database, writable=buffers.writable)
        if writable and not results.writable:
            raise StoreReadOnlyError(f"cannot write to {database}; make it writable, or {ANOTHER}")
    else:
        from seamless.stores.memory import MemoryResults

        results = MemoryResults(name=database, writable=False)
    if buffers.writable:
        buffers.on_store = _Sweeper(buffers)
    return EmbeddedStore(path, buffers, results)


class _Sweeper:
    """Called after something was stored: once a day it removes what dead writers have left, in the background."""

    def __init__(self, buffers: BufferDirectory):
        self._buffers = buffers
        self._next = 0.0

    def __call__(self) -> None:
        now = time.time()
        if now < self._next:
            return
        self._next = now + _SWEEP_EVERY
        stamp = os.path.join(self._buffers.name, _STAMP)
        try:
            if now - os.stat(stamp).st_mtime < _SWEEP_EVERY:
                return
            os.utime(stamp)
        except FileNotFoundError:
            _create(stamp)  # a new directory has nothing to sweep
            return
        except OSError:  # another user's stamp: its owner sweeps
            return
        import threading

        threading.Thread(target=self._sweep, name="SeamlessStoreSweep", daemon=True).start()

    def _sweep(self) -> None:
        try:
            self._buffers.sweep(_SWEEP_OLDER)
        except (StoreError, OSError) as exc:
            import logging

            logging.getLogger(__name__).warning("cannot remove old temporary files: %s", exc)


def _create(path: str) -> None:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666))
    except OSError:  # a full disk: the next writer tries again, and what was stored is stored
        return


def _name(what: str, name: str, *, nested: bool = False) -> str:
    """Return `name` if it is one that stays below its parent directory."""
    parts = name.split("/") if nested else [name]
    if any(part in ("", ".", "..") or "/" in part or "\0" in part for part in parts):
        raise UsageError(f"{what} {name!r} is not a name for a directory")
    return name
