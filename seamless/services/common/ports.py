"""The listening socket of a server: bound once and kept, so that nobody can take the port in between."""

from __future__ import annotations

import errno
import ipaddress
import random
import socket
from collections.abc import Sequence

from seamless.errors import SeamlessError
from seamless.services.common.options import FIRST_PORT, LAST_PORT

_BACKLOG = 2048
_TAKEN = (errno.EADDRINUSE, errno.EACCES)  # EACCES: a port that only root may bind


class PortError(SeamlessError):
    """No port can be bound."""


def listen(host: str, port: int | None, port_range: Sequence[int] | None) -> socket.socket:
    """Return a listening socket on `port`, else on a random free port of the range. Raises PortError."""
    family, address = _resolve(host)
    if port is not None:
        try:
            return _listen(family, address, port)
        except OSError as exc:
            raise PortError(f"cannot listen on {host} port {port}: {exc.strerror}") from exc
    start, end = port_range if port_range is not None else (FIRST_PORT, LAST_PORT)
    for candidate in random.sample(range(start, end + 1), end - start + 1):
        try:
            return _listen(family, address, candidate)
        except OSError as exc:
            if exc.errno not in _TAKEN:
                raise PortError(f"cannot listen on {host}: {exc.strerror}") from exc
    raise PortError(f"No free port available in range {start}-{end}")


def is_loopback(listener: socket.socket) -> bool:
    """Tell whether only this machine can reach the socket."""
    return ipaddress.ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback


def _resolve(host: str) -> tuple[socket.AddressFamily, str]:
    """Return family and address of `host`; IPv4 where it has both."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise PortError(f"--host {host}: this is not an address of this machine ({reason})") from exc
    found.sort(key=lambda info: info[0] != socket.AF_INET)
    return found[0][0], str(found[0][4][0])


def _listen(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Connections of a predecessor that are still being closed must not keep the port. Two servers may then bind
        # it, but only one can listen: that is what decides.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener
