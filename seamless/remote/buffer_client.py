"""The client of a hashserver, as a store of buffers. What it gives has been verified here, whoever has served it."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from seamless.checksum import Checksum
from seamless.errors import BufferCorruptionError, StoreError
from seamless.remote import buffer_calls as calls
from seamless.remote.client import Client
from seamless.remote.errors import TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from seamless.remote.response import Response

_BATCH = 5000  # checksums in one request
_IN_MEMORY = 1 << 24  # bytes up to which `open` keeps a buffer in memory
_UPLOADS = 4  # at a time
_SMALL = 1 << 16  # bytes up to which buffers are sent together
_PARCEL, _PARCEL_BYTES = 250, 1 << 17  # buffers and bytes from which a request is complete
_ZSTD = "Content-Encoding: zstd\r\n"
_PATIENCE = 5  # how often an upload of the same buffer by somebody else is waited for


class HashserverClient(Client):
    """A buffer store behind HTTP. Methods raise RemoteError and other StoreErrors.

    `compress`: whether buffers are sent compressed (zstd); None: over a network, where it pays and the server can
    also give them uncompressed to others.
    """

    service = "hashserver"

    def __init__(self, url: str | None = None, *, compress: bool | None = None, **more: Any):
        super().__init__(url, **more)
        self.compress = compress
        self._posts = True  # until a server has refused it
        self._has_posted = False
        self._groups = True  # until a server has refused one

    # --- reading ------------------------------------------------------------------------------

    def get(self, checksum: Checksum) -> bytes | None:
        """Return the verified bytes, or None if absent. Waits for a buffer that is uploaded or promised.

        Raises BufferCorruptionError.
        """
        from seamless.remote.content import read_verified

        digest = checksum.bytes()
        return self._fetch(checksum, lambda response: read_verified(response, digest))

    def open(self, checksum: Checksum) -> BinaryIO | None:
        """Return a binary file at the start of the verified bytes, or None if absent. Large ones are kept on disk."""
        from seamless.remote.content import read_verified, suffix_of, write_verified

        def use(response: Response) -> BinaryIO:
            if response.length is not None and response.length <= _IN_MEMORY and not suffix_of(response):
                return io.BytesIO(read_verified(response, checksum.bytes()))
            from tempfile import TemporaryFile

            file = cast(BinaryIO, TemporaryFile())
            try:
                write_verified(response, checksum.bytes(), cast(Any, file.write))
            except BaseException:
                file.close()
                raise
            file.seek(0)
            return file

        return self._fetch(checksum, use)

    def copy_to(self, checksum: Checksum, path: str | os.PathLike[str]) -> bool:
        """Write the verified bytes to `path`, which is replaced in one step; False if absent."""
        from seamless.remote.content import write_verified
        from seamless.stores.filesystem import remove_file, write_all
        from seamless.stores.incoming import new_file

        target = os.path.abspath(path)
        if os.path.exists(target) and not os.path.isfile(target):
            return self._copy_to_device(checksum, target)

        def use(response: Response) -> bool:
            directory, base = os.path.split(target)
            fd, temporary = new_file(f"{directory}/.{base[:100]}", 0o666)
            try:
                write_verified(response, checksum.bytes(), lambda view: write_all(fd, view))
                os.rename(temporary, target)
            except BaseException:
                remove_file(temporary)
                raise
            finally:
                os.close(fd)
            return True

        return self._fetch(checksum, use) or False

    def _copy_to_device(self, checksum: Checksum, target: str) -> bool:
        """Write to a device or pipe, which must not see bytes that are not verified."""
        file = self.open(checksum)
        if file is None:
            return False
        with file, open(target, "wb") as out:
            while piece := file.read(1 << 20):
                out.write(piece)
        return True

    def has(self, checksums: Sequence[Checksum]) -> list[bool]:
        """Tell for each checksum whether the buffer is stored, or being uploaded."""
        return [bool(value) for value in self._ask("/has-now", checksums)]

    def length(self, checksum: Checksum) -> int | None:
        """Return the uncompressed length in bytes, or None if absent."""
        return self.lengths([checksum])[0]

    def lengths(self, checksums: Sequence[Checksum]) -> list[int | None]:
        """Return the length of each buffer, or None. Waits for uploads, not for promises."""
        values = self._ask("/buffer-length", checksums)
        lengths = [calls.length_of(c, value) for c, value in zip(checksums, values, strict=True)]
        unclear = [i for i, length in enumerate(lengths) if length is not None and length < 0]
        for i, stored in zip(unclear, self.has([checksums[i] for i in unclear]), strict=True):
            lengths[i] = self._measure(checksums[i]) if stored else None
        return lengths

    def _measure(self, checksum: Checksum) -> int | None:
        """Return the length of a buffer by fetching it."""
        from seamless.remote.content import write_verified

        return self._fetch(checksum, lambda response: write_verified(response, checksum.bytes(), lambda view: None))

    def _ask(self, path: str, checksums: Sequence[Checksum]) -> list[Any]:
        """Return what a list endpoint answers, asked in batches."""
        values: list[Any] = []
        size, start = _BATCH, 0
        while start < len(checksums):
            try:
                values += self.perform(calls.ask_list(path, checksums[start : start + size], post=self._posts))
            except calls.NoPostError:
                self._posts = False
                continue
            except calls.TooManyError:
                size = max(1, min(size, len(checksums) - start) // 2)
                continue
            self._has_posted = self._posts
            start += size
        return values

    def _fetch(self, checksum: Checksum, take: Callable[[Response], Any]) -> Any:
        """Return what `take` makes of the buffer, or None if absent; it raises MismatchError for wrong bytes."""
        from seamless.remote.content import MismatchError, accepted_encodings

        def use(response: Response) -> Any:
            if response.status == 200:
                return take(response)
            answer = self.complete(response)
            if answer.status == 404:
                return None
            raise calls.get_refused(answer, checksum)

        found = None
        for _ in range(2):  # once more: it may have been damaged on its way, or be good in another form
            headers = accepted_encodings(self.located().address.is_local)
            try:
                return self.exchange("GET", f"/{checksum.hex()}", use, headers=headers)
            except MismatchError as exc:
                found = exc.found
        raise BufferCorruptionError(
            checksum.hex(), where=f"the {self.service} {self.name}", found=found.hex() if found else None
        )

    # --- writing ------------------------------------------------------------------------------

    def put(self, items: Iterable[tuple[Checksum, Any]]) -> None:
        """Store (checksum, bytes-like) pairs; durable on return if the server's are. Several are sent at a time.

        Raises BufferCorruptionError for bytes that do not have the checksum; other items may have been stored.
        """
        self.must_be_writable()
        from seamless.remote.parallel import for_each

        for_each(self._put_parcel, _parcels(items) if self._groups else ([item] for item in items), _UPLOADS)

    def _put_parcel(self, parcel: list[tuple[Checksum, Any]]) -> None:
        stored = [False] * len(parcel)
        if len(parcel) > 1 and self._groups:
            try:
                stored = self.perform(calls.put_group(parcel))
            except calls.NoGroupsError:
                self._groups = False
        for item, done in zip(parcel, stored, strict=True):
            if not done:
                self._put_data(*item)

    def _put_data(self, checksum: Checksum, data: Any) -> None:
        from seamless.stores.filesystem import flat

        view = flat(data)

        def check() -> Checksum:
            return Checksum.of(view)

        if self._compresses():
            from seamless.remote.content import compressed_data

            compressed = compressed_data(view)
            if compressed is not None:
                self._send(checksum, compressed, check, "the bytes to be stored", _ZSTD)
                return
        self._send(checksum, view, check, "the bytes to be stored")

    def put_file(self, checksum: Checksum, path: str | os.PathLike[str]) -> None:
        """Store a file whose checksum is known, in constant memory. Raises BufferCorruptionError if it has another."""
        self.must_be_writable()
        from seamless.remote.connection import ChangedWhileSentError
        from seamless.remote.content import FileBody, compressed_file

        where = os.path.abspath(path)
        try:
            body = compressed_file(path) if self._compresses() else None
            if body is not None:
                with body:
                    self._send(checksum, body, lambda: _file_checksum(path), where, _ZSTD)
            else:
                self._send(checksum, FileBody(path), lambda: _file_checksum(path), where)
        except ChangedWhileSentError as exc:
            raise StoreError(f"{where} has changed while it was stored: {exc}") from exc

    def ingest(self, source: str | os.PathLike[str] | BinaryIO, *, move: bool = False) -> tuple[Checksum, int]:
        """Store a file, or the rest of an open binary file; returns its checksum and length. Constant memory.

        `move`: the file is private and no longer needed; it is then removed.
        """
        self.must_be_writable()
        if not hasattr(source, "read"):
            checksum = _file_checksum(source)
            self.put_file(checksum, source)
            length = os.stat(source).st_size
            if move:
                os.unlink(source)
            return checksum, length
        from tempfile import NamedTemporaryFile

        from seamless.stores.incoming import pump

        stream = cast(Any, source)
        with NamedTemporaryFile(prefix="seamless-") as copy:
            read = getattr(stream, "readinto", None) or _read_into(stream)
            digest, length = pump(read, cast(Any, copy.write))
            copy.flush()
            self.put_file(Checksum(digest), copy.name)
        return Checksum(digest), length

    def promise(self, checksum: Checksum) -> bool:
        """Tell the server that the buffer will come, so that readers wait for it; False if it takes no promises."""
        self.must_be_writable()
        return cast(bool, self.perform(calls.promise(checksum)))

    def _compresses(self) -> bool:
        """Whether buffers are to be sent compressed if they shrink."""
        from seamless.remote.content import zstd_available

        if self.compress is not None:
            return self.compress
        if self.located().address.is_local or not zstd_available():
            return False
        if not self._has_posted and self._posts:
            # Other clients of a reference server could not read it. Such a one is known by what it does not take.
            self.has([calls.EMPTY])
        return self._posts

    def _send(
        self, checksum: Checksum, body: Any, check: Callable[[], Checksum], where: str, headers: str = ""
    ) -> None:
        """Upload a buffer until the server has it. `check` gives the checksum that it really has."""
        headers += "Content-Type: application/octet-stream\r\n"

        def use(response: Response) -> bool:
            answer = self.complete(response)
            if answer.status in calls.STORED:
                return True
            if answer.status == calls.UPLOADED_BY_ANOTHER:
                return False
            error = calls.put_refused(answer, checksum, where)
            if isinstance(error, BufferCorruptionError):
                found = check()
                if found == checksum:
                    raise TransportError("the bytes were damaged on their way")
                error = BufferCorruptionError(checksum.hex(), where=where, found=found.hex())
            raise error

        for _ in range(_PATIENCE):
            if self.exchange("PUT", f"/{checksum.hex()}", use, headers=headers, body=body) or self._arrives(checksum):
                return
        raise StoreError(
            f"the {self.service} {self.name} has not stored {checksum}: somebody else's uploads of it go on and on"
        )

    def _arrives(self, checksum: Checksum) -> bool:
        """Wait for somebody else's upload; True if the buffer is there then."""

        def use(response: Response) -> bool:
            return response.status in (200, 206)

        return self.exchange("GET", f"/{checksum.hex()}", use, headers="Range: bytes=0-0\r\n")


BufferClient = HashserverClient


def _parcels(items: Iterable[tuple[Checksum, Any]]) -> Iterator[list[tuple[Checksum, Any]]]:
    """Give the items in groups, the small ones together."""
    from seamless.stores.filesystem import flat
    from seamless.util.gathering import gathered

    views = ((checksum, flat(data)) for checksum, data in items)
    return gathered(
        views, lambda v: v[1].nbytes, lambda v: v[1].nbytes > _SMALL, most=_PARCEL, most_bytes=_PARCEL_BYTES
    )


def _file_checksum(path: str | os.PathLike[str]) -> Checksum:
    """Hash a file in constant memory."""
    from seamless.stores.incoming import pump

    with io.FileIO(os.fspath(path)) as raw:
        return Checksum(pump(raw.readinto, None, small=os.fstat(raw.fileno()).st_size < 1 << 22)[0])


def _read_into(stream: Any) -> Callable[[memoryview], int]:
    def read(view: memoryview) -> int:
        data = stream.read(len(view))
        view[: len(data)] = data
        return len(data)

    return read
