"""One hour of use, done as fast as it goes. Every day has the same hours, so that nothing has a reason to grow.

What is done is checked: an answer that is not the right one ends the soak.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.services.client import TOKEN
from benchmarks.services.servers import OURS
from benchmarks.soak.place import WORKERS, Place
from seamless.checksum import Checksum
from seamless.errors import SeamlessError, TransformationError
from seamless.insight.collection import Criteria, plan, remove
from seamless.insight.place import checked_place
from seamless.insight.sidecar import Sidecar
from seamless.remote import database_calls
from seamless.remote.keepalive import keepalive
from seamless.transformer import delayed, parallel, runner
from seamless.transformer.execution import seam
from seamless.transformer.executors import use_remote
from seamless.transformer.worker import WorkerPoolExecutor

HOURS = 24
PINGS = 120  # an hour of looking after the services, each 30 seconds
BUFFERS = 40
RESULTS = 60
STEPS = 12
LARGE = 2_000_000  # bytes
_BURST = 48  # programs
_DEADLINE = 60.0  # seconds


def double(x: int, data: str) -> int:
    """A step."""
    return x * 2 + len(data)


def fail(x: int) -> int:
    """A step that fails."""
    raise ValueError(f"no step for {x}")


def end(x: int) -> int:
    """A step that ends its worker."""
    import os

    os.kill(os.getpid(), 9)
    return x


def gate(x: int, begun: str) -> int:
    """A step that has to be stopped."""
    import time

    open(begun, "w").close()
    while True:
        time.sleep(0.01)
    return x


class Use:
    """What is done with the services. `done` counts it."""

    def __init__(self, place: Place):
        self.place, self.done = place, Counter[str]()
        self.workers = WorkerPoolExecutor(WORKERS)
        self.steps = {f.__name__: delayed(f) for f in (double, fail, end, gate)}
        self._forgotten: list[Checksum] = []

    def close(self) -> None:
        """End the workers."""
        seam.reset()
        self.workers.close(wait=True)

    def hour(self, number: int) -> None:
        """Do what is done in one hour of the day."""
        self._random = random.Random(number)
        self._looking_after()
        self._buffers()
        self._burst()
        self._broken_uploads()
        self._results(number)
        for where in ("workers", "jobserver"):
            self._execute_at(where)
            self._steps(number, where)
            self._unhappy_steps(number, where)
        self._command(number)
        self._short_service()
        self._clearing_up()
        self.place.close_clients()

    # --- the services -------------------------------------------------------------------------

    def _looking_after(self) -> None:
        for client in (self.place.buffers, self.place.results, self.place.jobs):
            client.healthcheck()
        for _ in range(PINGS):
            keepalive.round()
        self.done["health checks"] += 3 * (PINGS + 1)

    def _buffers(self) -> None:
        buffers = self.place.buffers
        data = [self._random.randbytes(self._random.randrange(5000)) for _ in range(BUFFERS)]
        data += [self._random.randbytes(LARGE), b"a" * LARGE]
        names = [Checksum.of(one) for one in data]
        buffers.put(zip(names, data, strict=True))
        assert all(buffers.has(names))
        assert buffers.lengths(names) == [len(one) for one in data]
        for name, one in zip(names, data, strict=True):
            assert buffers.get(name) == one
        absent = Checksum.of(b"nobody has this")
        assert buffers.get(absent) is None
        copy = self.place.temporary / "copy"
        assert buffers.copy_to(names[-1], copy)
        copy.unlink()
        self.done["buffers in and out"] += len(data)

    def _burst(self) -> None:
        """Many questions at once, as when a batch of programs begins."""
        names = [Checksum.of(b"%d" % i) for i in range(2000)]
        failures: list[Exception] = []

        def ask() -> None:
            try:
                assert not any(self.place.buffers.has(names))
                assert not any(self.place.results.get_results(names))
                assert self.place.jobs.transformation_status(names[0]) == "not-running"
            except Exception as exc:  # noqa: BLE001 - told in the thread that waits
                failures.append(exc)

        threads = [threading.Thread(target=ask) for _ in range(_BURST)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        self.done["questions asked at once"] += 3 * _BURST

    def _broken_uploads(self) -> None:
        """Uploads that are cut off, that lie, and a promise that is not kept."""
        data = self._random.randbytes(100_000)
        port = self.place.servers["hashserver"].port
        head = f"PUT /{Checksum.of(data)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        for body, whole in ((data[:50_000], False), (data[::-1], True)):
            with socket.create_connection(("127.0.0.1", port), timeout=_DEADLINE) as connection:
                connection.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + body)
                assert not whole or connection.recv(100).startswith(b"HTTP/1.1 400")
        assert self.place.buffers.promise(Checksum.of(data))
        self.done["broken uploads"] += 2

    def _results(self, number: int) -> None:
        results = self.place.results
        steps = [Checksum.of(b"hour %d step %d" % (number, i)) for i in range(RESULTS)]
        values = [Checksum.of(b"result %d" % i) for i in range(RESULTS)]
        assert all(results.set_results(zip(steps, values, strict=True)))
        assert results.get_results(steps) == values
        assert steps[0] in results.get_transformations(values[0])
        results.set_buffer_info(values[0], {"length": 8})
        for step in steps[:10]:
            with results.claim(step):
                pass
        lost = {"id": "somebody who never comes back", "pid": 1, "host": "x"}
        results.perform(database_calls.claim(steps[11], lost, seconds=0.05, despite=True))
        results.contest(steps[12], values[12])
        assert all(results.delete_result(step) for step in steps if step != steps[12])
        self.done["results set, read and deleted"] += RESULTS
        self.done["claims"] += 11

    # --- steps --------------------------------------------------------------------------------

    def _execute_at(self, where: str) -> None:
        if where == "workers":
            seam.executor = self.workers
        else:
            use_remote("jobserver", WORKERS)

    def _step(self, name: str, *arguments: Any) -> Any:
        handle = self.steps[name](*arguments)
        self._forgotten.append(handle.construct())
        return handle

    def _steps(self, number: int, where: str) -> None:
        # Goes into shared memory, of which up to 64 pieces wait for their next use: few, so that this is soon reached.
        data = random.Random(number % 3).randbytes(50_000).hex()
        first = number * 1000 + (500 if where == "workers" else 0)
        handles = [self._step("double", first + i, data) for i in range(STEPS)]
        for i, handle in enumerate(parallel(handles)):
            assert handle.value == 2 * (first + i) + len(data), handle.exception
        again = self._step("double", first, data)
        assert again.is_cached()
        self.done[f"steps: {where}"] += STEPS

    def _unhappy_steps(self, number: int, where: str) -> None:
        for name, words in (("fail", "no step for"), ("end", "SIGKILL")):
            try:
                self._step(name, number).run()
            except TransformationError as exc:
                assert words in str(exc), exc
            else:
                raise AssertionError(f"{name} has given a result")
        begun = self.place.temporary / "begun"
        handle = self._step("gate", number, str(begun)).start()
        _wait_for(begun.exists, "a step to begin")
        assert handle.cancel()
        begun.unlink()
        limited = delayed(gate)
        limited.timeout = 0.3
        handle = limited(number + HOURS, str(begun))
        try:
            handle.run()
        except TransformationError as exc:
            assert "Timeout" in str(exc), exc
        with contextlib.suppress(FileNotFoundError):
            begun.unlink()
        self.done["steps that fail, end their worker, are canceled, or time out"] += 4

    # --- other programs -----------------------------------------------------------------------

    def _command(self, number: int) -> None:
        """A command that uses the same services, once new and once known."""
        environment = {**os.environ, "PATH": f"{OURS}:/usr/bin:/bin"}
        for _ in range(2):
            words = [str(OURS / "seamless-run"), "-q", "echo", f"hour {number}"]
            done = subprocess.run(words, env=environment, capture_output=True, timeout=_DEADLINE, check=True)
            assert done.stdout == b"hour %d\n" % number
        self.done["commands"] += 2

    def _short_service(self) -> None:
        """A server that is used, told to end, started again, and ends by itself."""
        directory = self.place.root / "short"
        directory.mkdir(exist_ok=True)
        words = [sys.executable, "-m", "seamless.cli.hashserver", str(directory), "--writable"]
        for more, number in ((("--timeout", "0.1"), None), ((), signal.SIGTERM)):
            log = self.place.root / "short.log"
            with open(log, "wb") as file:
                process = subprocess.Popen([*words, *more], stdout=file, stderr=file)
            try:
                if number is not None:
                    _wait_for(lambda: b"listening" in log.read_bytes(), "a server to listen")  # noqa: B023
                    process.send_signal(number)
                assert process.wait(_DEADLINE) == 0, log.read_text()
            finally:
                process.kill()
                process.wait()
        self.done["servers started and ended"] += 2

    def _clearing_up(self) -> None:
        for step in self._forgotten:
            runner.forget(step)
        self._forgotten.clear()
        place = checked_place(str(self.place.store))
        with Sidecar(place) as sidecar:
            sidecar.update()
            done = remove(sidecar, plan(sidecar, Criteria(max_size=0, grace=0.0, irreplaceable=True)))
        assert done.problems == [], done.problems
        self.done["buffers removed"] += done.removed


def _wait_for(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + _DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            raise SeamlessError(f"waited {_DEADLINE:g} s for {what}")
        time.sleep(0.005)


def prepare(place: Place, home: Path) -> None:
    """Make the services those of this process and of the commands that it runs."""
    import json

    from benchmarks.soak.place import entry
    from seamless.config import set_remote_clients
    from seamless.remote import jobserver_remote

    servers = place.servers
    clients = {"buffer": [entry(servers["hashserver"])], "database": [entry(servers["database"])]}
    os.environ["SEAMLESS_REMOTE_CLIENTS"] = json.dumps(clients)
    os.environ["HOME"], os.environ["TMPDIR"] = str(home), str(place.temporary)
    os.environ.pop("SEAMLESS_CACHE", None)
    set_remote_clients(clients)
    url = f"http://127.0.0.1:{servers['jobserver'].port}"
    client = jobserver_remote.define_extern_client("soak", "jobserver", url=url, token=TOKEN)
    jobserver_remote.activate(extern_clients=[client], no_main=True)
