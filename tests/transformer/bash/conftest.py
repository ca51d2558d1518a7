"""A step of bash in a few words: its inputs in memory, its temporary directory one of the test's own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from seamless.celltypes import canonical_json, serialize
from seamless.checksum import Checksum
from seamless.transformer.bash.run import BashResult, run_bash
from seamless.transformer.outcome import Envelope


class Memory:
    """Buffers in a dict. Files that are added are consumed, as the real stores may do."""

    def __init__(self) -> None:
        self.buffers: dict[str, bytes] = {}

    def read(self, checksum: Checksum) -> bytes:
        return self.buffers[checksum.hex()]

    def copy_to(self, checksum: Checksum, path: str, *, executable: bool = False) -> None:
        with open(path, "wb") as f:
            f.write(self.read(checksum))

    def add(self, data: bytes) -> Checksum:
        checksum = Checksum.of(data)
        self.buffers[checksum.hex()] = data
        return checksum

    def add_file(self, path: str) -> Checksum:
        with open(path, "rb") as f:
            checksum = self.add(f.read())
        os.unlink(path)
        return checksum


class Steps:
    """Builds transformations like the command line (files, folders) and the Python API (values), and runs them."""

    def __init__(self, temporary: Path) -> None:
        self.buffers = Memory()
        self.temporary = temporary

    def transformation(
        self,
        code: str,
        *,
        output: str = "bytes",
        values: Mapping[str, tuple[str, Any]] | None = None,
        files: Mapping[str, bytes] | None = None,
        folders: Mapping[str, Mapping[str, bytes]] | None = None,
    ) -> dict[str, Any]:
        built: dict[str, Any] = {"__language__": "bash", "__output__": ["result", output, None], "__format__": {}}
        built["code"] = ["text", "transformer", self.add(serialize(code, "text"))]
        for name, (celltype, value) in (values or {}).items():
            built[name] = [celltype, None, self.add(serialize(value, celltype))]
        for name, content in (files or {}).items():
            built[name] = ["bytes", None, self.add(content)]
            built["__format__"][name] = {"filesystem": {"mode": "file", "optional": True}}
        for name, members in (folders or {}).items():
            index = {path: self.add(content) for path, content in members.items()}
            built[name] = ["mixed", None, self.add(canonical_json(index))]
            form = {"celltype": "deepfolder", "filesystem": {"mode": "directory", "optional": True}}
            built["__format__"][name] = form
        return built

    def add(self, data: bytes) -> str:
        return self.buffers.add(data).hex()

    def run(
        self,
        code: str,
        *,
        envelope: Envelope | None = None,
        on_output: Any = None,
        deadline: float | None = None,
        canceled: Any = None,
        **inputs: Any,
    ) -> BashResult:
        built = self.transformation(code, **inputs)
        options = {"on_output": on_output, "deadline": deadline, "canceled": canceled}
        return run_bash(built, envelope or Envelope(), self.buffers, **options)

    def result(self, code: str, **options: Any) -> bytes:
        """Run the step and return the bytes of its result."""
        return self.buffers.read(self.run(code, **options).result)

    def tree(self, code: str, **options: Any) -> dict[str, bytes]:
        """Run a step with a directory result; return its files."""
        import json

        index = json.loads(self.result(code, output="deepfolder", **options))
        return {path: self.buffers.buffers[checksum] for path, checksum in index.items()}

    def left_behind(self) -> list[str]:
        return sorted(os.listdir(self.temporary))


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Steps]:
    """Return a Steps; at the end of the test nothing may be left in the temporary directory."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    made = Steps(temporary)
    yield made
    assert made.left_behind() == []
