"""A buffer directory that is only read: one of another user, or that of a hashserver on this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, BinaryIO

from seamless.errors import StoreError
from seamless.remote.errors import ReadOnlyClientError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from seamless.checksum import Checksum
    from seamless.stores.directory import BufferDirectory

_LOCK_SECONDS, _LOCK_POLL = 10.0, 0.5


class BufferFolderClient:
    """A read-only buffer store over a directory of either layout, with plain and compressed files.

    `required=False`: the directory may come into being later; until then it has nothing. Otherwise its absence
    raises StoreError at the first use.
    """

    service = "buffer folder"
    readonly = True
    writable = False
    url = None

    def __init__(self, directory: str | os.PathLike[str], *, required: bool = True):
        self.directory = os.path.abspath(os.path.expanduser(directory))
        self.name = self.directory
        self._required = required
        self._opened: BufferDirectory | None = None

    def __repr__(self) -> str:
        return f"BufferFolderClient({self.directory!r})"

    def get(self, checksum: Checksum) -> bytes | None:
        """Return the verified bytes, or None if absent. Raises BufferCorruptionError, StoreError."""
        folder = self._folder()
        return None if folder is None else folder.get(checksum)

    def open(self, checksum: Checksum) -> BinaryIO | None:
        """Return a binary file at the start of the verified, decompressed bytes, or None if absent."""
        folder = self._folder()
        return None if folder is None else folder.open(checksum)

    def copy_to(self, checksum: Checksum, path: str | os.PathLike[str]) -> bool:
        """Write the verified bytes to `path`, which is replaced in one step; False if absent."""
        folder = self._folder()
        return False if folder is None else folder.copy_to(checksum, path)

    def has(self, checksums: Sequence[Checksum]) -> list[bool]:
        """Tell for each checksum whether a file of that name is there, in any form."""
        folder = self._folder()
        return [False] * len(checksums) if folder is None else folder.has(checksums)

    def length(self, checksum: Checksum) -> int | None:
        """Return the uncompressed length in bytes, or None if absent."""
        folder = self._folder()
        return None if folder is None else folder.length(checksum)

    def path_of(self, checksum: Checksum) -> str | None:
        """Return the path of the verified plain form, which must never be written to; None if there is none."""
        folder = self._folder()
        return None if folder is None else folder.path_of(checksum)

    def put(self, items: Iterable[tuple[Checksum, Any]]) -> None:
        """Raise ReadOnlyClientError."""
        raise ReadOnlyClientError(f"the buffer folder {self.directory} is only read from here")

    def validate(self) -> None:
        """Return when the directory is there. Raises StoreError."""
        self._folder()

    def _folder(self) -> BufferDirectory | None:
        if self._opened is None:
            from seamless.stores.directory import BufferDirectory

            if not self._required and not os.path.isdir(self.directory):
                return None
            try:
                folder = BufferDirectory(self.directory, writable=False)
            except StoreError as exc:
                if not self._required:  # it has gone again this instant
                    return None
                raise StoreError(f"{exc}; correct the directory of this buffer folder, or create it") from exc
            folder.lock_timeout, folder.lock_poll = _LOCK_SECONDS, _LOCK_POLL
            self._opened = folder
        return self._opened
