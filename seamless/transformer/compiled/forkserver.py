"""The side of this process of `child.py`: one server that forks, and a fresh child for every call.

A child is made in advance, with the module of the last call loaded, so that the next call does not wait for it.
Nothing outlives this process: the server ends when its socket is closed, by whatever end of this process.
"""

from __future__ import annotations

import contextlib
import itertools
import marshal
import os
import select
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from seamless.errors import MissingDependencyError, TransformationError
from seamless.session import session
from seamless.transformer.bash.process import OutputBuffer
from seamless.transformer.compiled.host import NativeAnswer, NativeCall
from seamless.transformer.outcome import OutputHandler, Usage

if TYPE_CHECKING:
    import subprocess

_START_SECONDS = 60.0
_KILL_SECONDS = 10.0
_SLICE_SECONDS = 0.05  # how often to look at a threading.Event
_MESSAGE = 1 << 16
_IDLE = 8  # children that wait for a call
_AHEAD = 2  # of them for calls that follow one another: while one makes a call, the next one is made


class _Kind(NamedTuple):
    """What a child has loaded, and the variables of its environment beside those of the server."""

    path: str
    variables: tuple[tuple[str, str], ...]


class _Child:
    """A forked process that waits for its one call, or makes it."""

    def __init__(self, number: int, kind: _Kind, work: socket.socket, status: int) -> None:
        self.number, self.kind, self.work, self.status = number, kind, work, status

    def close(self) -> None:
        """Let go of it: one that waits ends."""
        self.work.close()
        os.close(self.status)


