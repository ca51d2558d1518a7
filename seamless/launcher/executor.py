"""What `run` needs from the place where a service is to be: this machine, or one that is reached over SSH."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from seamless.launcher.configuration import Configuration
from seamless.launcher.observers import Observer
from seamless.launcher.statefile import State


class Ensured(NamedTuple):
    """A service that has just answered its health check: its state, and whether this call has started it.

    `judged`: its settings have been compared already with the ones that were asked for.
    """

    state: State
    launched: bool
    judged: bool = False


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


def executor_for(config: Configuration, *, connection_file: str = "", on_mismatch: str = "warn") -> Executor:
    """Return the executor that a launch dict asks for.

    `connection_file`: where it is kept how the service is reached. `on_mismatch`: see `run`.
    """
    if config.is_local:
        from seamless.launcher.local import LocalExecutor

        return LocalExecutor()
    from seamless.launcher.ssh.executor import SSHExecutor

    return SSHExecutor(config.ssh_target, connection_file=connection_file, on_mismatch=on_mismatch)
