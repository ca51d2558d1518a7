"""A service inside an Apptainer (or Singularity) image: the argument list, and the checks of the image before it.

Paths inside are those outside: the state directory and the data directory are bound under their own names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from seamless.launcher.configuration import Configuration
from seamless.launcher.errors import LauncherError
from seamless.launcher.paths import base_directory, expand_home, make_private, server_directory
from seamless.launcher.programs import find_program, module_command
from seamless.launcher.statefile import read_state_or_none, write_state

RUNTIMES = ("apptainer", "singularity")
MINIMUM_VERSION = (1, 1)
DIGESTS_NAME = "image-digests.json"
FORWARDER_MODULE = "seamless.launcher.submit.forwarder"
_NO_DATA = frozenset({"/tmp", "/var/tmp"})
_PASSED_ON = re.compile(r"(SEAMLESS|DASK|SLURM|OAR)_\w+|TZ|LANG|LC_ALL|(https?|ftp|all|no)_proxy", re.IGNORECASE)


def container_argv(config: Configuration, inner: Sequence[str], workdir: str, environment: dict[str, str]) -> list[str]:
    """Return the argument list that runs `inner` in the image; adds to `environment` what goes inside.

    Raises LauncherError if the runtime is missing or too old, or the image is not there or not the pinned one.
    """
    image = config.image or {}
    runtime = find_runtime(str(image.get("runtime") or "auto"))
    path = expand_home(str(image.get("path") or ""))
    verify(path, image.get("sha256"))
    make_private(server_directory())
    _pass_on(environment, runtime)
    argv = [runtime, "exec", "--cleanenv", "--no-home", "--pwd", workdir]
    given = _given_binds(image.get("binds") or ())
    if image.get("submit") == "bind":
        given += _given_binds(image.get("submit_binds") or ())
    for bind in [_bind(server_directory()), *_data_binds(config, workdir), *given]:
        argv += ["--bind", bind]
    for name, value in dict(image.get("env") or {}).items():
        if "," in str(value):  # a comma would begin another variable
            environment[f"{os.path.basename(runtime).upper()}ENV_{name}"] = str(value)
        else:
            argv += ["--env", f"{name}={value}"]
    beside = module_command(FORWARDER_MODULE) if image.get("submit") == "proxy" else []
    return [*beside, *argv, *(str(option) for option in image.get("options") or ()), path, *inner]


def find_runtime(name: str) -> str:
    """Return the path of the container runtime; `auto` is the first one there is. Raises LauncherError."""
    wanted = RUNTIMES if name == "auto" else (name,)
    for candidate in wanted:
        path = find_program(candidate)
        if path is not None:
            _check_version(path)
            return path
    raise LauncherError(
        f"there is no container runtime on this machine: looked for {' and '.join(wanted)}",
        hint="install Apptainer, or use 'conda:' instead of 'image:'",
    )


def _check_version(runtime: str) -> None:
    import subprocess

    try:
        done = subprocess.run(
            [runtime, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise LauncherError(f"{runtime} --version failed: {exc}") from exc
    found = re.search(r"(\d+)\.(\d+)", done.stdout)
    if done.returncode != 0 or found is None:
        raise LauncherError(f"{runtime} --version failed: {(done.stderr or done.stdout).strip()}")
    if (int(found.group(1)), int(found.group(2))) < MINIMUM_VERSION:
        raise LauncherError(f"{runtime} is version {found.group(0)}; at least 1.1 is needed")


def verify(path: str, sha256: object) -> None:
    """Check that the image can be read and, if a digest is given, is that one. The digest of a file is remembered.

    Raises LauncherError.
    """
    if not os.path.isabs(path):
        raise LauncherError(f"the path of an image must be absolute, or begin with '~/'; found {path!r}")
    if not os.access(path, os.R_OK):
        raise LauncherError(f"cannot read the image {path}", hint="check the path and its permissions")
    if sha256 is None or os.path.isdir(path):
        return
    found = digest_of(path)
    if found != str(sha256).lower():
        raise LauncherError(
            f"the image {path} is not the pinned one: its SHA-256 is {found}, expected {sha256}",
            hint="put the right image there, or correct 'sha256:' in the cluster definition",
        )


def digest_of(path: str) -> str:
    """Return the SHA-256 of an image file; it is remembered until the file changes."""
    cache_file = os.path.join(base_directory(), DIGESTS_NAME)
    cache = read_state_or_none(cache_file) or {}
    stat = os.stat(path)
    facts = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "inode": stat.st_ino}
    known = cache.get(path)
    if isinstance(known, dict) and {name: known.get(name) for name in facts} == facts:
        return str(known.get("sha256"))
    found = _digest(path)
    write_state(cache_file, {**cache, path: {**facts, "sha256": found}})
    return found


def _digest(path: str) -> str:
    import hashlib

    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while piece := f.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _bind(path: str, *, read_only: bool = False) -> str:
    if ":" in path or "," in path:
        raise LauncherError(f"{path} cannot be bound into an image: its name has ':' or ','")
    return f"{path}:{path}:ro" if read_only else f"{path}:{path}"


def _data_binds(config: Configuration, workdir: str) -> list[str]:
    """Return the binds of the data: the work directory, and the buffer directories that forwarded clients name."""
    binds = []
    meta = config.meta or {}
    if workdir not in _NO_DATA:
        binds.append(_bind(workdir, read_only=meta.get("service") == "hashserver" and meta.get("mode") == "ro"))
    buffers: Any = (config.file_parameters or {}).get("buffer")
    for entry in buffers if isinstance(buffers, list) else ():
        directory = entry.get("remote_directory") if isinstance(entry, Mapping) else None
        if isinstance(directory, str) and os.path.isdir(expand_home(directory)):
            binds.append(_bind(expand_home(directory), read_only=True))
    return binds


def _given_binds(binds: Sequence[object]) -> list[str]:
    found = []
    for bind in binds:
        parts = [expand_home(part) for part in str(bind).split(":")]
        if "," in str(bind) or len(parts) > 3 or not all(os.path.isabs(part) for part in parts[:2]):
            raise LauncherError(f"{bind!r} is no bind: expected SOURCE[:DESTINATION[:ro|rw]] with absolute paths")
        found.append(":".join(parts))
    return found


def _pass_on(environment: dict[str, str], runtime: str) -> None:
    """Give what a service may need from outside the names under which the runtime hands it in."""
    prefix = f"{os.path.basename(runtime).upper()}ENV_"
    for name in [name for name in environment if _PASSED_ON.fullmatch(name)]:
        environment.setdefault(prefix + name, environment[name])
    environment[f"{prefix}REMOTE_HTTP_LAUNCHER_DIR"] = base_directory()