class ForkServer:
    """A Host whose calls have a process each, forked off a server. The server is started by the first call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._ready = False
        self._place = ""  # the directory in which the calls have theirs
        self._free: list[str] = []  # directories of calls that have left nothing there
        self._idle: list[_Child] = []
        self._numbers = itertools.count()

    # --- the server ---------------------------------------------------------------------------

    def start(self) -> None:
        """Start the server, without waiting for it, unless it runs."""
        with self._lock:
            self._started()

    def close(self) -> None:
        """End the server and every call under way. A later call starts it anew."""
        with self._lock:
            if self._pid != os.getpid():
                self._abandon()
                return
            process, self._process = self._process, None
            place, self._place = self._place, ""
            self._drop_connections()
        if process is None:
            return
        import shutil
        import subprocess

        try:
            process.wait(_KILL_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(place, ignore_errors=True)  # a server that was killed has left it

    def forked(self) -> None:
        """In a forked child of this process: the server is the parent's."""
        self._lock = threading.Lock()
        self._abandon()

    def _abandon(self) -> None:
        if self._process is not None:
            self._process.returncode = 0  # not ours to wait for
        self._process, self._place = None, ""
        self._drop_connections()
        self._pid = os.getpid()

    def _drop_connections(self) -> None:
        for child in self._idle:
            child.close()
        self._idle.clear()
        if self._control is not None:
            self._control.close()
            self._control = None

    def _started(self) -> socket.socket:
        """Return the socket of the running server. Called with the lock held."""
        if self._process is not None and self._process.poll() is None and self._control is not None:
            return self._control
        self._drop_connections()
        import shutil
        import subprocess
        import tempfile

        if self._place:
            shutil.rmtree(self._place, ignore_errors=True)
        libraries = _library_paths()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._place, self._free = tempfile.mkdtemp(prefix="seamless-compiled-"), []
        program = os.path.join(os.path.dirname(__file__), "child.py")
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", program, str(theirs.fileno()), self._place, *libraries],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for this process to handle
            )
        self._control, self._ready = ours, False
        return ours

    def _await_ready(self) -> None:
        """Wait until a server that was just started can fork. Called with the lock held. Raises TransformationError."""
        assert self._control is not None and self._process is not None
        self._control.settimeout(_START_SECONDS)
        try:
            answer = self._control.recv(_MESSAGE)
        except OSError as exc:
            answer = str(exc).encode()
        if answer == b"ready":
            self._control.settimeout(None)
            self._ready = True
            return
        process, self._process = self._process, None
        self._drop_connections()
        process.kill()
        status = process.wait()
        reason = answer.decode(errors="replace") or f"it ended with status {status}"
        raise TransformationError(f"the process for compiled code cannot be started ({sys.executable}): {reason}\n")

    # --- children -----------------------------------------------------------------------------

    def _take(self, kind: _Kind) -> tuple[_Child, bool]:
        """Return a child for a call of this kind, and whether it was there already."""
        with self._lock:
            self._started()
            if not self._ready:
                self._await_ready()
            for child in self._idle:
                if child.kind == kind:
                    self._idle.remove(child)
                    return child, True
            return self._fork(kind), False

    def _provide(self, kind: _Kind, number: int) -> None:
        """Have children ready for the next calls of this kind."""
        with self._lock:
            # Without a server, the next call starts one.
            with contextlib.suppress(OSError):
                while self._control is not None and sum(child.kind == kind for child in self._idle) < number:
                    if len(self._idle) >= _IDLE:
                        self._idle.pop(0).close()
                    self._idle.append(self._fork(kind))

    def _fork(self, kind: _Kind) -> _Child:
        """Have the server make a child. Called with the lock held. Raises OSError if there is no server."""
        assert self._control is not None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        status, their_status = os.pipe()
        child = _Child(next(self._numbers), kind, ours, status)
        try:
            message = marshal.dumps(("fork", child.number, kind.path, dict(kind.variables)))
            socket.send_fds(self._control, [message], [theirs.fileno(), their_status])
        except BaseException:
            child.close()
            raise
        finally:
            theirs.close()
            os.close(their_status)
        return child

    def _kill(self, child: _Child) -> None:
        with self._lock:
            if self._control is not None:
                with contextlib.suppress(OSError):  # without a server, the child has gone with it
                    self._control.send(marshal.dumps(("kill", child.number)))

    # --- calls --------------------------------------------------------------------------------

    def run(
        self,
        call: NativeCall,
        *,
        on_output: OutputHandler | None = None,
        deadline: float | None = None,
        canceled: threading.Event | None = None,
    ) -> NativeAnswer:
        """Make the call in a process of its own; block until it has ended. Raises TransformationError, OSError."""
        if self._pid != os.getpid():
            self.forked()
        kind = _Kind(call.path, tuple(sorted(call.variables.items())))
        for last in (False, True):
            # A child that has waited may have been killed meanwhile: that is no fault of the call.
            try:
                child, was_there = self._take(kind)
            except (BrokenPipeError, ConnectionError):
                if last:
                    raise
                continue
            answer, began = self._exchange(child, call, on_output, deadline, canceled)
            if began or answer.stopped or last:
                break
        if answer.status is not None:
            self._provide(kind, _AHEAD if was_there else 1)
        return answer

    def _exchange(
        self,
        child: _Child,
        call: NativeCall,
        on_output: OutputHandler | None,
        deadline: float | None,
        canceled: threading.Event | None,
    ) -> tuple[NativeAnswer, bool]:
        """Have one child make the call; return the answer, and whether it had begun."""
        try:
            directory = self._directory()
            exchange = _Exchange(child, call, directory, on_output)
        except BaseException:
            child.close()
            raise
        try:
            answer = exchange.wait(deadline, canceled, self._kill)
        except BaseException:
            self._kill(child)
            raise
        finally:
            exchange.close()
            self._give_back(directory)
        return answer, exchange.began

    def _directory(self) -> str:
        """Return an empty directory for a call to run in."""
        import tempfile

        with self._lock:
            return self._free.pop() if self._free else tempfile.mkdtemp(dir=self._place or None)

    def _give_back(self, directory: str) -> None:
        """Take a directory back; one in which something was left is removed."""
        import shutil

        with self._lock:
            if os.path.dirname(directory) == self._place and not os.listdir(directory):
                self._free.append(directory)
                return
        shutil.rmtree(directory, ignore_errors=True)


