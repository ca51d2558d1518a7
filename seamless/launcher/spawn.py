"""Start a process that waits until its state has been written, then becomes the service.

The process leads its own session, has no terminal, no inherited descriptors and the log as stdout and stderr. It is
a shell only until it executes its arguments: nothing in them is interpreted. If this process dies first, so does it.
"""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from seamless.launcher.errors import LauncherError
from seamless.launcher.processes import reap, start_time

_SHELL = "/bin/sh"
_WAIT_THEN_EXEC = 'IFS= read -r go || exit 125; cd "$1" || exit 125; shift; exec "$@" </dev/null'
_DEFAULT_SIGNALS = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGPIPE,
    signal.SIGCHLD,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGXFSZ,
)


class Waiting(NamedTuple):
    """A process that has not begun yet. Call `release` or `abandon` exactly once."""

    pid: int
    start_time: int
    pipe: int

    def release(self) -> None:
        """Let it begin."""
        try:
            os.write(self.pipe, b"\n")
        except BrokenPipeError:
            pass  # it is dead already: whoever waits for the service will see that
        finally:
            os.close(self.pipe)

    def abandon(self) -> None:
        """Let it end without having begun."""
        os.close(self.pipe)
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            return


def open_log(path: str) -> int:
    """Open an empty log, mode 0600, never through a link; the log before it becomes PATH.1."""
    try:
        os.replace(path, path + ".1")
    except FileNotFoundError:
        pass
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def spawn_waiting(argv: Sequence[str], *, workdir: str, environment: Mapping[str, str], log: str) -> Waiting:
    """Start the process; it begins with `release()`. Raises LauncherError if there can be none."""
    try:
        log_fd = _above_stdio(open_log(log))
    except OSError as exc:
        raise LauncherError(f"cannot write the log {log}: {exc.strerror}") from exc
    reading, writing = os.pipe()
    reading, writing = _above_stdio(reading), _above_stdio(writing)
    actions = [
        (os.POSIX_SPAWN_DUP2, reading, 0),
        (os.POSIX_SPAWN_DUP2, log_fd, 1),
        (os.POSIX_SPAWN_DUP2, log_fd, 2),
        *((os.POSIX_SPAWN_CLOSE, fd) for fd in _inheritable()),
    ]
    try:
        pid = os.posix_spawn(
            _SHELL,
            ["sh", "-c", _WAIT_THEN_EXEC, "sh", workdir, *argv],
            {**environment, "PWD": workdir},
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=_DEFAULT_SIGNALS,
        )
    except OSError as exc:
        os.close(writing)
        raise LauncherError(f"cannot start a process: {exc.strerror}") from exc
    finally:
        os.close(reading)
        os.close(log_fd)
    started = start_time(pid)
    if started is None:
        os.close(writing)
        reap(pid)
        raise LauncherError("the process to be started was killed at once")
    return Waiting(pid, started, writing)


def _above_stdio(fd: int) -> int:
    """Return the descriptor under a number above 2, so that it can be moved to 0, 1 or 2 later."""
    if fd > 2:
        return fd
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(fd)
    return moved


def _inheritable() -> list[int]:
    """Return the descriptors above 2 that a child would get."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) > 2 and os.get_inheritable(int(name)):
                found.append(int(name))
        except OSError:
            continue  # the one that listed the directory
    return found
