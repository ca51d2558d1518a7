"""A helper is a short process: it loads what it needs, and nothing that takes long to load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from seamless.launcher.grammar import HELPERS

HEAVY = {"argparse", "asyncio", "email", "http", "inspect", "logging", "multiprocessing", "ssl", "subprocess"}
HEAVY |= {"urllib", "urllib.request", "yaml", "zipfile", "numpy", "seamless.transformer", "seamless.stores"}


@pytest.mark.parametrize("name", sorted(set(HELPERS) - {"rhl-cache-conda", "rhl-conda-info"}))
def test_a_helper_loads_nothing_heavy(name: str, base: Path) -> None:
    probe = (
        f"import sys; from importlib import import_module; import_module('seamless.launcher.helpers.main')\n"
        f"import_module('seamless.launcher.helpers.{name[4:].replace('-', '_')}')\n"
        "print(*sys.modules, sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60)
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules, sep='\\n')"], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split()) - set(bare.stdout.split())
    assert f"seamless.launcher.helpers.{name[4:].replace('-', '_')}" in loaded
    assert loaded & HEAVY == set()
