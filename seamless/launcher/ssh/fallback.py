"""Run a helper on a host that has none: bring all of them along as one file, and run it from there.

The file lies in the launcher's directory there, named by the hash of its content. Never tried under a guard.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from seamless.launcher.errors import HelperMissing
from seamless.launcher.ssh.process import Completed, OnLine

if TYPE_CHECKING:
    from seamless.launcher.ssh.connection import SSHConnection

_NOT_THERE, _NO_PYTHON, _OTHERS, _DAMAGED = 113, 114, 115, 116
_BRING_SECONDS = 60.0

# Runs under any Python 3 of the other machine: finds one that is new enough, then becomes the helper.
_STARTER = """
import hashlib, os, sys
mode, digest, size, words = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]
def which(name):
    for directory in os.environ.get("PATH", os.defpath).split(":"):
        path = os.path.join(directory, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
if mode == "run" and which("rhl-launch-service"):
    sys.exit(115)
python = sys.executable
if sys.version_info < (3, 10):
    found = [path for path in (which("python3.%d" % minor) for minor in range(20, 9, -1)) if path]
    if not found:
        sys.stderr.write("Python 3.10 or newer is needed; python3 is %s" % sys.version.split()[0])
        sys.exit(114)
    python = found[0]
base = os.path.expanduser(os.environ.get("REMOTE_HTTP_LAUNCHER_DIR") or "~/.remote-http-launcher")
path = os.path.join(base, "bin", "launcher-%s.pyz" % digest[:16])
def is_good(data):
    return hashlib.sha256(data).hexdigest() == digest
if mode == "bring":
    data = b""
    while len(data) < size:  # what follows is for the helper
        piece = os.read(0, size - len(data))
        if not piece:
            break
        data += piece
    if not is_good(data):
        sys.exit(116)
    os.umask(0o077)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    partial = "%s.%d" % (path, os.getpid())
    with open(partial, "wb") as f:
        f.write(data)
    os.rename(partial, path)
else:
    try:
        with open(path, "rb") as f:
            there = is_good(f.read())
    except OSError:
        there = False
    if not there:
        sys.exit(113)
os.execv(python, [python, "-I", path] + words)
"""


def run_helper(
    connection: SSHConnection, words: Sequence[str], *, timeout: float, data: bytes | None, on_line: OnLine | None
) -> Completed:
    """Run a helper that is installed on the host; if none is, bring them along. Raises what `run` raises."""
    if not connection.carries:
        try:
            return connection.run(words, timeout=timeout, data=data, on_line=on_line)
        except HelperMissing as exc:
            if exc.guarded:
                exc.older = True  # a guard is part of the launcher, so this one is of another version
                raise
            missing = exc
    else:
        missing = HelperMissing(f"{connection.host} has no command {words[0]}", host=connection.host)
    done = _run_carried(connection, words, missing, timeout, data or b"", on_line)
    connection.carries = True
    return done


def _run_carried(
    connection: SSHConnection,
    words: Sequence[str],
    missing: HelperMissing,
    timeout: float,
    data: bytes,
    on_line: OnLine | None,
) -> Completed:
    from seamless.launcher.single_file import build

    content = build()
    starter = ["python3", "-c", _STARTER]
    told = [hashlib.sha256(content).hexdigest(), str(len(content)), *words]
    try:
        done = connection.run([*starter, "run", *told], timeout=timeout, data=data, on_line=on_line)
        if done.status == _NOT_THERE:
            done = connection.run(
                [*starter, "bring", *told], timeout=timeout + _BRING_SECONDS, data=content + data, on_line=on_line
            )
    except HelperMissing as exc:
        raise _without_python(missing, "there is no python3 either") from exc
    if done.status == _OTHERS:
        missing.older = True
        raise missing
    if done.status == _NO_PYTHON:
        raise _without_python(missing, done.stderr.strip())
    if done.status == _DAMAGED:
        raise HelperMissing(
            f"{missing.message}, and the file with them arrived damaged", host=connection.host, hint=missing.hint
        )
    return done


def _without_python(missing: HelperMissing, reason: str) -> HelperMissing:
    return HelperMissing(
        f"{missing.message}, and they cannot be brought there: {reason}",
        host=missing.host,
        hint="install Python 3.10 or newer there, for example Miniforge in ~/miniforge3",
    )
