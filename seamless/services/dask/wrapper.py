"""The life of a wrapper: settings, cluster, `running` in the status file; then one look a second until its end.

It ends when it was idle for too long, by a signal, or when the launcher takes its status file away.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from seamless.config.units import seconds
from seamless.errors import UsageError
from seamless.services.common.options import FIRST_PORT, LAST_PORT
from seamless.services.common.ports import PortError, listen
from seamless.services.common.status import StatusFile
from seamless.services.dask.balance import rebalance
from seamless.services.dask.clusters import (
    Place,
    apply_settings,
    batch_of,
    make_cluster,
    split_cluster_string,
    system_of,
)
from seamless.services.dask.demand import Snapshot, snapshot
from seamless.services.dask.jobs import Jobs
from seamless.services.dask.parameters import parse_parameters
from seamless.services.dask.steering import Steering

TICK = 1.0
TOPIC = "seamless-wrapper"  # of the events that clients are told
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_BARE_SECONDS = 3.0  # that a LocalCluster may lack workers before it gets new ones


class Options:
    """What the command line says."""

    def __init__(
        self,
        cluster: str,
        *,
        status_file: str,
        port_range: tuple[int, int] | None = None,
        host: str = "0.0.0.0",
        timeout: float | None = None,
        insecure: bool = False,
    ):
        self.cluster, self.status_file, self.port_range, self.host = cluster, status_file, port_range, host
        self.timeout, self.insecure = timeout, insecure


def run(options: Options) -> int:
    """Serve until the end; return the exit status 0. Every failure to start becomes `failed` in the status file."""
    status = StatusFile(os.path.abspath(options.status_file))
    _leave_public_directory()
    status.read()
    try:
        return Wrapper(options, status).serve()
    except BaseException as exc:
        if not status.is_running:
            status.failed(str(exc) or type(exc).__name__)
        raise


def _leave_public_directory() -> None:
    """Go to / if others could put files here: the processes of workers, and batch jobs, import what is there."""
    here = os.stat(".")
    if here.st_mode & 0o022 or here.st_uid not in (0, os.getuid()):
        os.chdir("/")


class Wrapper:
    """A cluster that is up."""

    def __init__(self, options: Options, status: StatusFile):
        self._options, self._status = options, status
        self._ending = threading.Event()
        self._reason = ""
        self._idle_since = self._bare_since = time.monotonic()
        split_cluster_string(options.cluster)
        self.system = system_of(options.cluster)
        fields = status.fields or {}
        self.parameters = parse_parameters(fields.get("parameters"), ports=options.port_range, system=self.system)
        log = fields.get("log")
        self._log = log if isinstance(log, str) and log else None
        port, dashboard_port = free_ports(options.host, options.port_range)
        self._certificate = self._make_certificate()
        self._place = Place(options.host, port, dashboard_port, log=self._log, security=self._security())
        try:
            with self._signals():
                apply_settings(self.parameters, self.system, self._place)
                self._cluster = make_cluster(options.cluster, self.parameters, self._place)
        except BaseException:
            self._remove_certificate()
            raise
        self._jobs = self._make_jobs()

    # --- start --------------------------------------------------------------------------------

    def _make_certificate(self) -> Any:
        if self._options.insecure:
            return None
        from seamless.errors import MissingDependencyError
        from seamless.services.dask.certificate import Certificate

        try:
            return Certificate()
        except MissingDependencyError as exc:
            if self._options.host not in _LOOPBACK:
                raise
            self.say(f"every user of this machine can use the scheduler: {exc}")
            return None

    def _security(self) -> Any:
        if self._certificate is None:
            return None
        if self.system is None:
            return self._certificate.in_memory()
        return self._certificate.in_files(os.path.splitext(self._status.path)[0])

    def _make_jobs(self) -> Jobs | None:
        if self.system is None:
            return None
        import dask

        return Jobs(
            self._cluster,
            self.parameters,
            batch_of(self.system, self.parameters),
            user=getpass.getuser(),
            apply=lambda changed: apply_settings(changed, self.system, self._place),
            say=self.say,
            steering=Steering(self._cluster),
            interval=seconds(str(dask.config.get("distributed.adaptive.interval", None) or "30s")),
            wait_count=int(dask.config.get("distributed.adaptive.wait-count", None) or 10),
        )

    def _announce(self) -> None:
        port = int(self._cluster.scheduler.port)
        more = {} if self._certificate is None else {"token": self._certificate.token()}
        self._status.running(port=port, dashboard_port=self._dashboard_port(), **more)
        print(f"seamless-dask-wrapper: scheduler at {self._cluster.scheduler.address}", file=sys.stderr, flush=True)

    def _dashboard_port(self) -> int:
        server = getattr(self._cluster.scheduler, "http_server", None)
        port = getattr(server, "port", None)
        return int(port) if port else self._place.dashboard_port

    # --- life ---------------------------------------------------------------------------------

    def serve(self) -> int:
        """Announce the cluster, look at it once a second until the end; then close it."""
        with self._signals():
            try:
                self._announce()  # whoever reads it may send a signal at once
                while not self._ending.wait(TICK):
                    self._tick()
            finally:
                self._close()
        return 0

    def _tick(self) -> None:
        unknown = seconds(self.parameters.unknown_task_duration)

        async def look() -> Snapshot:
            if not self.parameters.pure:
                rebalance(self._cluster.scheduler)
            return snapshot(self._cluster.scheduler, unknown, self.parameters.resources)

        now: Snapshot = self._cluster.sync(look)
        if not os.path.exists(self._status.path):
            self._end("the launcher has taken the status file away")
        elif not now.idle:
            self._idle_since = time.monotonic()
        elif self._options.timeout is not None and time.monotonic() - self._idle_since > self._options.timeout:
            self._end(f"idle for more than {self._options.timeout:g} s")
        if self._ending.is_set():
            return
        if self._jobs is not None:
            self._jobs.tick(now)
        elif hasattr(self._cluster, "worker_spec"):
            self._refill(now)

    def _refill(self, now: Snapshot) -> None:
        """Give a cluster of this machine workers in the place of those that have ended."""
        wanted = len(self._cluster.worker_spec)
        if len(now.workers) >= wanted:
            self._bare_since = time.monotonic()
        elif time.monotonic() - self._bare_since > _BARE_SECONDS and len(self._cluster.workers) < wanted:
            self._bare_since = time.monotonic()
            self._cluster.scale(wanted)

    def say(self, text: str) -> None:
        """Write a line to the log, and tell clients."""
        line = f"{time.strftime('%Y-%m-%dT%H:%M:%S')} seamless-dask-wrapper: {text}"
        print(line, file=sys.stderr, flush=True)
        scheduler = getattr(getattr(self, "_cluster", None), "scheduler", None)
        if scheduler is not None:
            self._cluster.loop.add_callback(scheduler.log_event, TOPIC, text)

    # --- end ----------------------------------------------------------------------------------

    def _end(self, reason: str) -> None:
        self._reason = self._reason or reason
        self._ending.set()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Have signals end the wrapper in order."""

        def handle(number: int, _: Any) -> None:
            self._end(signal.Signals(number).name)

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = [signal.signal(number, handle) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    def _close(self) -> None:
        print(f"seamless-dask-wrapper: ends: {self._reason or 'an error'}", file=sys.stderr, flush=True)
        remove_status(self._status)
        self._remove_certificate()
        self._cluster.close(timeout=20)

    def _remove_certificate(self) -> None:
        if self._certificate is not None:
            self._certificate.remove_files()


def remove_status(status: StatusFile) -> None:
    """Remove the status file, unless it is that of another launch by now."""
    import json

    mine = status.fields or {}
    try:
        with open(status.path, "rb") as f:
            present = json.loads(f.read())
        if isinstance(present, dict) and all(present.get(n) == mine.get(n) for n in ("pid", "port", "launch_id")):
            os.unlink(status.path)
    except (OSError, ValueError, RecursionError):
        return  # taken away, or being written by somebody else: no longer ours


def free_ports(host: str, port_range: tuple[int, int] | None) -> tuple[int, int]:
    """Return two ports that are free now, of a range or of all that nobody owns. Raises PortError, UsageError."""
    if port_range is not None:
        start, end = port_range
        if not 1 <= start < end <= 65535:
            raise UsageError(f"--port-range {start} {end}: two ports are needed, from 1 to 65535")
    start, end = port_range or (FIRST_PORT, LAST_PORT)
    found: list[int] = []
    for port in random.sample(range(start, end + 1), end - start + 1):
        try:
            listen(host, port, None).close()
        except PortError:
            continue
        found.append(port)
        if len(found) == 2:
            return found[0], found[1]
    raise PortError(f"No free port available in range {start}-{end}")
