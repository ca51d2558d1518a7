"""Ask a service whether it is well: one HTTP GET over a plain socket, and the URL of it.

Never follows a redirect, never uses a proxy. Everything but a 2xx answer counts as not healthy.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import socket

PROBE_SECONDS = 10.0
HTTP_STATUS = "HTTP status"  # how the problem of an answer begins that is HTTP, but no 2xx
_MAX_HEADER_BYTES = 64 << 10
_URL = r"(?i:(https?))://(\[[0-9A-Fa-f:.%]+\]|[^][/?#@:\s]+)(?::([0-9]{1,5}))?([/?][^#\s]*)?(?:#\S*)?"
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "localhost", "*": "localhost"}


class HandshakeConfig(NamedTuple):
    """What is asked for: a path, which may hold a query, further parameters, and the name of another port."""

    path: str = ""
    parameters: Mapping[str, str] = {}
    port_name: str | None = None


class Answer(NamedTuple):
    """How a service has answered. `launch_id` is that of the header, or None; `problem` is empty if it is healthy."""

    problem: str = ""
    launch_id: str | None = None

    @property
    def healthy(self) -> bool:
        """Whether the answer was a 2xx, or a connection where nothing more is asked for."""
        return not self.problem


def reachable_host(interface: str) -> str:
    """Return the host under which a service that is bound to `interface` is reached from its own machine.

    >>> reachable_host("0.0.0.0"), reachable_host("10.0.0.5")
    ('127.0.0.1', '10.0.0.5')
    """
    return _WILDCARDS.get(interface, interface)


def build_handshake_url(host: str, port: int, handshake: HandshakeConfig) -> str:
    """Return the URL of the health check.

    >>> build_handshake_url("::1", 80, HandshakeConfig("a?x=1&y=2", {"y": "3"}))
    'http://[::1]:80/a?x=1&y=3'
    """
    bracketed = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"http://{bracketed}:{port}{_target(handshake)}"


def _target(handshake: HandshakeConfig) -> str:
    path, _, query = handshake.path.partition("?")
    if not path.startswith("/"):
        path = "/" + path
    if handshake.parameters or query:
        from urllib.parse import parse_qsl, urlencode

        merged = dict(parse_qsl(query, keep_blank_values=True)) | dict(handshake.parameters)
        if merged:
            path += "?" + urlencode(merged)
    return path


def probe(
    host: str, port: int, handshake: HandshakeConfig | None, *, timeout: float = PROBE_SECONDS, launch_id: str = ""
) -> Answer:
    """Ask once. Without a handshake a TCP connection is enough.

    `launch_id`: what the header `X-Seamless-Launch-Id` must be, if the service sends one.
    """
    return _ask(host, port, None if handshake is None else _target(handshake), timeout, launch_id)


def probe_url(url: str, *, timeout: float = PROBE_SECONDS) -> Answer | None:
    """Ask a URL once; None if it is no URL with a host. For https the certificate of the host is checked.

    >>> probe_url("http:///healthcheck")
    """
    import re

    found = re.fullmatch(_URL, url)
    if found is None:
        return None
    scheme, host, port, target = found.groups()
    tls = scheme.lower() == "https"
    number = int(port) if port else (443 if tls else 80)
    if not 0 < number < 1 << 16:
        return None
    target = target or "/"
    return _ask(host.strip("[]"), number, target if target.startswith("/") else f"/{target}", timeout, tls=tls)


def _ask(host: str, port: int, target: str | None, timeout: float, launch_id: str = "", *, tls: bool = False) -> Answer:
    try:
        with _connect(host, port, timeout) as connection:
            if target is None:
                return Answer()
            if tls:
                import ssl

                with ssl.create_default_context().wrap_socket(connection, server_hostname=host) as secured:
                    head = _get(secured, host, port, target)
            else:
                head = _get(connection, host, port, target)
    except TimeoutError:
        return Answer(f"no answer within {timeout:g} s")
    except OSError as exc:
        return Answer((exc.strerror or str(exc)).lower())
    except UnicodeError:
        return Answer(f"{host!r} is no host name")
    return _judge(head, launch_id)


def _connect(host: str, port: int, timeout: float) -> socket.socket:
    """Connect to the first address of `host` that answers. Numeric addresses are not looked up."""
    import socket  # takes long to import, and a service that has just answered is not asked

    host = host.strip("[]")
    if host.replace(".", "").isdigit():
        addresses = [(socket.AF_INET, (host, port))]
    else:
        # As bytes: a text would load the codec for international names.
        found = socket.getaddrinfo(os.fsencode(host), port, type=socket.SOCK_STREAM)
        addresses = [(family, address) for family, _, _, _, address in found]  # type: ignore[misc]
    problem: OSError = OSError(f"{host} has no address")
    for family, address in addresses:
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout)
            connection.connect(address)
            if connection.getsockname() == connection.getpeername():
                raise ConnectionRefusedError(111, "connection refused")  # the kernel connected it to itself
        except OSError as exc:
            connection.close()
            problem = exc
        else:
            return connection
    raise problem


def _get(connection: socket.socket, host: str, port: int, target: str) -> bytes:
    """Send the request and return the head of the answer (what arrived before the connection was closed)."""
    name = f"[{host}]" if ":" in host else host
    request = f"GET {target} HTTP/1.1\r\nHost: {name}:{port}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    connection.sendall(request.encode("utf-8"))
    head = b""
    while b"\r\n\r\n" not in head and b"\n\n" not in head and len(head) < _MAX_HEADER_BYTES:
        piece = connection.recv(16384)
        if not piece:
            break
        head += piece
    return head


def _judge(head: bytes, launch_id: str) -> Answer:
    lines = head.split(b"\r\n\r\n")[0].split(b"\n")
    words = lines[0].split(None, 2)
    if not head:
        return Answer("the connection was closed without an answer")
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit() or len(words[1]) != 3:
        return Answer("what answered does not speak HTTP")
    found = None
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"x-seamless-launch-id":
            found = value.strip().decode("ascii", "replace")
    if not words[1].startswith(b"2"):
        return Answer(f"{HTTP_STATUS} {int(words[1])}", found)
    if launch_id and found and found != launch_id:
        return Answer("another service answers on this port", found)
    return Answer("", found)
