"""From a launch dict to the argument list and the environment of a process. No text is ever seen by a shell."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from typing import NamedTuple

from seamless.launcher.configuration import Configuration
from seamless.launcher.errors import ConfigurationRefused, LauncherError
from seamless.launcher.observers import Observer, Phase
from seamless.launcher.paths import (
    DEFAULT_BASE,
    base_directory,
    checked_workdir,
    expand_home,
    server_directory,
    state_path,
)
from seamless.launcher.programs import find_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from seamless.launcher.guarded import Resolved

# What would make the service another one than the launch dict says, or run code in a shell that activates conda.
_NOT_INHERITED = frozenset({"SEAMLESS_TOKEN", "SEAMLESS_REMOTE_CLIENTS", "BASH_ENV", "ENV"})
_NEEDED = frozenset({"HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "TZ", "REMOTE_HTTP_LAUNCHER_DIR"})
_STATUS_FILE = "--status-file"


class Prepared(NamedTuple):
    """What is to be executed. `inner` is the service with its arguments, `argv` that inside conda or an image."""

    inner: list[str]
    argv: list[str]
    workdir: str
    environment: dict[str, str]


def inner_argv(config: Configuration) -> list[str]:
    """Return the words of the service command, with `~` expanded. Raises ConfigurationRefused."""
    words = [expand_home(word) for word in config.argv(state_path(config.key))]
    for i, word in enumerate(words):
        if word == _STATUS_FILE:
            if i + 1 >= len(words):
                raise ConfigurationRefused(f"{_STATUS_FILE} requires a value")
            words[i + 1] = _own_status_file(words[i + 1], config.key)
        elif word.startswith(f"{_STATUS_FILE}="):
            words[i] = f"{_STATUS_FILE}={_own_status_file(expand_home(word.partition('=')[2]), config.key)}"
    return words


def _own_status_file(path: str, key: str) -> str:
    """Return the state file of this key for what a command names as it.

    A launcher on another machine does not know where the directory is here: it names the one in the home directory.
    """
    own, default = server_directory(), expand_home(f"{DEFAULT_BASE}/server")
    directory, name = os.path.split(path)
    if not os.path.isabs(path):
        problem = f"{_STATUS_FILE} must be absolute"
    elif os.path.realpath(directory) not in (os.path.realpath(own), os.path.realpath(default)):
        problem = f"{_STATUS_FILE} must live under the launcher server directory, {own}"
    elif name != f"{key}.json":
        problem = f"{_STATUS_FILE} must be the state file of this key, {state_path(key)}"
    else:
        return state_path(key)
    raise ConfigurationRefused(f"{problem}; found {path}", hint="write --status-file {status_file} in the command")


def prepare(
    config: Configuration,
    observer: Observer,
    inherited: Mapping[str, str] | None = None,
    judged: Resolved | None = None,
) -> Prepared:
    """Return what to execute for `config`; makes the work directory. Raises LauncherError if something is missing.

    `inherited`: the variables that the service may get (default: those of this process). `judged`: the work directory
    as it was when it was judged; it must still be that one.
    """
    workdir = checked_workdir(config.workdir)
    inner = inner_argv(config)
    environment = service_environment(os.environ if inherited is None else inherited)
    if config.conda is not None:
        from seamless.launcher.conda import activation

        argv = activation(config.conda, inner)
        observer.phase(Phase.CONDA_SETUP, "ok")
    elif config.image is not None:
        from seamless.launcher.images import container_argv

        argv = container_argv(config, inner, workdir, environment)
    else:
        argv = [_found(inner[0], config.key), *inner[1:]]
    _make_workdir(workdir, config.key, judged)
    return Prepared(inner, argv, workdir, environment)


def _make_workdir(workdir: str, key: str, judged: Resolved | None) -> None:
    try:
        if judged is None:
            os.makedirs(workdir, exist_ok=True)
        else:
            from seamless.launcher.safe_open import open_resolved

            os.close(open_resolved(judged, create=True))
    except OSError as exc:
        raise LauncherError(f"cannot make the work directory {workdir} of {key}: {exc.strerror}", key=key) from exc


def reduced_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a service started from another machine may get: who and where it is, its language."""
    return {name: value for name, value in inherited.items() if name in _NEEDED or name.startswith("LC_")}


def service_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a service: that of this process, without what would turn it into another one."""
    environment = {name: value for name, value in inherited.items() if name not in _NOT_INHERITED}
    if "REMOTE_HTTP_LAUNCHER_DIR" in environment:
        environment["REMOTE_HTTP_LAUNCHER_DIR"] = base_directory()
    return environment


def _found(name: str, key: str) -> str:
    path = find_program(name)
    if path is None:
        beside = os.path.dirname(os.path.abspath(sys.executable))
        raise LauncherError(
            f"cannot start {key}: there is no command {shlex.quote(name)} on PATH or in {beside}",
            phase=Phase.LAUNCH,
            key=key,
            hint="install it there, or name a conda environment (conda:) or an image (image:) that has it",
        )
    return path
