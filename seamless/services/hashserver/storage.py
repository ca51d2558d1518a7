"""The directories of a hashserver: the main one, and others that are only read. Everything here may block."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Sequence
from typing import NamedTuple

from seamless.checksum import Checksum
from seamless.errors import BufferCorruptionError, StoreError, StoreReadOnlyError
from seamless.services.hashserver.quota import Quota, Room
from seamless.services.hashserver.settings import ALGORITHMS, Settings
from seamless.stores.errors import NotAFileError
from seamless.stores.filesystem import on_network
from seamless.stores.served import ServedDirectory

logger = logging.getLogger(__name__)

_MODE = 0o3775  # setgid: files belong to the group; sticky: nobody removes those of others
SWEEP_OLDER = 24.0  # hours


class Found(NamedTuple):
    """A verified form of a buffer: the open file, as it is stored."""

    raw: io.FileIO
    form: str
    size: int
    mtime: float


class Storage:
    """The directories named in the settings. Raises StoreError if one of them cannot be used."""

    def __init__(self, settings: Settings):
        new_hash = ALGORITHMS[settings.algorithm]
        self.main = ServedDirectory(
            settings.directory,
            writable=settings.writable,
            durable=settings.durability != "none",
            prefix=None if settings.layout is None else settings.layout == "prefix",
            new_hash=new_hash,
        )
        if settings.writable and not self.main.writable:
            raise StoreReadOnlyError(f"--writable: cannot write to {self.main.name}")
        extra = [ServedDirectory(d, writable=False, new_hash=new_hash) for d in settings.extra_directories]
        self.directories = (self.main, *extra)
        for directory in self.directories:
            directory.lock_timeout = settings.lock_timeout
        if settings.durability == "full":
            self.main.recent = float("inf")
        self.main.max_ratio = settings.max_ratio
        self.quota = None
        if settings.quota is not None and settings.writable:
            self.quota = Quota(settings.quota, lambda: self.main.stats()["bytes"], where=self.main.name)
        # Only where opening a file takes no time may it be done without a thread.
        self.is_local = not on_network(self.main.name)
        if settings.writable:
            self._share_with_group()

    def look(self, checksum: Checksum, forms: Sequence[str]) -> tuple[Found | None, bool]:
        """Return the first good form, and whether another writer is still working on the buffer.

        All forms in the main directory come before the others. Raises BufferCorruptionError, NotAFileError, StoreError.
        """
        found = self._look(checksum, forms)
        if found is not None:
            return found, False
        if any(directory.locked(checksum) for directory in self.directories):
            return None, True
        return self._look(checksum, forms), False  # in case the writer has just finished

    def _look(self, checksum: Checksum, forms: Sequence[str]) -> Found | None:
        problem: Exception | None = None
        for directory in self.directories:
            try:
                opened = directory.open_form(checksum, forms)
            except (BufferCorruptionError, NotAFileError) as exc:
                logger.warning("%s", exc)
                problem = problem or exc
                continue
            if opened is not None:
                raw, form = opened
                status = os.fstat(raw.fileno())
                return Found(raw, form, status.st_size, status.st_mtime)
        if problem is not None:
            raise problem
        return None

    def has(self, checksums: Sequence[Checksum]) -> list[bool]:
        """Tell for each checksum whether a file of that name is there, in any directory and form."""
        present = self.main.has(checksums)
        for directory in self.directories[1:]:
            absent = [i for i, there in enumerate(present) if not there]
            for i, there in zip(absent, directory.has([checksums[i] for i in absent]), strict=True):
                present[i] = there
        return present

    def lengths(self, checksums: Sequence[Checksum]) -> list[int]:
        """Return the uncompressed length of each buffer; 0 for one that is absent or bad."""
        return [self._length(checksum) for checksum in checksums]

    def _length(self, checksum: Checksum) -> int:
        for directory in self.directories:
            try:
                length = directory.length(checksum)
            except (BufferCorruptionError, NotAFileError) as exc:
                logger.warning("%s", exc)
                continue
            if length is not None:
                return length
        return 0

    def store(self, checksum: Checksum, form: str, body: bytes, limit: int | None) -> bool:
        """Store a small buffer; False if that form is already there. Raises what `Upload.finish` raises."""
        if self.main.has_form(checksum, form):
            return False
        with self.room() as room:
            room.grow(len(body))
            upload = self.main.upload(checksum, form, limit=limit)
            try:
                upload.write(body)
                upload.finish()
            finally:
                upload.abort()
            room.keep()
        return True

    def store_group(self, members: Sequence[tuple[Checksum, memoryview]]) -> list[int]:
        """Store small buffers; return for each the status that a request of its own would have been answered with."""
        statuses: dict[Checksum, int] = {}
        new: dict[Checksum, memoryview] = {}
        for checksum, data in members:
            if self.main.has_form(checksum, ""):
                statuses[checksum] = 201
            else:
                new[checksum] = data
        if new:
            with self.room() as room:
                room.grow(sum(map(len, new.values())))
                stored = self.main.store_group(list(new.items()))
                room.keep()
            statuses |= {checksum: 200 if good else 400 for checksum, good in zip(new, stored, strict=True)}
        return [statuses[checksum] for checksum, _ in members]

    def room(self) -> Room:
        """Return what an upload takes of the quota: nothing yet."""
        return Room(self.quota)

    def sweep(self) -> None:
        """Remove what writers that died have left behind, and measure what is there if that matters."""
        if self.quota is not None:
            self.quota.measure()
        try:
            count = self.main.sweep(SWEEP_OLDER)
        except (StoreError, OSError) as exc:
            logger.warning("cannot remove old temporary files: %s", exc)
            return
        if count:
            logger.info("removed %d old temporary files", count)

    def stats(self) -> dict[str, int]:
        """Count what is in the main directory."""
        return self.main.stats()

    def _share_with_group(self) -> None:
        try:
            os.chmod(self.main.name, _MODE)
        except OSError as exc:
            logger.info("cannot change the mode of %s: %s", self.main.name, exc.strerror)
