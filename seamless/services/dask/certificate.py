"""The certificate of one scheduler: who has it may use the scheduler, and nobody else can.

Scheduler, workers and clients show the same one to each other. It is made anew by every wrapper.
"""

from __future__ import annotations

import datetime
import os
from typing import Any

from seamless.errors import MissingDependencyError
from seamless.remote.dask_security import pack

_DAYS = 3650


class Certificate:
    """A certificate with its key, both as PEM."""

    def __init__(self) -> None:
        self.certificate, self.key = _make()
        self._files: list[str] = []

    def token(self) -> str:
        """Return it as a text for clients."""
        return pack(self.certificate, self.key)

    def in_memory(self) -> Any:
        """Return what Dask wants, for processes that are started from this one."""
        return _security(self.certificate, self.key)

    def in_files(self, stem: str) -> Any:
        """Return what Dask wants, for processes that read files: STEM.cert.pem and STEM.key.pem, for the user alone."""
        paths = [f"{stem}.cert.pem", f"{stem}.key.pem"]
        for path, text in zip(paths, (self.certificate, self.key), strict=True):
            if os.path.lexists(path):
                os.unlink(path)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "w") as f:
                f.write(text)
            self._files.append(path)
        return _security(*paths)

    def remove_files(self) -> None:
        """Remove the files."""
        while self._files:
            path = self._files.pop()
            if os.path.lexists(path):
                os.unlink(path)


def _security(certificate: str, key: str) -> Any:
    from distributed import Security

    names = ("client", "scheduler", "worker")
    return Security(
        require_encryption=True,
        tls_ca_file=certificate,
        **{f"tls_{name}_cert": certificate for name in names},
        **{f"tls_{name}_key": key for name in names},
    )


def _make() -> tuple[str, str]:
    """Return a new certificate that is its own authority, and its key."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID
    except ImportError as exc:
        raise MissingDependencyError("cryptography", extra="dask", purpose="a Dask scheduler with TLS") from exc
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "seamless-dask-wrapper")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem).decode(), private.decode()
