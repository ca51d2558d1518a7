"""Requests to end an execution, between processes of one user: `seamless-cancel` asks, who executes listens.

<directory>/.running/<tf>.<host>.<pid>.lock     held while this process executes the transformation
<directory>/.running/<tf>.<host>.<pid>.cancel   somebody asks for its end
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager

from seamless.errors import SeamlessError
from seamless.stores.claims import DIRECTORY, FileClaims
from seamless.transformer.runner import cancel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from seamless.checksum import Checksum

_POLL = 0.2  # seconds between two looks for requests
_PATIENCE = 15.0  # seconds that a command is given to end
_WAIT = 0.05  # seconds between two looks whether it has ended


class CancelRequests:
    """Listens, in a thread, while in the `with` block. May be shared by threads that execute."""

    def __init__(self, directory: str):
        self._directory = directory
        self._claims = FileClaims(directory, writable=True)
        self._accepted: dict[str, Checksum] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="seamless-cancel", daemon=True)

    def __enter__(self) -> CancelRequests:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()

    @contextmanager
    def accept(self, tf: Checksum) -> Iterator[None]:
        """Let the execution of `tf` by this thread be ended on request, if the directory can be written."""
        name = f"{tf}.{os.uname().nodename}.{os.getpid()}"
        self._make_directory()
        with self._claims.hold(name):
            self._accepted[name] = tf
            try:
                yield
            finally:
                self._accepted.pop(name, None)
                _unlink(self._path(name))

    def _make_directory(self) -> None:
        try:
            os.makedirs(self._directory, exist_ok=True)
        except OSError:
            return  # then nobody can ask

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, DIRECTORY, name + ".cancel")

    def _listen(self) -> None:
        while not self._stop.wait(_POLL):
            for name, tf in list(self._accepted.items()):
                if os.path.exists(self._path(name)) and cancel(tf):
                    _unlink(self._path(name))


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return  # not there; or not ours, and then nobody is harmed by it


def request_cancel(directory: str, tf: Checksum, *, patience: float = _PATIENCE) -> int:
    """Ask all processes that execute `tf` for its end, and wait for it; return how many there were.

    Raises SeamlessError when one of them goes on.
    """
    claims = FileClaims(directory, writable=False)
    holders = {name: holder for name in _names(directory, tf) if (holder := claims.running(name)) is not None}
    for name in holders:
        with open(os.path.join(directory, DIRECTORY, name + ".cancel"), "wb"):
            pass
    deadline = time.monotonic() + patience
    for name, holder in holders.items():
        while claims.running(name) is not None:
            if time.monotonic() >= deadline:
                raise SeamlessError(f"{described(holder)} has been asked, but goes on with it")
            time.sleep(_WAIT)
    return len(holders)


def _names(directory: str, tf: Checksum) -> list[str]:
    try:
        names = os.listdir(os.path.join(directory, DIRECTORY))
    except FileNotFoundError:
        return []
    return sorted(name[: -len(".lock")] for name in names if name.startswith(f"{tf}.") and name.endswith(".lock"))


def described(holder: dict[str, Any]) -> str:
    """Return who that is, for a message."""
    return f"process {holder.get('pid', '?')} on {holder.get('host', 'this machine')}"
