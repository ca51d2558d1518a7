"""What the commands load: next to nothing for a buffer of the local store, and for their help."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.transfer.conftest import ALPHA, Command

NEVER = {
    "numpy", "asyncio", "aiohttp", "yaml", "tree_sitter", "multiprocessing", "concurrent.futures", "subprocess",
    "tempfile", "shutil", "logging", "inspect", "dataclasses", "importlib.metadata", "seamless.transformer",
}  # fmt: skip


def loaded(module: str, *argv: str) -> set[str]:
    """Return the modules that the command loads."""
    command = [sys.executable, "-X", "importtime", "-m", f"seamless.cli.{module}", *argv]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    lines = [line.split("|") for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {parts[-1].strip() for parts in lines}


@pytest.mark.parametrize("command", ["resolve", "fingertip"])
@pytest.mark.parametrize("argument", [ALPHA, "a.txt.CHECKSUM"])
def test_a_stored_buffer_needs_none_of_the_heavy_modules(
    upload: Command, work: Path, command: str, argument: str
) -> None:
    upload("a.txt")
    modules = loaded(command, argument)
    assert "seamless.stores.directory" in modules
    assert modules & NEVER == set()


@pytest.mark.parametrize("argv", [("upload", "a.txt", "d"), ("download", "a.txt", "d")])
def test_what_is_there_already_needs_none_of_the_heavy_modules(
    upload: Command, work: Path, argv: tuple[str, ...]
) -> None:
    upload("a.txt", "d")
    assert loaded(*argv) & NEVER == set()


@pytest.mark.parametrize("command", ["upload", "download", "resolve", "fingertip"])
def test_the_help_needs_none_of_the_heavy_modules(command: str, work: Path) -> None:
    assert loaded(command, "--help") & NEVER == set()
