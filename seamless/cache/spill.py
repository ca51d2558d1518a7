"""A temporary, content-addressed directory for bytes that must leave memory but exist nowhere else."""

from __future__ import annotations

import os
import threading

from seamless.checksum import Checksum
from seamless.session import session


class SpillDirectory:
    """Made at the first use below $TMPDIR, mode 0700, removed by `remove`. Thread-safe.

    A forked child reads the directory of its parent, but deletes nothing there and writes to its own.
    """

    def __init__(self) -> None:
        self._path: str | None = None
        self._inherited: list[str] = []
        self._lock = threading.Lock()

    def forked(self) -> None:
        """Leave the directory to the parent: called in a forked child."""
        self._lock = threading.Lock()
        if self._path is not None:
            self._inherited.append(self._path)
            self._path = None

    def save(self, checksum: Checksum, content: bytes | memoryview) -> bool:
        """Write the bytes; False if the disk has no room for them."""
        from seamless.util.files import write_atomically

        try:
            write_atomically(os.path.join(self._directory(), checksum.hex()), content, mode=0o600)
        except OSError:
            return False
        return True

    def load(self, checksum: Checksum) -> bytes | None:
        """Return the bytes, or None if they are gone or damaged."""
        for directory in [self._path, *self._inherited]:
            if directory is not None:
                try:
                    with open(os.path.join(directory, checksum.hex()), "rb") as f:
                        content = f.read()
                except OSError:
                    continue
                if Checksum.of(content) == checksum:
                    return content
        return None

    def discard(self, checksum: Checksum) -> None:
        """Delete the bytes of one checksum."""
        if self._path is not None:
            try:
                os.unlink(os.path.join(self._path, checksum.hex()))
            except FileNotFoundError:
                pass

    def remove(self) -> None:
        """Delete the directory."""
        with self._lock:
            path, self._path = self._path, None
        if path is not None:
            import shutil  # `tempfile` has loaded it when it made the directory

            shutil.rmtree(path, ignore_errors=True)

    def _directory(self) -> str:
        with self._lock:
            if self._path is None:
                import tempfile

                self._path = tempfile.mkdtemp(prefix="seamless-spill-")
                session.close_required = True  # or the directory would stay behind
            return self._path
