"""Write files so that a reader sees the old content or the new one, never a part."""

from __future__ import annotations

import os
import tempfile
from typing import Any


def write_atomically(
    path: str | os.PathLike[str], data: Any, *, mode: int | None = None, durable: bool = False
) -> None:
    """Write bytes-like `data` to `path` through a temporary file in the same directory and a rename.

    `mode`: permission bits (default 0666 less the umask). `durable`: fsync the file before the rename.
    """
    path = os.fspath(path)
    directory, base = os.path.split(path)
    fd, temporary = tempfile.mkstemp(prefix=f".{base[:100]}.", suffix=".tmp", dir=directory or ".")
    try:
        with os.fdopen(fd, "wb") as f:
            f.write(data)
            f.flush()
            if durable:
                os.fsync(f.fileno())
        os.chmod(temporary, mode if mode is not None else 0o666 & ~current_umask())
        os.replace(temporary, path)
    except BaseException:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        raise


def current_umask() -> int:
    """Return the umask of this process without a window in which it is changed, where the kernel tells it."""
    try:
        with open("/proc/self/status") as f:
            for line in f:
                if line.startswith("Umask:"):
                    return int(line.split()[1], 8)
    except OSError:
        pass
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
