"""The few system calls that the stores share: durable directories, complete writes, copies by the kernel.

Knows nothing of checksums. Linux calls that a file system lacks fall back to plain reading and writing.
"""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# File systems on which SQLite's shared memory (WAL) or its locks cannot be trusted between hosts.
NETWORK_FILE_SYSTEMS = frozenset(
    "nfs nfs4 lustre gpfs cifs smb smb2 smb3 beegfs beegfs_nodev afs ceph glusterfs orangefs pvfs2 panfs 9p coda "
    "ncpfs wekafs quobyte virtiofs fuse.sshfs fuse.glusterfs fuse.ceph fuse.beegfs fuse.s3fs fuse.rclone "
    "fuse.quobyte fuse.juicefs fuse.moosefs fuse.gcsfuse fuse.davfs".split()
)

_FICLONE = 0x40049409
_CANNOT = frozenset(
    {errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL, errno.EXDEV, errno.ENOSYS, errno.EPERM, errno.EBADF, errno.EISDIR}
)
_COPY_CHUNK = 1 << 26


def flat(data: Any) -> memoryview:
    """Return a bytes-like object as one dimension of bytes, without a copy where it is contiguous."""
    view = memoryview(data)
    if view.nbytes == 0:
        return memoryview(b"")
    return view.cast("B") if view.c_contiguous else memoryview(view.tobytes())


def write_all(fd: int, data: Any) -> None:
    """Write all of a bytes-like object; `os.write` may stop early (at 2 GiB, or on a signal)."""
    view = flat(data)
    while view:
        view = view[os.write(fd, view) :]


def fsync_directory(path: str) -> None:
    """Make the names in a directory durable, where the file system has such a thing."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    except OSError as exc:
        if exc.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF):
            raise
    finally:
        os.close(fd)


def remove_file(path: str) -> bool:
    """Remove a file; False if there was none."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def clone(source: int, target: int) -> bool:
    """Make `target` share the blocks of `source`, copy-on-write; False where the file system cannot."""
    import fcntl

    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as exc:
        if exc.errno not in _CANNOT:
            raise
        return False
    return True


def copy_content(source: int, target: int) -> None:
    """Copy a whole file between descriptors, within the kernel where it can. `target` must be empty."""
    position = 0
    try:
        while n := os.copy_file_range(source, target, _COPY_CHUNK, position, position):
            position += n
    except OSError as exc:
        if exc.errno not in _CANNOT:
            raise
    os.lseek(source, position, os.SEEK_SET)
    os.lseek(target, position, os.SEEK_SET)
    while chunk := os.read(source, 1 << 20):  # nothing is left of it where the kernel has copied all
        write_all(target, chunk)


def regular_file_stat(path: str) -> os.stat_result | None:
    """Return the status of a regular file, or None if there is none at `path`."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def file_system_type(path: str, mountinfo: str = "/proc/self/mountinfo") -> str:
    """Return the type of the file system that holds `path` (`ext4`, `nfs4`, ...), or "" if unknown."""
    real = os.path.realpath(path)
    best, found = -1, ""
    try:
        with open(mountinfo, encoding="utf-8", errors="surrogateescape") as f:
            for line in f:
                before, _, after = line.partition(" - ")
                point = _unescape(before.split(" ")[4])
                if len(point) >= best and (real == point or real.startswith(point.rstrip("/") + "/")):
                    best, found = len(point), after.split(" ")[0]  # of two on one point, the later hides the earlier
    except (OSError, IndexError):
        return ""
    return found


def on_network(path: str) -> bool:
    """Tell whether `path` is on a file system that several hosts may share."""
    return file_system_type(path) in NETWORK_FILE_SYSTEMS


def _unescape(text: str) -> str:
    """Undo the octal escapes of mountinfo: space, tab, newline and backslash."""
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text
