"""What a killed server has left: commands that go on without anybody who waits for them, and their directories.

Each server marks its commands by an environment variable. The next server ends those of the one before; it holds the
lock of the queue, so that one is dead.
"""

from __future__ import annotations

import os
import signal

from seamless.transformer.bash.workspace import PREFIX, left_behind, remove

VARIABLE = "SEAMLESS_QUEUE_SERVER"


def new_marker() -> str:
    """Return a text that marks the commands of this process, and of no other."""
    return f"{os.uname().nodename}:{os.getpid()}:{os.urandom(8).hex()}"


def end_orphans(marker: str) -> int:
    """Kill the commands that carry the marker of a dead server, remove their directories; return how many."""
    wanted = f"{VARIABLE}={marker}".encode()
    groups: dict[int, str] = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as f:
                marked = wanted in f.read().split(b"\0")
            directory = _workspace(os.readlink(f"/proc/{name}/cwd")) if marked else None
            # A service that was started meanwhile carries the marker as well, but is not in such a directory.
            if directory is not None:
                groups[os.getpgid(int(name))] = directory
        except OSError:
            continue  # gone, or another user's
    groups.pop(os.getpgid(0), None)
    for group, directory in groups.items():
        _kill(group)
        _remove(directory)
    host, pid, *_ = *marker.split(":"), ""
    if host == os.uname().nodename and pid.isdigit():
        for directory in left_behind(int(pid)):  # of commands that have ended since
            _remove(directory)
    return len(groups)


def _workspace(path: str) -> str | None:
    """Return the directory of an execution that `path` is or is in; None if it is elsewhere."""
    while (parent := os.path.dirname(path)) != path:
        if os.path.basename(path).startswith(PREFIX):
            return path
        path = parent
    return None


def _kill(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _remove(directory: str) -> None:
    try:
        remove(directory)
    except OSError:
        return  # what is still in use there is left to who cleans the temporary directory
