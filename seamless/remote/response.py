"""Reading the answer of an HTTP/1.1 server from a socket: head, and body of known length, in chunks, or to the end.

Strict: what is cut off or is not HTTP raises TransportError, and never looks like a complete answer.
"""

from __future__ import annotations

import io

from seamless.remote.errors import TransportError

TYPE_CHECKING = False  # that of `typing`, which takes longer to import than all of this
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class Hasher(Protocol):
        """What looks at the bytes of a body while they come."""

        def update(self, data: memoryview, /) -> None: ...
        def finish(self) -> None: ...

    Receive = Callable[[Any], int]  # fills (part of) a buffer; 0 at the end of the stream

_HEAD_LIMIT = 1 << 16
_LINE_LIMIT = 1 << 10
_INFORMATIONAL_LIMIT = 10
_PIECE = 1 << 14
_LARGE_PIECE = 1 << 20
_HEX_DIGITS = b"0123456789abcdefABCDEF"
_NO_BODY = (204, 304)


class Source:
    """The bytes that a server sends, with those that were received but not yet used."""

    def __init__(self, receive: Receive):
        self._receive = receive
        self._data = bytearray()
        self.received = 0

    def __len__(self) -> int:
        return len(self._data)

    def fill(self) -> bool:
        """Receive some more; False at the end of the stream."""
        piece = bytearray(_PIECE)
        n = self._receive(piece)
        self.received += n
        self._data += memoryview(piece)[:n]
        return n > 0

    def until(self, mark: bytes, limit: int, what: str) -> bytes:
        """Return what comes before `mark`, which is consumed as well."""
        start = 0
        while (end := self._data.find(mark, start)) < 0:
            if len(self._data) > limit:
                raise TransportError(f"its answer has too long a {what}")
            start = max(0, len(self._data) - len(mark) + 1)
            if not self.fill():
                raise TransportError(
                    f"its answer is cut off in the {what}" if self.received else "it closed the connection unanswered"
                )
        if end > limit:
            raise TransportError(f"its answer has too long a {what}")
        found = bytes(self._data[:end])
        del self._data[: end + len(mark)]
        return found

    def ahead(self, beginning: bytes) -> bool:
        """Tell whether the next bytes are `beginning`, without using them up."""
        while len(self._data) < len(beginning) and beginning.startswith(bytes(self._data)) and self.fill():
            continue
        return self._data.startswith(beginning)

    def readinto(self, view: memoryview) -> int:
        """Fill (part of) `view`; 0 at the end of the stream."""
        if not self._data:
            n = self._receive(view)
            self.received += n
            return n
        n = min(len(view), len(self._data))
        view[:n] = self._data[:n]
        del self._data[:n]
        return n


