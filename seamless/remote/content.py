"""The bytes of a buffer on their way over HTTP: decoded and verified as they come, encoded where that pays."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from seamless.errors import StoreError
from seamless.remote.response import into_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from seamless.remote.calls import Answer
    from seamless.remote.response import Response

_CONCURRENT = 1 << 22  # bytes from which hashing in a second thread pays
_PIECE = 1 << 20
_SUFFIXES = {"zstd": ".zst", "x-zstd": ".zst", "gzip": ".gz", "x-gzip": ".gz"}
_COMPRESSIBLE = 0.75  # what a sample must shrink to
_SAMPLE = 1 << 16
_LEAST = 1 << 18  # bytes from which compression is worth the look at a sample
_IN_MEMORY = 1 << 26  # bytes up to which compressed data is kept in memory


class MismatchError(Exception):
    """Internal: a buffer has come with other bytes than asked for; `found` is their digest, None if unreadable."""

    def __init__(self, found: bytes | None):
        super().__init__(found)
        self.found = found


# --- coming in --------------------------------------------------------------------------------


def accepted_encodings(is_local: bool) -> str:
    """Return the header line that says in which forms a buffer may come: over a network rather compressed."""
    if is_local:
        return "Accept-Encoding: identity\r\n"
    return f"Accept-Encoding: {'zstd, ' if zstd_available() else ''}gzip, identity;q=0.5\r\n"


def zstd_available() -> bool:
    """Tell whether zstd can be read and written here. Loads nothing."""
    import sys
    from importlib.util import find_spec

    if sys.version_info >= (3, 14):
        return True
    try:
        return find_spec("backports.zstd") is not None
    except ModuleNotFoundError:
        return False


def read_verified(response: Response, digest: bytes) -> bytes:
    """Return the decoded body. Raises MismatchError unless it has this SHA-256 digest."""
    try:
        data, found = _read(response)
    except MemoryError:
        raise StoreError(f"a buffer of {response.length} bytes does not fit into memory") from None
    if found != digest:
        raise MismatchError(found)
    return data


def _read(response: Response) -> tuple[bytes, bytes]:
    suffix = suffix_of(response)
    if suffix:
        try:
            with decoded(response, suffix, _most(response)) as file:
                data = file.read()
        except ValueError as exc:
            raise MismatchError(None) from exc
    elif response.length is None or response.length < _CONCURRENT:
        data = response.read()
    else:
        hasher = _HasherBehind()
        data = into_memory(response, response.length, hasher)
        return data, hasher.digest()
    return data, hashlib.sha256(data).digest()


def write_verified(response: Response, digest: bytes, write: Callable[[memoryview], None]) -> int:
    """Hand the decoded body on to `write` in constant memory; returns its length.

    Raises MismatchError unless it has this SHA-256 digest: then what was written is worth nothing.
    """
    from seamless.stores.incoming import pump

    suffix = suffix_of(response)
    small = response.length is not None and response.length < _CONCURRENT
    try:
        if suffix:
            with decoded(response, suffix) as file:
                found, length = pump(cast(Any, file).readinto, write, small=small)
        else:
            found, length = pump(response.readinto, write, small=small)
    except ValueError as exc:
        raise MismatchError(None) from exc
    if found != digest:
        raise MismatchError(found)
    return length


def suffix_of(response: Response | Answer) -> str:
    """Return the suffix of the form in which the body has come: "", ".zst" or ".gz"."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return ""
    if encoding not in _SUFFIXES:
        raise StoreError(f"a buffer has come with the unknown content encoding {encoding!r}")
    return _SUFFIXES[encoding]


def decoded(response: Response, suffix: str, most: int | None = None) -> BinaryIO:
    """Return a file with the decompressed body. Reading raises ValueError beyond `most` bytes."""
    from seamless.compression_utils import open_decompressed

    return open_decompressed(cast(BinaryIO, response), suffix, max_size=most)


def _most(response: Response) -> int | None:
    """Return how many bytes may be taken into memory: those of a body that was made to fill it are not."""
    from seamless.compression_utils import most_bytes

    return None if response.length is None else most_bytes(response.length)


class _HasherBehind:
    """Hashes in a second thread what is handed to it."""

    def __init__(self) -> None:
        import threading
        from queue import SimpleQueue

        self._hasher = hashlib.sha256()
        self._queue: SimpleQueue[memoryview | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (view := self._queue.get()) is not None:
            self._hasher.update(view)
            view.release()

    def update(self, data: memoryview) -> None:
        """Hash this; it must not change before `finish`."""
        self._queue.put(data)

    def finish(self) -> None:
        """Wait until all is hashed."""
        self._queue.put(None)
        self._thread.join()

    def digest(self) -> bytes:
        """Return the digest of what came before `finish`."""
        return self._hasher.digest()


# --- going out --------------------------------------------------------------------------------


class FileBody:
    """The first `length` bytes of a file, as the body of a request; all of it by default."""

    def __init__(self, path: str | os.PathLike[str], length: int | None = None):
        self._path = path
        self.length = os.stat(path).st_size if length is None else length

    def chunks(self) -> Iterator[memoryview]:
        """Give the bytes, in pieces that are good until the next one."""
        view = memoryview(bytearray(_PIECE))
        left = self.length
        with open(self._path, "rb", buffering=0) as file:
            while left and (n := file.readinto(view[:left])):
                yield view[:n]
                left -= n


class OpenFileBody:
    """All bytes of an open file, which it closes at the end of a `with`, as the body of a request."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.length = file.seek(0, os.SEEK_END)

    def __enter__(self) -> OpenFileBody:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def chunks(self) -> Iterator[bytes]:
        """Give the bytes, in pieces."""
        self._file.seek(0)
        while piece := self._file.read(_PIECE):
            yield piece


def compression_pays(sample: Any) -> bool:
    """Tell from some bytes of a buffer whether it shrinks enough."""
    from seamless.compression_utils import compress_bytes

    return len(compress_bytes(sample, ".zst")) < _COMPRESSIBLE * len(sample)


def compressed_data(data: memoryview) -> bytes | None:
    """Return the zstd form of bytes in memory, or None where it does not pay, or where a server would refuse it."""
    middle = len(data) // 2
    if len(data) < _LEAST or not compression_pays(data[middle : middle + _SAMPLE]):
        return None
    from seamless.compression_utils import compress_bytes, most_bytes

    compressed = compress_bytes(data, ".zst")
    return compressed if len(data) <= most_bytes(len(compressed)) else None


def compressed_file(path: str | os.PathLike[str]) -> OpenFileBody | None:
    """Return the zstd form of a file as a body, or None where it does not pay, or where a server would refuse it."""
    size = os.stat(path).st_size
    if size < _LEAST:
        return None
    from tempfile import SpooledTemporaryFile

    from seamless.compression_utils import compress_stream, most_bytes

    with open(path, "rb") as source:
        source.seek(size // 2)
        if not compression_pays(source.read(_SAMPLE)):
            return None
        source.seek(0)
        target = cast(BinaryIO, SpooledTemporaryFile(max_size=_IN_MEMORY))
        compress_stream(source, target, ".zst")
    body = OpenFileBody(target)
    if size <= most_bytes(body.length):
        return body
    target.close()
    return None
