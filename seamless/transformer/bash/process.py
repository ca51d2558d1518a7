"""Run a program in a process group of its own: bounded output, a time limit, cancellation, and nothing left behind.

Never changes the state of the calling process (directory, signals, locks); any number may run side by side.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from seamless.transformer.bash.groups import noted
from seamless.transformer.outcome import OutputHandler, Usage

if TYPE_CHECKING:
    import subprocess
    import threading

# Of each stream the first and the last this many bytes are kept.
CAPTURE_BYTES = 64 * 1024
# Between SIGTERM and SIGKILL.
GRACE_SECONDS = 2.0
# A process that outlives the program and holds its output is given up when it was idle this long ...
LINGER_IDLE_SECONDS = 0.25
# ... or in any case after this long.
LINGER_SECONDS = 30.0

# How long to wait for the effect of SIGKILL.
_KILL_SECONDS = 10.0
_CHUNK = 64 * 1024
# The most that an unprivileged process can have in a pipe.
_PIPE_BYTES = 1024 * 1024
# How often to look at things that cannot wake a poll: a threading.Event, the end of other processes.
_SLICE_SECONDS = 0.05
# Of a line of /proc/PID/stat, counted from the state on.
_NUM_THREADS = 17


@dataclass
class Finished:
    """The end of a program. `exit_status` is 128+N after signal N; `stopped` tells if we ended it, and why."""

    exit_status: int
    stdout: bytes
    stderr: bytes
    usage: Usage
    stopped: Literal["", "timeout", "canceled"] = ""


def run_process(
    argv: Sequence[str],
    *,
    cwd: str,
    on_output: OutputHandler | None = None,
    deadline: float | None = None,
    canceled: threading.Event | None = None,
    environment: Mapping[str, str] | None = None,
) -> Finished:
    """Run `argv` in directory `cwd` with an empty stdin; block until it ends.

    `environment`: None is that of this process. `deadline` is in terms of time.monotonic(). `on_output` gets raw pieces
    in the calling thread. On any exception, KeyboardInterrupt included, the whole process group is ended first.
    StartError if the program cannot be started.

    Peak memory in the usage is never less than the resident memory of the calling process at the start.
    """
    run = _Run(argv, cwd, on_output, canceled, environment)
    try:
        try:
            noted.add(run.pid)
            run.wait_for_exit(deadline)
            run.linger(deadline)
        except BaseException:
            run.on_output = None
            raise
        finally:
            run.end_group()
        return run.finished()
    finally:
        run.close()


class StartError(Exception):
    """The operating system refused to start a program; the cause is its OSError."""


class OutputBuffer:
    """The first and the last CAPTURE_BYTES of a stream."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._total = 0

    def add(self, chunk: bytes) -> None:
        """Append what was read."""
        self._total += len(chunk)
        room = CAPTURE_BYTES - len(self._head)
        if room > 0:
            self._head += chunk[:room]
            chunk = chunk[room:]
        self._tail += chunk
        if len(self._tail) > 4 * CAPTURE_BYTES:
            del self._tail[:-CAPTURE_BYTES]

    def content(self) -> bytes:
        """Return what is kept, with a line in the middle that tells how much is not."""
        tail = self._tail[-CAPTURE_BYTES:]
        omitted = self._total - len(self._head) - len(tail)
        if not omitted:
            return bytes(self._head + tail)
        return bytes(self._head) + b"\n[... %d bytes omitted ...]\n" % omitted + bytes(tail)


@dataclass
class _Pipe:
    name: Literal["stdout", "stderr"]
    buffer: OutputBuffer = field(default_factory=OutputBuffer)


