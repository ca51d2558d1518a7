"""Modules that have been built, on disk: each once, for all processes of this user.

The key is a SHA-256 of sources, commands, compilers with their versions, machine, and what else was read.
The directory is private: what lies in it is executed. A module appears by a rename; its bytes are compared with their
checksum before use.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from seamless.errors import UsageError
from seamless.transformer.compiled.build import MODULE, Toolchain, build
from seamless.transformer.compiled.definition import ModuleDefinition
from seamless.transformer.compiled.headers import extended, with_files, write_list

FORMAT = 3
_REPORT = "build.json"
_BUILDING = ".building-"
_DAY = 86400.0
_KEPT_DAYS = 90.0  # since the last use


@dataclass(frozen=True)
class Module:
    """A module that is ready: the shared object, and the report of its building."""

    path: str
    report: dict[str, Any]
    built: bool = False  # just now, by this call


_known: dict[str, Module] = {}  # those of which this process has compared the bytes


def build_directory() -> str:
    """Return the directory of the modules: `$SEAMLESS_BUILD_CACHE`, else `compiled` in that of caches of the user."""
    chosen = os.environ.get("SEAMLESS_BUILD_CACHE")
    if chosen:
        return os.path.abspath(os.path.expanduser(chosen))
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "seamless", "compiled")


def get_module(definition: ModuleDefinition, canceled: threading.Event | None = None) -> Module:
    """Return the module, built now if nobody has. Blocks. Raises BuildError, UsageError for the directory."""
    tools = Toolchain(definition)
    digest = module_digest(definition, tools)
    top = build_directory()
    place = _place(top, digest)
    module = _known.get(place)
    if module is not None and os.path.exists(module.path):
        return module
    _make_private(top)
    if (module := _found(place)) is not None:
        _known[place] = module
        return module
    with _lock(top, digest):
        module = _found(_place(top, digest))  # somebody else may have built it meanwhile
        if module is None:
            module = _built(definition, tools, top, digest, canceled)
    _known[os.path.dirname(module.path)] = module
    return module


def _place(top: str, digest: str) -> str:
    """Return the directory of a module, which depends on the files that its last build has read."""
    key = extended(digest, os.path.join(top, digest[:2], digest))
    return os.path.join(top, key[:2], key)


def forget(module: Module) -> None:
    """Have the bytes of a module compared again: it could not be loaded."""
    _known.pop(os.path.dirname(module.path), None)


def module_digest(definition: ModuleDefinition, tools: Toolchain) -> str:
    """Return the key of a module, 64 hexadecimal digits."""
    from seamless.transformer.compiled.toolchain import machine

    options = [o for s in definition.sources for o in s.compilation.effective_options()]
    key = {
        "format": FORMAT,
        "module": definition.described(),
        "compilers": tools.versions(),
        "machine": machine([*options, *definition.link_options]),
    }
    return sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def _found(place: str) -> Module | None:
    """Return the module at a place if it is there and undamaged."""
    path = os.path.join(place, MODULE)
    try:
        with open(os.path.join(place, _REPORT), encoding="utf-8") as f:
            report = json.load(f)
        with open(path, "rb") as module:
            if sha256(module.read()).hexdigest() != report["sha256"]:
                return None
        if time.time() - os.stat(place).st_mtime > _DAY:
            os.utime(place)  # tells that it is in use
    except (OSError, ValueError, RecursionError, KeyError):
        return None
    return Module(path, report)


def _built(
    definition: ModuleDefinition, tools: Toolchain, top: str, digest: str, canceled: threading.Event | None
) -> Module:
    """Build the module and put it in its place."""
    import shutil
    import tempfile

    _sweep(top)
    directory = tempfile.mkdtemp(prefix=_BUILDING, dir=top)
    try:
        report = build(definition, tools, directory, canceled)
        report["compilers"] = tools.names()
        path = os.path.join(directory, MODULE)
        with open(path, "rb") as f:
            report["sha256"] = sha256(f.read()).hexdigest()
            os.fsync(f.fileno())
        for name in os.listdir(directory):
            if name != MODULE:
                os.unlink(os.path.join(directory, name))
        with open(os.path.join(directory, _REPORT), "w", encoding="utf-8") as f:
            json.dump(report, f)
            f.flush()
            os.fsync(f.fileno())
        if report["files"]:
            write_list(os.path.join(top, digest[:2], digest), report["files"])
        key = with_files(digest, report["files"])
        place = os.path.join(top, key[:2], key)
        os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
        if os.path.isdir(place):  # damaged
            shutil.rmtree(place)
        os.rename(directory, place)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return Module(os.path.join(place, MODULE), report, built=True)


def _make_private(top: str) -> None:
    """Make the directory; refuse one that others can write: they could have code executed."""
    try:
        os.makedirs(top, mode=0o700, exist_ok=True)
        stat = os.stat(top)
    except OSError as exc:
        raise UsageError(
            f"the directory of compiled modules cannot be made: {exc}; set SEAMLESS_BUILD_CACHE to another one"
        ) from exc
    if stat.st_uid != os.geteuid() or stat.st_mode & 0o022:
        raise UsageError(
            f"the directory of compiled modules must be yours, and writable for you alone, as what lies there is "
            f"executed: {top}; 'chmod go-w' it, or set SEAMLESS_BUILD_CACHE to another one"
        )


@contextlib.contextmanager
def _lock(top: str, digest: str) -> Iterator[None]:
    """Hold one of 256 locks, against other threads and processes. Where files cannot be locked, a build is repeated."""
    directory = os.path.join(top, "locks")
    os.makedirs(directory, mode=0o700, exist_ok=True)
    path = os.path.join(directory, digest[:2])
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        locked = True
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
        except OSError:
            locked = False
        try:
            yield
        finally:
            if locked:
                fcntl.flock(fd, fcntl.LOCK_UN)  # a child that another thread has forked may keep the file open
    finally:
        os.close(fd)


def _sweep(top: str) -> None:
    """Remove what dead builders have left, and modules that were not used for long; at most once a day."""
    import shutil

    stamp = os.path.join(top, ".swept")
    now = time.time()
    try:
        if now - os.stat(stamp).st_mtime < _DAY:
            return
    except FileNotFoundError:
        pass
    with open(stamp, "w"):
        os.utime(stamp)
    for entry in os.scandir(top):
        if entry.name.startswith(_BUILDING):
            if now - entry.stat().st_mtime > _DAY:
                shutil.rmtree(entry.path, ignore_errors=True)
        elif len(entry.name) == 2:
            for module in os.scandir(entry.path):
                if now - module.stat().st_mtime > _KEPT_DAYS * _DAY:
                    shutil.rmtree(module.path, ignore_errors=True)
