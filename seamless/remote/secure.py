"""Connections over TLS, for services behind an https proxy. Slower to load; loaded only for https."""

from __future__ import annotations

import select
import socket
import ssl
from typing import TYPE_CHECKING, Any, cast

from seamless.remote.connection import Connection
from seamless.remote.errors import TransportError

if TYPE_CHECKING:
    from seamless.remote.address import Address
    from seamless.remote.settings import Timeouts


class SecureConnection(Connection):
    """A connection whose server has proven to be who its certificate says; the system's authorities are trusted."""

    def __init__(self, address: Address, timeouts: Timeouts):
        super().__init__(address, timeouts)
        plain = socket.socket(fileno=self._sock.detach())
        plain.settimeout(timeouts.connect)
        try:
            self._tls = ssl.create_default_context().wrap_socket(plain, server_hostname=address.host)
        except OSError as exc:
            plain.close()
            reason = getattr(exc, "verify_message", "") or exc.strerror or exc
            error = TransportError(f"no secure connection: {reason}")
            error.retry = not isinstance(exc, ssl.SSLCertVerificationError)
            raise error from exc
        self._sock = cast(Any, self._tls)

    def idle(self) -> bool:
        """Tell whether it is still open, as far as is known: the server may also have sent what only concerns TLS."""
        return self._tls.fileno() >= 0

    def _poll(self, events: int, timeout: float | None) -> int:
        if events & select.POLLIN and not events & select.POLLOUT and self._tls.pending():
            return select.POLLIN
        return super()._poll(events, timeout)

    def _send_piece(self, view: memoryview) -> bool:
        self._send_all(cast(bytes, view))  # whether the server has answered cannot be seen from outside
        return True