class _Exchange:
    """One call of one child: what is sent, and what comes back."""

    def __init__(self, child: _Child, call: NativeCall, directory: str, on_output: OutputHandler | None) -> None:
        self.child, self.on_output = child, on_output
        self.began = False
        self.answer = NativeAnswer()
        self.started = time.monotonic()
        self.poll = select.poll()
        self.outputs: dict[int, tuple[Any, OutputBuffer]] = {}
        self.buffers: list[OutputBuffer] = []
        theirs = []
        for name in ("stdout", "stderr"):
            reading, writing = os.pipe()
            os.set_blocking(reading, False)
            self.buffers.append(OutputBuffer())
            self.outputs[reading] = (name, self.buffers[-1])
            self.poll.register(reading, select.POLLIN)
            theirs.append(writing)
        self.poll.register(child.work, select.POLLIN)
        self.poll.register(child.status, select.POLLIN)
        message = marshal.dumps((directory, call.size, tuple(call.offsets)))
        try:
            # If the child is gone, its status tells.
            with contextlib.suppress(BrokenPipeError, ConnectionError):
                socket.send_fds(child.work, [message], [call.memory, *theirs])
        finally:
            for fd in theirs:
                os.close(fd)

    def close(self) -> None:
        """Release the descriptors; a child that has not begun ends."""
        for fd in self.outputs:
            os.close(fd)
        self.child.close()

    def wait(self, deadline: float | None, canceled: threading.Event | None, kill: Any) -> NativeAnswer:
        """Return the answer; have the child killed when the caller or the clock wants an end."""
        answer = self.answer
        limit = None
        while not self._finished():
            now = time.monotonic()
            if not answer.stopped:
                if canceled is not None and canceled.is_set():
                    answer.stopped = "canceled"
                elif deadline is not None and now >= deadline:
                    answer.stopped = "timeout"
                if answer.stopped:
                    kill(self.child)
                    limit = now + _KILL_SECONDS
            elif limit is not None and now >= limit:
                break  # in an uninterruptible wait of the system: not to be waited for
            waits = [_SLICE_SECONDS] if canceled is not None or answer.stopped else []
            waits += [max(0.0, deadline - now)] if deadline is not None and not answer.stopped else []
            self._pump(min(waits) if waits else None)
        for fd in self.outputs:
            while self._read(fd):
                continue
        if answer.stopped:
            answer.status = answer.signal = answer.exit_status = answer.error = None
        answer.usage.wall_time_seconds = time.monotonic() - self.started
        answer.stdout, answer.stderr = (buffer.content() for buffer in self.buffers)
        return answer

    def _finished(self) -> bool:
        answer = self.answer
        return not (answer.status is answer.signal is answer.exit_status is answer.error is None)

    def _pump(self, seconds: float | None) -> None:
        """Wait at most `seconds` for something to happen, and take it."""
        status = False
        for fd, _ in self.poll.poll(None if seconds is None else seconds * 1000 + 1):
            if fd == self.child.status:
                status = True
            elif fd == self.child.work.fileno():
                self._receive()
            else:
                self._read(fd)
        if status and not self._finished():
            self._receive(waiting=False)  # what it has said last counts more than how it ended
            if not self._finished():
                self._end()

    def _read(self, fd: int) -> bool:
        """Take one piece of output; False if there is none now."""
        try:
            chunk = os.read(fd, 1 << 16)
        except BlockingIOError:
            return False
        except OSError:
            chunk = b""
        if not chunk:
            with contextlib.suppress(KeyError):
                self.poll.unregister(fd)
            return False
        name, buffer = self.outputs[fd]
        buffer.add(chunk)
        if self.on_output is not None:
            self.on_output(name, chunk)
        return True

    def _receive(self, waiting: bool = True) -> None:
        """Take a message of the child."""
        while True:
            try:
                message = self.child.work.recv(_MESSAGE, 0 if waiting else socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except ConnectionError:
                message = b""
            if not message:
                with contextlib.suppress(KeyError):
                    self.poll.unregister(self.child.work)  # its end: the status comes next
                return
            if message == b"B":
                self.began = True
            else:
                self._take_answer(marshal.loads(message))
                return
            waiting = False

    def _take_answer(self, content: Any) -> None:
        if isinstance(content, str):
            self.answer.error, self.began = content, True
        else:
            self.answer.status = content[0]
            self._use(*content[1:])

    def _end(self) -> None:
        """Take the status of a child that has ended without an answer."""
        data = os.read(self.child.status, _MESSAGE)
        ended = marshal.loads(data) if data else "the process that compiled code is run by has ended"
        if isinstance(ended, str):
            self.answer.error = ended
            return
        code = os.waitstatus_to_exitcode(ended[0])
        self._use(*ended[1:])
        if code < 0:
            self.answer.signal = -code
        else:
            self.answer.exit_status = code

    def _use(self, user: float, system: float, kibibytes: int) -> None:
        self.answer.usage = Usage(0.0, user, system, kibibytes * 1024)


def _library_paths() -> list[str]:
    """Return where cffi is. Raises MissingDependencyError."""
    from importlib.util import find_spec

    found = []
    for name in ("cffi", "_cffi_backend", "pycparser"):
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            raise MissingDependencyError("cffi", extra="compiled", purpose="a compiled step")
        levels = 2 if spec.submodule_search_locations else 1
        place = spec.origin
        for _ in range(levels):
            place = os.path.dirname(place)
        found.append(place)
    return list(dict.fromkeys(found))


fork_server = ForkServer()
session.on_close.append(fork_server.close)
session.on_reset(fork_server.close)
session.on_fork(fork_server.forked)
