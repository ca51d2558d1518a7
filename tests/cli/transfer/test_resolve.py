"""seamless-resolve and seamless-fingertip: the exact bytes, or one clear message."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.cli.transfer.conftest import ALPHA, Command

BOTH = pytest.mark.parametrize("command", ["resolve", "fingertip"])
BINARY = bytes(range(256)) + b"\n\n\n"


@BOTH
def test_a_checksum_and_a_sidecar_give_the_exact_bytes(run: Command, upload: Command, work: Path, command: str) -> None:
    (work / "bin").write_bytes(BINARY)
    upload("bin")
    sidecar = (work / "bin.CHECKSUM").read_text()
    (work / "c.CHECKSUM").write_text(f"# a note\n  {sidecar}\n")
    for argument in (sidecar.strip(), sidecar.strip().upper(), "bin.CHECKSUM", "c.CHECKSUM", "c"):
        assert run(command, argument) == (0, BINARY, "")


@BOTH
def test_output_gets_the_exact_bytes(run: Command, upload: Command, work: Path, command: str) -> None:
    (work / "bin").write_bytes(BINARY)
    upload("bin")
    assert run(command, "--output", "copy", "bin.CHECKSUM") == (0, b"", "")
    assert (work / "copy").read_bytes() == BINARY


@BOTH
@pytest.mark.parametrize("argument", ["missing", "a.txt", "d", "e49c", ALPHA[:-1] + "g", "\0"])
def test_what_is_no_checksum_is_named(run: Command, work: Path, command: str, argument: str) -> None:
    done = run(command, argument)
    assert (done.status, done.out) == (2, b"")
    assert repr(argument) in done.err


def test_the_sidecar_beside_a_file_is_suggested(run: Command, upload: Command) -> None:
    upload("a.txt")
    assert "'a.txt.CHECKSUM'" in run("resolve", "a.txt").err


@BOTH
def test_bytes_that_are_not_stored_are_an_error(run: Command, store: Path, command: str) -> None:
    done = run(command, ALPHA)
    assert (done.status, done.out) == (1, b"")
    assert f"Cannot {command} {ALPHA}: not in {store}" in done.err


@BOTH
def test_the_empty_buffer_is_always_known(run: Command, command: str) -> None:
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert run(command, empty) == (0, b"", "")


@BOTH
def test_a_project_has_buffers_of_its_own(run: Command, upload: Command, command: str) -> None:
    upload("--project", "p", "a.txt")
    assert run(command, ALPHA).status == 1
    assert run(command, "--project", "p", ALPHA).out == b"alpha\nbeta\n"


@BOTH
def test_a_project_without_name_is_a_mistake(run: Command, command: str) -> None:
    assert run(command, "--project", ":s", ALPHA).status == 2


def test_a_damaged_buffer_is_an_error(run: Command, upload: Command, buffer: Callable[[str], Path]) -> None:
    upload("a.txt")
    buffer(ALPHA).chmod(0o644)
    buffer(ALPHA).write_bytes(b"ALPHA\nBETA\n")
    done = run("resolve", ALPHA)
    assert (done.status, done.out) == (1, b"")
    assert "corrupted" in done.err


def test_a_store_with_the_least_abilities_gives_the_bytes(
    run: Command, upload: Command, work: Path, plain_store: Any
) -> None:
    upload("a.txt")
    assert run("resolve", ALPHA).out == b"alpha\nbeta\n"
    assert run("resolve", "-o", "copy", ALPHA).status == 0
    assert (work / "copy").read_bytes() == b"alpha\nbeta\n"


# --- computed again -------------------------------------------------------------------------------


@pytest.fixture
def scratch(run_cli: Any, work: Path) -> Path:
    """A working directory with the sidecar of a result that is not stored, and whose step prints."""
    line = "echo told; echo told on stderr >&2; tac a.txt > t.txt"
    done = run_cli(["seamless-run", "--scratch", "-i", "a.txt", line], cwd=work)
    assert done.returncode == 0, done.stderr
    return work


def test_a_result_that_is_not_stored_is_computed_again(run_cli: Any, scratch: Path) -> None:
    resolved = run_cli(["seamless-resolve", "t.txt.CHECKSUM"], cwd=scratch)
    assert (resolved.returncode, resolved.stdout) == (1, b"")
    done = run_cli(["seamless-fingertip", "t.txt.CHECKSUM"], cwd=scratch)
    assert (done.returncode, done.stdout) == (0, b"beta\nalpha\n"), done.stderr


def test_a_damaged_result_is_computed_again(run_cli: Any, work: Path, store: Path) -> None:
    assert run_cli(["seamless-run", "tac", "a.txt"], cwd=work).returncode == 0
    checksum = sha256(b"beta\nalpha\n").hexdigest()
    path = store / checksum[:2] / checksum
    path.chmod(0o644)
    path.write_bytes(b"BETA\nALPHA\n")
    done = run_cli(["seamless-fingertip", checksum], cwd=work)
    assert (done.returncode, done.stdout) == (0, b"beta\nalpha\n"), done.stderr
    assert b"computed again" in done.stderr
