"""Conda environments of this machine: what there is (cached in conda-setup.json), and how a command enters one.

A command in an environment is an argument list for `bash -l`; names and paths are arguments of a fixed script.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

from seamless.launcher.errors import LauncherError
from seamless.launcher.paths import base_directory
from seamless.launcher.statefile import read_state_or_none, write_state

CACHE_NAME = "conda-setup.json"
_SECONDS = 120.0  # network file systems are slow
_HOMES = ("miniforge3", "miniconda3", "mambaforge", "anaconda3")
_SYSTEM = ("/opt/conda", "/opt/miniforge3", "/opt/miniconda3")
_BLOCK = re.compile(r"# >{3} conda initialize >{3}(.*?)# <{3} conda initialize <{3}", re.DOTALL)
_QUOTED = re.compile(r"""["']([^"'\n]*/etc/profile\.d/conda\.sh)["']""")
_PLAIN = 'conda activate "$1" && shift && exec "$@"'
_SOURCED = 'source "$1" && conda activate "$2" && shift 2 && exec "$@"'
_NOT_INITIALIZED = "conda activate is not initialized and no usable conda.sh was found"


class CondaSetup(NamedTuple):
    """The content of the cache. `source` is the conda.sh to be sourced first; None if a login shell has done it."""

    source: str | None
    base: str
    environments: tuple[str, ...]

    def find(self, name: str) -> str | None:
        """Return what `conda activate` is told for an environment name or absolute prefix, or None if unknown."""
        if name == "base":
            return self.base
        if name.startswith("/"):
            prefix = os.path.normpath(name)
            return prefix if prefix in (self.base, *self.environments) else None
        return next((prefix for prefix in self.environments if prefix.endswith(f"/{name}")), None)


def cache_path() -> str:
    """Return the file that keeps what was found."""
    return os.path.join(base_directory(), CACHE_NAME)


def cached_setup() -> CondaSetup | None:
    """Return what the cache says, or None without a usable cache."""
    found = read_state_or_none(cache_path())
    if found is None:
        return None
    source, base, environments = found.get("conda_source"), found.get("conda_base"), found.get("envs")
    if not (source is None or isinstance(source, str)) or not isinstance(base, str):
        return None
    if not isinstance(environments, list) or not all(isinstance(prefix, str) for prefix in environments):
        return None
    return CondaSetup(source, base, tuple(environments))


def refresh_cache() -> CondaSetup:
    """Look for conda on this machine and write the cache. Takes seconds. Raises LauncherError."""
    source = _find_source()
    base = _conda(source, ["info", "--base"]).strip()
    if not base:
        raise LauncherError("'conda info --base' returned empty output")
    listed = _conda(source, ["env", "list", "--json"])
    try:
        environments = [str(prefix) for prefix in json.loads(listed)["envs"]]
    except (ValueError, KeyError, TypeError) as exc:
        raise LauncherError(f"could not parse conda env list output: {exc}") from exc
    setup = CondaSetup(source, base, tuple(environments))
    write_state(cache_path(), {"conda_source": source, "conda_base": base, "envs": environments})
    return setup


def activation(name: str, argv: Sequence[str]) -> list[str]:
    """Return the argument list that runs `argv` in the environment `name` (a name or an absolute prefix).

    Raises LauncherError if there is no conda, or no such environment after a second look.
    """
    setup = cached_setup()
    prefix = setup.find(name) if setup is not None else None
    if prefix is None:
        setup = refresh_cache()
        prefix = setup.find(name)
    if setup is None or prefix is None:
        known = ", ".join(sorted({"base", *(os.path.basename(p) for p in (setup.environments if setup else ()))}))
        raise LauncherError(
            f"Conda environment '{name}' is not listed in the conda cache after a new search",
            hint=f"create it, or use one of: {known}",
        )
    if setup.source is None:
        return ["bash", "-lc", _PLAIN, "bash", prefix, *argv]
    return ["bash", "-lc", _SOURCED, "bash", setup.source, prefix, *argv]


def _find_source() -> str | None:
    """Return the conda.sh that makes `conda activate` work, or None if a login shell needs none."""
    if _activates(None):
        return None
    for candidate in _candidates():
        if os.path.isfile(candidate) and _activates(candidate):
            return candidate
    raise LauncherError(
        _NOT_INITIALIZED,
        hint="install conda (for example Miniforge in the home directory) or run 'conda init bash'",
    )


def _candidates() -> list[str]:
    found = []
    try:
        with open(os.path.expanduser("~/.bashrc"), encoding="utf-8", errors="replace") as f:
            block = _BLOCK.search(f.read())
    except OSError:
        block = None
    quoted = _QUOTED.search(block.group(1)) if block else None
    if quoted:
        found.append(quoted.group(1))
    roots = []
    executable = os.environ.get("CONDA_EXE")
    if executable:
        roots.append(os.path.dirname(os.path.dirname(executable)))
    done = _run(["bash", "-lc", "conda info --base"])
    if done is not None and done.returncode == 0 and done.stdout.strip():
        roots.append(done.stdout.strip().splitlines()[-1])
    roots += [os.path.expanduser(f"~/{name}") for name in _HOMES] + list(_SYSTEM)
    return found + [os.path.join(root, "etc/profile.d/conda.sh") for root in roots]


def _activates(source: str | None) -> bool:
    argv = ["bash", "-lc", "conda activate base"]
    if source is not None:
        argv = ["bash", "-lc", 'source "$1" && conda activate base', "bash", source]
    done = _run(argv)
    return done is not None and done.returncode == 0


def _conda(source: str | None, arguments: list[str]) -> str:
    script = 'conda "$@"' if source is None else 'source "$1" && shift && conda "$@"'
    argv = ["bash", "-lc", script, "bash", *([source] if source is not None else []), *arguments]
    done = _run(argv)
    if done is None or done.returncode != 0:
        reason = "no answer" if done is None else done.stderr.strip()
        raise LauncherError(f"'conda {' '.join(arguments)}' failed: {reason}")
    return done.stdout


def _run(argv: list[str]) -> subprocess.CompletedProcess[str] | None:
    """Run a command quietly; None if it could not be started or took too long."""
    try:
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
