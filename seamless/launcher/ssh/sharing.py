"""Where OpenSSH keeps the sockets of connections that several commands share: a directory for this user only.

The name of a socket is made from the host as the caller wrote it: two names of one machine may mean two keys.
"""

from __future__ import annotations

import hashlib
import os
import stat

from seamless.launcher.ssh.command import VARIABLE

PERSIST_SECONDS = 60
_MAX_PATH = 80  # of at most 108 bytes; while ssh makes a socket, its name is 17 bytes longer


def control_path(host: str) -> str | None:
    """Return the socket of the shared connection to `host`, or None if there is no safe place for one."""
    directory = _directory()
    if directory is None:
        return None
    identity = "\0".join((host, os.environ.get(VARIABLE, "")))
    path = os.path.join(directory, hashlib.sha256(os.fsencode(identity)).hexdigest()[:20])
    return path if len(os.fsencode(path)) <= _MAX_PATH and "%" not in path else None


def sharing_options(path: str | None) -> list[str]:
    """Return the options by which a command shares a connection, or (without a path) has one of its own."""
    if path is None:
        return ["ControlMaster=no", "ControlPath=none"]
    return ["ControlMaster=auto", f"ControlPath={path}", f"ControlPersist={PERSIST_SECONDS}"]


def _directory() -> str | None:
    """Return the directory, made if need be; None if it is not of this user alone."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime) and os.path.isdir(runtime):
        path = os.path.join(runtime, "seamless-ssh")
    else:
        path = f"/tmp/seamless-ssh-{os.getuid()}"
    try:
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass
        found = os.lstat(path)
    except OSError:
        return None
    private = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return path if private else None
