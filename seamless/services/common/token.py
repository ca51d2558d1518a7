"""The token of a server: where it comes from, and whether a request carries it. Never logged."""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from seamless.errors import SeamlessError, UsageError
from seamless.services.common.asgi import Scope

if TYPE_CHECKING:
    from seamless.services.common.status import StatusFile

VARIABLE = "SEAMLESS_TOKEN"
_BYTES = 32


class InsecureError(SeamlessError):
    """The server would be open to other machines without any check."""


def new_token() -> str:
    """Return a token that nobody can guess."""
    import secrets

    return secrets.token_urlsafe(_BYTES)


def choose_token(options: Any, status: StatusFile | None, *, loopback: bool) -> str | None:
    """Return the token that clients must send, or None if this server asks for none.

    Raises InsecureError for a server that other machines can reach without a token, UsageError for a bad token file.
    """
    if options.insecure:
        return None
    if options.token_file:
        return _from_file(options.token_file)
    if status is not None:
        return new_token()
    if (token := token_from_environment(os.environ)) is not None:
        return token
    if not loopback:
        raise InsecureError(
            f"--host {options.host} can be reached from other machines: give --token-file FILE, set {VARIABLE}, "
            "or say --insecure"
        )
    return None


def token_from_environment(environment: Mapping[str, str]) -> str | None:
    """Return the token in `$SEAMLESS_TOKEN`, or None if it is unset or blank. Raises UsageError for a bad one."""
    token = environment.get(VARIABLE, "").strip()
    return _checked(token, f"${VARIABLE}") if token else None


def _from_file(path: str) -> str:
    if not os.path.lexists(path):
        _create(path)
    try:
        with open(path, encoding="utf-8", errors="replace") as existing:
            return _checked(existing.read(10_000).strip(), f"--token-file {path}")
    except OSError as exc:
        raise UsageError(f"--token-file {path}: {exc.strerror}") from exc


def _create(path: str) -> None:
    """Create the file with a new token; of several servers that do so at once one wins, and all read its token."""
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w") as f:
            f.write(new_token() + "\n")
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            os.unlink(temporary)
    except OSError as exc:
        raise UsageError(f"--token-file {path}: {exc.strerror}") from exc


def _checked(token: str, where: str) -> str:
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(f"{where} does not hold a token: printable ASCII without blanks is expected")
    return token


class Guard:
    """Checks the header `Authorization: Bearer TOKEN`."""

    def __init__(self, token: str):
        self._expected = b"Bearer " + token.encode()

    def admits(self, scope: Scope) -> bool:
        """Tell whether the request carries the token. Takes the same time for every wrong one."""
        for name, value in scope["headers"]:
            if name == b"authorization":
                scheme, _, given = value.partition(b" ")
                return scheme.lower() == b"bearer" and hmac.compare_digest(b"Bearer " + given.strip(), self._expected)
        return False
