"""Quick requests: small ones that arrive in one piece and are answered without a task of their own.

What a service gets to see of such a request, what it answers, and how the head of a request is recognised. A head is
read once: clients send the same header lines again and again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar

from seamless.services.common.asgi import JSON, TEXT, Headers, Scope, json_text

T = TypeVar("T")

LARGEST = 1 << 18  # bytes of a request with its head
_LONGEST_HEAD = 2000  # bytes
_HEADS = 500  # remembered

# Nothing that two readers could take for different things: what does not match is read by the HTTP library.
_LINE = re.compile(rb"([A-Z]{3,7}) (/[A-Za-z0-9/._-]*) HTTP/1\.1\r\n")
_LINES = re.compile(rb"(?:[A-Za-z0-9!#$%&'*+.^_`|~-]+:[ -~\t]*\r\n)*\r\n")
# Header lines after which the HTTP library is in charge.
_SPECIAL = frozenset((b"transfer-encoding", b"expect", b"upgrade", b"te", b"trailer"))


class QuickAnswer(NamedTuple):
    """An answer. `headers`: whole lines, without the length and the date."""

    status: int
    headers: bytes
    body: bytes


LATER = QuickAnswer(0, b"", b"")  # in place of an answer: it will be delivered
Quick = QuickAnswer | None  # None: not a quick request after all, the ASGI application is to be asked
Deliver = Callable[..., None]  # deliver(make, *arguments): the answer is what `make` makes of the arguments


class Head(NamedTuple):
    """The header lines of a request: all of them, the announced length of the body, and whether it is let in."""

    headers: list[tuple[bytes, bytes]]
    length: int
    admitted: bool


class Heads:
    """Recognises heads. `admits`: tells from the headers whether a request is let in."""

    def __init__(self, admits: Callable[[Headers], bool]):
        self._admits = admits
        self._known: dict[bytes, Head] = {}
        self._whole: dict[bytes, tuple[str, str, Head]] = {}  # with the first line, where that comes again

    def read(self, data: bytes) -> tuple[Scope, bytes] | None:
        """Return scope (without `client`) and body if `data` is exactly one quick request that is let in."""
        end = data.find(b"\r\n\r\n") + 4
        found = self._whole.get(data[:end]) or self._read(data, end)
        if found is None:
            return None
        method, path, head = found
        if len(data) - end != head.length or not head.admitted:
            return None
        return {"type": "http", "method": method, "path": path, "headers": head.headers}, data[end:]

    def _read(self, data: bytes, end: int) -> tuple[str, str, Head] | None:
        line = _LINE.match(data)
        if line is None or end < 4:
            return None
        lines = data[line.end() : end]
        head = self._known.get(lines) or self._learn(lines)
        if head is None:
            return None
        found = line[1].decode(), line[2].decode(), head
        if found[1] == "/":
            _remember(self._whole, data[:end], found)
        return found

    def _learn(self, lines: bytes) -> Head | None:
        head = parse_head(lines, self._admits) if len(lines) <= _LONGEST_HEAD else None
        if head is not None:
            _remember(self._known, lines, head)
        return head


def _remember(known: dict[bytes, T], key: bytes, value: T) -> None:
    if len(known) >= _HEADS:
        known.clear()
    known[key] = value


def parse_head(lines: bytes, admits: Callable[[Headers], bool]) -> Head | None:
    """Return the head with these header lines and an empty one, or None if it has anything out of the ordinary."""
    if not _LINES.fullmatch(lines):
        return None
    headers = []
    for text in lines[:-4].split(b"\r\n") if len(lines) > 2 else ():
        name, _, value = text.partition(b":")
        headers.append((name.lower(), value.strip(b" \t")))
    lengths = [value for name, value in headers if name == b"content-length"]
    if len(lengths) > 1 or not all(value.isdigit() and len(value) < 9 for value in lengths):
        return None
    for name, value in headers:
        if name in _SPECIAL or (name == b"connection" and value.lower() != b"keep-alive"):
            return None
    return Head(headers, int(lengths[0]) if lengths else 0, admits(headers))


def header_lines(headers: Headers) -> bytes:
    """Return headers as lines."""
    return b"".join(b"%b: %b\r\n" % pair for pair in headers)


TEXT_LINES = header_lines([(b"content-type", TEXT)])


def quick_text(status: int, text: str) -> QuickAnswer:
    """Return a plain-text answer."""
    return QuickAnswer(status, TEXT_LINES, text.encode())


def quick_json(status: int, value: Any, headers: Headers = ()) -> QuickAnswer:
    """Return a JSON answer."""
    return QuickAnswer(status, header_lines([(b"content-type", JSON), *headers]), json_text(value))


@cache
def status_line(status: int) -> bytes:
    """Return the first line of an answer."""
    return b"HTTP/1.1 %d %b\r\n" % (status, HTTPStatus(status).phrase.encode())
