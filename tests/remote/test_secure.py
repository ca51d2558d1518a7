"""Services behind https."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seamless.checksum import Checksum
from seamless.remote.buffer_client import HashserverClient
from seamless.remote.errors import TransportError
from tests.remote.servers import FakeHashserver


@pytest.fixture
def secure(tmp_path: Path, require: Callable[..., None]) -> Iterator[tuple[FakeHashserver, Path]]:
    """A hashserver over TLS, and the certificate of its authority."""
    require("openssl", "needs the command openssl to make a certificate")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    service = FakeHashserver()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    service.socket = context.wrap_socket(service.socket, server_side=True)
    yield service, certificate
    service.stop()


def test_buffers_go_and_come_over_tls(secure: tuple[FakeHashserver, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    service, certificate = secure
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    client = HashserverClient(f"https://localhost:{service.port}", readonly=False)
    for data in (b"some text\n", bytes(range(256)) * 20_000):
        checksum = Checksum.of(data)
        client.put([(checksum, data)])
        assert client.get(checksum) == data
    assert len(service._connections) == 1


def test_a_server_that_nobody_vouches_for_is_not_talked_to(secure: tuple[FakeHashserver, Path]) -> None:
    service, _ = secure
    with pytest.raises(TransportError, match="no secure connection"):
        HashserverClient(f"https://localhost:{service.port}", token="s3cret").get(Checksum.of(b"x"))
    assert service.requests == []
