"""Write files so that a reader sees the old content or the new one, never a part."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PREFIX_BYTES = 100  # of the name, in that of the temporary file: together they must not exceed 255


def write_atomically(
    path: str | os.PathLike[str],
    data: Any,
    *,
    mode: int | None = None,
    durable: bool = False,
    follow: bool = False,
) -> None:
    """Write bytes-like `data` to `path` through a temporary file in the same directory and a rename.

    `mode`: permission bits (default 0666 less the umask). `durable`: fsync the file before the rename.
    `follow`: write through a link, and into a device or pipe; otherwise a file takes the place of either.
    """
    import tempfile

    path = os.fspath(path)
    if follow:
        if _is_special(path):
            with open(path, "wb") as special:
                special.write(data)
            return
        path = os.path.realpath(path)
    directory, base = os.path.split(path)
    prefix = os.fsdecode(os.fsencode(base)[:_PREFIX_BYTES])
    fd, temporary = tempfile.mkstemp(prefix=f".{prefix}.", suffix=".tmp", dir=directory or ".")
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


def _is_special(path: str) -> bool:
    """Tell whether there is something that is neither a file nor a directory."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


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
