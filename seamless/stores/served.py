"""A buffer directory as a server needs it: forms as they are stored, uploads in pieces, no waiting for locks."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import time
from collections.abc import Sequence

from seamless.checksum import Checksum
from seamless.stores import verify
from seamless.stores.directory import BufferDirectory
from seamless.stores.filesystem import regular_file_stat
from seamless.stores.incoming import Group
from seamless.stores.layout import FORMS
from seamless.stores.upload import Upload
from seamless.stores.verify import NewHash, state_of

_LENGTHS = 100_000  # remembered; about 20 MB
_NOT_NOW = (errno.EAGAIN, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


class ServedDirectory(BufferDirectory):
    """A buffer directory behind a server. It must exist.

    `new_hash`: another hash function of 32 bytes than SHA-256; then only what is added here, `has`, `length`, `open`
    and `stats` may be used. `prefix`, `durable`: as for BufferDirectory.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        writable: bool,
        durable: bool = True,
        prefix: bool | None = None,
        new_hash: NewHash = hashlib.sha256,
    ):
        super().__init__(path, writable=writable, create=False, durable=durable, prefix=prefix)
        self._new_hash = new_hash
        self._empty = new_hash().hexdigest()
        self._lengths: dict[str, int] = {}
        self.max_ratio: float | None = None  # bytes that each of an upload may become when it is decompressed
        self.recent = 60.0  # seconds in which a file that is already there may not have reached the disk

    def locked(self, checksum: Checksum) -> bool:
        """Tell whether another writer holds a fresh lock on this buffer."""
        base = self._layout.base(checksum.hex())
        return verify.fresh_lock(base, os.path.dirname(base), self.lock_timeout)

    def length(self, checksum: Checksum) -> int | None:
        """Return the uncompressed length in bytes, or None if absent. It never changes, so that it is found once."""
        name = checksum.hex()
        known = self._lengths.get(name)
        if known is not None and self._exists(name):
            return known
        length = super().length(checksum)
        if length is not None:
            if len(self._lengths) >= _LENGTHS:
                self._lengths.clear()
            self._lengths[name] = length
        return length

    def is_file(self, checksum: Checksum, form: str) -> bool:
        """Tell whether there is a file of this form, whatever it holds."""
        return regular_file_stat(self._layout.base(checksum.hex()) + form) is not None

    def open_form(self, checksum: Checksum, forms: Sequence[str] = FORMS) -> tuple[io.FileIO, str] | None:
        """Return the first of the forms that is there with the right bytes: the file as it is stored, and its suffix.

        A file that this process has not yet verified in its present state is hashed first. None if there is none, or
        if another writer holds a lock and may still repair what is there. Bad files are moved aside; raises
        BufferCorruptionError if there is no good one, NotAFileError.
        """

        def use(raw: io.FileIO, suffix: str) -> tuple[io.FileIO, str]:
            self._check(raw, suffix, checksum)
            return raw, suffix

        found, bad = self._try_forms(self._layout.base(checksum.hex()), use, forms)
        if bad and not self.locked(checksum):
            error = self._quarantine(checksum, bad)
            if found is None:
                raise error
        return found

    def read_known(self, checksum: Checksum, limit: int) -> tuple[bytes, float] | None:
        """Return (bytes, mtime) of a verified plain form of at most `limit` bytes if that takes no time, else None.

        Nothing is hashed, and nothing is read that is not in memory.
        """
        try:
            fd = os.open(self._layout.base(checksum.hex()), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            status = os.fstat(fd)
            size = status.st_size
            if size > limit:
                return None
            verdict = self._verdicts.get(state_of(status))
            if verdict is None or verdict.digest != checksum.bytes():
                return None
            data = read_now(fd, size, 0)
            return (data, status.st_mtime) if data is not None and len(data) == size else None
        finally:
            os.close(fd)

    def has_form(self, checksum: Checksum, form: str) -> bool:
        """Tell whether this form is there with the right bytes; if it was made just now, have it made durable."""
        name = checksum.hex()
        path = self._layout.base(name) + form
        status = regular_file_stat(path)
        verdict = None if status is None else self._verdicts.get(state_of(status))
        if verdict is None or verdict.digest != checksum.bytes():
            if not self._good(name, form):
                return False
            status = regular_file_stat(path)
            if status is None:  # removed just now
                return False
            verdict = self._verdicts.get(state_of(status))
        assert status is not None
        if self.durable and not (verdict and verdict.durable) and time.time() - status.st_ctime < self.recent:
            self._upload(checksum, form).keep(path)
        return True

    def store_group(self, members: Sequence[tuple[Checksum, memoryview]]) -> list[bool]:
        """Store small buffers, durable together; False for each that does not have its checksum, which is not stored.

        Raises StoreError, StoreFullError, StoreReadOnlyError; then none may be relied on.
        """
        self._must_be_writable()
        good = []
        group = Group(self._layout, self._verdicts, durable=self.durable)
        try:
            for checksum, data in members:
                hasher = self._new_hash()
                hasher.update(data)
                digest = hasher.digest()
                good.append(digest == checksum.bytes())
                if good[-1]:
                    fd, path = group.create(checksum.hex())
                    group.write(fd, data)
                    group.named(path, digest)
            group.commit()
        finally:
            group.abandon()
        return good

    def upload(self, checksum: Checksum, form: str = "", *, limit: int | None = None) -> Upload:
        """Begin to store a form of a buffer that arrives in pieces; `limit`: bytes that it may have uncompressed.

        Raises StoreError, StoreFullError, StoreReadOnlyError.
        """
        self._must_be_writable()
        upload = self._upload(checksum, form, limit)
        upload.open()
        return upload

    def _upload(self, checksum: Checksum, form: str, limit: int | None = None) -> Upload:
        return Upload(
            self._layout,
            self._verdicts,
            checksum,
            form,
            durable=self.durable,
            new_hash=self._new_hash,
            limit=limit,
            max_ratio=self.max_ratio,
        )

    def _digest_of(self, raw: io.FileIO, suffix: str) -> bytes:
        return verify.digest_of(raw, suffix, self._new_hash)


def read_now(fd: int, size: int, offset: int) -> bytes | None:
    """Return up to `size` bytes if they are in memory (maybe fewer are), or None if one would have to wait."""
    if not size:
        return b""
    data = bytearray(size)
    try:
        n = os.preadv(fd, [data], offset, os.RWF_NOWAIT)
    except OSError as exc:
        if exc.errno in _NOT_NOW:
            return None
        raise
    return bytes(data) if n == size else bytes(data[:n])
