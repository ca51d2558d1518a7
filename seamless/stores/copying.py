"""Whole files in and out of a buffer directory, in constant memory: hashed and copied in one pass.

Blocks are shared instead of copied where the file system can (reflink).
"""

from __future__ import annotations

import io
import os
import stat
from typing import TYPE_CHECKING, Any, Protocol

from seamless.checksum.sha256 import quick
from seamless.errors import BufferCorruptionError
from seamless.stores.filesystem import clone, copy_content, remove_file, write_all
from seamless.stores.incoming import Group, ReadInto, new_file, pump
from seamless.stores.verify import Mismatch, decompressed, digest_of, state_of
from seamless.util.reading import read_into

if TYPE_CHECKING:
    from collections.abc import Callable

_SMALL = 1 << 22  # bytes up to which a file is simply read


class Writing(Protocol):
    """The write in progress that `take_in` adds to."""

    group: Group
    no_longer_needed: list[str]  # files to remove after the commit

    def already_there(self, digest: bytes, length: int) -> bool: ...


def copy_out(raw: io.FileIO, suffix: str, target: str, digest: bytes, known: bytes | None) -> None:
    """Write the decompressed bytes of `raw` to `target`, which appears complete or not at all.

    `known`: what `raw` has been found to hold. Raises Mismatch unless the bytes have `digest`; OSError if `target`
    cannot be written. A device or pipe is written to, never replaced.
    """
    if known is not None and known != digest:
        raise Mismatch(known)
    if _is_special(target):
        if known is None and (found := digest_of(raw, suffix)) != digest:
            raise Mismatch(found)
        with open(target, "wb", buffering=0) as f:
            _pump_out(raw, suffix, lambda view: write_all(f.fileno(), view))
        return
    directory, base = os.path.split(target)
    fd, temporary = new_file(f"{directory}/.{base[:100]}", 0o666)
    try:
        found = _fill(raw, suffix, fd, known)
        if found != digest:
            raise Mismatch(found)
        os.rename(temporary, target)
    except BaseException:
        remove_file(temporary)
        raise
    finally:
        os.close(fd)


def _is_special(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _fill(raw: io.FileIO, suffix: str, fd: int, known: bytes | None) -> bytes:
    """Copy into the empty file `fd`; returns the digest of what was copied."""
    if suffix:
        return _pump_out(raw, suffix, lambda view: write_all(fd, view))
    if clone(raw.fileno(), fd):
        if known is not None:
            return known
        with io.FileIO(os.dup(fd)) as copy:
            return digest_of(copy, "")
    if known is not None:
        copy_content(raw.fileno(), fd)
        return known
    return _pump_out(raw, suffix, lambda view: write_all(fd, view))


def _pump_out(raw: io.FileIO, suffix: str, write: Callable[[memoryview], None]) -> bytes:
    size = os.fstat(raw.fileno()).st_size
    try:
        with decompressed(io.FileIO(os.dup(raw.fileno())), suffix) as source:
            return pump(source.readinto, write, small=size <= _SMALL)[0]
    except (ValueError, EOFError) as exc:
        raise Mismatch(None) from exc
    finally:
        raw.seek(0)


def take_in(writing: Writing, source: Any, name: str, move: bool, expected: bytes | None) -> tuple[bytes, int]:
    """Add an open binary file, from where it stands, to a group; returns (digest, length).

    `name`: its path, for `move` and for messages. Raises BufferCorruptionError if it does not have `expected`.
    """

    def check(digest: bytes) -> None:
        if expected is not None and digest != expected:
            raise BufferCorruptionError(expected.hex(), where=name, found=digest.hex())

    group, status = writing.group, _regular(source)
    if status is not None and move and _is_private(name, status):
        digest, length = pump(source.readinto, None, small=status.st_size <= _SMALL)
        check(digest)
        if writing.already_there(digest, length):
            return digest, length
        if state_of(os.stat(name)) == state_of(status) and group.adopt(name, source.fileno(), digest):
            writing.no_longer_needed.append(name)
            return digest, length
        source.seek(0)
    if status is not None and status.st_size <= _SMALL:
        data = source.read()
        digest = quick[0](data).digest()
        check(digest)
        if not writing.already_there(digest, len(data)):
            group.add(digest.hex(), data)
        return digest, len(data)
    if expected is not None and status is not None and writing.already_there(expected, status.st_size - source.tell()):
        digest, length = pump(source.readinto, None)  # only to see that the file is what it is said to be
        check(digest)
        return digest, length
    fd, temporary = group.create(None)
    if status is not None and source.tell() == 0 and clone(source.fileno(), fd):
        with io.FileIO(os.dup(fd)) as copy:
            digest, length = pump(copy.readinto, None)
    else:
        digest, length = pump(_read_into(source), lambda view: group.write(fd, view))
    check(digest)
    if writing.already_there(digest, length):
        group.discard(temporary)
    else:
        group.named(temporary, digest)
    return digest, length


def _regular(source: Any) -> os.stat_result | None:
    """Return the status of an unbuffered regular file; None for anything else that can be read."""
    if not isinstance(source, io.FileIO):
        return None
    status = os.fstat(source.fileno())
    return status if stat.S_ISREG(status.st_mode) else None


def _is_private(name: str, status: os.stat_result) -> bool:
    """Tell whether nobody else can hold on to the file: ours, one name, no link."""
    return status.st_nlink == 1 and status.st_uid == os.geteuid() and not os.path.islink(name)


def _read_into(source: Any) -> ReadInto:
    """Return the `readinto` of a binary file, made from `read` where it has none."""
    if hasattr(source, "readinto"):
        return lambda view: read_into(source, view)

    def from_read(view: memoryview) -> int:
        data = source.read(len(view))
        view[: len(data)] = data
        return len(data)

    return from_read
