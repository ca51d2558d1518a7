"""What the core expects of a store of buffers and of a store of results. Imported for types and checks only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager
    from typing import Any, BinaryIO

    from seamless.checksum import Checksum


@runtime_checkable
class BufferStore(Protocol):
    """Where buffers live: memory, a buffer directory, or a hashserver."""

    name: str  # for messages: a path or URL
    writable: bool

    def get(self, checksum: Checksum) -> bytes | None:
        """Return the verified bytes, or None if absent. Raises BufferCorruptionError, StoreError."""

    def open(self, checksum: Checksum) -> BinaryIO | None:
        """Return a binary file at the start of the (decompressed, verified) bytes, or None if absent."""

    def has(self, checksums: Sequence[Checksum]) -> list[bool]:
        """Tell for each checksum whether the buffer is stored."""

    def length(self, checksum: Checksum) -> int | None:
        """Return the uncompressed length in bytes, or None if absent."""

    def put(self, items: Iterable[tuple[Checksum, Any]]) -> None:
        """Store (checksum, bytes-like) pairs; durable on return. Raises StoreError, StoreFullError."""


@runtime_checkable
class ResultStore(Protocol):
    """Where results of transformations live: memory, seamless.db, or a database server."""

    name: str
    writable: bool

    def get_result(self, transformation: Checksum) -> Checksum | None: ...
    def set_result(self, transformation: Checksum, result: Checksum) -> bool: ...
    def delete_result(self, transformation: Checksum) -> bool: ...
    def get_transformations(self, result: Checksum) -> list[Checksum]: ...
    def get_record(self, transformation: Checksum) -> dict[str, Any] | None: ...
    def set_record(self, transformation: Checksum, result: Checksum, record: dict[str, Any]) -> bool: ...
    def claim(self, transformation: Checksum) -> AbstractContextManager[None]:
        """Hold the right to execute `transformation`; blocks while another process holds it."""
