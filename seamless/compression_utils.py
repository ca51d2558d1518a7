"""Compressed files: `.zst` and `.gz`, whose identity is that of their decompressed bytes.

Reads all frames or members, in constant memory where a file is returned. Data that is cut short, damaged or
followed by something else gives ValueError, never fewer bytes. Compressed bytes themselves are never hashed.
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, Protocol

    class _Decompressor(Protocol):
        """One frame or member: what zlib and zstd have in common, after adaptation of the former."""

        eof: bool
        unused_data: bytes
        needs_input: bool

        def decompress(self, data: bytes, max_length: int) -> bytes: ...


SUFFIXES = (".zst", ".gz")  # in order of preference
ANY_SIZE = 1 << 30  # bytes up to which no ratio is too large: it takes a second to find them wrong
MOST_RATIO = 1000.0  # bytes that one compressed byte may become beyond that, unless somebody says otherwise

_ENCODINGS = {".zst": "zstd", ".gz": "gzip"}
_ZSTD_LEVEL, _GZIP_LEVEL = 3, 6
_PIECE = 1 << 18  # bytes read or written at a time
_GZIP_WBITS = 16 + zlib.MAX_WBITS


def strip_compression_suffix(name: str | os.PathLike[str]) -> tuple[str, str | None]:
    """Split one compression suffix off a file name: `(base, suffix)`, or `(name, None)`.

    >>> strip_compression_suffix("x.tar.gz"), strip_compression_suffix("x.GZ"), strip_compression_suffix("x.zst.gz")
    (('x.tar', '.gz'), ('x.GZ', None), ('x.zst', '.gz'))
    """
    text = os.fspath(name)
    for suffix in SUFFIXES:
        if text.endswith(suffix):
            return text[: -len(suffix)], suffix
    return text, None


def most_bytes(compressed: int, ratio: float = MOST_RATIO) -> int:
    """Return how many bytes so many compressed ones may become before they count as meant to do harm."""
    return max(ANY_SIZE, int(compressed * ratio))


def http_encoding(suffix: str) -> str:
    """Return the HTTP content coding of a suffix: `zstd` or `gzip`."""
    return _ENCODINGS[_check(suffix)]


def suffix_of_encoding(encoding: str) -> str:
    """Return the suffix of an HTTP content coding. Raises ValueError for another one."""
    for suffix, name in _ENCODINGS.items():
        if name == encoding.strip().lower():
            return suffix
    raise ValueError(f"unknown content coding {encoding!r}; known are {', '.join(_ENCODINGS.values())}")


def compress_bytes(data: Any, suffix: str) -> bytes:
    """Compress a bytes-like object, with a check sum of its own. No time stamp: same data, same bytes."""
    if _check(suffix) == ".zst":
        zstd = _zstd()
        options = {
            zstd.CompressionParameter.compression_level: _ZSTD_LEVEL,
            zstd.CompressionParameter.checksum_flag: 1,  # off by default: damage would go unnoticed
        }
        compressed: bytes = zstd.compress(data, options=options)
        return compressed
    compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WBITS)
    return compressor.compress(data) + compressor.flush()


def compress_stream(source: BinaryIO, target: BinaryIO, suffix: str, *, length: int | None = None) -> None:
    """Compress what is left of one binary file into another, in constant memory. Same data, same bytes.

    `length`: how many bytes are left, if that is known. Then a `.zst` file tells it at its beginning, without which
    some programs do not read it. Raises ValueError if there are more.
    """
    if _check(suffix) == ".zst":
        zstd = _zstd()
        parameter = zstd.CompressionParameter
        compressor = zstd.ZstdCompressor(options={parameter.compression_level: _ZSTD_LEVEL, parameter.checksum_flag: 1})
        compressor.set_pledged_input_size(length)
        error = zstd.ZstdError
    else:
        error = zlib.error
        compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WBITS)
    try:
        while chunk := source.read(_PIECE):
            target.write(compressor.compress(chunk))
        target.write(compressor.flush())
    except error as exc:
        raise ValueError(f"cannot compress {length} bytes: {exc}") from exc


def decompress_bytes(data: Any, suffix: str, *, max_size: int | None = None) -> bytes:
    """Decompress a bytes-like object completely.

    Raises ValueError if it is corrupt, or as soon as the result exceeds `max_size` bytes.
    """
    return b"".join(_decompressed(io.BytesIO(data), suffix, "the data", max_size))


def open_decompressed(
    source: str | os.PathLike[str] | BinaryIO, suffix: str, *, max_size: int | None = None
) -> BinaryIO:
    """Return a readable binary file with the decompressed bytes of a path or an open binary file.

    Constant memory. Reading raises ValueError where the data is corrupt, or beyond `max_size` bytes.
    Closing it also closes `source`.
    """
    _check(suffix)
    if isinstance(source, (str, os.PathLike)):
        name = repr(os.fsdecode(source))
        file: BinaryIO = open(source, "rb", buffering=0)
    else:
        file = source
        label = getattr(source, "name", None)
        name = repr(os.fsdecode(label)) if isinstance(label, (str, bytes, os.PathLike)) else "the data"
    try:
        raw = _DecompressedFile(file, _decompressed(file, suffix, name, max_size))
    except BaseException:
        file.close()
        raise
    return io.BufferedReader(raw, _PIECE)


class _DecompressedFile(io.RawIOBase):
    """The pieces of an iterator, as a raw file."""

    def __init__(self, source: BinaryIO, pieces: Iterator[bytes]):
        self._source, self._pieces = source, pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        n = min(len(buffer), len(self._rest))
        buffer[:n] = self._rest[:n]
        self._rest = self._rest[n:]
        return n

    def close(self) -> None:
        if not self.closed:
            self._source.close()
        super().close()


class _GzipMember:
    """A zlib decompressor with the interface of the zstd one."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(_GZIP_WBITS)
        self._full = False

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._inner.eof and not self._full and not self._inner.unconsumed_tail

    def decompress(self, data: bytes, max_length: int) -> bytes:
        piece = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self._full = len(piece) == max_length  # output may wait inside even when all input is consumed
        return piece


