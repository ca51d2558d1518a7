"""The flags of `rhl-guard`, and the policy file that they name. Any mistake in them closes the guard altogether."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from seamless.launcher.grammar_table import HELPERS
from seamless.launcher.guard.refusals import BadSetting
from seamless.launcher.guard.services import SERVICES
from seamless.launcher.paths import expand_home

SEAMLESS_MARKERS = ("seamless.db", ".HASHSERVER_PREFIX")
MAX_SERVICES = 100
LOOPBACK = "127.0.0.1"
_MAX_FILE = 1 << 20

ROOTS, MARKERS, PERMISSIVE = "roots", "markers", "permissive"


class Settings(NamedTuple):
    """What this key may do. `policy` is empty without a flag for paths: then no helper with a path may be called.

    `image_roots`: where container images may be; without any, none can be used. `bind`: the one address on which
    services listen; empty leaves it to the client. `key_file`, `tunnels`, `arguments`: for the line that is printed.
    """

    policy: str = ""
    roots: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()
    services: frozenset[str] = frozenset(SERVICES)
    helpers: frozenset[str] = frozenset(HELPERS)
    image_roots: tuple[str, ...] = ()
    max_services: int = MAX_SERVICES
    read_only: bool = False
    bind: str = ""
    key_file: str | None = None
    tunnels: bool = True
    arguments: tuple[str, ...] = ()


class Flag(NamedTuple):
    """A flag of the guard; `wanted` says what its value is, and is empty if it has none."""

    metavar: str
    wanted: str
    help: str


FLAGS: Mapping[str, Mapping[str, Flag]] = {
    "Path policy (one of these; without one no helper that gets a path may be called)": {
        "--data-roots": Flag("FILE", "a path", "only directories in those that FILE lists, one a line"),
        "--clear-policy": Flag(
            "POLICY",
            "a value",
            "clear and list only what is marked. seamless: by seamless.db or .HASHSERVER_PREFIX; "
            "marker:NAME: by a file NAME",
        ),
        "--permissive-paths": Flag("", "", "any directory that is not one of the system"),
    },
    "Further limits": {
        "--services": Flag("A,B", "names separated by commas", "only these services may be started"),
        "--allow-helpers": Flag("A,B", "names separated by commas", "only these helpers may be called"),
        "--image-roots": Flag("FILE", "a path", "container images in the directories that FILE lists may be used"),
        "--max-services": Flag("N", "a number", f"how many services may live at once (default: {MAX_SERVICES})"),
        "--read-only": Flag("", "", "nothing may be started, stopped, cleared or removed"),
        "--bind-loopback": Flag("", "", "services listen on 127.0.0.1, whatever the client wants"),
        "--bind-address": Flag(
            "ADDRESS",
            "an address of this machine",
            "services listen on this one, whatever the client wants; tunnels reach it alone",
        ),
    },
    "Installation": {
        "--print-authorized-key": Flag(
            "KEYFILE", "the file of a public key", "print the line for authorized_keys with this key, and end"
        ),
        "--without-tunnels": Flag("", "", "let the key that is printed forward no connections"),
    },
}
_VALUES = {name: flag.wanted for group in FLAGS.values() for name, flag in group.items() if flag.wanted}
_FLAGS = frozenset(name for group in FLAGS.values() for name in group) - set(_VALUES)
_FOR_LINE = ("--print-authorized-key", "--without-tunnels")
_POLICIES = ("--data-roots", "--clear-policy", "--permissive-paths")


def parse_settings(arguments: Sequence[str]) -> Settings:
    """Return what the flags say. Raises BadSetting."""
    given = _split(arguments)
    if sum(flag in given for flag in _POLICIES) > 1:
        raise BadSetting("--data-roots, --clear-policy, and --permissive-paths are mutually exclusive")
    if "--without-tunnels" in given and "--print-authorized-key" not in given:
        raise BadSetting("--without-tunnels says what --print-authorized-key prints, and is nothing without it")
    if "--bind-loopback" in given and "--bind-address" in given:
        raise BadSetting("--bind-loopback and --bind-address are mutually exclusive")
    values: dict[str, Any] = {
        "read_only": "--read-only" in given,
        "bind": LOOPBACK if "--bind-loopback" in given else "",
        "key_file": given.get("--print-authorized-key"),
        "tunnels": "--without-tunnels" not in given,
        "arguments": _installed(given),
    }
    if "--permissive-paths" in given:
        values["policy"] = PERMISSIVE
    readers: Mapping[str, Callable[[str], Mapping[str, Any]]] = {
        "--data-roots": lambda text: {"policy": ROOTS, "roots": read_roots(text, "--data-roots")},
        "--clear-policy": _clear_policy,
        "--services": lambda text: {"services": _names(text, "--services", SERVICES)},
        "--allow-helpers": lambda text: {"helpers": _names(text, "--allow-helpers", HELPERS)},
        "--image-roots": lambda text: {"image_roots": read_roots(text, "--image-roots")},
        "--max-services": lambda text: {"max_services": _count(text)},
        "--bind-address": lambda text: {"bind": _address(text)},
    }
    for flag, read in readers.items():
        if flag in given:
            values.update(read(given[flag]))
    return Settings(**values)


def _split(arguments: Sequence[str]) -> dict[str, str]:
    """Return flag -> value ("" for one without)."""
    given: dict[str, str] = {}
    i = 0
    while i < len(arguments):
        flag, separator, value = arguments[i].partition("=")
        i += 1
        if flag in _VALUES:
            if not separator and i < len(arguments) and not arguments[i].startswith("--"):
                value = arguments[i]
                i += 1
            if not value:
                raise BadSetting(f"{flag} requires {_VALUES[flag]}")
        elif flag not in _FLAGS or separator:
            raise BadSetting(f"unknown rhl-guard option: {arguments[i - 1]}")
        if flag in given:
            raise BadSetting(f"{flag} is given more than once")
        given[flag] = value
    return given


def _installed(given: Mapping[str, str]) -> tuple[str, ...]:
    """Return the flags as they are to be in `authorized_keys`: with absolute paths."""
    found: list[str] = []
    for flag, value in given.items():
        if flag in ("--data-roots", "--image-roots"):
            found += [flag, os.path.abspath(expand_home(value))]
        elif flag not in _FOR_LINE:
            found += [flag, value] if flag in _VALUES else [flag]
    return tuple(found)


def _clear_policy(value: str) -> dict[str, Any]:
    if value == "seamless":
        return {"policy": MARKERS, "markers": SEAMLESS_MARKERS}
    kind, separator, name = value.partition(":")
    if kind != "marker" or not separator:
        raise BadSetting("--clear-policy must be 'seamless' or 'marker:NAME'")
    if not name or "/" in name or name in (".", "..") or not name.isprintable() or len(os.fsencode(name)) > 255:
        raise BadSetting("--clear-policy marker:NAME requires a simple marker filename")
    return {"policy": MARKERS, "markers": (name,)}


def _names(text: str, flag: str, known: Mapping[str, object]) -> frozenset[str]:
    found = frozenset(name.strip() for name in text.split(","))
    for name in sorted(found - set(known)):
        raise BadSetting(f"{flag}: unknown name {name!r}; known are {', '.join(known)}")
    return found


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) and len(text) < 9):
        raise BadSetting(f"--max-services requires a number greater than 0, found {text!r}")
    return int(text)


def _address(text: str) -> str:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            packed = socket.inet_pton(family, text.strip("[]"))
        except (OSError, ValueError):
            continue
        if any(packed):
            return socket.inet_ntop(family, packed)
    raise BadSetting(f"--bind-address requires one address in numbers, for example 10.0.0.5; found {text!r}")


def read_roots(path: str, flag: str) -> tuple[str, ...]:
    """Return the directories that a policy file names, one a line, without links. Raises BadSetting."""
    roots = []
    for number, line in enumerate(_read_policy_file(path, flag).splitlines(), 1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        root = expand_home(entry)
        if not root.startswith("/"):
            raise BadSetting(f"{flag} entry on line {number} is not absolute after ~ expansion: {entry!r}")
        roots.append(os.path.realpath(root))
    if not roots:
        raise BadSetting(f"{flag} file does not contain any usable roots")
    return tuple(roots)


def _read_policy_file(path: str, flag: str) -> str:
    """Return the text of a file that nobody but this account and root can have written."""
    try:
        fd = os.open(expand_home(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as f:
            found = os.fstat(f.fileno())
            _check_owner(found, path, flag)
            data = f.read(_MAX_FILE + 1)
    except OSError as exc:
        raise BadSetting(f"could not read {flag} file {path!r}: {exc.strerror}") from exc
    if len(data) > _MAX_FILE:
        raise BadSetting(f"could not read {flag} file {path!r}: it is longer than 1 MiB")
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise BadSetting(f"could not read {flag} file {path!r}: {exc}") from exc


def _check_owner(found: os.stat_result, path: str, flag: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise BadSetting(f"could not read {flag} file {path!r}: it is no regular file")
    if found.st_uid not in (0, os.geteuid()):
        raise BadSetting(f"{flag} file {path!r} must belong to this account or to root")
    if found.st_mode & 0o022:
        raise BadSetting(f"{flag} file {path!r} can be written by others; do: chmod go-w {path}")
