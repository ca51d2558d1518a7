"""Which directories a client may name. A path is resolved once, and what it then is is judged and handed on.

Never judges by the beginning of a text: paths are compared component by component.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from seamless.launcher.errors import LauncherError
from seamless.launcher.guard.refusals import Rejected
from seamless.launcher.guard.settings import MARKERS, ROOTS, Settings
from seamless.launcher.guarded import Resolved
from seamless.launcher.paths import base_directory, expand_home
from seamless.launcher.safe_open import has_marker, open_resolved, resolve

NO_POLICY = (
    "configure rhl-guard with one path-policy flag: --data-roots PATH, --clear-policy seamless, "
    "--clear-policy marker:NAME, or --permissive-paths; see the rhl-guard documentation, Path policy section"
)
SCRATCH = "/tmp"  # work directory of services without data
_SUBTREES = frozenset(("etc", "usr", "bin", "sbin", "boot", "sys", "proc", "dev"))
_UNLESS_ROOT = frozenset(("run", "var", "opt"))
_ALONE = frozenset(("/", "/tmp", "/var/tmp", "/dev/shm", "/home"))
_MAX_ENTRIES, _MAX_DEPTH = 10_000, 16


def is_below(path: str, upper: str) -> bool:
    """Tell whether an absolute path without links is `upper`, or below it."""
    return path == upper or path.startswith(upper.rstrip("/") + "/")


class PathPolicy:
    """The rules of one key for paths."""

    def __init__(self, settings: Settings):
        self.settings = settings

    def require(self) -> None:
        """Raise Rejected if the guard was told nothing about paths."""
        if not self.settings.policy:
            raise Rejected(NO_POLICY)

    def to_clear(self, text: str) -> Resolved:
        """Return a directory that may be emptied. Raises Rejected."""
        resolved = self.general(text)
        self._marked(resolved, text)
        return resolved

    def to_list(self, text: str, marker: str | None = None) -> Resolved:
        """Return a directory that may be looked at; `marker`: only those below it that have it are shown."""
        resolved = self.general(text)
        if marker is None or marker not in self.settings.markers:
            self._marked(resolved, text)
        return resolved

    def to_work_in(self, text: str, *, data: bool) -> Resolved:
        """Return a work directory for a service with data, or one without. Raises Rejected."""
        if not data and text.rstrip("/") == SCRATCH:
            return _resolved(SCRATCH)
        return self.general(text)

    def to_fill(self, resolved: Resolved, made: str) -> None:
        """Raise Rejected if a file that a service makes in this directory would mark other things as clearable.

        `made`: its name, or how the names of its files begin. What could be cleared before may stay.
        """
        forged = self.settings.policy == MARKERS and any(name.startswith(made) for name in self.settings.markers)
        if not forged or resolved.path != resolved.anchor:
            return
        fd = _opened(resolved)
        try:
            problem = _unmarked(fd, self.settings.markers, [_MAX_ENTRIES], _MAX_DEPTH)
        finally:
            os.close(fd)
        if problem:
            raise Rejected(
                f"refusing to start a data service in a directory that holds other things ({problem}): "
                f"{resolved.path}; use a new directory"
            )

    def general(self, text: str) -> Resolved:
        """Return what a path names, if no rule that holds for every helper forbids it. Raises Rejected."""
        self.require()
        expanded = expand_home(text)
        if not expanded.startswith("/"):
            raise Rejected(f"path must be absolute after ~ expansion: {expanded}")
        self._check(expanded, expanded)
        resolved = _resolved(expanded)
        self._check(resolved.path, expanded)
        if self.settings.policy == ROOTS and not self._in_roots(resolved.path):
            raise Rejected(f"path is outside configured --data-roots: {expanded}")
        return resolved

    def _in_roots(self, path: str) -> bool:
        return any(is_below(path, root) for root in self.settings.roots)

    def _check(self, path: str, shown: str) -> None:
        """Apply the rules that hold under every policy to a path, which may not be resolved yet."""
        if not shown.isprintable() or not path.isprintable():
            raise Rejected(f"path has characters that cannot be shown: {shown!r}")
        parts = [part for part in path.split("/") if part not in ("", ".")]
        plain = "/" + "/".join(parts)
        home = expand_home("~")
        if any(is_below(h, plain) for h in (os.path.normpath(home), os.path.realpath(home))):
            raise Rejected(f"path must not be $HOME or an ancestor of $HOME: {shown}")
        if any(part.startswith(".") for part in path.split("/") if part):
            raise Rejected(f"path must not contain dot-prefixed segments: {shown}")
        top = parts[0] if parts else ""
        shared_memory = parts[:2] == ["dev", "shm"] and len(parts) > 2
        system = (top in _SUBTREES or top.startswith("lib")) and not shared_memory
        in_roots = self.settings.policy == ROOTS and self._in_roots(os.path.realpath(plain))
        if plain in _ALONE or system or (top in _UNLESS_ROOT and (not in_roots or len(parts) == 1)):
            raise Rejected(f"refusing system-root directory: {shown}")
        base = base_directory()
        for own in (base, os.path.realpath(base)):
            if is_below(plain, own) or is_below(own, plain):
                raise Rejected(f"path must not be the launcher's own directory, nor above or below it: {shown}")

    def _marked(self, resolved: Resolved, shown: str) -> None:
        """Raise Rejected if the policy wants a marker and the directory has none."""
        if self.settings.policy != MARKERS:
            return
        found = False
        if resolved.path == resolved.anchor:
            fd = _opened(resolved)
            try:
                found = has_marker(fd, self.settings.markers)
            finally:
                os.close(fd)
        if not found:
            names = ", ".join(self.settings.markers)
            raise Rejected(f"path does not contain required marker file ({names}): {expand_home(shown)}")


def _resolved(path: str) -> Resolved:
    try:
        return resolve(path)
    except LauncherError as exc:
        raise Rejected(exc.message) from exc


def _opened(resolved: Resolved) -> int:
    try:
        return open_resolved(resolved)
    except LauncherError as exc:
        raise Rejected(exc.message) from exc


def _unmarked(fd: int, markers: Sequence[str], budget: list[int], depth: int) -> str:
    """Return the name of something in an open directory that no marker covers, or "".

    A directory with a marker is covered, and so is one with nothing but covered directories in it.
    """
    if has_marker(fd, markers):
        return ""
    with os.scandir(fd) as entries:
        for entry in entries:
            budget[0] -= 1
            if entry.name.startswith(".") or not entry.is_dir(follow_symlinks=False) or min(depth, budget[0]) <= 0:
                return repr(entry.name)
            try:
                below = os.open(entry.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            except OSError:
                return repr(entry.name)
            try:
                problem = _unmarked(below, markers, budget, depth - 1)
            finally:
                os.close(below)
            if problem:
                return problem
    return ""
