"""What goes over the socket: frames of one letter, a length and bytes. Knows nothing of what they mean."""

from __future__ import annotations

import socket

CALL, INPUT, END, OUTPUT, ERROR, STATUS = b"C", b"I", b"E", b"O", b"R", b"S"
MAX_BYTES = 4 << 20  # of one frame
PIECE_BYTES = 64 << 10


class BadFrame(ValueError):
    """What arrived is no frame."""


def send(connection: socket.socket, kind: bytes, data: bytes = b"") -> None:
    """Send one frame. Blocks; raises OSError if the other side has gone."""
    connection.sendall(kind + len(data).to_bytes(4, "big") + data)


def receive(connection: socket.socket) -> tuple[bytes, bytes] | None:
    """Return the next frame, or None when the other side has ended. Blocks; raises BadFrame, OSError."""
    head = _exactly(connection, 5)
    if head is None:
        return None
    size = int.from_bytes(head[1:], "big")
    if size > MAX_BYTES:
        raise BadFrame(f"a frame of {size} bytes")
    data = _exactly(connection, size)
    return None if data is None else (head[:1], data)


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    found = bytearray()
    while len(found) < size:
        piece = connection.recv(size - len(found))
        if not piece:
            return None
        found += piece
    return bytes(found)
