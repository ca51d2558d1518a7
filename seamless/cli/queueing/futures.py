"""The `.FUTURE` files of all steps of a queue: there from the moment a step is known until it has ended."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from seamless.cli.commandline.results import is_pattern
from seamless.cli.queueing.promises import has_living_future
from seamless.cli.running.future import TOUCH
from seamless.cli.running.targets import replace_file

if TYPE_CHECKING:
    from seamless.cli.queueing.job import Job


class QueueFutures:
    """Keeps them alive by a thread, while in the `with` block; at its end they are all removed."""

    def __init__(self) -> None:
        self._owners: dict[str, set[int]] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._touch, name="seamless-future", daemon=True)

    def __enter__(self) -> QueueFutures:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()
        for path in list(self._owners):
            self._remove(path)

    def add(self, job: Job) -> None:
        """Announce the targets of a step whose names are known.

        A directory that cannot be written is found out when they are delivered.
        """
        for name, path in job.targets.items():
            if is_pattern(name):
                continue
            with self._lock:
                self._owners.setdefault(path, set()).add(job.number)
            try:
                replace_file(path + ".FUTURE", f"{job.tf or ''}.{name}\n".encode())
                os.utime(path + ".FUTURE")
            except OSError:
                continue

    def release(self, job: Job) -> None:
        """The step has ended. What another step is still to make stays announced."""
        for path in job.targets.values():
            with self._lock:
                owners = self._owners.get(path)
                if owners is None:
                    continue
                owners.discard(job.number)
            if not owners:
                self._remove(path)

    def foreign(self, path: str) -> bool:
        """Tell whether somebody else is computing the file at `path`."""
        return path not in self._owners and has_living_future(path)

    def _remove(self, path: str) -> None:
        with self._lock:
            self._owners.pop(path, None)
        try:
            os.unlink(path + ".FUTURE")
        except OSError:
            return  # taken away by somebody who wants nobody to wait

    def _touch(self) -> None:
        while not self._stop.wait(TOUCH):
            for path in list(self._owners):
                try:
                    os.utime(path + ".FUTURE")
                except OSError:
                    continue
