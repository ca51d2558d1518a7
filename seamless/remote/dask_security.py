"""The certificate of a Dask scheduler as a text that fits into the `token` of a service, and back."""

from __future__ import annotations

import base64

from seamless.remote.errors import RemoteError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PREFIX = "dask-tls-"


def pack(certificate: str, key: str) -> str:
    """Return a certificate and its key, both PEM, as one word."""
    return _PREFIX + base64.urlsafe_b64encode((certificate + key).encode()).decode()


def security(token: str | None) -> Any:
    """Return the `distributed.Security` for a token; None without one. Raises RemoteError."""
    if token is None:
        return None
    from distributed import Security

    try:
        text = base64.urlsafe_b64decode(token.removeprefix(_PREFIX).encode()).decode() if _is_ours(token) else ""
    except ValueError:
        text = ""
    head, separator, key = text.partition("-----BEGIN PRIVATE KEY-----")
    if not separator:
        raise RemoteError("what the launcher has for the scheduler is not a certificate", service="daskserver")
    return Security(require_encryption=True, tls_ca_file=head, tls_client_cert=head, tls_client_key=separator + key)


def _is_ours(token: str) -> bool:
    return token.startswith(_PREFIX)
