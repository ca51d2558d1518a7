"""Into a buffer directory of this machine, other than by copying plain bytes: links to files, and compressed files.

A linked buffer is the user's own file: who changes that file destroys the buffer. Readers notice, as always.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from seamless.checksum import Checksum
from seamless.errors import SeamlessError
from seamless.stores.errors import store_error
from seamless.stores.filesystem import fsync_directory, remove_file
from seamless.stores.layout import LENGTH, MARKER, Layout, make_subdirectory
from seamless.stores.upload import PayloadError, Upload
from seamless.stores.verify import CHUNK, Verdicts, state_of

if TYPE_CHECKING:
    from seamless.cli.transfer.items import Item
    from seamless.stores.directory import BufferDirectory

_READ_ONLY = 0o444


def layout_of(directory: BufferDirectory) -> Layout:
    """Return where the buffers of an open directory are."""
    marked = os.path.exists(os.path.join(directory.name, MARKER))
    return Layout(directory.name, create=False, prefix=marked)


def copy_compressed(directory: BufferDirectory, item: Item) -> None:
    """Store a compressed file as it is, under the checksum of its decompressed bytes.

    Raises BufferCorruptionError if it has another one, ValueError for damaged data, OSError, StoreError.
    """
    upload = Upload(
        layout_of(directory), Verdicts(), Checksum(item.checksum), item.suffix or "", durable=directory.durable
    )
    upload.open()
    try:
        with open(item.path, "rb", buffering=0) as file:
            while chunk := file.read(CHUNK):
                upload.write(chunk)
        upload.finish()
    except PayloadError as exc:
        raise SeamlessError(f"{item.path!r}: {exc}") from exc
    finally:
        upload.abort()


def link_in(directory: BufferDirectory, item: Item, mode: str) -> None:
    """Make the buffer of an item a hard link or symbolic link to its file, which a hard link makes read-only.

    Raises SeamlessError if the file has changed since it was hashed, or cannot be linked; StoreError.
    """
    layout = layout_of(directory)
    final = layout.base(item.checksum) + (item.suffix or "")
    temporary = f"{layout.base(item.checksum)}-{os.urandom(4).hex()}"
    source = os.path.realpath(item.path)
    try:
        if layout.prefix:
            make_subdirectory(layout.directory(item.checksum))
        _make_link(source, temporary, mode)
        try:
            if state_of(os.stat(temporary)) != item.state:
                from seamless.cli.transfer.sending import changed

                raise SeamlessError(changed(item.path))
            if mode == "hardlink":
                _settle(temporary, item.path)
            if item.suffix is not None:
                _write_length(layout, item)
            os.replace(temporary, final)
        finally:
            remove_file(temporary)  # still there when both are links to one file, and after an error
        fsync_directory(layout.directory(item.checksum))
    except OSError as exc:
        raise store_error(exc, directory.name) from exc


def _make_link(source: str, temporary: str, mode: str) -> None:
    if mode == "symlink":
        os.symlink(source, temporary)
        return
    try:
        os.link(source, temporary)
    except OSError as exc:
        if exc.errno == errno.EXDEV:
            raise SeamlessError(
                f"cannot hard-link {source!r}: it is on another file system than the store; use --copy"
            ) from exc
        if exc.errno in (errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            raise SeamlessError(f"cannot hard-link {source!r}: {exc.strerror}; use --copy") from exc
        raise


def _settle(path: str, name: str) -> None:
    """Make a hard-linked file read-only, and its bytes durable."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            os.fchmod(fd, _READ_ONLY)
        except PermissionError as exc:
            raise SeamlessError(
                f"cannot hard-link {name!r}: it is another user's, and cannot be made read-only"
            ) from exc
        os.fsync(fd)
    finally:
        os.close(fd)


def _write_length(layout: Layout, item: Item) -> None:
    from seamless.compression_utils import open_decompressed
    from seamless.util.files import write_atomically

    base = layout.base(item.checksum)
    if os.path.exists(base):
        return
    assert item.suffix is not None
    with open_decompressed(item.path, item.suffix) as file:
        length = sum(len(chunk) for chunk in iter(lambda: file.read(CHUNK), b""))
    write_atomically(base + LENGTH, b"%d" % length, mode=_READ_ONLY, durable=True)
