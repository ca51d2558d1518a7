"""What an execution needs of the buffers around it: read inputs, copy them to files, add results.

Adding is durable where a writable store is active; otherwise the bytes stay in memory.
"""

from __future__ import annotations

import os

from seamless.buffer import Buffer
from seamless.cache.buffer_cache import find_in_memory
from seamless.cache.buffer_writer import get_writer
from seamless.cache.resolve import fingertip_buffer, miss, open_buffer, resolve_buffer
from seamless.celltypes import serialize
from seamless.checksum import Checksum
from seamless.errors import BufferCorruptionError, StoreError
from seamless.session import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_KEPT_BYTES = 64 << 20  # of a file that is kept in memory while no store takes it
_CHUNK = 1024 * 1024


class Buffers:
    """The buffers as one execution sees them. `added` keeps alive what has been added in memory."""

    def __init__(self, *, scratch: bool = False, fingertip: bool = False) -> None:
        self.scratch = scratch
        self._fingertip = fingertip
        self.added: dict[Checksum, Buffer] = {}

    def get(self, checksum: Checksum) -> Buffer:
        """Return the buffer. Raises CacheMissError (after recomputation was tried, where that is allowed)."""
        return fingertip_buffer(checksum) if self._fingertip else resolve_buffer(checksum)

    def read(self, checksum: Checksum) -> bytes:
        """Return the bytes. Raises as `get` does."""
        return self.get(checksum).content

    def view(self, checksum: Checksum) -> bytes | memoryview:
        """Return the bytes to be read only, without a copy where they are in shared memory. Raises as `get` does."""
        return self.get(checksum).view

    def copy_to(self, checksum: Checksum, path: str, *, executable: bool = False) -> None:
        """Write a private, writable, verified copy of the bytes to `path`. Raises as `get` does."""
        session.ensure_active()
        failure: Exception | None = None
        for store in session.buffer_stores:
            copy = getattr(store, "copy_to", None)
            try:
                if copy is not None and copy(checksum, path):
                    break
            except (StoreError, BufferCorruptionError) as error:  # another store may have it whole
                failure = failure or error
        else:
            if failure is not None and find_in_memory(checksum) is None:
                raise failure
            if self._fingertip:
                fingertip_buffer(checksum)
            with open_buffer(checksum) as source, open(path, "wb") as target:
                while chunk := source.read(_CHUNK):
                    target.write(chunk)
        if executable:
            os.chmod(path, os.stat(path).st_mode | 0o111)

    def add(self, data: bytes) -> Checksum:
        """Add a buffer; it is stored by `commit`."""
        buffer = Buffer(data)
        checksum = buffer.get_checksum()
        self.added[checksum] = buffer
        return checksum

    def add_value(self, value: Any, celltype: str) -> Checksum:
        """Add the buffer of a value. Raises what `serialize` raises."""
        return self.add(serialize(value, celltype))

    def add_file(self, path: str) -> Checksum:
        """Add the bytes of a file, streamed into the store if one is active. The file may be consumed."""
        if not self.scratch:
            for store in session.writable_buffer_stores():
                ingest = getattr(store, "ingest", None)
                if ingest is not None:
                    try:
                        checksum: Checksum = ingest(path, move=True)[0]
                    except StoreError:
                        if not os.path.exists(path) or os.path.getsize(path) > _KEPT_BYTES:
                            raise
                        break  # `commit` has the same trouble, but then the execution is over, and not in vain
                    return checksum
        with open(path, "rb") as f:
            return self.add(f.read())

    def commit(self) -> None:
        """Make everything added durable, unless it is scratch. Raises StoreError."""
        if self.added and not self.scratch:
            get_writer().store(list(self.added.values()))

    def require(self, checksum: Checksum) -> None:
        """Raise CacheMissError unless the buffer can be had."""
        from seamless.cache.resolve import is_known

        if is_known(checksum):
            return
        if not self._fingertip:
            raise miss(checksum)
        fingertip_buffer(checksum)
