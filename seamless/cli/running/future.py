"""`NAME.FUTURE`: the sign that NAME is being computed. Waiting for those of others, keeping our own.

Existence is the sign; the later of access and modification time tells that its owner is alive.
"""

from __future__ import annotations

import os
import time

from seamless.errors import SeamlessError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from seamless.cli.common import Messages

STALE = 120.0  # seconds without a sign of life
TOUCH = 30.0  # seconds between two signs of life
POLL = 0.1  # seconds


def wait_for_future(messages: Messages) -> Callable[[str], None]:
    """Return the function that waits until a FUTURE file is gone. It raises SeamlessError when the file is stale."""

    def wait(path: str) -> None:
        announced = False
        while True:
            try:
                status = os.stat(path)
            except FileNotFoundError:
                return
            age = time.time() - max(status.st_atime, status.st_mtime)
            if age > STALE:
                raise SeamlessError(
                    f"Stale future '{path}': whoever computes this file has given no sign of life for {age:.0f} s. "
                    f"If nothing computes it any more, delete '{path}' and run the step that makes it."
                )
            if not announced:
                messages.message(0, f"Waiting for future '{path}'...")
                announced = True
            time.sleep(POLL)

    return wait


class FutureFiles:
    """Keep `L.FUTURE` for each target while in the `with` block. `names` maps local names to target names."""

    def __init__(self, names: Mapping[str, str], checksum: str):
        self._content = {f"{local}.FUTURE": f"{checksum}.{name}\n".encode() for local, name in names.items()}

    def __enter__(self) -> FutureFiles:
        if not self._content:
            return self
        import threading

        from seamless.cli.running.targets import replace_file

        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._touch, name="seamless-future", daemon=True)
        try:
            for path, content in self._content.items():
                replace_file(path, content)
        except BaseException:
            self._remove()
            raise
        self._thread.start()
        return self

    def __exit__(self, *exc: Any) -> None:
        if not self._content:
            return
        self._stop.set()
        self._thread.join()
        self._remove()

    def _touch(self) -> None:
        while not self._stop.wait(TOUCH):
            for path in self._content:
                try:
                    os.utime(path)
                except FileNotFoundError:
                    continue  # taken away by somebody who wants nobody to wait

    def _remove(self) -> None:
        for path, content in self._content.items():
            try:
                with open(path, "rb") as f:
                    ours = f.read(len(content) + 1) == content
                if ours:
                    os.unlink(path)
            except FileNotFoundError:
                continue
