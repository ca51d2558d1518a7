"""Services on another machine: ensured with one command there, which tells what happens while it happens.

Where the launcher is of an older version, the single helpers are used. Nothing is concluded from a host that is not
reached.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seamless.launcher.configuration import Configuration
from seamless.launcher.errors import (
    ConfigurationRefused,
    ElsewhereError,
    GuardRejected,
    HelperMissing,
    LauncherError,
    SSHConnectionError,
    StartFailed,
)
from seamless.launcher.executor import Ensured
from seamless.launcher.observers import Observer, Phase
from seamless.launcher.ssh.arguments import differences, ensure_data, ensure_words, json_object
from seamless.launcher.ssh.connection import Completed, SSHConnection
from seamless.launcher.ssh.reach import WARM_SECONDS, ask, described_state
from seamless.launcher.statefile import State, check_running, read_state_or_none

_MORE_SECONDS = 120.0  # than the service may take to start: for whatever else there is to do
_STOP_SECONDS = 60.0
_KINDS = {kind.__name__: kind for kind in (ConfigurationRefused, ElsewhereError, StartFailed)}
_NOT_LISTED = ("command not in whitelist", "rhl-ensure is not allowed")  # what it consists of may be


class SSHExecutor:
    """Runs services on `host`.

    `connection_file`: where it is kept how the service is reached. `on_mismatch`: what to do about one that runs with
    other settings.
    """

    def __init__(self, host: str, *, connection_file: str = "", on_mismatch: str = "warn"):
        self.host, self.connection_file, self.on_mismatch = host, connection_file, on_mismatch
        self.name = f"SSHExecutor[{host}]"
        self.connection = SSHConnection(host)
        self._asked = False

    def ensure(self, config: Configuration, observer: Observer) -> Ensured:
        """Have exactly one service of this key run and answer there; start it if there is none."""
        if not self._asked and self.connection_file:
            self.vouches(config, read_state_or_none(self.connection_file) or {})
        try:
            return _Ensuring(self, config, observer).run()
        except HelperMissing as exc:
            if not exc.older:
                raise
        except GuardRejected as exc:
            if not any(text in exc.reason for text in _NOT_LISTED):
                raise
        observer.detail(f"{self.host} has an older launcher, without rhl-ensure")
        from seamless.launcher.ssh.single import ensure_with_single_helpers

        return ensure_with_single_helpers(self, config, observer)

    def vouches(self, config: Configuration, payload: Mapping[str, Any]) -> State | None:
        """Return what `payload` tells of the state if the service answers there, asked once and without SSH."""
        self._asked = True
        state = described_state(config, payload, self.connection_file)
        if state is None:
            return None
        answer = ask(config, payload, WARM_SECONDS)
        if answer.problem.startswith("no answer"):
            self.connection.drop()  # it goes the same way, and would make every command wait for its end
        return state if answer.healthy else None

    def differences(self, config: Configuration, state: Mapping[str, Any]) -> list[str]:
        """Return how a running service differs from what `config` would start, one line each."""
        return differences(config, state)

    def stop(self, key: str) -> str:
        """Stop the service and its children there; return what was found."""
        done = self.connection.helper(["rhl-stop", key], timeout=_STOP_SECONDS)
        for line in done.stdout.splitlines():
            name, separator, outcome = line.partition(": ")
            if separator and name == key:
                return outcome.strip()
        raise self.failure("rhl-stop", key, done)

    def inspect(self, key: str) -> State | None:
        """Return the state with its derived `status` and `live`, or None without one."""
        done = self.connection.helper(["rhl-ps", "--json"])
        if done.status != 0:
            raise self.failure("rhl-ps", key, done)
        for line in done.stdout.splitlines():
            row = json_object(line)
            if row is not None and row.get("key") == key:
                return row
        return None

    def forget(self, key: str) -> bool:
        """Remove the state of a service that does not run there. Raises LauncherError if it does."""
        row = self.inspect(key)
        if row is None:
            return False
        if row.get("live"):
            raise LauncherError(
                f"{key} runs on {self.host} (pid {row.get('pid')})", key=key, host=self.host, hint="stop it first"
            )
        done = self.connection.helper(["rhl-rm", key, "--server"])
        if done.status != 0:
            raise self.failure("rhl-rm", key, done)
        return "removed" in done.stdout

    def logs(self, key: str, tail: int | None = None) -> str:
        """Return the log of a service there, or its last lines. Raises LauncherError if there is none."""
        more = [] if tail is None else ["--tail", str(tail)]
        done = self.connection.helper(["rhl-logs", key, *more])
        if done.status != 0:
            raise self.failure("rhl-logs", key, done)
        return done.stdout

    def failure(self, helper: str, key: str, done: Completed, *, phase: str = "") -> LauncherError:
        """Return the error for a helper that has failed."""
        said = done.stderr.strip().splitlines()
        reason = f": {said[-1]}" if said else f" with status {done.status}"
        return LauncherError(f"{helper} failed on {self.host}{reason}", key=key, host=self.host, phase=phase)


class _Ensuring:
    """One call of `rhl-ensure`, of which every line is told to the observer."""

    def __init__(self, executor: SSHExecutor, config: Configuration, observer: Observer):
        self.executor, self.config, self.observer = executor, config, observer
        self.result: dict[str, Any] | None = None
        self.heard = self.launched = False

    def run(self) -> Ensured:
        words = ensure_words(self.config, self.executor.on_mismatch)
        self.observer.command(self.executor.name, words)
        try:
            done = self._call(words)
        except SSHConnectionError:
            if not self.heard or self.result is not None:
                raise
            # What was begun there goes on without us: ask what has become of it.
            self.observer.detail(f"the connection to {self.executor.host} was lost; asking again")
            done = self._call(words)
        if self.result is None:
            raise self.executor.failure("rhl-ensure", self.config.key, done, phase=Phase.CONNECT)
        if not self.result.get("ok"):
            raise self._failure(self.result)
        state = self.result.get("state")
        if not isinstance(state, dict):
            raise self._failure({"error": "rhl-ensure answers without a state"})
        check_running(state)
        return Ensured(state, self.launched or self.result.get("launched") is True, True)

    def _call(self, words: Sequence[str]) -> Completed:
        seconds = self.config.start_timeout + _MORE_SECONDS
        data = ensure_data(self.config)
        return self.executor.connection.helper(words, timeout=seconds, data=data, on_line=self._line)

    def _line(self, line: str) -> None:
        message = json_object(line)
        if message is None:
            return  # what a login shell there says to everybody
        self.heard = True
        if "ok" in message:
            self.result = message
        elif "warning" in message:
            self.observer.warning(str(message["warning"]))
        elif "phase" in message:
            self._phase(str(message["phase"]), str(message.get("result", "")))
        elif isinstance(message.get("command"), list):
            self.observer.command(self.executor.host, [str(word) for word in message["command"]])
        elif "detail" in message:
            self.observer.detail(str(message["detail"]))

    def _phase(self, name: str, result: str) -> None:
        try:
            phase = Phase(name)
        except ValueError:
            self.observer.detail(f"{name}: {result}")
            return
        self.launched = self.launched or phase is Phase.LAUNCH
        if phase not in (Phase.LOCAL_CHECK, Phase.CONNECT, Phase.DONE):  # those are ours
            self.observer.phase(phase, result)

    def _failure(self, result: Mapping[str, Any]) -> LauncherError:
        host, lines, status = self.executor.host, result.get("log_tail"), result.get("exit_status")
        error = _KINDS.get(str(result.get("kind")), LauncherError)(
            f"on {host}: {result.get('error') or 'rhl-ensure failed without a reason'}",
            phase=str(result.get("phase") or ""),
            key=self.config.key,
            host=host,
            hint=str(result.get("hint") or ""),
            log_path=str(result.get("log_path") or ""),
            log_tail=[str(line) for line in lines] if isinstance(lines, list) else (),
        )
        if isinstance(error, StartFailed):
            error.exit_status = status if isinstance(status, int) else None
        return error
