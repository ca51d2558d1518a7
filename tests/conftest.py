"""What every test gets: a home, a cache and a working directory of its own, and Seamless as if just imported."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

LAB_MARKERS = {"ssh", "netns", "slurm", "oar", "apptainer", "conda", "ansible"}

# Directories whose tests start schedulers, servers and clients: on a busy machine, these may get no time for too long.
WITH_SERVERS = {"ansible", "batch", "engines", "faults", "images", "integration", "interop"}

ROOT = Path(__file__).parent

# Where the console scripts of this installation are.
SCRIPTS = Path(sys.executable).parent

# Variables that change what Seamless does; no test inherits them.
FOREIGN_VARIABLES = ("SEAMLESS_", "CONDA_", "XDG_", "NO_COLOR", "PYTHONWARNINGS", "REMOTE_HTTP_LAUNCHER_DIR")


def pytest_configure() -> None:
    """Judge no test by the speed of the machine; let signals work in the programs of the tests.

    The background of a shell, or nohup, hands on ignored signals.
    """
    settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("any machine")
    if threading.current_thread() is not threading.main_thread():
        return
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as `unit` what has no mark of the lab; what starts real servers gets a second attempt, which is reported."""
    for item in items:
        in_lab = LAB_MARKERS.intersection(mark.name for mark in item.iter_markers())
        if not in_lab:
            item.add_marker(pytest.mark.unit)
        if in_lab or item.path.relative_to(ROOT).parts[0] in WITH_SERVERS:
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(autouse=True)
def isolation(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the test a home of its own and none of the caller's settings; leave Seamless closed behind it."""
    home = tmp_path_factory.mktemp("home")
    lab = os.environ.get("SEAMLESS_LAB")
    for name in list(os.environ):
        if name.startswith(FOREIGN_VARIABLES):
            monkeypatch.delenv(name)
    if lab is not None:
        monkeypatch.setenv("SEAMLESS_LAB", lab)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    yield home
    forget_session()


def forget_session() -> None:
    """Bring the state that Seamless keeps in this process back to what it is after the first import."""
    if "seamless.session" not in sys.modules:
        return
    from seamless.session import session
    from seamless.shutdown import set_is_worker

    set_is_worker(False)
    session.reset()


@pytest.fixture
def require() -> Callable[[object, str], None]:
    """Return require(condition, reason): skip the test, or with SEAMLESS_LAB=required fail it, unless `condition`.

    A string as the condition is the name of a command that must be found.
    """

    def check(condition: object, reason: str) -> None:
        available = shutil.which(condition) if isinstance(condition, str) else condition
        if available:
            return
        if os.environ.get("SEAMLESS_LAB") == "required":
            pytest.fail(f"SEAMLESS_LAB=required, but {reason}", pytrace=False)
        pytest.skip(reason)

    return check


RunCli = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def run_cli(tmp_path: Path) -> RunCli:
    """Return run_cli(argv, cwd=None, env=None, input=None, timeout=60): run an installed command, all output as bytes.

    A command of Seamless is taken from beside the running interpreter; `env` adds variables, None removes one.
    """

    def run(
        argv: Sequence[str],
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str | None] | None = None,
        input: bytes | None = None,
        timeout: float = 60,
        **more: Any,
    ) -> subprocess.CompletedProcess[bytes]:
        beside = SCRIPTS / argv[0]
        command = [str(beside) if beside.exists() else argv[0], *argv[1:]]
        return subprocess.run(
            command,
            cwd=tmp_path if cwd is None else cwd,
            env=changed_environment(env or {}),
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            timeout=timeout,
            check=False,
            **more,
        )

    return run


def changed_environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    """Return the environment of the test with the commands of Seamless on PATH and these changes."""
    environment = dict(os.environ)
    environment["PATH"] = f"{SCRIPTS}{os.pathsep}{environment.get('PATH', os.defpath)}"
    for name, value in changes.items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = value
    return environment


@pytest.fixture(scope="module")
def slurm_cluster() -> Iterator[dict[str, str] | str]:
    """The variables of a SLURM cluster of this machine, or why there is none."""
    import lab

    try:
        with lab.slurm_cluster() as variables:
            yield variables
    except lab.NoLab as exc:
        yield str(exc)


@pytest.fixture
def slurm(slurm_cluster: dict[str, str] | str, require: Callable[[object, str], None]) -> dict[str, str]:
    """The variables of that cluster; without one the test is skipped, or fails."""
    require(isinstance(slurm_cluster, dict), str(slurm_cluster))
    assert isinstance(slurm_cluster, dict)
    return slurm_cluster
