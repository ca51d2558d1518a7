"""Looks at the machine it runs on, and prints what it finds as one JSON object. Judges nothing.

Needs the standard library only, of any Python from 3.7 on: its text is sent to other machines and run there.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MAX_PORTS = 500  # of a range that are tried


def look(request: dict[str, Any]) -> dict[str, Any]:
    """Return what is asked for: `programs`, `directories`, `locks` (directories whose locks are tried), `ports`."""
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "executable": sys.executable,
        "time": time.time(),
        "places": [os.path.expanduser(d) for d in request["places"] if os.path.isdir(os.path.expanduser(d))],
        "programs": {name: find(name, request["places"]) for name in request["programs"]},
        "version": version_of(request["programs"], request["places"]),
        "directories": {path: directory(path, path in request["locks"]) for path in request["directories"]},
        "ports": {name: ports(*wanted) for name, wanted in request["ports"].items()},
    }


def find(name: str, places: list[str]) -> str | None:
    """Return where a command is: on PATH or in one of these directories."""
    path = os.pathsep.join([*map(os.path.expanduser, places), os.environ.get("PATH", os.defpath)])
    return shutil.which(name, path=path)


def version_of(programs: list[str], places: list[str]) -> str:
    """Return what the first of these commands that is there says about its version; empty if it says nothing."""
    path = next((found for found in (find(name, places) for name in programs) if found), None)
    if path is None:
        return ""
    try:
        done = subprocess.run(
            [path, "--version"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""


def directory(path: str, try_locks: bool) -> dict[str, Any]:
    """Return facts about a directory, or about the one in which it would be made."""
    absolute = os.path.abspath(os.path.expanduser(path))
    nearest = absolute
    while not os.path.lexists(nearest):
        nearest = os.path.dirname(nearest)
    facts: dict[str, Any] = {
        "path": absolute,
        "exists": nearest == absolute,
        "nearest": nearest,
        "problem": "",
        "lock": None,
    }
    try:
        status = os.statvfs(nearest)
        facts["free"], facts["total"] = status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize
        facts["inodes_free"], facts["inodes"] = status.f_favail, status.f_files
        with tempfile.NamedTemporaryFile(prefix=".seamless-doctor-", dir=nearest) as file:
            file.write(b"x")
            file.flush()
            if try_locks:
                facts["lock"] = locks(file.name)
    except OSError as exc:
        facts["problem"] = exc.strerror or str(exc)
    return facts


def locks(path: str) -> str:
    """Return what is wrong with the locks of the file system that holds a file; empty if they work."""
    kinds: list[tuple[str, Callable[[Any, int], Any]]] = [("flock", fcntl.flock), ("POSIX", fcntl.lockf)]
    for name, lock in kinds:
        with open(path, "r+b") as held:
            try:
                lock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as exc:
                return f"{name} locks do not work: {exc.strerror}"
            if not is_refused(path, lock):
                return f"{name} locks do not keep a second process out"
    return ""


def is_refused(path: str, lock: Callable[[Any, int], Any]) -> bool:
    """Tell whether another process is refused the lock of a file."""
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(OSError):
            with open(path, "r+b") as other:
                try:
                    lock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as exc:
                    status = 0 if exc.errno in (errno.EAGAIN, errno.EACCES) else 1
        os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def ports(interface: str, start: int, end: int) -> dict[str, Any]:
    """Return how many ports of a range can be bound on an interface, and why one cannot that should."""
    tried = range(start, min(end, start + MAX_PORTS - 1) + 1)
    free, problem = 0, ""
    for port in tried:
        try:
            family, kind, _, _, address = socket.getaddrinfo(interface, port, 0, socket.SOCK_STREAM)[0]
            with contextlib.closing(socket.socket(family, kind)) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(address)
            free += 1
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE:
                problem = exc.strerror or str(exc)
                break
    return {"free": free, "tried": len(tried), "problem": problem}


if __name__ == "__main__":
    print(json.dumps(look(json.loads(sys.argv[1]))))