class _Run:
    """One running program. The methods are called in the order of run_process."""

    def __init__(
        self,
        argv: Sequence[str],
        cwd: str,
        on_output: OutputHandler | None,
        canceled: threading.Event | None,
        environment: Mapping[str, str] | None,
    ) -> None:
        import subprocess

        self.on_output, self.canceled = on_output, canceled
        self.stopped: Literal["", "timeout", "canceled"] = ""
        self.exited = self.reaped = False
        self.exit_status = 0
        self.usage = Usage()
        self.started = time.monotonic()
        try:
            noted.prepare()
            self.process: subprocess.Popen[bytes] = subprocess.Popen(
                argv,
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as exc:
            raise StartError(f"cannot start {argv[0]}: {exc.strerror or exc}") from exc
        self.pid = self.process.pid
        assert self.process.stdout is not None and self.process.stderr is not None
        self.open: dict[int, _Pipe] = {
            self.process.stdout.fileno(): _Pipe("stdout"),
            self.process.stderr.fileno(): _Pipe("stderr"),
        }
        self.pipes = tuple(self.open.values())
        self.pidfd = _pidfd(self.pid)
        self.poll = select.poll()
        for fd in self.open:
            os.set_blocking(fd, False)
            self.poll.register(fd, select.POLLIN)
        if self.pidfd >= 0:
            self.poll.register(self.pidfd, select.POLLIN)

    # --- reading ------------------------------------------------------------------------------

    def pump(self, seconds: float | None) -> bool:
        """Wait at most `seconds` for output or the exit, and take it. True if output was read."""
        if not self.exited and self.pidfd < 0:
            seconds = _SLICE_SECONDS if seconds is None else min(seconds, _SLICE_SECONDS)
        events = self.poll.poll(None if seconds is None else max(0.0, seconds) * 1000)
        progress = False
        for fd, _ in events:
            if fd in self.open:
                progress = self._read(fd) or progress
            elif fd == self.pidfd:
                self.exited = True
                self.poll.unregister(fd)
        if not self.exited and self.pidfd < 0:
            self.exited = _has_exited(self.pid)
        return progress

    def _read(self, fd: int) -> bool:
        """Take one piece of a pipe, or its end."""
        try:
            chunk = os.read(fd, _CHUNK)
        except BlockingIOError:
            return False
        pipe = self.open[fd]
        if not chunk:
            self.poll.unregister(fd)
            del self.open[fd]
            return False
        pipe.buffer.add(chunk)
        if self.on_output is not None:
            self.on_output(pipe.name, chunk)
        return True

    # --- the way to the end -------------------------------------------------------------------

    def should_stop(self, deadline: float | None) -> bool:
        """Tell if the caller or the clock wants an end now; remember which."""
        if self.canceled is not None and self.canceled.is_set():
            self.stopped = "canceled"
        elif deadline is not None and time.monotonic() >= deadline:
            self.stopped = "timeout"
        return bool(self.stopped)

    def wait_for_exit(self, deadline: float | None) -> None:
        """Read until the program exits or has to be stopped."""
        while not self.exited and not self.should_stop(deadline):
            seconds = None if deadline is None else deadline - time.monotonic()
            if self.canceled is not None:
                seconds = _SLICE_SECONDS if seconds is None else min(seconds, _SLICE_SECONDS)
            self.pump(seconds)

    def linger(self, deadline: float | None) -> None:
        """After the exit, read the rest; other processes that still hold the output may finish their work.

        bash does not wait for a process substitution such as `> >(gzip > file)`: to end it at once would leave a
        part of its file. One that sleeps, like a forgotten background process, is not waited for.
        """
        if self.stopped:
            return
        self.drain()
        now = time.monotonic()
        limit, idle_since = now + LINGER_SECONDS, now
        while self.open and now < limit and now - idle_since < LINGER_IDLE_SECONDS and not self.should_stop(deadline):
            busy = self.pump(_SLICE_SECONDS) or "R" in (states := _group_states(self.pid)) or "D" in states
            now = time.monotonic()
            if busy:
                idle_since = now

    def end_group(self) -> None:
        """End every process of the group: SIGTERM, then SIGKILL after GRACE_SECONDS. Take output until then."""
        try:
            _signal_group(self.pid, signal.SIGTERM)
            if not self.exited:
                _signal_group(self.pid, signal.SIGCONT)  # a stopped process cannot act on SIGTERM
            limit = time.monotonic() + GRACE_SECONDS
            while not self.exited and (left := limit - time.monotonic()) > 0:
                self.pump(left)
            if self.exited:
                self.reap()
                while time.monotonic() < limit and _group_alive(self.pid):
                    self.pump(_SLICE_SECONDS / 10)
                    time.sleep(_SLICE_SECONDS / 10)
        finally:
            # Also reached by a second Ctrl-C: no more patience then.
            self.kill_group()
        self.drain()

    def drain(self) -> None:
        """Take what is in the pipes now; an escaped process may write for ever, so not more than they can hold."""
        for _ in range(2 * _PIPE_BYTES // _CHUNK):
            if not self.open or not self.pump(0):
                return

    def kill_group(self) -> None:
        """Kill what is left of the group and collect the program."""
        if self.reaped and not _group_alive(self.pid):
            return
        _signal_group(self.pid, signal.SIGKILL)
        # A process in uninterruptible sleep (a dead file server) ignores even SIGKILL: do not hang with it.
        limit = time.monotonic() + _KILL_SECONDS
        while time.monotonic() < limit:
            if not self.reaped and (self.exited or _has_exited(self.pid)):
                self.exited = True
                self.reap()
            if self.reaped and not _group_alive(self.pid):
                return
            time.sleep(_SLICE_SECONDS / 10)

    def reap(self) -> None:
        """Collect the exit status and what the program and its children have used."""
        self.reaped = True
        self.usage.wall_time_seconds = time.monotonic() - self.started
        try:
            _, status, used = os.wait4(self.pid, 0)
        except ChildProcessError:
            # Somebody else (SIGCHLD ignored, a foreign handler) has taken the status: never call that a success.
            self.exit_status = 255
        else:
            code = os.waitstatus_to_exitcode(status)
            self.exit_status = code if code >= 0 else 128 - code
            self.usage.cpu_time_user_seconds = used.ru_utime
            self.usage.cpu_time_system_seconds = used.ru_stime
            self.usage.memory_peak_bytes = used.ru_maxrss * 1024
        self.process.returncode = self.exit_status

    def finished(self) -> Finished:
        """Return the outcome."""
        stdout, stderr = (pipe.buffer.content() for pipe in self.pipes)
        status = {"timeout": 124, "canceled": 130}.get(self.stopped, self.exit_status)
        return Finished(status, stdout, stderr, self.usage, self.stopped)

    def close(self) -> None:
        """Release the file descriptors."""
        noted.discard(self.pid)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        if self.pidfd >= 0:
            os.close(self.pidfd)


def _pidfd(pid: int) -> int:
    """Return a descriptor that becomes readable when the process exits, or -1 where the kernel has none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return -1


def _has_exited(pid: int) -> bool:
    """Tell if a child has exited; leaves it to be collected."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        # Nobody there, or only processes that have become another user's: nothing that can be done.
        return


def _group_alive(group: int) -> bool:
    """Tell if the group has a process that is not just a zombie waiting for its parent."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return bool(_group_states(group))


def _group_states(group: int) -> set[str]:
    """Return the states (R, S, D, T ...) of the living processes of the group, from /proc."""
    states = set()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as f:
                # The command name in parentheses may itself hold blanks and parentheses.
                fields = f.read().rpartition(b")")[2].split()
            state, member, threads = fields[0], int(fields[2]), int(fields[_NUM_THREADS])
        except (OSError, ValueError, IndexError):
            continue
        if member == group and (state not in (b"Z", b"X") or threads > 1):
            # A first thread that has ended is a zombie, too, while others go on: what they do is not seen here.
            states.add("S" if state == b"Z" else state.decode())
    return states
