"""The line for `authorized_keys` that gives a key to the guard: made, never installed."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Sequence

from seamless.launcher.guard.environment import isolated_python, program, single_file
from seamless.launcher.guard.refusals import BadSetting
from seamless.launcher.paths import BASE_VARIABLE, base_directory

NAME = "rhl-guard"

# `port-forwarding` gives back both directions. Towards this machine only one port that ordinary users cannot open.
CLOSED = "restrict"
_LOOPBACK = ("127.0.0.1", "localhost")
_TYPES = re.compile(
    r"ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com"
)
# sshd may accept these from clients. Python looks for its library beside the program that the first one names,
# isolated or not; the second one says where states and log are.
_WITHOUT = ("/usr/bin/env", "-u", "PYTHONEXECUTABLE", "-u", BASE_VARIABLE)
_SHORTEST_RSA = 2048 // 8


# What no word of the line forbids: a socket file there that leads to the client.
NOTE = (
    "a key with tunnels can also make socket files in directories of this account; "
    "to forbid it, put into sshd_config: AllowStreamLocalForwarding no"
)


def authorized_line(key_file: str, arguments: Sequence[str], *, tunnels: bool = True, bind: str = "") -> str:
    """Return the whole line. `arguments`: those of the guard. Raises BadSetting for a file that is no public key.

    `bind`: the address on which services listen; empty is the loopback interface.
    """
    command = shlex.join([*_environment(), *_guard(), *arguments])
    if not command.isprintable():
        raise BadSetting("the path of the guard or of its files has control characters")
    quoted = command.replace('"', '\\"')
    return f'{",".join([CLOSED, *(_tunnels(bind) if tunnels else ())])},command="{quoted}" {public_key(key_file)}'


def _tunnels(bind: str) -> list[str]:
    hosts = [f"[{bind}]" if ":" in bind else bind] if bind else _LOOPBACK
    return ["port-forwarding", *(f'permitopen="{host}:*"' for host in hosts), 'permitlisten="localhost:1"']


def _environment() -> list[str]:
    """Return the words that settle what isolated Python still takes from its environment, as it is now."""
    chosen = [f"{BASE_VARIABLE}={base_directory()}"] if os.environ.get(BASE_VARIABLE) else []
    return [*_WITHOUT, *chosen]


def _guard() -> list[str]:
    """Return how the guard is called: isolated, by absolute paths."""
    archive = single_file()
    script = archive or os.path.join(os.path.dirname(os.path.abspath(sys.executable)), NAME)
    if os.path.basename(script) == NAME and os.path.isfile(script):
        return [*isolated_python(), script]
    if archive is not None:
        return [*isolated_python(), archive, NAME]
    return program("seamless.launcher.guard.main")


def public_key(path: str) -> str:
    """Return the one public key of a file: type, base64, comment. Raises BadSetting."""
    try:
        with open(os.path.expanduser(path), "rb") as f:
            text = f.read(64 << 10).decode()
    except (OSError, UnicodeDecodeError) as exc:
        raise BadSetting(f"could not read the key file {path!r}: {getattr(exc, 'strerror', None) or exc}") from exc
    if "PRIVATE KEY" in text:
        raise BadSetting(f"{path} is a private key, which must stay where it is; give the file that ends in .pub")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) != 1:
        raise BadSetting(f"{path} must hold exactly one public key; found {len(lines)} lines")
    words = lines[0].split()
    if len(words) < 2 or not _TYPES.fullmatch(words[0]) or not lines[0].isprintable():
        raise BadSetting(f"{path} does not begin with the type of a public key (as ssh-ed25519), without options")
    _check_blob(path, words[0], words[1])
    return " ".join(words)


def _check_blob(path: str, kind: str, blob: str) -> None:
    """Check that the key is what its type says, and long enough."""
    import base64

    try:
        data = base64.b64decode(blob, validate=True)
    except ValueError as exc:
        raise BadSetting(f"{path}: the key is damaged ({exc})") from exc
    fields = []
    while len(data) >= 4:
        size = int.from_bytes(data[:4], "big")
        fields.append(data[4 : 4 + size])
        if len(fields[-1]) != size:
            break
        data = data[4 + size :]
    if data or len(fields) < 2 or fields[0] != kind.encode():
        raise BadSetting(f"{path}: the key is damaged, or no {kind} key")
    if kind == "ssh-rsa" and len(fields[-1].lstrip(b"\0")) < _SHORTEST_RSA:
        raise BadSetting(f"{path}: this RSA key is too short; make one with: ssh-keygen -t ed25519")
