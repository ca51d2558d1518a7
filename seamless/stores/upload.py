"""A buffer that arrives in pieces: hashed as it comes, verified, made durable, then named. Constant memory."""

from __future__ import annotations

import hashlib
import io
import os
from typing import Any

from seamless.checksum import Checksum
from seamless.errors import BufferCorruptionError
from seamless.stores.errors import store_error
from seamless.stores.filesystem import regular_file_stat, remove_file, write_all
from seamless.stores.incoming import Group, new_file
from seamless.stores.layout import LENGTH, Layout
from seamless.stores.verify import CHUNK, NewHash, Verdicts


class PayloadError(ValueError):
    """Compressed data is damaged, cut short, followed by something else, or too large when decompressed."""


class Upload:
    """One form of one buffer on its way into a directory. After `open` call `finish` or `abort`.

    One thread at a time. All methods raise StoreError, StoreFullError.
    """

    def __init__(
        self,
        layout: Layout,
        verdicts: Verdicts,
        checksum: Checksum,
        form: str,
        *,
        durable: bool,
        new_hash: NewHash = hashlib.sha256,
        limit: int | None = None,
        max_ratio: float | None = None,
    ):
        self.checksum, self.form = checksum, form
        self._layout, self._durable, self._limit, self._max_ratio = layout, durable, limit, max_ratio
        self._new_hash, self._hasher, self._length = new_hash, new_hash(), 0
        self._group = Group(layout, verdicts, durable=durable)
        self._fd, self._path = -1, ""

    def open(self) -> None:
        """Create the temporary file."""
        self._fd, self._path = self._group.create(self.checksum.hex())

    def write(self, data: Any) -> None:
        """Add bytes-like `data`."""
        if not self.form:
            self._hasher.update(data)
            self._length += len(data)
        self._group.write(self._fd, data)

    def finish(self) -> int:
        """Verify, make durable, and name the file; return the uncompressed length.

        Raises BufferCorruptionError for bytes with another checksum, PayloadError.
        """
        sidecar = ""
        try:
            if self.form:
                self._decompress()
            found = self._hasher.digest()
            if found != self.checksum.bytes():
                raise BufferCorruptionError(self.checksum.hex(), where="the upload", found=found.hex())
            if self.form:
                sidecar = self._write_length()
            self._group.named(self._path, found, self.form)
            self._group.commit()
        except BaseException:
            if sidecar:
                remove_file(sidecar)
            raise
        finally:
            self._group.abandon()
        return self._length

    def abort(self) -> None:
        """Leave nothing behind. May be called at any time, also after `finish`."""
        self._group.abandon()

    def keep(self, path: str) -> None:
        """Make a file durable that another writer has just given its name."""
        try:
            self._group.also_durable(path, os.path.dirname(path))
        except OSError as exc:
            raise store_error(exc, self._layout.root) from exc
        self._group.commit()

    def _decompress(self) -> None:
        from seamless.compression_utils import open_decompressed

        most = self._most(os.lseek(self._fd, 0, os.SEEK_END))
        os.lseek(self._fd, 0, os.SEEK_SET)
        view = memoryview(bytearray(CHUNK))
        source = io.FileIO(os.dup(self._fd))
        try:
            with open_decompressed(source, self.form, max_size=most) as file:  # type: ignore[arg-type]
                while n := file.readinto(view):  # type: ignore[attr-defined]
                    self._hasher.update(view[:n])
                    self._length += n
        except (ValueError, EOFError) as exc:
            raise PayloadError(str(exc)) from exc

    def _most(self, compressed: int) -> int | None:
        """Return how many bytes so many compressed ones may become."""
        from seamless.compression_utils import most_bytes

        limits = [] if self._limit is None else [self._limit]
        if self._max_ratio is not None:
            limits.append(most_bytes(compressed, self._max_ratio))
        return min(limits, default=None)

    def _write_length(self) -> str:
        """Write the sidecar that tells the uncompressed length, unless the plain form does; return its path."""
        base = self._layout.base(self.checksum.hex())
        if regular_file_stat(base) is not None:
            return ""
        try:
            fd, path = new_file(base, 0o444)
            try:
                write_all(fd, b"%d" % self._length)
                if self._durable:
                    os.fsync(fd)
                os.rename(path, base + LENGTH)
            except BaseException:
                remove_file(path)
                raise
            finally:
                os.close(fd)
        except OSError as exc:
            raise store_error(exc, self._layout.root) from exc
        return base + LENGTH
