"""Have a service run on a host whose launcher has only single helpers: look, launch, wait, ask, step by step.

Time is measured on this machine only; the helpers there have no lock, so two clients at once may start two processes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from seamless.launcher.configuration import Configuration
from seamless.launcher.errors import LauncherError, StartFailed
from seamless.launcher.executor import Ensured
from seamless.launcher.handshake import build_handshake_url, reachable_host
from seamless.launcher.health import handshake_port
from seamless.launcher.observers import Observer, Phase
from seamless.launcher.ssh.arguments import json_object, launch_words
from seamless.launcher.ssh.connection import Completed
from seamless.launcher.statefile import State, check_running

if TYPE_CHECKING:
    from seamless.launcher.ssh.executor import SSHExecutor

_MAX_ROUNDS = 6
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0
_ANSWER_SECONDS = 15.0
_TAIL_LINES = 30
_OTHER_COMMAND = 3  # rhl-launch-service: it runs already, with another command


def ensure_with_single_helpers(executor: SSHExecutor, config: Configuration, observer: Observer) -> Ensured:
    """Have a service of this key run and answer; start it if there is none. Raises LauncherError."""
    return _Steps(executor, config, observer).run()


class _Steps:
    def __init__(self, executor: SSHExecutor, config: Configuration, observer: Observer):
        self.executor, self.config, self.observer = executor, config, observer
        self.key, self.host = config.key, executor.host

    def run(self) -> Ensured:
        for _ in range(_MAX_ROUNDS):
            state = self._inspect()
            status = None if state is None else state.get("status")
            self.observer.phase(Phase.REMOTE_CHECK, "missing" if state is None else f"found:{status}")
            if state is None:
                self._launch()
                ready = self._wait(own=True)
                if ready is not None:
                    return Ensured(ready, True)
            elif status == "running":
                if self._validated(state):
                    return Ensured(state, False)
            elif status == "starting":
                ready = self._wait(own=False)
                if ready is not None:
                    return Ensured(ready, False)
            else:
                self._remove("remove")
        raise self._error(f"the state of {self.key} on {self.host} keeps changing", Phase.REMOTE_CHECK)

    def _helper(self, *words: str) -> Completed:
        self.observer.command(self.executor.name, list(words))
        return self.executor.connection.helper(words)

    def _inspect(self) -> State | None:
        done = self._helper("rhl-inspect", self.key, "--with-mtime")
        if done.status != 0:
            if "no state file" in done.stderr:
                return None
            raise self.executor.failure("rhl-inspect", self.key, done, phase=Phase.REMOTE_CHECK)
        for line in done.stdout.splitlines():
            found = json_object(line)
            if found is not None and isinstance(found.get("data"), dict):
                state: State = found["data"]
                return None if state.get("dry_run") is True else state
        raise self.executor.failure("rhl-inspect", self.key, done, phase=Phase.REMOTE_CHECK)

    # --- a service that is there ----------------------------------------------------------------

    def _validated(self, state: State) -> bool:
        """Tell whether the recorded service answers; if not, stop it and forget it."""
        check_running(state)
        problem = self._problem(state)
        self.observer.phase(Phase.REMOTE_VALIDATE, problem or "ok")
        if problem:
            # A pid alone proves nothing after a restart of that machine: one that is gone is not signalled.
            alive = self._is_alive(state)
            if alive:
                self._helper("rhl-stop", self.key)
            self._remove("kill+remove" if alive else "remove")
        return not problem

    def _problem(self, state: State) -> str:
        """Return what is wrong with a running service as the phase's result; empty if it answers within 15 s."""
        deadline, pause = time.monotonic() + _ANSWER_SECONDS, _FIRST_PAUSE
        while True:
            problem = self._ask(state)
            if not problem or not self._is_alive(state) or time.monotonic() >= deadline:
                return problem
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _ask(self, state: State) -> str:
        interface = reachable_host(str(state.get("network_interface") or "localhost"))
        handshake = self.config.handshake
        if handshake is None:
            return "port-failed" if self._helper("rhl-verify-port", interface, str(state["port"])).status else ""
        port = handshake_port(state, handshake)
        if port is None:
            return "port-failed"
        url = build_handshake_url(interface, port, handshake)
        return "handshake-failed" if self._helper("rhl-handshake", url).status else ""

    def _is_alive(self, state: Mapping[str, Any]) -> bool:
        return self._helper("rhl-pid-alive", str(state.get("pid"))).status == 0

    def _remove(self, result: str) -> None:
        self.observer.phase(Phase.STALE_CLEANUP, result)
        done = self._helper("rhl-rm", self.key, "--server")
        if done.status != 0:
            raise self.executor.failure("rhl-rm", self.key, done, phase=Phase.STALE_CLEANUP)

    # --- a service that is not there --------------------------------------------------------------

    def _launch(self) -> None:
        if self.config.image is not None:
            raise self._error(f"the launcher on {self.host} cannot start {self.key} in a container image", Phase.LAUNCH)
        if self.config.conda is not None:
            self._check_conda(self.config.conda)
        done = self._helper(*launch_words(self.config))
        if done.status not in (0, _OTHER_COMMAND):
            raise self.executor.failure("rhl-launch-service", self.key, done, phase=Phase.LAUNCH)
        if done.status == 0:
            self.observer.phase(Phase.LAUNCH, "started")

    def _check_conda(self, name: str) -> None:
        from seamless.launcher.conda import CondaSetup

        for attempt in range(2):
            done = self._helper("rhl-conda-info") if attempt == 0 else self._refreshed_conda()
            found = next(filter(None, map(json_object, done.stdout.splitlines())), None)
            if found is not None:
                environments = tuple(map(str, found.get("envs") or ()))
                base = str(found.get("conda_base") or "")
                if CondaSetup(None, base, environments).find(name):
                    self.observer.phase(Phase.CONDA_SETUP, "ok")
                    return
        raise self._error(
            f"Conda environment '{name}' is not listed in the conda cache for {self.executor.name} after running "
            "rhl-cache-conda.",
            Phase.CONDA_SETUP,
        )

    def _refreshed_conda(self) -> Completed:
        done = self._helper("rhl-cache-conda")
        if done.status != 0:
            raise self.executor.failure("rhl-cache-conda", self.key, done, phase=Phase.CONDA_SETUP)
        return self._helper("rhl-conda-info")

    def _wait(self, *, own: bool) -> State | None:
        """Wait until a starting service answers; None if it is to be looked at again. Raises StartFailed."""
        self.observer.phase(Phase.WAIT_FOR_START, "waiting")
        deadline, pause = time.monotonic() + self.config.start_timeout, _FIRST_PAUSE
        dead = False
        while True:
            state = self._inspect()
            if state is None:
                if not own:
                    return None
                self._fail("its state file was removed while it started", own)
            assert state is not None
            status = state.get("status")
            if status == "running":
                return self._ready(state, own)
            if status == "failed":
                self._fail(str(state.get("error") or "it reports that it could not start"), own)
            if status != "starting":
                return None
            if dead:
                self._fail("its process ended before it was ready", own)
            if time.monotonic() >= deadline:
                self._fail(f"it was not ready within {self.config.start_timeout:g} s (start_timeout)", True)
            time.sleep(pause)
            pause = min(1.5 * pause, _LONGEST_PAUSE)
            dead = not self._is_alive(state)  # what it wrote last is read once more

    def _ready(self, state: State, own: bool) -> State | None:
        check_running(state)
        problem = self._problem(state)
        if problem and own:
            self._fail(f"it reports port {state.get('port')}, but does not answer there ({problem})", own)
        return None if problem else state

    def _fail(self, reason: str, stop: bool) -> None:
        """Keep the end of the log, stop and forget the service if it is ours, and raise StartFailed."""
        log = self._helper("rhl-logs", self.key, "--tail", str(_TAIL_LINES))
        lines = ["".join(c if c.isprintable() else " " for c in line).rstrip() for line in log.stdout.splitlines()]
        if stop:
            self._helper("rhl-stop", self.key)
        self._remove("remove")
        raise StartFailed(
            f"on {self.host}: {self.key} did not start: {reason}",
            phase=Phase.WAIT_FOR_START,
            key=self.key,
            host=self.host,
            log_path=f"~/.remote-http-launcher/server/{self.key}.log",
            log_tail=[line for line in lines if line],
            hint=f"correct what the log says, then try again; the whole log: ssh {self.host} rhl-logs {self.key}",
        )

    def _error(self, text: str, phase: Phase) -> LauncherError:
        return LauncherError(text, phase=phase, key=self.key, host=self.host)
