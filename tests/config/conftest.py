"""A project directory of its own for each test, and short ways to write files and to evaluate them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HPC = """
hpc:
  type: slurm
  tunnel: true
  workers: 4
  default_queue: standard
  frontends:
    - hostname: login.hpc.example
      ssh_hostname: hpc-login
      hashserver: {bufferdir: /scratch/buf, network_interface: 10.0.0.5, port_start: 60100, port_end: 60199}
      database: {database_dir: /scratch/db, network_interface: 10.0.0.5, port_start: 60200, port_end: 60299}
      daskserver: {network_interface: 10.0.0.5, port_start: 60300, port_end: 60399}
  queues:
    standard: {conda: w, walltime: "01:00:00", cores: 16, memory: 32000MB, maximum_jobs: 20}
    highmem: {TEMPLATE: standard, cores: 4, memory: 128000MB}
"""
WS = """
ws:
  type: local
  workers: 3
  frontends:
    - hashserver: {bufferdir: /data/buf}
      database: {database_dir: /data/db}
      jobserver: {network_interface: localhost, port_start: 55300, port_end: 55399}
"""


class Project:
    """A project directory with its files, and the home with the cluster files."""

    def __init__(self, root: Path, home: Path):
        self.root, self.home = root, home

    def write(self, text: str, name: str = "seamless.yaml") -> str:
        """Write a project file; the name may lead into a subdirectory. Return its path."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return str(path)

    def clusters(self, text: str, name: str = "clusters.yaml") -> str:
        """Write a cluster file below ~/.seamless. Return its path."""
        path = self.home / ".seamless" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return str(path)

    def resolve(self, directory: str = ".", **options: Any) -> Any:
        """Evaluate the files, without the requirements unless `check=True`."""
        from seamless.config.evaluation import evaluate

        return evaluate(str(self.root / directory), **{"check": False, **options})

    def error(self, directory: str = ".", **options: Any) -> str:
        """Return the text of the error that evaluating gives."""
        from seamless.config import ConfigurationError

        with pytest.raises(ConfigurationError) as caught:
            self.resolve(directory, **options)
        return str(caught.value)


@pytest.fixture
def project(tmp_path: Path, isolation: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """Return a project in an empty directory that is the current one."""
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.chdir(root)
    monkeypatch.setenv("SEAMLESS_SITE_CONFIG", "")
    yield Project(root, isolation)


@pytest.fixture
def no_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start and contact nothing."""
    monkeypatch.setenv("SEAMLESS_NO_LAUNCH", "1")


@pytest.fixture
def quiet() -> Iterator[None]:
    """Let the warnings of the configuration pass."""
    import warnings

    from seamless.config import SeamlessConfigWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SeamlessConfigWarning)
        yield
