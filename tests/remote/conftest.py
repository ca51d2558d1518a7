"""Services in threads of the test, and second attempts that do not take long."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from seamless.remote import retry
from tests.remote.servers import FakeDatabase, FakeHashserver


@pytest.fixture(autouse=True)
def quick_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pauses between attempts that are short, and no attempts for long."""
    monkeypatch.setattr(retry, "_FIRST_PAUSE", 0.002)
    monkeypatch.setattr(retry, "_LONGEST_PAUSE", 0.02)
    monkeypatch.setattr("seamless.remote.client.RETRY_SECONDS", 0.3)


@pytest.fixture
def hashserver() -> Iterator[FakeHashserver]:
    service = FakeHashserver()
    yield service
    service.stop()


@pytest.fixture
def database() -> Iterator[FakeDatabase]:
    service = FakeDatabase()
    yield service
    service.stop()


@pytest.fixture
def unused_port() -> int:
    """Return a port on which nothing listens."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
