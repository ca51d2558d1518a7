"""One line for each command that the guard has judged: to guard.log and, where there is one, to the system log.

Never shows the parameters of a service, which may hold secrets, and never writes through a link.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
import time
from collections.abc import Mapping, Sequence

from seamless.launcher.errors import LauncherError
from seamless.launcher.paths import base_directory, make_private

NAME = "guard.log"
MAX_BYTES = 1 << 20  # then it becomes guard.log.1
_MAX_LINE = 4000
_SYSTEM_SOCKET = "/dev/log"
_HIDDEN = frozenset(("--parameters", "--meta", "--image", "--guarded"))


def line(verdict: str, words: Sequence[str], environment: Mapping[str, str], *, reason: str = "") -> str:
    """Return the line for one command: time, verdict, key, address, words; printable ASCII."""
    parts = [
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        verdict,
        f"key={key_fingerprint(environment.get('SSH_USER_AUTH'))}",
        f"from={_address(environment)}",
        f"argv={json.dumps(redacted(words))}",
    ]
    if reason:
        parts.append(f"reason={json.dumps(reason)}")
    return re.sub(r"[^ -~]", "?", " ".join(parts))[:_MAX_LINE]


def redacted(words: Sequence[str]) -> list[str]:
    """Return the words with the values hidden that may hold secrets.

    >>> redacted(["rhl-x", "--parameters", '{"token": "t"}', "--meta={}"])
    ['rhl-x', '--parameters', '(14 characters)', '--meta=(2 characters)']
    """
    shown, hide = [], False
    for word in words:
        name, separator, value = word.partition("=")
        if hide:
            word = f"({len(word)} characters)"
        elif separator and name in _HIDDEN:
            word = f"{name}=({len(value)} characters)"
        hide = not hide and word in _HIDDEN
        shown.append(word)
    return shown


def record(text: str) -> str:
    """Write a line to both logs; return the reason if guard.log could not be written, else ""."""
    _to_system_log(text)
    try:
        base = base_directory()
        make_private(base)
        with open(_opened(os.path.join(base, NAME)), "ab", buffering=0) as f:
            f.write(text.encode() + b"\n")
    except (OSError, LauncherError) as exc:
        return str(getattr(exc, "strerror", None) or exc)
    return ""


def _opened(path: str) -> int:
    """Return a descriptor of the log for appending, locked; a long one is moved aside before."""
    for _ in range(10):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_nlink > 1:
                raise LauncherError("it is not a file of this account alone")
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_size < MAX_BYTES:
                return fd
            present = os.lstat(path)
            if (present.st_dev, present.st_ino) == (found.st_dev, found.st_ino):
                os.replace(path, path + ".1")
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
    raise LauncherError("it is moved aside again and again")


def _to_system_log(text: str) -> None:
    try:
        if not stat.S_ISSOCK(os.stat(_SYSTEM_SOCKET).st_mode):
            return
    except OSError:
        return  # this machine, or container, has none
    import syslog

    syslog.openlog("rhl-guard", syslog.LOG_PID, syslog.LOG_AUTH)
    syslog.syslog(syslog.LOG_INFO, text)


def _address(environment: Mapping[str, str]) -> str:
    first = (environment.get("SSH_CONNECTION") or environment.get("SSH_CLIENT") or "").split(" ")[0]
    return first if re.fullmatch(r"[0-9A-Fa-f:.%a-z]{1,64}", first) else "-"


def key_fingerprint(path: str | None) -> str:
    """Return the fingerprint of the key that logged in, from the file that sshd writes with `ExposeAuthInfo yes`."""
    if not path:
        return "-"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as f:
            data = f.read(64 << 10) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    except OSError:
        return "-"
    for entry in data.decode("ascii", "replace").splitlines():
        words = entry.split()
        if len(words) >= 3 and words[0] == "publickey":
            return fingerprint(words[2]) or "-"
    return "-"


def fingerprint(blob: str) -> str | None:
    """Return `SHA256:...` of a public key in base64 as ssh-keygen shows it, or None if it is not base64."""
    import base64
    import hashlib

    try:
        data = base64.b64decode(blob, validate=True)
    except ValueError:
        return None
    return "SHA256:" + base64.b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
