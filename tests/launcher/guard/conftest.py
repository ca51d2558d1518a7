"""A guard that tells what it would execute, and directories to be guarded."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from seamless.launcher.guard.main import main
from seamless.launcher.guarded import Guarded, take_guarded


class Answer(NamedTuple):
    """What the guard has done. `argv`: the helper and its arguments without what the guard adds; None if refused."""

    status: int
    error: str
    argv: list[str] | None
    guarded: Guarded | None
    environment: Mapping[str, str]
    command: list[str]

    @property
    def reason(self) -> str:
        """The text of a refusal."""
        assert self.argv is None and self.status == 1, self
        prefix = "rhl-guard: rejected: "
        assert self.error.startswith(prefix) and self.error.count("\n") == 1, self.error
        return self.error[len(prefix) :].rstrip("\n")


Ask = Callable[..., Answer]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Ask:
    """Return ask(command, *flags): what the guard does for a text that an SSH client sends."""

    def asked(command: str | bytes, *flags: str) -> Answer:
        monkeypatch.setitem(os.environ, "SSH_ORIGINAL_COMMAND", os.fsdecode(command))
        executed: list[tuple[list[str], Mapping[str, str]]] = []

        def execute(argv: Sequence[str], environment: Mapping[str, str]) -> None:
            executed.append((list(argv), environment))

        here = os.getcwd()
        mask = os.umask(0o022)
        try:
            status = main(flags, execute=execute)
        finally:
            os.umask(mask)
            os.chdir(here)
        error = capsys.readouterr().err
        if not executed:
            return Answer(status, error, None, None, {}, [])
        ((command_line, environment),) = executed
        start = next(i for i, word in enumerate(command_line) if word.startswith("rhl-"))
        guarded, rest = take_guarded(command_line[start + 1 :])
        return Answer(status, error, [command_line[start], *rest], guarded, environment, command_line)

    return asked


class Places(NamedTuple):
    """A data root with a policy file, and a directory beside it."""

    root: Path
    file: Path
    outside: Path

    @property
    def flags(self) -> tuple[str, str]:
        """The flags of a guard with this policy file."""
        return ("--data-roots", str(self.file))


@pytest.fixture
def places(tmp_path: Path) -> Places:
    root, outside, file = tmp_path / "data", tmp_path / "data2", tmp_path / "roots"
    root.mkdir()
    outside.mkdir()
    file.write_text(f"# roots\n\n{root}\n")
    file.chmod(0o644)
    return Places(root, file, outside)


@pytest.fixture
def write_state(isolation: Path) -> Callable[..., Path]:
    """Return write_state(key, **fields): make a state file of this machine."""

    def write(key: str, **fields: Any) -> Path:
        directory = isolation / ".remote-http-launcher" / "server"
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{key}.json"
        path.write_text(json.dumps(fields))
        return path

    return write
