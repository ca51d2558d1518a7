"""Schedulers and clients for tests, which are real services of this package.

A "dummy" scheduler is our wrapper with a cluster of this machine; a client is that of a configuration with execution
`remote`, whose hashserver, database and daskserver are launched as ever. The services end with the test file.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

CLUSTER = """\
here:
  type: local
  workers: {steps}
  default_queue: main
  queues: {{main: {{memory: 2GB, walltime: '00:20:00', worker_threads: {threads}, maximum_jobs: {workers}}}}}
  frontends:
    - hashserver: {{bufferdir: {store}}}
      database: {{database_dir: {store}}}
      daskserver: {{network_interface: 127.0.0.1, port_start: {first}, port_end: {last}}}
"""
SECONDS = 60.0


def port_range() -> tuple[int, int]:
    """Return a range of ports that hardly anybody else has chosen."""
    first = random.randrange(20000, 32000, 200)
    return first, first + 199


class Tasks:
    """The tasks that a client has sent for steps; each is held, so that it can be asked for later."""

    def __init__(self, client: Any) -> None:
        self._client, self._submit = client, client.submit
        self._futures: dict[str, Any] = {}
        client.submit = self.submit

    def submit(self, function: Any, *arguments: Any, key: Any = None, **options: Any) -> Any:
        """Do what the client does, and remember it."""
        from distributed import Future

        future = self._submit(function, *arguments, key=key, **options)
        if getattr(function, "__name__", "") == "run_step":
            self._futures[arguments[0][1]] = Future(future.key, client=self._client)
        return future

    def of(self, tf: Any) -> Any:
        """Return the task of a transformation, None if there is none yet."""
        from seamless.transformer import TransformationError

        try:
            checksum = tf.transformation_checksum.hex()
        except TransformationError:
            return None  # it has no checksum so far
        future = self._futures.get(checksum)
        return None if future is None else SimpleNamespace(base=future, tf_checksum=checksum)

    def forget(self) -> None:
        """Hold none."""
        self._client.submit = self._submit
        for future in self._futures.values():
            future.release()
        self._futures.clear()


class Active:
    """The client that is in force."""

    tasks: Tasks | None = None


def resolve_there(checksum: str) -> tuple[str, Any, str | None]:
    """Return a buffer as a Dask worker finds it."""
    from seamless.checksum import Checksum

    return checksum, Checksum(checksum).resolve(), None


def create_dummy_client(*, workers: int, worker_threads: int, spawn_workers: int) -> Any:
    """Configure execution on a Dask cluster of this machine; return the client of its scheduler."""
    import seamless.config
    from seamless.buffer import Buffer
    from seamless.cache.buffer_writer import get_writer
    from seamless.remote import daskserver_remote
    from seamless.transformer import Transformation, daskserver

    home = Path.home()
    project = home / "project"
    if not project.exists():
        (home / ".seamless").mkdir(parents=True, exist_ok=True)
        first, last = port_range()
        (home / ".seamless" / "clusters.yaml").write_text(
            CLUSTER.format(
                steps=spawn_workers, threads=worker_threads, workers=workers, store=home / "store",
                first=first, last=last,
            )
        )  # fmt: skip
        project.mkdir()
        (project / "seamless.yaml").write_text("- project: dask\n")
        (project / "seamless.profile.yaml").write_text("- cluster: here\n- execution: remote\n- persistent: true\n")
    seamless.config.init(workdir=str(project))
    client: Any = daskserver_remote.client()
    client.prepare(daskserver._set_up)
    Active.tasks = Tasks(client.client)
    Transformation._dask_futures = property(  # type: ignore[attr-defined]
        lambda tf: None if Active.tasks is None else Active.tasks.of(tf)
    )

    def get_fat_checksum_future(checksum: Any) -> Any:
        get_writer().store([Buffer(checksum.resolve().content)])
        return client.client.submit(resolve_there, checksum.hex())

    def cancel_by_checksum(checksum: Any) -> bool:
        from seamless.checksum import Checksum

        return daskserver.executor().cancel(Checksum(checksum))

    client.get_fat_checksum_future, client.cancel_by_checksum = get_fat_checksum_future, cancel_by_checksum
    return client


class Scheduler:
    """A wrapper of ours in a process of its own, to which everybody on this machine may connect."""

    def __init__(self, workers: int, worker_threads: int) -> None:
        import json

        status = Path(tempfile.mkdtemp(), "state.json")
        parameters = {
            "cores": 1, "memory": "1GB", "worker_threads": worker_threads, "maximum_jobs": workers, "pure_dask": True,
        }  # fmt: skip
        status.write_text(json.dumps({"parameters": parameters}))
        first, last = map(str, port_range())
        self._process = subprocess.Popen(
            [
                sys.executable, "-m", "seamless.cli.dask_wrapper", "distributed::LocalCluster", "--host", "127.0.0.1",
                "--insecure", "--port-range", first, last, "--status-file", str(status),
            ],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},  # the workers import the test
        )  # fmt: skip
        deadline = time.monotonic() + SECONDS
        while (state := json.loads(status.read_text())).get("status") != "running":
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the wrapper has not started: {state}")
            threading.Event().wait(0.05)
        self.address = f"tcp://127.0.0.1:{state['port']}"

    def stop(self) -> None:
        """End it, and wait for its end."""
        self._process.terminate()
        self._process.wait(SECONDS)


def start_dummy_scheduler(*, workers: int, worker_threads: int, register_at_exit: bool) -> Scheduler:
    """Start one; it ends by `stop`."""
    return Scheduler(workers, worker_threads)
