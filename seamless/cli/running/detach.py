"""`--detach`: the command goes on in the background, and the caller has its terminal back.

A child process in a session of its own does everything. It leaves the terminal when the inputs are stored and the
execution begins; until then, and on a cache hit, it behaves as any run. The caller waits for that moment.
"""

from __future__ import annotations

import os
import sys

from seamless.cli.common import OK, write_stdout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from seamless.cli.running.run_state import Run

_DIRECTORY = "detached"


class Detachment:
    """What the child has of its caller: the pipe that tells it that the execution has begun."""

    def __init__(self, fd: int):
        self._fd = fd
        self._log = ""

    @property
    def left(self) -> bool:
        """Whether the caller has gone."""
        return bool(self._log)

    def leave(self, run: Run) -> None:
        """Tell the caller that the execution begins; from now on everything that is printed goes to a log file."""
        if self.left:
            return
        path = log_path(run)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(null)
        os.close(log)
        os.write(self._fd, f"{run.checksum} {os.getpid()} {path}".encode())
        os.close(self._fd)
        self._fd, self._log = -1, path

    def close(self) -> None:
        """At a good end: delete the log file if it is empty. Before `leave` there is nothing to do."""
        sys.stderr.flush()
        if self._log and not os.path.getsize(self._log):
            os.unlink(self._log)


def log_path(run: Run) -> str:
    """Return where the output of a detached run goes."""
    return os.path.join(run.control_directory, _DIRECTORY, f"{run.checksum}.log")


def detach(run: Run) -> int | None:
    """Divide the process: return None in the child, which then runs; in the caller the exit status, when it may go."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if not pid:
        os.close(reading)
        os.setsid()
        run.detachment = Detachment(writing)
        return None
    os.close(writing)
    try:
        with open(reading, "rb") as pipe:
            told = pipe.read().decode()
    except KeyboardInterrupt:
        _end(pid)
        raise
    if not told:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return code if code >= 0 else 128 - code
    tf, child, log = told.split(" ", 2)
    write_stdout(tf.encode() + b"\n")
    run.messages.message(0, f"running as process {child}; what it prints is in {log}")
    return OK


def _end(pid: int) -> None:
    import signal

    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
