"""Several small buffers in the body of one request: how they are told apart."""

from __future__ import annotations

from typing import NoReturn

from seamless.checksum import Checksum
from seamless.services.hashserver.validation import InvalidDataError

PATH = "/buffers"
_HEAD = 40  # bytes: the digest, and the length as a big-endian number


def members_in(body: bytes, most: int) -> list[tuple[Checksum, memoryview]]:
    """Return checksum and bytes of each buffer; at most so many. Raises InvalidDataError."""
    members: list[tuple[Checksum, memoryview]] = []
    view, start = memoryview(body), 0
    while start < len(body):
        if len(members) == most:
            _refuse(start, f"more than {most} buffers")
        head = body[start : start + _HEAD]
        end = start + _HEAD + int.from_bytes(head[32:], "big")
        if len(head) < _HEAD or end > len(body):
            _refuse(start, "the body ends within a buffer")
        members.append((Checksum(head[:32]), view[start + _HEAD : end]))
        start = end
    return members


def _refuse(position: int, text: str) -> NoReturn:
    raise InvalidDataError("value_error", ["body", position], f"Value error, {text}", None)
