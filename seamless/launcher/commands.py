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
from seamless.launcher.paths import base_directory, checked_workdir, expand_home, state_path
from seamless.launcher.programs import find_program

# What would make the service another one than the launch dict says, or run code in a shell that activates conda.
_NOT_INHERITED = frozenset({"SEAMLESS_TOKEN", "SEAMLESS_REMOTE_CLIENTS", "BASH_ENV", "ENV"})


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
        value = words[i + 1] if word == "--status-file" and i + 1 < len(words) else None
        if word == "--status-file" and value is None:
            raise ConfigurationRefused("--status-file requires a value")
        if word.startswith("--status-file="):
            value = word.partition("=")[2]
        if value is not None and os.path.abspath(value) != state_path(config.key):
            raise ConfigurationRefused(
                f"--status-file must be the state file of this key, {state_path(config.key)}; found {value}",
                hint="write --status-file {status_file} in the command",
            )
    return words


def prepare(config: Configuration, observer: Observer) -> Prepared:
    """Return what to execute for `config`; makes the work directory. Raises LauncherError if something is missing."""
    workdir = checked_workdir(config.workdir)
    inner = inner_argv(config)
    environment = service_environment(os.environ)
    if config.conda is not None:
        from seamless.launcher.conda import activation

        argv = activation(config.conda, inner)
        observer.phase(Phase.CONDA_SETUP, "ok")
    elif config.image is not None:
        from seamless.launcher.images import container_argv

        argv = container_argv(config, inner, workdir, environment)
    else:
        argv = [_found(inner[0], config.key), *inner[1:]]
    try:
        os.makedirs(workdir, exist_ok=True)
    except OSError as exc:
        raise LauncherError(
            f"cannot make the work directory {workdir} of {config.key}: {exc.strerror}", key=config.key
        ) from exc
    return Prepared(inner, argv, workdir, environment)


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
