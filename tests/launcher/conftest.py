"""Launch dicts for a small service, in directories of the test; no process outlives its test."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.launcher.support import CONDA_SH, KEY, Recorder

SERVICE = Path(__file__).with_name("service.py")


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def base(isolation: Path) -> Iterator[Path]:
    """Return the directory of the launcher; at the end kill every process whose command line names the home."""
    yield isolation / ".remote-http-launcher"
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/cmdline", "rb") as f:
                line = f.read()
            if os.fsencode(isolation) in line and b"service.py" in line:
                os.kill(int(name), signal.SIGKILL)
        except OSError:
            continue


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    return tmp_path / "work"


LaunchDict = Callable[..., dict[str, Any]]


@pytest.fixture
def launch_dict(base: Path, workdir: Path) -> LaunchDict:
    """Return launch_dict(mode, *arguments, **fields): what `run` is called with."""

    def make(mode: str = "ok", *arguments: str, **fields: Any) -> dict[str, Any]:
        words = [sys.executable, "-I", "-S", str(SERVICE), mode, "--status-file"]
        tail = "".join(f" {shlex.quote(word)}" for word in arguments)
        return {
            "key": KEY,
            "workdir": str(workdir),
            "command": f"{shlex.join(words)} {{status_file}}{tail}",
            "handshake": "healthcheck",
            "network_interface": "127.0.0.1",
            "log_level": "minimal",
            **fields,
        }

    return make


@pytest.fixture
def state_file(base: Path) -> Path:
    return base / "server" / f"{KEY}.json"


@pytest.fixture
def connection_file(base: Path) -> Path:
    return base / "client" / f"{KEY}.json"


@pytest.fixture
def miniforge(isolation: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a stand-in for an installation in the home directory, with an environment `tools`."""
    prefix = isolation / "miniforge3"
    (prefix / "etc" / "profile.d").mkdir(parents=True)
    (prefix / "etc" / "profile.d" / "conda.sh").write_text(CONDA_SH.replace("BASE", str(prefix)))
    (prefix / "envs" / "tools" / "bin").mkdir(parents=True)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return prefix
