"""Small helpers for plain ASGI endpoints: headers, bodies with a limit, text and JSON answers."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

TEXT = b"text/plain; charset=utf-8"
JSON = b"application/json"


class BodyTooLargeError(Exception):
    """The body of the request has more than `limit` bytes (HTTP 413)."""

    def __init__(self, limit: int):
        super().__init__(f"the body of a request may have at most {limit} bytes")
        self.limit = limit


class ClientGoneError(Exception):
    """The client closed the connection before it had sent the whole request."""


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return the value of the first header of that (lower-case) name, or None."""
    for key, value in scope["headers"]:
        if key == name:
            return value  # type: ignore[no-any-return]
    return None


def content_length(scope: Scope) -> int | None:
    """Return the announced length of the body, or None if it is not announced."""
    value = header(scope, b"content-length")
    return int(value) if value is not None and value.isdigit() else None


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """Return the whole body. Raises BodyTooLargeError beyond `limit` bytes, ClientGoneError."""
    if (content_length(scope) or 0) > limit:
        raise BodyTooLargeError(limit)
    pieces, total = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        piece = message.get("body", b"")
        total += len(piece)
        if total > limit:
            raise BodyTooLargeError(limit)
        pieces.append(piece)
        if not message.get("more_body", False):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def send_bytes(send: Send, status: int, body: bytes, kind: bytes, headers: Headers = ()) -> None:
    """Send a complete answer of content type `kind`."""
    own = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": own})
    await send({"type": "http.response.body", "body": body})


async def send_text(send: Send, status: int, text: str, headers: Headers = ()) -> None:
    """Send a complete plain-text answer."""
    await send_bytes(send, status, text.encode(), TEXT, headers)


async def send_json(send: Send, status: int, value: Any, headers: Headers = ()) -> None:
    """Send a complete JSON answer, without blanks."""
    await send_bytes(send, status, json_text(value), JSON, headers)


def json_text(value: Any) -> bytes:
    """Return JSON without blanks."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "backslashreplace")


async def send_empty(send: Send, status: int, headers: Headers = ()) -> None:
    """Send an answer without a body."""
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0"), *headers]})
    await send({"type": "http.response.body", "body": b""})
