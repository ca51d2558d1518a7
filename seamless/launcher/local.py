"""Services on this machine: have exactly one per key run and answer, whoever else wants the same at the same time.

A state is judged, changed and created only under the lock of its key; the process begins when its state is written.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

from seamless.launcher.commands import inner_argv
from seamless.launcher.configuration import Configuration
from seamless.launcher.errors import LauncherError, StartFailed
from seamless.launcher.executor import Ensured
from seamless.launcher.health import ANOTHER, examine, examine_patiently
from seamless.launcher.listing import derived_row
from seamless.launcher.locking import key_lock
from seamless.launcher.logs import tail
from seamless.launcher.observers import Observer, Phase
from seamless.launcher.paths import expand_home, log_path, state_path
from seamless.launcher.processes import reap, recorded_process, wait_until
from seamless.launcher.starting import Terms, read_usable, start_if_none_runs
from seamless.launcher.statefile import (
    State,
    make_file_private,
    read_state,
    read_state_or_none,
    remove_file,
    secondary_ports,
)
from seamless.launcher.stopping import (
    GONE,
    mark_ended,
    refuse_elsewhere,
    same_launch,
    stop_recorded,
    stop_service,
)

_FIRST_POLL, _LONGEST_POLL = 0.005, 0.1
_MAX_ROUNDS = 10
_TAIL_LINES = 30
_GRACE_SECONDS = 1.0  # for a service that has reported its failure to end by itself


class Limits(NamedTuple):
    """How long is waited, in seconds: for a running service to answer, for a process to obey a signal."""

    answer: float = 15.0
    obey: float = 5.0


class LocalExecutor:
    """Runs services as processes of this user on this machine."""

    name = "LocalExecutor"

    def __init__(self, limits: Limits | None = None, terms: Terms | None = None):
        self.limits, self.terms = limits or Limits(), terms or Terms()

    def ensure(self, config: Configuration, observer: Observer) -> Ensured:
        """Have exactly one service of this key run and answer; start it if there is none."""
        return _Attempt(config, observer, self.limits, self.terms).run()

    def vouches(self, config: Configuration, payload: Mapping[str, Any]) -> State | None:
        """Return the state if what `payload` names is the recorded service and answers, asked once."""
        state = read_state_or_none(state_path(config.key))
        if state is None or state.get("status") != "running":
            return None
        names = ("port", "launch_id", "token")
        if "tunneled-port" in payload or any(payload.get(name) != state.get(name) for name in names):
            return None
        if any(payload.get(name) != port for name, port in secondary_ports(state).items()):
            return None
        process = recorded_process(state)
        if process is None or not examine(state, process, config.handshake).healthy:
            return None
        return state

    def differences(self, config: Configuration, state: Mapping[str, Any]) -> list[str]:
        """Return how a running service differs from what `config` would start, one line each."""
        meta = state.get("meta")
        running = meta.get("fingerprint") if isinstance(meta, dict) else None
        wanted = (config.meta or {}).get("fingerprint")
        if wanted and wanted == running:
            return []
        pairs: dict[str, tuple[Any, Any]] = {
            "workdir": (expand_home(str(state.get("workdir"))), expand_home(config.workdir)),
            "command": (state.get("command"), shlex.join(inner_argv(config))),
        }
        if wanted and running:
            pairs |= {name: (state.get(name), getattr(config, name) or None) for name in ("network_interface", "conda")}
            pairs["image"] = (state.get("image"), dict(config.image) if config.image else None)
            pairs["parameters"] = (state.get("parameters"), config.file_parameters or None)
        lines = [f"{name}: {old!r} runs, {new!r} is configured" for name, (old, new) in pairs.items() if old != new]
        return lines or (["other settings (the fingerprint differs)"] if wanted and running else [])

    def stop(self, key: str) -> str:
        """Stop the service and its children; return what was found."""
        return stop_service(key, patience=self.limits.obey)

    def inspect(self, key: str) -> State | None:
        """Return the state with its derived `status` and `live`, or None without one."""
        state = read_state(state_path(key))
        return None if state is None else derived_row(key, state)

    def forget(self, key: str) -> bool:
        """Remove the state of a service that does not run. Raises LauncherError if it does."""
        if not os.path.lexists(state_path(key)):
            return False
        with key_lock(key):
            state = read_state_or_none(state_path(key)) or {}
            refuse_elsewhere(key, state)
            process = recorded_process(state)
            if process is not None:
                raise LauncherError(f"{key} runs (pid {process.pid})", key=key, hint=f"stop it first: rhl-stop {key}")
            return remove_file(state_path(key))


class _Attempt:
    """One call of `ensure`."""

    def __init__(self, config: Configuration, observer: Observer, limits: Limits, terms: Terms):
        self.config, self.key, self.observer, self.limits, self.terms = config, config.key, observer, limits, terms
        self.path = state_path(config.key)
        self.exit_status: int | None = None  # of a process that this call has started

    def run(self) -> Ensured:
        for _ in range(_MAX_ROUNDS):
            state = read_usable(self.key, self.observer)
            status = state.get("status") if state else None
            refuse_elsewhere(self.key, state or {})
            self.observer.phase(Phase.REMOTE_CHECK, "missing" if state is None else f"found:{status}")
            alive = state is not None and recorded_process(state) is not None
            if alive and status == "running":
                assert state is not None
                if self._validated(state):
                    return Ensured(state, False)
            elif alive and status == "starting":
                assert state is not None
                ready = self._wait(state, own=False)
                if ready is not None:
                    return Ensured(ready, False)
            else:
                found = start_if_none_runs(self.config, self.observer, self.terms, patience=self.limits.obey)
                if found.started:
                    ready = self._wait(found.state, own=True)
                    if ready is not None:
                        return Ensured(ready, True)
        raise LauncherError(
            f"the state of {self.key} keeps changing: something else starts and stops this service",
            phase=Phase.REMOTE_CHECK,
            key=self.key,
            hint=f"look at it with rhl-inspect {self.key} and rhl-logs {self.key}",
        )

    # --- a service that is there ----------------------------------------------------------------

    def _validated(self, state: State) -> bool:
        """Tell whether the recorded service answers; if it does not for a while, stop it."""
        answer = examine_patiently(state, self.config.handshake, self.limits.answer)
        if answer.healthy:
            self.observer.phase(Phase.REMOTE_VALIDATE, "ok")
            return True
        kind = "handshake" if answer.problem.startswith("HTTP") or answer.problem == ANOTHER else "port"
        self.observer.phase(Phase.REMOTE_VALIDATE, f"{kind}-failed")
        self.observer.detail(f"{self.key}: {answer.problem}")
        with key_lock(self.key):
            present = read_state_or_none(self.path)
            if present is not None and same_launch(present, state) and present.get("status") == "running":
                outcome = stop_recorded(self.key, present, patience=self.limits.obey)
                self.observer.phase(Phase.STALE_CLEANUP, "remove" if outcome == GONE else "kill+remove")
        return False

    # --- a service that is not there --------------------------------------------------------------

    def _wait(self, started: State, *, own: bool) -> State | None:
        """Wait until a starting service is ready; None if the state is to be looked at again.

        Raises StartFailed. `own`: this call has started it.
        """
        self.observer.phase(Phase.WAIT_FOR_START, "waiting")
        deadline, pause = time.monotonic() + self.config.start_timeout, _FIRST_POLL
        while True:
            alive = not (own and self._has_exited(started)) and recorded_process(started, collect=False) is not None
            state = read_state_or_none(self.path)  # after the process: what it wrote last is seen
            if state is None or not same_launch(state, started):
                if not own or (state is not None and state.get("status") == "running"):
                    return None
                self._fail(started, "its state file was removed while it started", kill=True)
            assert state is not None
            status = state.get("status")
            if status == "running":
                return self._ready(state, own=own)
            if status == "failed":
                reason = state.get("error") or "it reports that it could not start"
                self._fail(started, str(reason), kill=own, grace=_GRACE_SECONDS)
            if status == "stale":
                self._fail(started, "it was stopped while it started", kill=own, grace=_GRACE_SECONDS)
            if not alive:
                self._has_exited(started)
                self._fail(started, _end_of_process(self.exit_status), kill=own)
            if time.monotonic() >= deadline:
                seconds = f"{self.config.start_timeout:g} s"
                self._fail(started, f"it was not ready within {seconds} (start_timeout)", kill=True)
            time.sleep(pause)
            pause = min(1.5 * pause, _LONGEST_POLL)

    def _has_exited(self, started: State) -> bool:
        """Tell whether the process that this call has started is known to have ended; note its exit status."""
        if self.exit_status is None:
            self.exit_status = reap(started["pid"])
        return self.exit_status is not None

    def _ready(self, state: State, *, own: bool) -> State | None:
        """Return the state if the service answers where it says that it does."""
        answer = examine_patiently(state, self.config.handshake, self.limits.answer)
        if answer.healthy:
            make_file_private(self.path)  # not every service keeps the mode when it rewrites the file
            return state
        if own:
            self._fail(state, f"it reports port {state.get('port')}, but there: {answer.problem}", kill=True)
        return None

    def _fail(self, started: State, reason: str, *, kill: bool, grace: float = 0.0) -> NoReturn:
        """Stop what is left of a failed start, note why, and raise StartFailed with the end of the log.

        `grace`: how long the process is given to end by itself. `kill` False: the rest is another one's to do.
        """
        wait_until(lambda: self._has_exited(started) or recorded_process(started, collect=False) is None, grace)
        if kill:
            with key_lock(self.key):
                if recorded_process(started, collect=False) is not None:
                    stop_recorded(self.key, started, patience=self.limits.obey, status="failed")
                more = {} if self.exit_status is None else {"exit_code": self.exit_status}
                mark_ended(self.key, started, "failed", error=reason, **more)
        error = StartFailed(
            f"{self.key} did not start: {reason} (pid {started['pid']}, phase {Phase.WAIT_FOR_START})",
            phase=Phase.WAIT_FOR_START,
            key=self.key,
            log_path=log_path(self.key),
            log_tail=tail(log_path(self.key), _TAIL_LINES),
            hint=f"correct what the log says, then try again; the whole log: rhl-logs {self.key}",
        )
        error.exit_status = self.exit_status
        raise error


def _end_of_process(exit_status: int | None) -> str:
    if exit_status is None:
        return "its process ended before it was ready"
    if exit_status < 0:
        return f"its process was killed by signal {-exit_status} before it was ready"
    return f"its process ended with status {exit_status} before it was ready"
