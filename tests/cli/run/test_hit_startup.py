"""A cache hit loads next to nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

NEVER = {
    "numpy",
    "asyncio",
    "aiohttp",
    "dask",
    "fastapi",
    "yaml",
    "tree_sitter",
    "multiprocessing",
    "subprocess",
    "tempfile",
    "shutil",
    "logging",
    "inspect",
    "dataclasses",
    "importlib.metadata",
    "seamless.transformer.runner",
    "seamless.cli.running.execution",
    "seamless.cli.running.journal",
}


def run(*argv: str) -> tuple[str, set[str]]:
    """Run the command; return its stdout and the modules that it has loaded."""
    command = [sys.executable, "-X", "importtime", "-m", "seamless.cli.run", *argv]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    lines = [line.split("|") for line in done.stderr.splitlines() if line.startswith("import time:")]
    return done.stdout, {parts[-1].strip() for parts in lines}


@pytest.mark.parametrize("argv", [["cat", "a.txt"], ["cat a.txt > o.txt"], ["-q", "-c", "cat a.txt | tac"]])
def test_a_hit_loads_none_of_the_heavy_modules(work: Path, argv: list[str]) -> None:
    first, _ = run(*argv)
    second, loaded = run(*argv)
    assert second == first
    assert "seamless.cli.running.delivery" in loaded
    assert loaded & NEVER == set()
