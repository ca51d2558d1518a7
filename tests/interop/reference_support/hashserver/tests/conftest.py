"""The fixtures that the tests of the reference's buffer server ask for, with texts of our own."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from .utils import free_port

# Long enough to be written in ten pieces of fifty characters: a test writes one every half second.
TEXT = "".join(f"line {number:02} of a text that is written bit by bit\n" for number in range(10))


@pytest.fixture
def bufferdir(tmp_path: Path) -> Path:
    """Return a directory with one buffer."""
    directory = tmp_path / "buffers"
    directory.mkdir()
    content = b"Hello world!\n"
    (directory / hashlib.sha256(content).hexdigest()).write_bytes(content)
    return directory


@pytest.fixture
def lorem_text() -> str:
    """Return the content of the buffer that a test writes while it is read."""
    return TEXT


@pytest.fixture
def lorem_checksum() -> str:
    """Return its checksum."""
    return hashlib.sha256(TEXT.encode()).hexdigest()


@pytest.fixture
def available_port() -> int:
    """Return a free port."""
    return free_port()
