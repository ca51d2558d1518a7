"""Where the launcher keeps its files: one JSON file per key and side, the log, the lock. Makes directories 0700.

    BASE/client/KEY.json   how a client reaches the service
    BASE/server/KEY.json   the state, shared with the service; KEY.log its output, KEY.log.1 that of the one before

BASE is `$REMOTE_HTTP_LAUNCHER_DIR` or `~/.remote-http-launcher`.
"""

from __future__ import annotations

import os
import re

from seamless.launcher.errors import LauncherError

BASE_VARIABLE = "REMOTE_HTTP_LAUNCHER_DIR"
DEFAULT_BASE = "~/.remote-http-launcher"
MAX_KEY_LENGTH = 200

_KEY = re.compile(r"[A-Za-z0-9._-]+")

# Never a work directory, never cleared.
SYSTEM_ROOTS = frozenset(
    ("/", "/etc", "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/boot", "/sys", "/proc", "/dev", "/run")
    + ("/var", "/opt", "/home")
)


def is_key(text: str) -> bool:
    """Tell whether `text` can be the key of a service, and so the name of its files."""
    return len(text) <= MAX_KEY_LENGTH and text[:1] not in ("-", ".") and _KEY.fullmatch(text) is not None


def base_directory() -> str:
    """Return the absolute directory of all files of the launcher."""
    return os.path.abspath(os.path.expanduser(os.environ.get(BASE_VARIABLE) or DEFAULT_BASE))


def client_directory() -> str:
    """Return the directory of the client files."""
    return os.path.join(base_directory(), "client")


def server_directory() -> str:
    """Return the directory of the states and logs of services on this machine."""
    return os.path.join(base_directory(), "server")


def state_path(key: str) -> str:
    """Return the state file of a service on this machine."""
    return os.path.join(server_directory(), f"{key}.json")


def log_path(key: str) -> str:
    """Return the file that gets stdout and stderr of a service on this machine."""
    return os.path.join(server_directory(), f"{key}.log")


def make_private(directory: str) -> None:
    """Make `directory` and what is missing above it, for this user only. Raises LauncherError."""
    try:
        if not os.path.isdir(directory):
            parent = os.path.dirname(directory)
            if not os.path.isdir(parent):
                make_private(parent)
            try:
                os.mkdir(directory, 0o700)
            except FileExistsError:
                if not os.path.isdir(directory):
                    raise
    except OSError as exc:
        raise LauncherError(
            f"cannot make the directory {directory}: {exc.strerror}",
            hint="set REMOTE_HTTP_LAUNCHER_DIR to a directory that you can write",
        ) from exc


def expand_home(text: str) -> str:
    """Return `text` with a leading `~` or `~/` replaced by the home directory; `~name` stays as it is."""
    return os.path.expanduser(text) if text == "~" or text.startswith("~/") else text


def checked_workdir(text: str) -> str:
    """Return the absolute work directory for `text`. Raises LauncherError if it is relative, or one of the system."""
    path = expand_home(text)
    if not os.path.isabs(path):
        raise LauncherError(f"workdir must be absolute after ~ expansion: {text}")
    if ".." in path.split("/"):
        raise LauncherError(f"workdir must not contain '..': {text}")
    path = os.path.normpath(path)
    if path in SYSTEM_ROOTS or os.path.realpath(path) in SYSTEM_ROOTS:
        raise LauncherError(f"refusing to use a system directory as workdir: {text}")
    return path
