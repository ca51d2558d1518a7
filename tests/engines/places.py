"""Every place of execution as a user has it: a cluster, a project, and services of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lab import oar_cluster, slurm_cluster, world_readable_environment

from tests.integration.dask_place import DaskPlace, OarPlace, end
from tests.integration.place import Place

MEMORY = "1500MB"  # of a job: the large array, and its double
QUICK = ", cores: 1, maximum_jobs: 2, target_duration: 10s"


@dataclass(frozen=True)
class Engine:
    """A place of execution. `recorded`: the execution mode and the remote target of its records."""

    name: str
    make: Callable[[Path, ExitStack], Place]
    recorded: tuple[str, str | None]
    crashes: bool = True  # whether a step may end its process without ending the program

    @contextmanager
    def begun(self, root: Path) -> Iterator[Place]:
        """Give a place where steps are executed so; end what was begun for it. Raises NoLab."""
        with ExitStack() as stack:
            place = self.make(root, stack)
            stack.callback(end, place)
            yield place

    @property
    def parameter(self) -> Any:
        """Return it as a parameter of tests: what belongs to one lab stays together."""
        mark = {"slurm": [pytest.mark.slurm], "oar": [pytest.mark.oar]}.get(self.name, [])
        group = self.name if mark else f"engine-{self.name}"
        return pytest.param(self, id=self.name, marks=[*mark, pytest.mark.xdist_group(group)])


def _local(execution: str, more: str = "") -> Callable[[Path, ExitStack], Place]:
    def make(root: Path, stack: ExitStack) -> Place:
        place = Place(root)
        clusters = place.home / ".seamless" / "clusters.yaml"
        clusters.write_text(clusters.read_text().replace("type: local\n", "type: local\n  workers: 2\n") + more)
        place.write("seamless.profile.yaml", f"- cluster: ws\n- execution: {execution}\n- persistent: true\n")
        return place

    return make


def _slurm(root: Path, stack: ExitStack) -> Place:
    variables = stack.enter_context(slurm_cluster())
    return DaskPlace(root, kind="slurm", queue=QUICK + ", partition: main", memory=MEMORY, **variables)


def _oar(root: Path, stack: ExitStack) -> Place:
    stack.enter_context(oar_cluster())
    readable = Path(tempfile.mkdtemp(prefix="oar-engine-", dir="/var/tmp"))
    stack.callback(shutil.rmtree, readable, ignore_errors=True)
    return OarPlace(readable, world_readable_environment(), queue=QUICK, memory=MEMORY)


def _dask(root: Path, stack: ExitStack) -> Place:
    pytest.importorskip("distributed")
    return DaskPlace(root, memory=MEMORY)


ENGINES = [
    Engine("process", _local("process"), ("process", None), crashes=False),
    Engine("spawn", _local("spawn"), ("spawn", None)),
    Engine(
        "jobserver",
        _local("remote", "      jobserver: {network_interface: 127.0.0.1, port_start: 49152, port_end: 65535}\n"),
        ("remote", "jobserver"),
    ),
    Engine("dask", _dask, ("remote", "daskserver")),
    Engine("slurm", _slurm, ("remote", "daskserver")),
    Engine("oar", _oar, ("remote", "daskserver")),
]
