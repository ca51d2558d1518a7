"""What `run` needs from the place where a service is to be: this machine, or later another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from seamless.launcher.configuration import Configuration
from seamless.launcher.errors import LauncherError
from seamless.launcher.observers import Observer
from seamless.launcher.statefile import State


class Ensured(NamedTuple):
    """A service that has just answered its health check: its state, and whether this call has started it."""

    state: State
    launched: bool


class Executor(Protocol):
    """One place where services run. All methods block; they raise LauncherError."""

    name: str

    def ensure(self, config: Configuration, observer: Observer) -> Ensured:
        """Have exactly one service of this key run and answer; start it if there is none."""

    def vouches(self, config: Configuration, payload: Mapping[str, Any]) -> State | None:
        """Return the state if what `payload` tells how to reach is this service and answers, asked once."""

    def differences(self, config: Configuration, state: Mapping[str, Any]) -> list[str]:
        """Return how a running service differs from what `config` would start, one line each."""

    def stop(self, key: str) -> str:
        """Stop the service; return `stopped`, `already gone`, `kill required`, `missing state`, `permission denied`."""

    def inspect(self, key: str) -> State | None:
        """Return the state of a service with its derived `status` and `live`, or None without one."""

    def forget(self, key: str) -> bool:
        """Remove the state of a service that does not run; tell whether there was one."""


def executor_for(config: Configuration) -> Executor:
    """Return the executor that a launch dict asks for. Raises LauncherError if it names another machine."""
    if not config.is_local:
        host = config.ssh_hostname or config.hostname
        raise LauncherError(
            f"cannot launch {config.key} on {host}: this version launches services on this machine only",
            phase="connect",
            key=config.key,
            hint="leave 'hostname' out of the cluster definition, or run the program on that machine itself",
        )
    from seamless.launcher.local import LocalExecutor

    return LocalExecutor()