class Response:
    """One answer: `status`, `headers` (names in lower case), and its body, which is read once.

    `complete` when the body has been read to its end; only then may the connection be used again (`reusable`).
    """

    def __init__(self, source: Source, method: str, *, reuse: bool = True):
        self._source = source
        self.status, version, self.headers = _final_head(source)
        self.complete = False
        self._left: int | None = None  # bytes of the body or chunk still to come; None: to the end of the stream
        self._chunked = False
        connection = self.headers.get("connection", "").lower()
        self._keep_alive = reuse and ("close" not in connection if version == 1 else "keep-alive" in connection)
        coding = self.headers.get("transfer-encoding")
        length = self.headers.get("content-length")
        if method == "HEAD" or self.status in _NO_BODY:
            self._left, self.complete = 0, True
        elif coding is not None:
            if coding.strip().lower() != "chunked":
                raise TransportError(f"its answer has the unknown transfer coding {coding!r}")
            self._chunked, self._left = True, 0
            self._keep_alive = self._keep_alive and length is None  # both: a proxy may have read it otherwise
        elif length is not None:
            if not (length.isascii() and length.isdigit()):
                raise TransportError(f"its answer has the content length {length[:40]!r}")
            self._left = int(length)
            self.complete = not self._left
        else:
            self._keep_alive = False

    @property
    def length(self) -> int | None:
        """How many bytes the body has, if the head tells."""
        return None if self._chunked else self._left

    @property
    def reusable(self) -> bool:
        """Whether the connection is ready for another request."""
        return self.complete and self._keep_alive and not len(self._source)

    def readinto(self, view: Any) -> int:
        """Fill (part of) a buffer; 0 at the end of the body."""
        view = memoryview(view)
        if self.complete or not view:
            return 0
        if self._chunked and not self._left and not self._next_chunk():
            return 0
        if self._left is None:
            n = self._source.readinto(view)
            self.complete = not n
            return n
        n = self._source.readinto(view[: self._left])
        if not n:
            raise TransportError(f"its answer is cut off: {self._left} more bytes were to come")
        self._left -= n
        if not self._left:
            if self._chunked:
                self._end_of_chunk()
            else:
                self.complete = True
        return n

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, fewer only at the end of the body; all of it by default."""
        if size < 0:
            return self._read_all()
        view = memoryview(bytearray(size))
        done = 0
        while done < size and (n := self.readinto(view[done:])):
            done += n
        return bytes(view[:done])

    def close(self) -> None:
        """Nothing: the connection is not that of the response. For those who read it as a file."""

    def _read_all(self) -> bytes:
        if self.complete:
            return b""
        if self._chunked or self._left is None:
            pieces = []
            while piece := self.read(_PIECE):
                pieces.append(piece)
            return b"".join(pieces)
        if self._left <= len(self._source):
            return self.read(self._left)
        return into_memory(self, self._left)

    def _next_chunk(self) -> bool:
        """Read the line before a chunk; False, and the body is complete, if it is the last."""
        line = self._source.until(b"\r\n", _LINE_LIMIT, "chunk size").split(b";")[0].strip()
        if not line or line.strip(_HEX_DIGITS):  # int() also takes a sign, a prefix and underscores
            raise TransportError(f"its answer has a chunk of the size {line[:40]!r}")
        self._left = int(line, 16)
        if self._left:
            return True
        while self._source.until(b"\r\n", _HEAD_LIMIT, "trailer"):
            continue
        self.complete = True
        return False

    def _end_of_chunk(self) -> None:
        if self._source.until(b"\r\n", _LINE_LIMIT, "end of a chunk"):
            raise TransportError("its answer has a chunk that is longer than announced")


def into_memory(response: Response, length: int, hasher: Hasher | None = None) -> bytes:
    """Read a body of known length with no copy; `hasher` gets each part of it as it comes."""
    file = io.BytesIO(bytes(length))  # takes over these bytes, for they are nobody else's
    with file.getbuffer() as view:
        try:
            done = 0
            while done < length:
                n = response.readinto(view[done : done + _LARGE_PIECE])
                if hasher is not None:
                    hasher.update(view[done : done + n])
                done += n
        finally:
            if hasher is not None:
                hasher.finish()  # from here on it holds no part of the memory
    return file.getvalue()


def _final_head(source: Source) -> tuple[int, int, dict[str, str]]:
    """Return (status, minor version, headers) of the first head that is not merely informational."""
    for _ in range(_INFORMATIONAL_LIMIT):
        status, version, headers = read_head(source)
        if status >= 200:
            return status, version, headers
    raise TransportError("it sends informational answers without end")


def read_head(source: Source) -> tuple[int, int, dict[str, str]]:
    """Return (status, minor version, headers) of the next head, informational or not."""
    first, *lines = source.until(b"\r\n\r\n", _HEAD_LIMIT, "head").decode("latin-1").split("\r\n")
    if not first.startswith(("HTTP/1.1 ", "HTTP/1.0 ")) or not _is_status(first[9:12]) or first[12:13] not in ("", " "):
        raise TransportError(f"its answer is not HTTP: it begins with {first[:40]!r}")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip() or "\n" in line:
            raise TransportError(f"its answer has the malformed header {line[:40]!r}")
        name, value = name.lower(), value.strip(" \t")
        if name in headers and name in ("content-length", "transfer-encoding"):
            if headers[name] != value:
                raise TransportError(f"its answer has two headers {name}")
            continue
        headers[name] = value
    return int(first[9:12]), int(first[7]), headers


def _is_status(text: str) -> bool:
    return len(text) == 3 and text.isascii() and text.isdigit() and text[0] in "12345"
