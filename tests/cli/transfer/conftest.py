"""Fixtures of the tests of upload, download, resolve and fingertip: a directory to work in, commands in-process."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pytest

from seamless.checksum import Checksum

ALPHA = "e49c81e2d2f84e259d40e2fb8192f3bcd198b355184845d76d8f58807d0d78ee"  # of a.txt
TREE = "4ed7150b4730ae729fe61a74626e822b80e279413b7feff9eaa0ee5d3617029a"  # of the index of d


class Done(NamedTuple):
    """What a command has left: exit status, standard output and error."""

    status: int
    out: bytes
    err: str


Command = Callable[..., Done]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The buffer directory of the default project; it need not exist."""
    return tmp_path / "cache" / "__TOPLEVEL__"


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with `a.txt` and `d/{x.txt,sub/y.txt}`; the process of the test is in it."""
    directory = tmp_path / "work"
    (directory / "d" / "sub").mkdir(parents=True)
    (directory / "a.txt").write_bytes(b"alpha\nbeta\n")
    (directory / "d" / "x.txt").write_bytes(b"one\n")
    (directory / "d" / "sub" / "y.txt").write_bytes(b"two\n")
    monkeypatch.setenv("SEAMLESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(directory)
    return directory


@pytest.fixture
def run(work: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> Command:
    """run("upload", *arguments): call the command seamless-upload."""

    def call(command: str, *argv: str) -> Done:
        status = importlib.import_module(f"seamless.cli.{command}").main(list(argv))
        out, err = capfdbinary.readouterr()
        return Done(status, out, err.decode())

    return call


@pytest.fixture
def upload(run: Command) -> Command:
    """upload(*arguments)."""
    return lambda *argv: run("upload", *argv)


@pytest.fixture
def download(run: Command) -> Command:
    """download(*arguments)."""
    return lambda *argv: run("download", *argv)


@pytest.fixture
def buffer(store: Path) -> Callable[[str], Path]:
    """buffer(hex): the path of the plain form of a buffer."""
    return lambda checksum: store / checksum[:2] / checksum


class PlainStore:
    """A store that has the methods of the protocol and no others; `puts` are the checksums it was given."""

    name = "plain"
    writable = True

    def __init__(self) -> None:
        self.content: dict[Checksum, bytes] = {}
        self.puts: list[str] = []

    def get(self, checksum: Checksum) -> bytes | None:
        return self.content.get(checksum)

    def open(self, checksum: Checksum) -> BinaryIO | None:
        import io

        data = self.content.get(checksum)
        return None if data is None else io.BytesIO(data)

    def has(self, checksums: Any) -> list[bool]:
        return [c in self.content for c in checksums]

    def length(self, checksum: Checksum) -> int | None:
        data = self.content.get(checksum)
        return None if data is None else len(data)

    def put(self, items: Any) -> None:
        for checksum, data in items:
            self.puts.append(checksum.hex())
            self.content[checksum] = bytes(data)


@pytest.fixture
def plain_store(monkeypatch: pytest.MonkeyPatch) -> PlainStore:
    """A store without extras, that every command is given instead of the cache directory."""
    from seamless.cli.storage import Storage
    from seamless.stores.memory import MemoryResults

    made = PlainStore()
    storage = Storage(made, MemoryResults(), "plain")
    for module in ("seamless.cli.transfer.options", "seamless.cli.resolve"):
        monkeypatch.setattr(f"{module}.open_storage", lambda **scope: storage)
    return made
