"""Local files: written as a whole or not at all, compared with a checksum, kept apart from sidecars.

Knows nothing of stores.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from seamless.stores.filesystem import remove_file

_PREFIX_BYTES = 100  # of the name, in that of the temporary file: together they must not exceed 255


def temporary_beside(path: str) -> str:
    """Return a name in the same directory that nobody else uses."""
    directory, base = os.path.split(path)
    prefix = os.fsdecode(os.fsencode(base)[:_PREFIX_BYTES])
    return os.path.join(directory, f".{prefix}.{os.getpid()}-{os.urandom(4).hex()}.tmp")


def is_special(path: str) -> bool:
    """Tell whether there is something that is neither a file nor a directory: a device, a pipe."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


@contextmanager
def replacing(path: str) -> Iterator[IO[bytes]]:
    """Give a binary file that takes the place of `path` at the end of the block; after an error nothing is left of it.

    A device or pipe is written to.
    """
    if is_special(path):
        with open(path, "wb") as special:
            yield special
        return
    temporary = temporary_beside(path)
    try:
        with open(temporary, "xb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        remove_file(temporary)
        raise


def same_file(first: str, second: str) -> bool:
    """Tell whether both are there and share an inode."""
    try:
        return os.path.samestat(os.stat(first), os.stat(second))
    except OSError:
        return False


def has_content(path: str, checksum: str, length: int | None, suffix: str | None) -> bool:
    """Tell whether the file has this checksum (hex), decompressed if `suffix` says how.

    `length`: that of the buffer in bytes, if it is known. Raises OSError if the file cannot be read.
    """
    from seamless.util.directory_index import hash_stream

    if suffix is None:
        if length is not None and os.stat(path).st_size != length:
            return False
        with open(path, "rb", buffering=0) as raw:
            return hash_stream(raw) == checksum  # type: ignore[arg-type]
    from seamless.compression_utils import open_decompressed

    try:
        with open_decompressed(path, suffix) as file:
            return hash_stream(file) == checksum
    except ValueError:  # not compressed, or damaged
        return False


def write_sidecar(path: str, data: bytes) -> None:
    """Write a sidecar as a whole or not at all; one that says the same stays as it is. Raises OSError."""
    try:
        with open(path, "rb") as file:
            if file.read(len(data) + 1) == data:
                return
    except FileNotFoundError:
        parent = os.path.dirname(path)
        if parent:
            os.makedirs(parent, exist_ok=True)
    from seamless.cli.checksum_file import write_sidecar as write

    write(path, data)
