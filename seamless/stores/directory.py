"""The buffer directory: buffers as files named by their checksum, readable by hashserver and the reverse.

Every byte that leaves it has been verified. Any number of threads and processes may use one directory at once,
without locks: a file gets its name when it is complete and durable, and never changes afterwards.
"""

from __future__ import annotations

import errno
import io
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from seamless.checksum import Checksum
from seamless.errors import BufferCorruptionError, StoreError, StoreReadOnlyError
from seamless.stores import verify
from seamless.stores.errors import store_error
from seamless.stores.filesystem import flat, regular_file_stat, remove_file
from seamless.stores.incoming import Group
from seamless.stores.layout import FORMS, LENGTH, Layout, buffer_of, is_temporary
from seamless.stores.verify import Bad, Mismatch, Verdicts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, TypeVar

    T = TypeVar("T")

_GROUP_FILES = 256
_GROUP_BYTES = 1 << 28
_LISTING_PAYS = 64  # names asked in one directory, from which one listing is cheaper than asking for each
_RECENT = 60.0  # seconds in which another writer's file may not have reached the disk
_UNREADABLE = (errno.EIO, errno.ESTALE)
_ATTEMPTS = 5  # how often a file that changes while it is read is read again


class BufferDirectory:
    """A directory of buffers.

    `writable` becomes False when the directory may not be written. `durable=False` leaves it to the system when
    bytes reach the disk: a power failure may then lose buffers (never falsify them). `prefix`: whether buffers are in
    subdirectories named by their first two digits; None: as it is found, and in a new directory they are.
    Raises StoreError if `path` cannot be used; all methods raise StoreError, StoreFullError, StoreReadOnlyError.
    """

    _empty = Checksum.of(b"").hex()  # the only buffer without bytes

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        writable: bool = True,
        create: bool = True,
        durable: bool = True,
        prefix: bool | None = None,
    ):
        self.name = os.path.abspath(path)
        self.lock_timeout = 120.0  # seconds after which the .LOCK file of another writer is ignored
        self.lock_poll = 1.0  # seconds between looks at such a file
        self.durable = durable
        self.on_store: Callable[[], None] | None = None  # called after buffers were stored
        self._verdicts = Verdicts()
        try:
            if not os.path.isdir(self.name):
                if os.path.lexists(self.name) and not os.path.isdir(self.name):  # another process may just have made it
                    raise StoreError(f"cannot use {self.name} as a buffer directory: it is not a directory")
                if not (writable and create):
                    raise StoreError(f"there is no buffer directory {self.name}")
                os.makedirs(self.name, exist_ok=True)
            self.writable = writable and os.access(self.name, os.W_OK | os.X_OK)
            self._layout = Layout(self.name, create=self.writable, prefix=prefix)
        except OSError as exc:
            raise store_error(exc, self.name) from exc

    def __repr__(self) -> str:
        return f"BufferDirectory({self.name!r}, writable={self.writable})"

    # --- reading -----------------------------------------------------------------------------

    def get(self, checksum: Checksum) -> bytes | None:
        """Return the verified bytes, or None if absent.

        Waits for the lock of another writer if the buffer is absent or bad. A bad file is moved aside; raises
        BufferCorruptionError unless another form of the buffer is good.
        """

        def use(raw: io.FileIO, suffix: str) -> bytes:
            if suffix:
                self._check(raw, suffix, checksum)  # in constant memory: a bad stream may be of any length
                with verify.decompressed(raw, suffix) as file:
                    data = file.read()
            else:
                data = raw.readall()
                raw.close()
            found = Checksum.of(data)
            if found.bytes() != checksum.bytes():
                raise Mismatch(found.bytes())
            return data

        return self._first_good(checksum, use)

    def open(self, checksum: Checksum) -> BinaryIO | None:
        """Return a binary file at the start of the verified, decompressed bytes, or None if absent.

        A file that this process has not yet verified in its present state is hashed first.
        """

        def use(raw: io.FileIO, suffix: str) -> BinaryIO:
            self._check(raw, suffix, checksum)
            file = verify.decompressed(raw, suffix)
            return io.BufferedReader(raw, 1 << 18) if file is raw else file

        return self._first_good(checksum, use)

    def copy_to(self, checksum: Checksum, path: str | os.PathLike[str]) -> bool:
        """Write the verified bytes to `path`, as a private file that may be changed; False if absent.

        Shares blocks with the store where the file system can. An existing file is replaced in one step.
        """
        from seamless.stores.copying import copy_out

        target = os.path.abspath(path)

        def use(raw: io.FileIO, suffix: str) -> bool:
            state = verify.state_of(os.fstat(raw.fileno()))
            verdict = self._verdicts.get(state)
            copy_out(raw, suffix, target, checksum.bytes(), verdict.digest if verdict is not None else None)
            if verdict is None:
                self._verdicts.add(state, checksum.bytes())
            raw.close()
            return True

        return self._first_good(checksum, use) or False

    def has(self, checksums: Sequence[Checksum]) -> list[bool]:
        """Tell for each checksum whether a file of that name is there, in any form. Its bytes are not looked at."""
        names = [c.hex() for c in checksums]
        asked: dict[str, int] = {}
        if len(names) >= _LISTING_PAYS and self._layout.prefix:
            for name in names:
                directory = self._layout.directory(name)
                asked[directory] = asked.get(directory, 0) + 1
        listings = {d: self._listing(d) for d, n in asked.items() if n >= _LISTING_PAYS}
        result = []
        for name in names:
            listing = listings.get(self._layout.directory(name)) if listings else None
            result.append(self._exists(name) if listing is None else name in listing and self._exists(name))
        return result

    def length(self, checksum: Checksum) -> int | None:
        """Return the uncompressed length in bytes, or None if absent. Decompresses if nothing else tells."""
        base = self._layout.base(checksum.hex())
        status = regular_file_stat(base)
        if status is not None and (status.st_size or checksum.hex() == self._empty):
            return status.st_size
        if not self._exists(checksum.hex()):
            return None
        try:
            with open(base + LENGTH, "rb") as f:
                text = f.read(32).strip()
            if text.isdigit():
                return int(text)
        except FileNotFoundError:
            pass
        file = self.open(checksum)
        if file is None:
            return None
        with file:
            return sum(len(chunk) for chunk in iter(lambda: file.read(verify.CHUNK), b""))

    def path_of(self, checksum: Checksum) -> str | None:
        """Return the path of the verified plain form, which must never be written to; None if there is none."""
        path = self._layout.base(checksum.hex())
        return path if self._good(checksum.hex(), "") else None

    def iter_checksums(self) -> Iterator[Checksum]:
        """Give the checksum of every stored buffer once, in no order. Nothing is verified."""
        seen: set[str] = set()
        for entry in self._layout.entries():
            name = buffer_of(entry.name)
            if name is None or name in seen:
                continue
            if len(entry.name) > 64 or any(os.path.lexists(entry.path + form) for form in FORMS[1:]):
                seen.add(name)  # only buffers with a compressed form can come twice
            yield Checksum(name)

    def stats(self) -> dict[str, int]:
        """Count: `buffers`, `files` (their forms), `bytes` on disk, `temporary` files, `corrupt` files."""
        counts = {"buffers": 0, "files": 0, "bytes": 0, "temporary": 0, "corrupt": 0}
        counts["buffers"] = sum(1 for _ in self.iter_checksums())
        for entry in self._layout.entries():
            if buffer_of(entry.name):
                try:
                    counts["bytes"] += entry.stat().st_size
                except FileNotFoundError:
                    continue
                counts["files"] += 1
            elif is_temporary(entry.name):
                counts["temporary"] += 1
            elif buffer_of(entry.name[:64]) and ".CORRUPT" in entry.name:
                counts["corrupt"] += 1
        return counts

    # --- writing -----------------------------------------------------------------------------

    def put(self, items: Iterable[tuple[Checksum, Any]]) -> None:
        """Store (checksum, bytes-like) pairs; durable on return. A bad file of that name is replaced.

        Items are taken one by one, so that a generator need not hold all of them in memory. Raises
        BufferCorruptionError for bytes that do not have the checksum; items before it may have been stored.
        """
        self._must_be_writable()
        size = 0
        with _Writing(self) as writing:
            names: set[str] = set()
            for checksum, data in items:
                view = flat(data)
                name = checksum.hex()
                if name in names or self._already_there(writing.group, name, view.nbytes):
                    continue
                digest = writing.group.add(name, view)
                if digest.hex() != name:
                    raise BufferCorruptionError(name, where="the bytes to be stored", found=digest.hex())
                names.add(name)
                size += view.nbytes
                if len(writing.group) >= _GROUP_FILES or size >= _GROUP_BYTES:
                    writing.group.commit()
                    names.clear()
                    size = 0

    def put_file(self, checksum: Checksum, path: str | os.PathLike[str]) -> None:
        """Store a file whose checksum is known, in constant memory. Raises BufferCorruptionError if it has another."""
        self._take(path, False, checksum)

    def ingest(self, source: str | os.PathLike[str] | BinaryIO, *, move: bool = False) -> tuple[Checksum, int]:
        """Store a file, or the rest of an open binary file; returns its checksum and length. One pass, constant memory.

        `move`: the file is private and no longer needed; it may be taken over, and is then gone.
        """
        return self._take(source, move, None)

    def remove(self, checksum: Checksum) -> bool:
        """Remove every form of a buffer; False if there was none."""
        self._must_be_writable()
        base = self._layout.base(checksum.hex())
        try:
            removed = [remove_file(base + form) for form in FORMS]
            remove_file(base + LENGTH)
        except OSError as exc:
            raise store_error(exc, self.name) from exc
        return any(removed)

    def sweep(self, older_than: float = 24.0) -> int:
        """Remove temporary files left by writers that died, if older than so many hours; returns how many."""
        self._must_be_writable()
        limit = time.time() - older_than * 3600
        count = 0
        directories = {self.name, *self._layout.directories()}
        for directory in sorted(directories):
            with os.scandir(directory) as entries:
                old = [e.path for e in entries if is_temporary(e.name) and _older(e, limit)]
            for path in old:
                try:
                    count += remove_file(path)
                except PermissionError:  # another user's, in a directory with the sticky bit: theirs to remove
                    continue
        return count

    # --- what the above is made of -----------------------------------------------------------

    def _first_good(self, checksum: Checksum, use: Callable[[io.FileIO, str], T]) -> T | None:
        """Return what `use` makes of the first form with the right bytes, or None if there is no form at all.

        `use` closes the file or keeps it, and raises Mismatch for wrong bytes.
        """
        base = self._layout.base(checksum.hex())
        deadline = time.monotonic() + self.lock_timeout
        attempts = 0
        while True:
            value, bad = self._try_forms(base, use)
            if value is not None:
                if bad and not verify.fresh_lock(base, os.path.dirname(base), self.lock_timeout):
                    self._quarantine(checksum, bad)
                return value
            if self._wait_for_writer(base, deadline):
                continue
            if not bad:
                return None
            attempts += 1
            if attempts == _ATTEMPTS or all(verify.unchanged(b) for b in bad):
                raise self._quarantine(checksum, bad)

    def _try_forms(
        self, base: str, use: Callable[[io.FileIO, str], T], forms: Sequence[str] = FORMS
    ) -> tuple[T | None, list[Bad]]:
        bad: list[Bad] = []
        for form in forms:
            raw = verify.open_regular(base + form)
            if raw is None:
                continue
            state = verify.state_of(os.fstat(raw.fileno()))
            try:
                return use(raw, form), bad
            except Mismatch as exc:
                raw.close()
                bad.append(Bad(base + form, state, exc.found))
            except BaseException as exc:
                raw.close()
                if isinstance(exc, OSError) and exc.errno in _UNREADABLE:
                    raise StoreError(f"cannot read the buffer {base + form}: {exc.strerror}") from exc
                raise
        return None, bad

    def _check(self, raw: io.FileIO, suffix: str, checksum: Checksum) -> None:
        """Raise Mismatch unless the file has the checksum; hash it only if no verdict is known."""
        state = verify.state_of(os.fstat(raw.fileno()))
        verdict = self._verdicts.get(state)
        digest = verdict.digest if verdict is not None else self._digest_of(raw, suffix)
        if digest != checksum.bytes():
            raise Mismatch(digest)
        if verdict is None:
            self._verdicts.add(state, digest)

    def _digest_of(self, raw: io.FileIO, suffix: str) -> bytes:
        return verify.digest_of(raw, suffix)

    def _wait_for_writer(self, base: str, deadline: float) -> bool:
        """Wait while another writer holds a fresh lock; True if there was one, so that one must look again."""
        waited = False
        while time.monotonic() < deadline and verify.fresh_lock(base, os.path.dirname(base), self.lock_timeout):
            waited = True
            time.sleep(self.lock_poll)
        return waited

    def _quarantine(self, checksum: Checksum, bad: list[Bad]) -> BufferCorruptionError:
        """Move bad files aside, where permitted; returns the error that names the first."""
        aside = [verify.move_aside(b) if self.writable and verify.unchanged(b) else None for b in bad]
        found = bad[0].found
        return BufferCorruptionError(
            checksum.hex(), where=bad[0].path, found=found.hex() if found else None, quarantined=aside[0]
        )

    def _exists(self, name: str) -> bool:
        base = self._layout.base(name)
        for form in FORMS:
            status = regular_file_stat(base + form)
            if status is not None and (status.st_size or name == self._empty):
                return True
        return False

    def _listing(self, directory: str) -> set[str]:
        """Return the names of the buffers in a directory."""
        try:
            with os.scandir(directory) as entries:
                return {name for e in entries if (name := buffer_of(e.name))}
        except FileNotFoundError:
            return set()

    def _good(self, name: str, form: str) -> bool:
        """Tell whether this form is there and has the right bytes. Hashes it unless a verdict is known."""
        from seamless.errors import MissingDependencyError

        try:
            raw = verify.open_regular(self._layout.base(name) + form)
        except StoreError:
            return False
        if raw is None:
            return False
        with raw:
            try:
                self._check(raw, form, Checksum(name))
            except (Mismatch, MissingDependencyError, OSError):
                return False
        return True

    def _already_there(self, group: Group, name: str, length: int | None) -> bool:
        """Tell whether a good form is there; if another writer has just made it, have it made durable."""
        base = self._layout.base(name)
        for form in FORMS:
            status = regular_file_stat(base + form)
            if status is None or (not form and length is not None and status.st_size != length):
                continue
            verdict = self._verdicts.get(verify.state_of(status))
            if verdict is None and self._good(name, form):  # hashed, as it is the first look at it
                verdict = self._verdicts.get(verify.state_of(status))
            if verdict is None or verdict.digest.hex() != name:
                continue
            if not verdict.durable and time.time() - status.st_ctime < _RECENT:
                group.also_durable(base + form, self._layout.directory(name))
            return True
        return False

    def _take(self, source: Any, move: bool, expected: Checksum | None) -> tuple[Checksum, int]:
        from seamless.stores.copying import take_in

        self._must_be_writable()
        digest = expected.bytes() if expected is not None else None
        if hasattr(source, "read"):
            with _Writing(self) as writing:
                found, length = take_in(writing, source, str(getattr(source, "name", "the data")), False, digest)
        else:
            with open(source, "rb", buffering=0) as raw, _Writing(self) as writing:
                found, length = take_in(writing, raw, os.path.abspath(source), move, digest)
        return Checksum(found), length

    def _must_be_writable(self) -> None:
        if not self.writable:
            raise StoreReadOnlyError(f"the buffer directory {self.name} may only be read")


class _Writing:
    """One write: a group that is committed at the end, or abandoned after an error."""

    def __init__(self, directory: BufferDirectory):
        self.directory = directory
        self.group = Group(directory._layout, directory._verdicts, durable=directory.durable)
        self.no_longer_needed: list[str] = []

    def already_there(self, digest: bytes, length: int) -> bool:
        """Tell whether the directory has this buffer."""
        return self.directory._already_there(self.group, digest.hex(), length)

    def __enter__(self) -> _Writing:
        return self

    def __exit__(self, kind: Any, exc: BaseException | None, traceback: Any) -> None:
        done = False
        try:
            if exc is None:
                self.group.commit()
                done = True
        finally:
            if not done:
                self.group.abandon()
        if done:
            for path in self.no_longer_needed:
                remove_file(path)
            if self.group.stored and self.directory.on_store is not None:
                self.directory.on_store()


def _older(entry: os.DirEntry[str], limit: float) -> bool:
    try:
        return entry.stat(follow_symlinks=False).st_mtime < limit
    except FileNotFoundError:
        return False