def _decompressed(file: BinaryIO, suffix: str, name: str, max_size: int | None) -> Iterator[bytes]:
    """Yield the decompressed pieces of all frames or members of `file`.

    Zero padding after a gzip member is accepted, as gzip itself does. zstd skippable frames give nothing.
    """
    if _check(suffix) == ".zst":
        zstd = _zstd()
        make, error, kind = zstd.ZstdDecompressor, zstd.ZstdError, "frame"
    else:
        make, error, kind = _GzipMember, zlib.error, "member"
    size = count = 0
    data = file.read(_PIECE)
    if not data:
        raise ValueError(f"{name} is empty, which is not valid {_ENCODINGS[suffix]} data")
    while data:
        if kind == "member" and count:
            while data and not (data := data.lstrip(b"\0")):
                data = file.read(_PIECE)
            if not data:
                return
        decompressor: _Decompressor = make()
        while not decompressor.eof:
            if decompressor.needs_input and not data and not (data := file.read(_PIECE)):
                raise ValueError(f"{name} is truncated {_ENCODINGS[suffix]} data: it ends inside {kind} {count + 1}")
            try:
                piece = decompressor.decompress(data, _PIECE)
            except error as exc:
                where = f" in {kind} {count + 1}" if count else ""
                raise ValueError(f"{name} is corrupt {_ENCODINGS[suffix]} data{where}: {exc}") from None
            data = b""
            size += len(piece)
            if max_size is not None and size > max_size:
                raise ValueError(f"{name} decompresses to more than the allowed {max_size} bytes")
            if piece:
                yield piece
        count += 1
        data = decompressor.unused_data or file.read(_PIECE)


def _check(suffix: str) -> str:
    if suffix not in _ENCODINGS:
        raise ValueError(f"unknown compression suffix {suffix!r}; known are {', '.join(SUFFIXES)}")
    return suffix


def _zstd() -> Any:
    """Return the zstd module: of the standard library from Python 3.14 on, else the backport."""
    import importlib
    import sys

    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    try:
        return importlib.import_module(name)
    except ImportError:
        from seamless.errors import MissingDependencyError

        raise MissingDependencyError(
            "backports.zstd", extra="shell", purpose="reading and writing .zst files"
        ) from None
