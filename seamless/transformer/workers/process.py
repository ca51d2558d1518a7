"""The main loop of a worker process: executes one step after the other, until the parent hangs up."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TextIO

from seamless.buffer import Buffer
from seamless.celltypes import serialize
from seamless.checksum import Checksum
from seamless.checksum.calculate_checksum import TRIVIAL_CHECKSUMS
from seamless.session import session
from seamless.transformer.execute import execute
from seamless.transformer.execution import has_own_process
from seamless.transformer.outcome import Envelope, Usage
from seamless.transformer.workers.errors import pack_error
from seamless.transformer.workers.memory import buffer_of_large
from seamless.transformer.workers.parcel import Parcel, views
from seamless.transformer.workers.parent import Parent, ParentBuffers, ParentLink, ParentResults, borrowed_run
from seamless.transformer.workers.protocol import MARK_BYTES, Gone, Link
from seamless.transformer.workers.step import in_environment, unpack_step

_THREADS = 64  # nested steps in flight: their threads only wait
_LINE = 8192  # bytes of output without the end of a line that are kept back


class WorkerBuffers:
    """The buffers as one execution sees them: what came with the step, and what the parent gives."""

    def __init__(self, link: ParentLink, inputs: dict[str, bytes | memoryview]) -> None:
        self._link, self._inputs = link, inputs
        self.added: dict[Checksum, Buffer] = {}

    def view(self, checksum: Checksum) -> bytes | memoryview:
        """Return the bytes to be read only, in shared memory if they are large. Raises CacheMissError."""
        name = checksum.hex()
        data = self._inputs.get(name)
        if data is None:
            data = TRIVIAL_CHECKSUMS.get(name)
        if data is None:
            buffer = session.worker_buffers.get(checksum) or self._link.call("read", name)[1][0]
            data = self._inputs[name] = buffer.view
        return data

    def read(self, checksum: Checksum) -> bytes:
        """Return the bytes. Raises CacheMissError."""
        return bytes(self.view(checksum))

    def copy_to(self, checksum: Checksum, path: str, *, executable: bool = False) -> None:
        """Write a private, writable, verified copy of the bytes to `path`."""
        self._link.call("copy_to", (checksum.hex(), os.path.abspath(path), executable))

    def add(self, data: bytes) -> Checksum:
        """Add a buffer; it goes to the parent with the answer."""
        buffer = Buffer(data)
        checksum = buffer.get_checksum()
        self.added[checksum] = buffer
        return checksum

    def add_value(self, value: Any, celltype: str) -> Checksum:
        """Add the buffer of a value, made in shared memory if it is large. Raises what `serialize` raises."""
        buffer = buffer_of_large(value, celltype)
        if buffer is None:
            return self.add(serialize(value, celltype))
        checksum = buffer.get_checksum()
        self.added[checksum] = buffer
        return checksum

    def add_file(self, path: str) -> Checksum:
        """Add the bytes of a file, which may be gone then."""
        return Checksum(self._link.call("add_file", os.path.abspath(path))[0])

    def require(self, checksum: Checksum) -> None:
        """Raise CacheMissError unless the buffer can be had."""
        self.view(checksum)


class _Output:
    """Passes captured output on to the descriptors 1 and 2, line by line."""

    def __init__(self) -> None:
        self._pending = {"stdout": bytearray(), "stderr": bytearray()}
        self._lock = threading.Lock()

    def __call__(self, stream: str, data: bytes) -> None:
        with self._lock:
            pending = self._pending[stream]
            pending += data
            if b"\n" in data or len(pending) > _LINE:
                self._write(stream)

    def flush(self) -> None:
        with self._lock:
            for stream in self._pending:
                self._write(stream)

    def _write(self, stream: str) -> None:
        pending = self._pending[stream]
        data = memoryview(bytes(pending))
        pending.clear()
        while data:
            data = data[os.write(1 if stream == "stdout" else 2, data) :]


class _Meter:
    """What this process uses, with all threads and children; the peak of memory begins anew with each step."""

    def __init__(self) -> None:
        import resource

        self._resource = resource
        try:
            self._reset_peak = os.open("/proc/self/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            self._reset_peak = -1
        self._began = time.perf_counter()
        self._cpu = self._used()
        self.prepare()

    def prepare(self) -> None:
        """Let the peak of memory begin anew."""
        if self._reset_peak >= 0:
            try:
                os.write(self._reset_peak, b"5")
            except OSError:
                self._reset_peak = -1

    def start(self) -> None:
        """Let the time begin."""
        self._began = time.perf_counter()

    def stop(self) -> Usage:
        """Return what was used since the last `stop`; between steps the process does nothing."""
        wall = time.perf_counter() - self._began
        before, self._cpu = self._cpu, self._used()
        user, system, peak = self._cpu
        return Usage(wall, user - before[0], system - before[1], peak)

    def _used(self) -> tuple[float, float, int]:
        own = self._resource.getrusage(self._resource.RUSAGE_SELF)
        children = self._resource.getrusage(self._resource.RUSAGE_CHILDREN)
        return own.ru_utime + children.ru_utime, own.ru_stime + children.ru_stime, own.ru_maxrss * 1024


class WorkerProcess:
    """This process, as long as the parent wants it."""

    def __init__(self, link: Link, mark: memoryview) -> None:
        """Be one; `mark`: where it notes which run it begins, for the parent to see if this process dies."""
        self._link, self._mark = ParentLink(link, self._execute_borrowed), mark
        self._output = _Output()
        self._meter = _Meter()
        self._flush_c = _c_flush()
        self._directory: str | None = None
        self._canceled = threading.Event()
        self._settle_in()

    def _settle_in(self) -> None:
        """Make this the process of a worker: no stores of its own, output line by line, crashes that say where."""
        import faulthandler

        from seamless.cache.weak import WeakBuffers
        from seamless.transformer.execution import seam
        from seamless.transformer.pool import pool

        session.is_worker = True
        session.worker_buffers = WeakBuffers()
        session.activate([ParentBuffers(self._link)], [ParentResults(self._link)])
        parent = Parent(self._link)
        seam.parent = parent
        session.recompute = parent.fingertip
        pool.limit = _THREADS
        self._streams = [_Stream(1), _Stream(2)]
        self._use_streams()
        faulthandler.enable(2, all_threads=False)
        random = sys.modules.get("numpy.random")
        if random is not None:
            random.seed()  # else the numbers of all workers would be the same

    def run(self) -> None:
        """Execute what the parent sends until it hangs up."""
        from seamless.transformer import runner

        while True:
            try:
                message, fds = self._link.next_step()
            except Gone:
                return
            self._link.run = self._mark[0] = message[1]
            try:
                self._execute(message, fds, self._settled(message))
            except Gone:
                return
            self._tidy()
            runner.memory.clear()  # the parent may take a result back until the next step

    # --- one step -----------------------------------------------------------------------------

    def _settled(self, message: Any) -> Callable[[], None] | None:
        """Go where the parent is; return what to undo after a command."""
        _, _, step, _, paths, directory = message
        if paths is not None:
            sys.path[:] = paths
        if directory is not None:
            self._directory = directory
            try:
                os.chdir(directory)
            except OSError:
                self._directory = None  # removed meanwhile, or not ours: the step says so if it needs it
        if step[0].get("__language__") == "python" and not in_environment(step):
            return None
        # A command, or compiled code, has a process of its own, to be ended first: a signal begins that.
        self._canceled = threading.Event()
        before = signal.signal(signal.SIGTERM, lambda number, frame: self._canceled.set())

        def undo() -> None:
            signal.signal(signal.SIGTERM, before)

        return undo

    def _execute_borrowed(self, message: Any, fds: list[int]) -> None:
        """Execute a nested step in a process that waits for it."""
        token = borrowed_run.set(message[1])
        try:
            self._execute(message, fds, None)
        finally:
            borrowed_run.reset(token)

    def _execute(self, message: Any, fds: list[int], undo: Callable[[], None] | None) -> None:
        _, number, step, items, _, _ = message
        transformation, tf, envelope = unpack_step(step)
        if envelope.timeout is not None:
            self._link.send(("begun", number))
        buffers = WorkerBuffers(self._link, dict(views(items, fds)))
        try:
            result, usage = self._result(transformation, tf, envelope, buffers)
            error = None
        except Gone:
            raise
        except BaseException as exc:  # noqa: BLE001  whatever a step does, it is the step that fails
            result, usage, error = None, None, pack_error(exc)
            buffers.added.clear()
            self._meter.stop()  # what it has used must not count for the next one
        finally:
            if undo is not None:
                undo()
        self._flush()
        self._answer(number, result, usage, error, buffers)

    def _result(
        self, transformation: dict[str, Any], tf: Checksum, envelope: Envelope, buffers: WorkerBuffers
    ) -> tuple[str, tuple[tuple[float | None, ...], bytes | None]]:
        self._meter.start()
        done = execute(
            transformation,
            tf,
            envelope,
            buffers,  # type: ignore[arg-type]
            on_output=self._output,
            canceled=self._canceled,
            measured=True,
        )
        usage = done.usage if has_own_process(transformation, envelope) else self._meter.stop()
        used = (
            usage.wall_time_seconds,
            usage.cpu_time_user_seconds,
            usage.cpu_time_system_seconds,
            usage.memory_peak_bytes,
            done.usage.gpu_memory_peak_bytes,
        )
        noted = (done.compilation, done.site)
        return done.result.hex(), (used, None if noted == (None, None) else pickle.dumps(noted))

    def _answer(self, number: int, result: str | None, usage: Any, error: Any, buffers: WorkerBuffers) -> None:
        parcel = Parcel()
        try:
            try:
                for checksum, buffer in buffers.added.items():
                    if not parcel.add(checksum, buffer):
                        self._link.send(("made", number, parcel.items), parcel.fds)
                        parcel.sent()
                        parcel = Parcel()
                        parcel.add(checksum, buffer)
            except OSError as exc:
                result, usage, error = None, None, pack_error(exc)
            self._link.send(("answer", number, result, parcel.items, usage, error), parcel.fds)
        finally:
            parcel.sent()

    # --- around steps -------------------------------------------------------------------------

    def _flush(self) -> None:
        """Have everything that the step has printed in the pipes before the answer is on its way."""
        self._output.flush()
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (AttributeError, OSError, ValueError):
                continue  # the step has replaced or closed it
        if self._flush_c is not None:
            self._flush_c(None)

    def _use_streams(self) -> None:
        sys.stdout, sys.stderr = (stream.text() for stream in self._streams)
        sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # type: ignore[misc,assignment]

    def _tidy(self) -> None:
        """Undo what a step may have done to the next one: to the streams, and to where this process is."""
        self._meter.prepare()
        whole = [stream.is_whole() for stream in self._streams]  # all of them are looked at
        if not all(whole):
            self._use_streams()
        try:
            if self._directory is not None and os.getcwd() != self._directory:
                os.chdir(self._directory)
        except OSError:
            self._directory = None


class _Stream:
    """Standard output or error of this process: made anew when a step has closed or redirected it."""

    def __init__(self, fd: int) -> None:
        self._fd, self._spare = fd, os.dup(fd)
        self._inode = os.fstat(fd).st_ino
        self._text = self._opened()

    def _opened(self) -> TextIO:
        return open(self._fd, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)

    def text(self) -> TextIO:
        """Return the stream for text; another one if it was closed."""
        if self._text.closed:
            self._text = self._opened()
        return self._text

    def is_whole(self) -> bool:
        """Repair the descriptor if need be; False if the text stream is not in use, or closed."""
        try:
            inode = os.fstat(self._fd).st_ino
        except OSError:
            inode = -1
        if inode != self._inode:
            os.dup2(self._spare, self._fd)
        return not self._text.closed and self._text is (sys.stdout if self._fd == 1 else sys.stderr)


def _c_flush() -> Callable[[Any], Any] | None:
    """Return fflush of the C library."""
    import ctypes

    try:
        return ctypes.CDLL(None).fflush  # type: ignore[no-any-return]
    except (OSError, AttributeError):
        return None


def main(sock: socket.socket, mark: int) -> None:
    """Be a worker of the process at the other end of `sock`; return when that hangs up. `mark`: a descriptor."""
    import atexit
    import mmap

    begun = memoryview(mmap.mmap(mark, MARK_BYTES)).cast("Q")
    os.close(mark)
    WorkerProcess(Link(sock), begun).run()
    sys.stdout.flush()
    sys.stderr.flush()
    atexit._run_exitfuncs()
