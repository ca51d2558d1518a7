"""A project whose cluster is this machine, and ways to run commands in it; no service outlives its test."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.helpers.fake_ssh import FakeSsh

CLUSTERS = """
local_cluster: ws
ws:
  type: local
  workers: 2
  frontends:
    - hashserver: {{bufferdir: {root}/buffers}}
      database: {{database_dir: {root}/databases}}
      jobserver: {{network_interface: localhost, port_start: 55300, port_end: 55399}}
hpc:
  type: slurm
  default_queue: standard
  frontends:
    - hostname: login.hpc.example
      ssh_hostname: hpc-login
      hashserver: {{bufferdir: /scratch/buf, port_start: 60100, port_end: 60199}}
      database: {{database_dir: /scratch/db}}
      daskserver: {{network_interface: 10.0.0.5, port_start: 60300, port_end: 60399}}
  queues:
    standard: {{conda: w, walltime: "01:00:00", cores: 16, memory: 32000MB}}
    highmem: {{TEMPLATE: standard, cores: 4, memory: 128000MB}}
"""
PROJECT = """
- project: thesis
- cluster: ws
- execution: process
- stage far:
  - cluster: hpc
"""


class Result(NamedTuple):
    """What a command has answered."""

    status: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The JSON objects that it has printed, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Place:
    """The project directory, the directories of its cluster, and those of the launcher."""

    def __init__(self, root: Path, home: Path):
        self.root, self.work = root, root / "work"
        self.buffers, self.databases = root / "buffers", root / "databases"
        self.base = home / ".remote-http-launcher"

    def state(self, key: str, side: str = "server") -> dict[str, Any] | None:
        """Return what is recorded about a service."""
        path = self.base / side / f"{key}.json"
        return json.loads(path.read_text()) if path.exists() else None

    def record(self, key: str, side: str = "server", **fields: Any) -> dict[str, Any]:
        """Record a service that has never been."""
        path = self.base / side / f"{key}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(fields))
        return fields

    def record_alive(self, key: str, **fields: Any) -> None:
        """Record a service whose process is that of the test."""
        from seamless.launcher.processes import boot_id, host_name, start_time

        me = {"pid": os.getpid(), "start_time": start_time(os.getpid()), "boot_id": boot_id(), "host": host_name()}
        self.record(key, status="running", port=4711, uid=os.getuid(), command="x", **me, **fields)

    def buffer(self, directory: str, text: bytes = b"alpha\n") -> Path:
        """Store a buffer in a directory below that of the buffers."""
        from seamless.checksum import Checksum
        from seamless.stores.directory import BufferDirectory

        path = self.buffers / directory
        path.mkdir(parents=True, exist_ok=True)
        BufferDirectory(str(path)).put([(Checksum.of(text), text)])
        return path

    def database(self, directory: str) -> Path:
        """Create something that passes for a database of 100 bytes."""
        path = self.databases / directory
        path.mkdir(parents=True, exist_ok=True)
        (path / "seamless.db").write_bytes(bytes(100))
        return path


@pytest.fixture
def place(tmp_path: Path, isolation: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    place = Place(tmp_path, isolation)
    place.work.mkdir()
    (isolation / ".seamless").mkdir()
    (isolation / ".seamless" / "clusters.yaml").write_text(CLUSTERS.format(root=tmp_path))
    (place.work / "seamless.yaml").write_text(PROJECT)
    monkeypatch.chdir(place.work)
    monkeypatch.setenv("SEAMLESS_SITE_CONFIG", "")
    yield place
    _stop_everything(place.base)


class Hosts(FakeSsh):
    """Machines beside this one."""

    def place(self, host: str) -> Place:
        """Make a machine; return its directories."""
        home = self.add(host)
        return Place(home, home)


@pytest.fixture
def hosts(place: Place, monkeypatch: pytest.MonkeyPatch) -> Hosts:
    """Return the machines beside this one; none is there yet."""
    hosts = Hosts(place.root)
    monkeypatch.setenv("SEAMLESS_SSH", str(hosts.program))
    return hosts


def _stop_everything(base: Path) -> None:
    from seamless.launcher.processes import is_pid
    from seamless.launcher.statefile import read_state_or_none
    from seamless.launcher.stopping import stop_service

    for path in (base / "server").glob("*.json"):
        state = read_state_or_none(str(path)) or {}
        if is_pid(state.get("pid")) and state["pid"] != os.getpid():
            stop_service(path.stem, patience=1.0)


Command = Callable[..., Result]


@pytest.fixture
def command(capfdbinary: pytest.CaptureFixture[bytes]) -> Command:
    """Return command(name, *arguments): run a command `seamless-service-<name>`, or `init`, in this process."""

    def call(name: str, *arguments: str) -> Result:
        module = importlib.import_module("seamless.cli.init" if name == "init" else f"seamless.cli.service.{name}")
        capfdbinary.readouterr()
        status = module.main(list(arguments))
        printed = capfdbinary.readouterr()
        return Result(status, printed.out.decode(), printed.err.decode())

    return call
