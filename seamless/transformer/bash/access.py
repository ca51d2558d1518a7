"""What the execution of a command needs from the stores, and nothing more of them."""

from __future__ import annotations

from typing import Protocol

from seamless.checksum import Checksum


class BufferAccess(Protocol):
    """Where inputs come from and results go to. Called in the thread that executes the command."""

    def read(self, checksum: Checksum) -> bytes:
        """Return the whole buffer. Raises CacheMissError."""

    def copy_to(self, checksum: Checksum, path: str, *, executable: bool = False) -> None:
        """Write the buffer to the new file `path`: a private, writable copy, never a link into a store."""

    def add(self, data: bytes) -> Checksum:
        """Keep `data`; return its checksum."""

    def add_file(self, path: str) -> Checksum:
        """Keep the content of a file without reading it whole; the file may be gone afterwards."""
