"""A store with steps in it: their definitions, inputs and results, all unused for a week."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from seamless.celltypes import serialize
from seamless.checksum import Checksum
from seamless.insight.place import Place, checked_place
from seamless.insight.sidecar import Sidecar
from seamless.stores.embedded import open_embedded
from seamless.transformer.identity import transformation_buffer

WEEK = 7 * 86400.0


class Lab:
    """A store that can be filled by hand. Nothing is executed."""

    def __init__(self, directory: Path) -> None:
        self.store = open_embedded(directory)
        self.place: Place = checked_place(str(directory))

    @property
    def results(self):  # type: ignore[no-untyped-def]
        return self.store.results

    def put(self, data: bytes, *, age: float = WEEK) -> str:
        """Store a buffer that was used last `age` seconds ago; return its checksum (hex)."""
        checksum = Checksum.of(data)
        self.store.buffers.put([(checksum, data)])
        path = self.path(checksum.hex())
        when = os.stat(path).st_mtime - age
        os.utime(path, (when, when))
        return checksum.hex()

    def path(self, name: str) -> Path:
        return Path(self.store.directory) / name[:2] / name

    def has(self, name: str) -> bool:
        return self.path(name).exists()

    def step(
        self,
        result: bytes,
        *,
        code: str = "def f(): pass\n",
        output: str = "bytes",
        language: str = "python",
        **pins: str,
    ) -> str:
        """Store a step with its result; `pins`: checksums (hex) of bytes. Return its checksum (hex)."""
        definition = {
            "__language__": language,
            "__output__": ["result", output, None],
            "code": ["text", None, self.put(code.encode())],
            **{name: ["bytes", None, checksum] for name, checksum in pins.items()},
        }
        name = self.put(transformation_buffer(definition))
        self.results.set_result(Checksum(name), Checksum(self.put(result)))
        return name

    def folder(self, **files: bytes) -> bytes:
        """Store files; return the buffer that names them."""
        return serialize({name: self.put(data) for name, data in files.items()}, "plain")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "store")


@pytest.fixture
def sidecar(lab: Lab) -> Iterator[Sidecar]:
    with Sidecar(lab.place) as opened:
        yield opened
