"""The address of a service, taken from its URL, and the header lines that go with every request to it."""

from __future__ import annotations

from seamless.remote.errors import RemoteUsageError, TransportError
from seamless.util.whoami import user_at_host
from seamless.version import __version__

_LOOPBACK = ("localhost", "::1", "0.0.0.0", "::")
_PORTS = {"http": 80, "https": 443}


class Address:
    """Scheme, host, port and path prefix of a service, and the token it wants. Immutable by convention.

    `launch_id`: that of the service which is expected there. Raises RemoteUsageError for a URL or token that cannot be
    used.
    """

    __slots__ = ("head", "headers", "host", "launch_id", "port", "prefix", "scheme", "token", "url")

    def __init__(self, url: str, token: str | None = None, launch_id: str | None = None):
        self.scheme, self.host, self.port, self.prefix = _parse(url)
        host = f"[{self.host}]" if ":" in self.host else self.host
        netloc = host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"
        self.url = f"{self.scheme}://{netloc}{self.prefix}"
        self.token, self.launch_id = token, launch_id
        self.headers = {"Host": netloc, "User-Agent": f"seamless/{__version__} ({user_at_host()})"}
        if token:
            if not (token.isascii() and token.isprintable()) or " " in token:
                raise RemoteUsageError(f"the token for {self.url} has characters that a token cannot have")
            self.headers["Authorization"] = f"Bearer {token}"
        self.head = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())

    @property
    def is_local(self) -> bool:
        """Whether the service is on this machine, so that its bytes need not be compressed."""
        return self.host in _LOOPBACK or self.host.startswith("127.")

    def check(self, headers: dict[str, str]) -> None:
        """Raise TransportError if the headers of an answer are those of another launch of a service."""
        found = headers.get("x-seamless-launch-id")
        if found is not None and self.launch_id is not None and found != self.launch_id:
            raise TransportError("another service than the one that was launched answers there")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[str, str | None, str | None]:
        return self.url, self.token, self.launch_id

    def __repr__(self) -> str:
        return f"Address({self.url!r})"


def _parse(url: str) -> tuple[str, str, int, str]:
    """Return (scheme, host, port, prefix)."""

    def mistake(what: str) -> RemoteUsageError:
        return RemoteUsageError(f"{url!r} is not the URL of a service: {what}; expected http://HOST:PORT")

    if not isinstance(url, str):
        raise RemoteUsageError(f"the URL of a service is a string, not {type(url).__name__}")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise mistake("it has characters that a URL cannot have")
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in _PORTS:
        raise mistake("it does not begin with http:// or https://")
    netloc, slash, path = rest.partition("/")
    if "@" in netloc:
        raise mistake("a user name cannot be given here")
    if "?" in rest or "#" in rest:
        raise mistake("it has a query or fragment")
    if netloc.startswith("["):
        host, bracket, port = netloc[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise mistake("the brackets around its IPv6 address are not closed")
        port = port[1:]
    else:
        host, _, port = netloc.partition(":")
        if ":" in port:
            raise mistake("an IPv6 address needs brackets around it")
    if not host:
        raise mistake("it has no host")
    if port and not (port.isdigit() and 0 < int(port) < 65536):
        raise mistake(f"its port is {port!r}")
    prefix = (slash + path).rstrip("/")
    return scheme, host.lower(), int(port) if port else _PORTS[scheme], prefix
