"""The index of a directory: relative path -> checksum of the decompressed bytes; and how a file is hashed.

Constant memory for files of any size. Reads only; writing the sidecars is up to the caller.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import BinaryIO, NamedTuple, cast

from seamless.compression_utils import open_decompressed, strip_compression_suffix
from seamless.errors import UsageError
from seamless.util.reading import read_into

_PIECE = 1 << 19  # bytes hashed at a time; a few of them fit the cache of a processor core
_PIECES = 4
_FIRST_PIECE = 1 << 14  # bytes; most files are small, and a large buffer takes longer to make than they to hash
_READ_AHEAD_FROM = 8 * _PIECE  # bytes; below, a second thread costs more than it saves
_SMALL = 1 << 17  # bytes; such files are not worth another thread

ByteCounter = Callable[[int], object]  # called with the number of bytes just read


class Member(NamedTuple):
    """One file of a directory: its key in the index, where it is, its size on disk in bytes."""

    key: str
    path: str
    size: int


def hash_file(path: str | os.PathLike[str], *, progress: ByteCounter | None = None) -> str:
    """Return the checksum (hex) of a file, of its decompressed bytes if the name ends in `.zst` or `.gz`. Blocks.

    Raises OSError, and ValueError if compressed data is corrupt.
    """
    suffix = strip_compression_suffix(path)[1]
    with cast(BinaryIO, open(path, "rb", buffering=0)) as file:
        if suffix is None:
            return hash_stream(file, progress=progress)
        source = cast(BinaryIO, _Counted(file, progress)) if progress is not None else file
        with open_decompressed(source, suffix) as decompressed:
            return hash_stream(decompressed)


def hash_stream(file: BinaryIO, *, progress: ByteCounter | None = None) -> str:
    """Return the checksum (hex) of the rest of a binary file: a second thread reads ahead when it is long. Blocks."""
    digest = hashlib.sha256()
    buffer = bytearray(_FIRST_PIECE)
    done = 0
    while done < _READ_AHEAD_FROM:
        n = read_into(file, buffer)
        if not n:
            return digest.hexdigest()
        digest.update(memoryview(buffer)[:n])
        if not done and n == _FIRST_PIECE:
            buffer = bytearray(_PIECE)
        done += n
        if progress is not None:
            progress(n)
    for piece in _read_ahead(file):
        digest.update(piece)
        if progress is not None:
            progress(len(piece))
    return digest.hexdigest()


class _Counted:
    """A file whose reads are counted."""

    def __init__(self, file: BinaryIO, progress: ByteCounter):
        self._file, self._progress, self.name = file, progress, file.name

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._progress(len(data))
        return data

    def close(self) -> None:
        self._file.close()


def _read_ahead(file: BinaryIO) -> Iterator[memoryview]:
    """Yield the rest of `file` in pieces that another thread reads. A piece is valid until the next one."""
    from queue import SimpleQueue
    from threading import Thread

    free: SimpleQueue[bytearray | None] = SimpleQueue()
    full: SimpleQueue[tuple[bytearray, int] | BaseException] = SimpleQueue()
    stopped: list[bool] = []

    def read() -> None:
        try:
            while (buffer := free.get()) is not None and not stopped:
                n = read_into(file, buffer)
                full.put((buffer, n))
                if not n:
                    return
        except BaseException as exc:  # noqa: BLE001 - raised again where the pieces are consumed
            full.put(exc)

    reader = Thread(target=read, name="seamless-read-ahead", daemon=True)
    reader.start()
    try:
        for _ in range(_PIECES):
            free.put(bytearray(_PIECE))
        while True:
            item = full.get()
            if isinstance(item, BaseException):
                raise item
            buffer, n = item
            if not n:
                return
            yield memoryview(buffer)[:n]
            free.put(buffer)
    finally:
        stopped.append(True)
        free.put(None)
        reader.join(timeout=1)  # it may hang in a read from a pipe or a dead file server


# --- directories ----------------------------------------------------------------------------------


def list_directory(directory: str | os.PathLike[str]) -> list[Member]:
    """Return the files in a directory and below, sorted by key.

    Links to files count as files, links to directories are left out, hidden files are included.
    Raises OSError (also for a dangling link), and UsageError for what has no place in an index: two files with
    one key (`f`, `f.gz`), a device or pipe, a name that is not UTF-8.
    """
    root = os.fspath(directory)
    if not stat.S_ISDIR(os.stat(root).st_mode):
        raise NotADirectoryError(20, "is not a directory", root)
    found: dict[str, Member] = {}
    pending = [""]
    while pending:
        prefix = pending.pop()
        with os.scandir(os.path.join(root, prefix)) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(prefix + entry.name + "/")
                    continue
                member = _member(entry, prefix)
                if member is None:
                    continue
                other = found.setdefault(member.key, member)
                if other is not member:
                    first, second = sorted((other.path, member.path))
                    raise UsageError(
                        f"{first!r} and {second!r} are one file {member.key!r} in the index of a directory, where "
                        "compression suffixes do not count; remove or rename one"
                    )
    return [found[key] for key in sorted(found)]


def _member(entry: os.DirEntry[str], prefix: str) -> Member | None:
    """Return the member for a directory entry that is not a directory itself; None for a link to a directory."""
    try:
        status = entry.stat()
    except OSError as exc:
        reason = exc.strerror
        if entry.is_symlink() and isinstance(exc, FileNotFoundError):
            reason = f"dangling link (to {os.readlink(entry.path)!r}, which does not exist)"
        raise type(exc)(exc.errno, reason, entry.path) from None
    if stat.S_ISDIR(status.st_mode):
        return None
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"{entry.path!r} is neither a file nor a directory, and has no place in an index")
    base = strip_compression_suffix(entry.name)[0]
    if not base:
        raise UsageError(f"{entry.path!r} has no name before its compression suffix; rename it")
    key = prefix + base
    try:
        key.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"the name of {entry.path!r} is not UTF-8, so that it cannot be in an index; rename it"
        ) from None
    return Member(key, entry.path, status.st_size)


def index_members(
    members: Sequence[Member],
    *,
    hash_file: Callable[[str], str] = hash_file,
    progress: ByteCounter | None = None,
) -> dict[str, str]:
    """Return key -> checksum (hex), sorted by key. Blocks; larger files are hashed in two threads.

    `hash_file(path)` gives the checksum and may store the file as well; it is called from two threads.
    `progress` is called with the size of each file that is done. The first error ends the work.
    """
    results: dict[str, str] = {}
    errors: list[BaseException] = []
    large = deque(sorted((m for m in members if m.size > _SMALL), key=lambda m: m.size, reverse=True))

    def hash_member(member: Member) -> None:
        results[member.key] = hash_file(member.path)
        if progress is not None:
            progress(member.size)

    def hash_large() -> None:
        while not errors:
            try:
                member = large.popleft()
            except IndexError:
                return
            hash_member(member)

    def help_out() -> None:
        try:
            hash_large()
        except BaseException as exc:  # noqa: BLE001 - raised again in the calling thread
            errors.append(exc)

    helper = None
    if len(large) > 1 or (large and len(members) > 1):
        from threading import Thread

        helper = Thread(target=help_out, name="seamless-index", daemon=True)
        helper.start()
    try:
        for member in members:
            if errors:
                break
            if member.size <= _SMALL:
                hash_member(member)
        hash_large()
    except BaseException as exc:
        errors.append(exc)  # stops the helper
        raise
    if helper is not None:
        helper.join()
    if errors:
        raise errors[0]
    return {member.key: results[member.key] for member in members}


def index_bytes(index: Mapping[str, str]) -> bytes:
    """Return the bytes of an index: the canonical JSON of `deepfolder`.

    >>> index_bytes({})
    b'{}\\n'
    """
    if not index:
        return b"{}\n"
    from json.encoder import encode_basestring as quote

    lines = (f'  {quote(key)}: "{index[key]}"' for key in sorted(index))
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()
