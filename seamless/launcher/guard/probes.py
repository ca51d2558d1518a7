"""Which addresses may be probed: those that a state file of this machine records, and only if they are this machine's.

A service can write any port into its state, and a client any address: so that alone would open other machines.
"""

from __future__ import annotations

import socket

from seamless.launcher.grammar import Invocation
from seamless.launcher.guard.refusals import Rejected
from seamless.launcher.listing import server_rows
from seamless.launcher.statefile import is_port, secondary_ports

_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
_WILDCARD = frozenset(("0.0.0.0", "::"))


def is_wildcard(host: str) -> bool:
    """Tell whether `host` stands for every address of this machine."""
    return host.strip("[]") in _WILDCARD


def local_address(host: str) -> str | None:
    """Return the numeric form of an address of this machine, or None for another one. May ask the name service."""
    host = host.strip("[]")
    if host.lower() in _LOOPBACK:
        return host  # also where one of the two protocols is switched off
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return None
    numeric = None
    for family, kind, protocol, _, address in found:
        if family not in (socket.AF_INET, socket.AF_INET6):
            continue
        try:
            with socket.socket(family, kind, protocol) as s:
                s.bind((address[0], 0, *address[2:]))
        except OSError:
            return None  # not of this machine
        numeric = numeric or str(address[0])
    return numeric


def judge_port(call: Invocation) -> Invocation:
    """Return the call of rhl-verify-port with a numeric address. Raises Rejected."""
    host, port = call.words
    return call._replace(words=(_checked(host, int(port)), port))


def judge_url(call: Invocation) -> Invocation:
    """Return the call of rhl-handshake with a numeric address. Raises Rejected."""
    from urllib.parse import urlsplit

    (url,) = call.words
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 80
    except ValueError as exc:
        raise Rejected(f"cannot use this URL ({exc}): {url[:200]!r}") from exc
    if parts.scheme != "http" or "@" in parts.netloc or "\\" in url or not url.isascii():
        raise Rejected(f"URL must be a plain http one: {url[:200]!r}")
    address = _checked(host, port)
    netloc = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    query = f"?{parts.query}" if parts.query else ""
    return call._replace(words=(f"http://{netloc}{parts.path or '/'}{query}",))


def _checked(host: str, port: int) -> str:
    """Return the address to be asked. Raises Rejected if no state file has it, or it is not this machine's."""
    plain = host.strip("[]").lower()
    for row in server_rows(check=False):
        recorded = str(row.get("network_interface") or "localhost").strip("[]").lower()
        ports = {row["port"]} if is_port(row.get("port")) else set()
        if port not in ports | set(secondary_ports(row).values()):
            continue
        names = {recorded} | (_LOOPBACK if recorded in _LOOPBACK | _WILDCARD else set())
        if plain in names:
            if plain in _LOOPBACK | _WILDCARD:
                return plain
            address = local_address(plain)
            if address is not None:
                return address
    raise Rejected(f"only addresses of recorded services can be asked, not {plain[:120]}:{port}")
