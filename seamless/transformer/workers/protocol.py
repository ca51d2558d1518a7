"""Messages between the processes of a pool: one datagram each, with descriptors beside it.

They are made of plain values; envelopes and exceptions, which may hold anything, are packed by who sends them.
Private to one installation, and between processes of one user that have started each other: so marshal is good enough.
"""

from __future__ import annotations

import array
import marshal
import os
import socket
from collections.abc import Sequence
from typing import Any

from seamless.transformer.workers.memory import fill, map_file

LIMIT = 120_000  # bytes of a datagram; a longer message goes through shared memory
MOST_FDS = 100  # beside one message
MARK_BYTES = 8  # of the number of the run that a worker has begun last, in memory that both see
_INLINE, _SEGMENT = b"\0", b"\1"
_ANCILLARY = socket.CMSG_SPACE((MOST_FDS + 1) * array.array("i").itemsize)


class Gone(Exception):
    """The other end has ended."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected ends."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class Link:
    """One end. Any thread may send; one at a time may receive."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def send(self, message: Any, fds: Sequence[int] = ()) -> None:
        """Send a message and descriptors, which stay open here. Raises Gone, and ValueError if it is not plain."""
        data = marshal.dumps(message)
        if len(data) <= LIMIT:
            self._send(_INLINE + data, fds)
            return
        segment = fill(data)
        try:
            self._send(_SEGMENT, [*fds, segment])
        finally:
            os.close(segment)

    def _send(self, data: bytes, fds: Sequence[int]) -> None:
        beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self.sock.sendmsg([data], beside, socket.MSG_NOSIGNAL)
        except OSError as exc:
            raise Gone(str(exc)) from exc

    def receive(self) -> tuple[Any, list[int]]:
        """Return the next message and its descriptors, which the caller closes. Raises Gone."""
        try:
            data, beside, _, _ = self.sock.recvmsg(LIMIT + 1, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
        except OSError as exc:
            raise Gone(str(exc)) from exc
        if not data:
            raise Gone("closed")
        fds: list[int] = []
        for _, _, content in beside:
            received = array.array("i")
            received.frombytes(content[: len(content) - len(content) % received.itemsize])
            fds += received
        if data[:1] == _INLINE:
            return marshal.loads(memoryview(data)[1:]), fds
        segment = fds.pop()
        try:
            return marshal.loads(map_file(segment)), fds
        finally:
            os.close(segment)

    def close(self) -> None:
        """Close this end; whoever receives here gets Gone."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other end was first
        self.sock.close()


def close_all(fds: Sequence[int]) -> None:
    """Close descriptors."""
    for fd in fds:
        os.close(fd)
