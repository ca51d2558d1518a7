"""A conda environment and a container image, as small as they can be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

LINKS = ("bin", "sbin", "lib", "lib64")


def make_prefix(prefix: Path, packages: dict[str, str]) -> Path:
    """Make a directory that looks like a conda environment with Python, a command and an activation script."""
    base = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([base, "-m", "venv", "--without-pip", str(prefix)], check=True)
    meta = prefix / "conda-meta"
    meta.mkdir()
    (meta / "history").write_text("==> made <==\n")
    for name, version in packages.items():
        (meta / f"{name}-{version}-0.json").write_text(json.dumps({"name": name, "version": version}))
    command = prefix / "bin" / "frobnicate"
    command.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "frobnicate 1.17.2" || echo "frobnicated"\n')
    command.chmod(0o755)
    scripts = prefix / "etc" / "conda" / "activate.d"
    scripts.mkdir(parents=True)
    (scripts / "tools.sh").write_text('export TOOLS_HOME="$CONDA_PREFIX/share$NEVER_SET"\n')
    return prefix


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory of the environment `tools`, which is found by its name; there is no conda."""
    monkeypatch.setenv("CONDA_EXE", "/nonexistent/conda")
    monkeypatch.setenv("CONDA_ENVS_PATH", str(tmp_path / "envs"))
    return make_prefix(tmp_path / "envs" / "tools", {"python": "3.11.2", "frobnicate": "1.17.2"})


@pytest.fixture
def image(tmp_path: Path, require: Callable[[object, str], None], monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Return an image as an environment names it: a directory in which the programs of this machine appear."""
    require("apptainer", "the command apptainer is missing")
    require(os.access("/usr/bin/python3", os.X_OK), "there is no /usr/bin/python3")
    monkeypatch.setenv("APPTAINER_NO_PRIVS", "1")
    root = tmp_path / "image"
    for name in ("usr", "proc", "sys", "dev", "tmp", "var/tmp", "etc", "root"):
        (root / name).mkdir(parents=True)
    for name in LINKS:
        (root / name).symlink_to(f"usr/{name}")
    for name in ("passwd", "group", "hosts", "resolv.conf", "localtime"):
        (root / "etc" / name).touch()
    return {"name": str(root), "binds": ["/usr:/usr:ro"]}
