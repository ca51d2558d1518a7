"""Keeping a store to its size limit: now and then, by the policy of collection, by one process at a time.

Does nothing where no limit is set; what cannot be computed again always stays.
"""

from __future__ import annotations

import logging
import os
import threading
import time

from seamless.errors import SeamlessError
from seamless.stores.embedded import SIZE_LIMIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from seamless.insight.collection import Removal
    from seamless.insight.place import Place

STAMP = ".seamless-collected"  # touched when the store was last looked at; locked while it is
EVERY = 600.0  # seconds


def has_limit(directory: str) -> bool:
    """Tell whether a store may have a limit. Costs one look at a name."""
    return os.path.exists(os.path.join(directory, SIZE_LIMIT))


def enforce(place: Place, *, every: float = EVERY, grace: float | None = None) -> Removal | None:
    """Collect down to the limit of the store; None if there was nothing to do.

    Nothing is done either if that was looked at in the last `every` seconds, or is by another process. `grace`: seconds
    since the last use in which nothing is touched. Blocks while it collects. Raises StoreError, UsageError, OSError.
    """
    import fcntl

    from seamless.insight.pinned import size_limit

    limit = size_limit(place)
    if limit is None:
        return None
    fd = os.open(place.file(STAMP), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        status = os.fstat(fd)
        # A new file is empty: nobody has looked yet, whatever its time is.
        if status.st_size and 0 <= time.time() - status.st_mtime < every:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        os.pwrite(fd, b"1\n", 0)
        return _collect(place, limit, grace)
    finally:
        os.close(fd)


def _collect(place: Place, limit: int, grace: float | None) -> Removal | None:
    from seamless.insight.collection import GRACE, Criteria, plan, remove
    from seamless.insight.inventory import take_inventory
    from seamless.insight.sidecar import Sidecar

    if take_inventory(place).size <= limit:
        return None
    with Sidecar(place) as sidecar:
        sidecar.update()
        found = plan(sidecar, Criteria(max_size=limit, grace=GRACE if grace is None else grace))
        return remove(sidecar, found) if found.going else None


def enforce_quietly(directory: str) -> None:
    """Enforce the limit of the store in a directory; what hinders it is logged, and is no obstacle to anything else."""
    from seamless.insight.place import checked_place

    try:
        done = enforce(checked_place(directory))
    except (SeamlessError, OSError) as exc:
        logging.getLogger(__name__).warning("cannot keep %s to its size limit: %s", directory, exc)
        return
    for problem in done.problems[:3] if done is not None else ():
        logging.getLogger(__name__).warning("%s", problem)


class Keeper:
    """A thread that keeps the store in a directory to its limit while a server runs. A context manager."""

    def __init__(self, directory: str, *, every: float = EVERY):
        self._directory, self._every = directory, every
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="SeamlessKeeper", daemon=True)

    def __enter__(self) -> Keeper:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        while not self._stopping.wait(self._every):
            if has_limit(self._directory):
                enforce_quietly(self._directory)
