"""The queue file: JSON objects, each ended by a NUL byte, appended by many processes and read by one.

An append is complete and on the disk before the next one begins: a lock on the file excludes our own processes, the
file `<queue>.LOCK` every other program that knows the format. Nothing is ever changed in the file.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from seamless.errors import SeamlessError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

DEFAULT_NAME = ".seamless-queue"
SUBMIT = "SUBMIT"
SUBMIT_PROMISED = "SUBMIT_PROMISED"  # a step with inputs that other steps of the queue are still to make
EOF = "EOF"
CANCEL = "CANCEL"
WANTED = ".wanted"  # beside the name for an answer: somebody waits for it
COMMANDS = (SUBMIT, SUBMIT_PROMISED, EOF, CANCEL)

_LOCK_STALE = 30.0  # seconds, after which a lock file is taken from its owner
_LOCK_POLL = 0.02  # seconds
_PIECE = 1 << 20


def queue_path() -> str:
    """Return the absolute path of the queue file: `$SEAMLESS_QUEUE_FILE`, or `.seamless-queue` here."""
    return os.path.abspath(os.path.expanduser(os.environ.get("SEAMLESS_QUEUE_FILE") or DEFAULT_NAME))


def journal_path(queue: str) -> str:
    """Return where the server notes what has become of the steps."""
    return queue + ".journal"


def log_directory(queue: str) -> str:
    """Return where the output of the steps is."""
    return queue + ".logs"


class BadRecordError(SeamlessError):
    """A record of the queue file that cannot be understood."""


def encode(record: Mapping[str, Any]) -> bytes:
    """Return the bytes of a record. Raises UsageError for text that is not valid UTF-8."""
    import json

    try:
        return json.dumps(record, indent=2, ensure_ascii=False).encode() + b"\0"
    except UnicodeEncodeError:
        raise UsageError("a step for the queue must be valid UTF-8 text, including the names of its files") from None


def decode(data: bytes) -> dict[str, Any]:
    """Return the record that these bytes (without the NUL) are. Raises BadRecordError."""
    import json

    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise BadRecordError(f"Command is not valid text: {data[:60]!r}") from None
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        raise BadRecordError(f"Command is not valid JSON: {text[:60]!r}") from None
    if not isinstance(record, dict) or record.get("queue_command") not in COMMANDS:
        raise BadRecordError(f"not a valid queue command: {text[:60]!r}; known are {', '.join(COMMANDS)}")
    return record


def append(queue: str, data: bytes) -> None:
    """Append an encoded record; it is on the disk afterwards. Blocks while others append."""
    with _LockFile(queue + ".LOCK"):
        while True:
            fd = os.open(queue, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            try:
                lock(fd)
                if not is_at(fd, queue):  # the server has just removed it: its queue is finished
                    continue
                size = os.fstat(fd).st_size
                if size and os.pread(fd, 1, size - 1) != b"\0":
                    data = b"\0" + data  # a killed process has left half a record: it must not spoil ours
                view = memoryview(data)
                while view:
                    view = view[os.write(fd, view) :]
                os.fsync(fd)
                return
            finally:
                os.close(fd)


def lock(fd: int) -> None:
    """Lock an open file until it is closed; a file system without locks is no obstacle."""
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
    except OSError:
        return


def is_at(fd: int, path: str) -> bool:
    """Tell whether an open file still has this path."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


class _LockFile:
    """`<queue>.LOCK`: exists while somebody appends."""

    def __init__(self, path: str):
        self._path = path

    def __enter__(self) -> None:
        text = f"{os.getpid()} {os.uname().nodename}\n".encode()
        while True:
            try:
                fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            except FileExistsError:
                self._wait_or_break()
                continue
            try:
                os.write(fd, text)
            finally:
                os.close(fd)
            return

    def __exit__(self, *exc: object) -> None:
        self._remove()

    def _wait_or_break(self) -> None:
        try:
            with open(self._path, "rb") as f:
                owner = f.read(200).split()
                age = time.time() - os.fstat(f.fileno()).st_mtime
        except FileNotFoundError:
            return
        if age > _LOCK_STALE or _is_dead(owner):
            self._remove()
        else:
            time.sleep(_LOCK_POLL)

    def _remove(self) -> None:
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            return


def _is_dead(owner: list[bytes]) -> bool:
    """Tell whether the lock file names a process of this machine that does not exist."""
    if len(owner) != 2 or owner[1].decode(errors="replace") != os.uname().nodename or not owner[0].isdigit():
        return False
    return not os.path.exists(f"/proc/{int(owner[0])}") and os.path.isdir("/proc/self")


class Tail:
    """Reads the complete records of a growing file; the beginning of one is kept until its end is there."""

    def __init__(self, path: str):
        self.path = path
        self.offset = 0  # bytes read
        self._fd: int | None = None
        self._partial = b""

    def open(self) -> bool:
        """Open the file if that has not been done; False if there is none."""
        if self._fd is None:
            try:
                self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return False
        return True

    def records(self) -> Iterator[bytes]:
        """Yield the records completed since the last call, without their NUL; empty ones are left out."""
        if not self.open():
            return
        assert self._fd is not None
        while chunk := os.pread(self._fd, _PIECE, self.offset):
            self.offset += len(chunk)
            *complete, self._partial = (self._partial + chunk).split(b"\0")
            for record in complete:
                if record.strip():
                    yield record

    def is_current(self) -> bool:
        """Tell whether the file that is read is the one of this name."""
        return self._fd is not None and is_at(self._fd, self.path)

    def remove_if_read(self, before: Callable[[], None]) -> bool:
        """Delete the file, after `before()`, unless it holds something that was not read; tell whether it is gone."""
        assert self._fd is not None
        fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            lock(fd)
            if os.fstat(fd).st_size > self.offset:
                return False
            before()
            os.unlink(self.path)
            return True
        finally:
            os.close(fd)

    def close(self) -> None:
        """Release the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def read_records(queue: str) -> list[bytes]:
    """Return the complete records of the queue file as it is; none if there is no file."""
    tail = Tail(queue)
    try:
        return list(tail.records())
    finally:
        tail.close()
