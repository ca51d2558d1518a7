"""Have a service available and know how to reach it: `run`, the quicker `connect`, and `stop`, `status`, `forget`.

Keeps one connection file per key, readable for its owner only; its content is what `run` returns. Of several callers
of this machine only one at a time goes to another one for the same key.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

from seamless.launcher.configuration import Configuration
from seamless.launcher.errors import ConfigurationRefused, LauncherError
from seamless.launcher.executor import Executor, executor_for
from seamless.launcher.handshake import probe, reachable_host
from seamless.launcher.health import handshake_port
from seamless.launcher.observers import Observer, Phase, standard_observer
from seamless.launcher.paths import client_directory, expand_home, is_key, state_path
from seamless.launcher.processes import recorded_process
from seamless.launcher.statefile import (
    MalformedStateError,
    State,
    is_port,
    read_state,
    read_state_or_none,
    remove_file,
    secondary_ports,
    write_state,
)

TRUST_SECONDS = 5.0
ON_MISMATCH = ("warn", "restart", "error")

Payload = dict[str, Any]


def run(
    config: Mapping[str, Any] | Configuration,
    *,
    connection_dir: str | os.PathLike[str] | None = None,
    observer: Observer | None = None,
    reconnect: bool = False,
    on_mismatch: str = "warn",
) -> Payload:
    """Have exactly one service of this key run and answer, and return how to reach it. Blocks.

    The answer has `hostname`, `port`, further ports, and where the service has them `token`, `parameters`, `meta`
    and `launch_id`. `connection_dir`: where the connection file is kept. `observer`: who is told (default: what the
    launch dict asks for). `reconnect`: do not trust the connection file. `on_mismatch`: what to do about a running
    service that was started with other settings: `warn`, `restart` it, or raise (`error`).
    Raises LauncherError for every failure that can be expected.
    """
    if on_mismatch not in ON_MISMATCH:
        raise ValueError(f"on_mismatch must be one of {', '.join(ON_MISMATCH)}; found {on_mismatch!r}")
    checked = config if isinstance(config, Configuration) else Configuration.from_mapping(config)
    watcher = observer or standard_observer(checked.log_level, checked.log_file, checked.debug_log_file)
    try:
        watcher.begin(checked.key, str((checked.meta or {}).get("service") or checked.key))
        return _Run(checked, connection_dir, watcher, on_mismatch).payload(reconnect)
    except LauncherError as exc:
        exc.key = exc.key or checked.key
        exc.reported = watcher.error(str(exc))
        raise
    finally:
        watcher.close()


def connect(
    config: Mapping[str, Any] | Configuration,
    *,
    connection_dir: str | os.PathLike[str] | None = None,
    trust_seconds: float = TRUST_SECONDS,
    observer: Observer | None = None,
) -> Payload:
    """Do what `run` does, but believe the connection file if the service has answered `trust_seconds` ago or less.

    Then nobody is asked, and it is only seen that the process of the service is still there: if it had ended, another
    service could have its port. After a connection error call `run`.
    """
    checked = config if isinstance(config, Configuration) else Configuration.from_mapping(config)
    path = client_file(checked.key, connection_dir)
    try:
        age = time.time() - os.stat(path).st_mtime
    except OSError:
        age = -1.0
    if 0 <= age <= trust_seconds:
        payload = read_state_or_none(path)
        if payload is not None and _is_usable(payload, checked) and _lives(payload, checked, path):
            return payload
    return run(checked, connection_dir=connection_dir, observer=observer)


def _is_usable(payload: Payload, config: Configuration) -> bool:
    """Tell whether a connection file is complete and of a service with the same settings."""
    meta = payload.get("meta")
    running = meta.get("fingerprint") if isinstance(meta, dict) else None
    return (
        "status" not in payload
        and isinstance(payload.get("hostname"), str)
        and (_is_tunnelled(config) or config.hostname in (None, payload["hostname"]))
        and payload.get("tunneled-host") == (config.ssh_target if _is_tunnelled(config) else None)
        and is_port(payload.get("port"))
        and running == (config.meta or {}).get("fingerprint")
    )


def _is_tunnelled(config: Configuration) -> bool:
    return config.tunnel and not config.is_local


def _lives(payload: Payload, config: Configuration, path: str) -> bool:
    """Tell whether a connection file is that of the recorded service (or a tunnel), whose process has not ended."""
    if _is_tunnelled(config):
        from seamless.launcher.ssh.reach import monitor_of

        return monitor_of(payload, path) is not None
    if not config.is_local:
        return True
    state = read_state_or_none(state_path(config.key))
    return (
        state is not None
        and all(payload.get(name) == state.get(name) for name in ("port", "launch_id", "token"))
        and recorded_process(state) is not None
    )


def client_file(key: str, connection_dir: str | os.PathLike[str] | None = None) -> str:
    """Return the connection file of a service."""
    directory = client_directory() if connection_dir is None else expand_home(os.fspath(connection_dir))
    return os.path.join(os.path.abspath(directory), f"{key}.json")


class _Run:
    """One call of `run`."""

    def __init__(
        self,
        config: Configuration,
        connection_dir: str | os.PathLike[str] | None,
        observer: Observer,
        on_mismatch: str,
    ):
        self.config, self.observer, self.on_mismatch = config, observer, on_mismatch
        self.path = client_file(config.key, connection_dir)
        self.executor: Executor = executor_for(config, connection_file=self.path, on_mismatch=on_mismatch)

    def payload(self, reconnect: bool) -> Payload:
        known = None if reconnect else self._known()
        if known is not None:
            return known
        before = _identity(self.path)
        with self._turn():
            if _identity(self.path) != before:  # somebody else has just been there
                known = self._known()
                if known is not None:
                    return known
            return self._ensured()

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Let only one caller of this machine at a time go to another one. Here the lock of the state is enough."""
        if self.config.is_local:
            yield
            return
        from seamless.launcher.locking import WAIT_SECONDS, file_lock

        with file_lock(f"{self.path}.lock", self.config.key, wait=self.config.start_timeout + WAIT_SECONDS):
            yield

    def _ensured(self) -> Payload:
        self.observer.phase(Phase.CONNECT, self.executor.name)
        ensured = self.executor.ensure(self.config, self.observer)
        if not ensured.launched and not ensured.judged and self._must_restart(ensured.state):
            ensured = self.executor.ensure(self.config, self.observer)
        with self._reached(ensured.state) as payload:
            write_state(self.path, payload)
        self.observer.phase(Phase.DONE, "launched" if ensured.launched else "reused-remote")
        return payload

    @contextlib.contextmanager
    def _reached(self, state: State) -> Iterator[Payload]:
        """Yield how the service is reached from here, where it has just answered."""
        if _is_tunnelled(self.config):
            from seamless.launcher.ssh.tunnel import tunnelled

            with tunnelled(self.config, state, self.path, self.observer) as payload:
                yield payload
            return
        payload = client_payload(self.config, state)
        self._validate(payload, state)
        yield payload

    def _known(self) -> Payload | None:
        """Return the content of the connection file if the service that it names answers."""
        try:
            payload = read_state(self.path)
        except MalformedStateError:
            self.observer.phase(Phase.LOCAL_CHECK, "malformed")
            return None
        if payload is None:
            self.observer.phase(Phase.LOCAL_CHECK, "missing")
            return None
        state = None
        if payload.get("status") != "stale" and is_port(payload.get("port")):
            state = self.executor.vouches(self.config, payload)
        if state is None or not self._agrees(payload, state) or self._must_restart(state):
            if "tunnel_pid" not in payload:  # a tunnel needs it, and may do again
                remove_file(self.path)
            self.observer.phase(Phase.LOCAL_CHECK, "stale")
            return None
        _touch(self.path)
        self.observer.phase(Phase.LOCAL_CHECK, "reused")
        self.observer.phase(Phase.DONE, "reused-local")
        return payload

    def _agrees(self, payload: Payload, state: State) -> bool:
        """Tell whether a connection file says what would be written now."""
        return _is_tunnelled(self.config) or payload == client_payload(self.config, state)

    def _must_restart(self, state: State) -> bool:
        """See whether the running service has other settings; tell whether it was stopped for that."""
        differences = self.executor.differences(self.config, state)
        if not differences:
            return False
        key = self.config.key
        text = f"{key} runs with other settings than configured: {'; '.join(differences)}"
        host = self.config.ssh_target
        hint = f"to restart it with the new ones, stop it: {f'ssh {host} ' if host else ''}rhl-stop {key}"
        if self.on_mismatch == "error":
            raise LauncherError(text, phase=Phase.REMOTE_VALIDATE, key=key, host=host, hint=hint)
        if self.on_mismatch == "warn":
            self.observer.warning(f"{text}\n  what to do: {hint}")
            return False
        self.executor.stop(key)
        return True

    def _validate(self, payload: Payload, state: State) -> None:
        """See that the service answers under the name that is handed out, if that is not where it was just asked."""
        host, interface = payload["hostname"], str(state.get("network_interface") or "localhost")
        if not self.config.is_local or host != reachable_host(interface):
            port = handshake_port(payload, self.config.handshake)
            launch_id = str(payload.get("launch_id") or "")
            answer = probe(host, port or payload["port"], self.config.handshake, launch_id=launch_id)
            if not answer.healthy:
                raise LauncherError(
                    f"{self.config.key} runs, but does not answer at {host}:{port}: {answer.problem}",
                    phase=Phase.LOCAL_VALIDATE,
                    key=self.config.key,
                    host=self.config.ssh_target,
                    hint=f"it listens on network_interface {interface}; make that and hostname agree"
                    + ("" if self.config.is_local else ", or set 'tunnel: true'"),
                )
        self.observer.phase(Phase.LOCAL_VALIDATE, "ok")


def client_payload(config: Configuration, state: State) -> Payload:
    """Return what a client needs to know of a running service that it reaches directly."""
    interface = str(state.get("network_interface") or config.network_interface)
    payload: Payload = {"hostname": config.hostname or reachable_host(interface), "port": state["port"]}
    payload |= secondary_ports(state)
    if config.ssh_hostname and config.ssh_hostname != payload["hostname"]:
        payload["ssh_hostname"] = config.ssh_hostname
    for name in ("parameters", "meta", "token", "launch_id"):
        if state.get(name) is not None:
            payload[name] = state[name]
    return payload


def _identity(path: str) -> tuple[int, int] | None:
    """Return what changes when the connection file is written again."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _touch(path: str) -> None:
    """Note that the service has just answered."""
    try:
        os.utime(path)
    except OSError:
        return  # taken away meanwhile: the next call asks again


# --- what else can be done with a service -----------------------------------------------------------


def stop(
    config: Mapping[str, Any] | Configuration | str, *, connection_dir: str | os.PathLike[str] | None = None
) -> str:
    """Stop a service, given its launch dict or key; return what was found. Blocks until it has ended.

    The answer is `stopped`, `already gone`, `kill required` (it did not obey), `missing state` or
    `permission denied`. A tunnel to it is closed.
    """
    key, executor = _place(config)
    outcome = executor.stop(key)
    if outcome != "permission denied":
        _close_tunnel(client_file(key, connection_dir))
    return outcome


def _close_tunnel(path: str) -> None:
    payload = read_state_or_none(path)
    if payload is not None and "tunnel_pid" in payload:
        from seamless.launcher.ssh.tunnel import end_tunnel

        end_tunnel(path)


def status(config: Mapping[str, Any] | Configuration | str) -> Payload | None:
    """Return the state of a service with its derived `status` and whether it is `live`; None if there is none."""
    key, executor = _place(config)
    return executor.inspect(key)


def forget(
    config: Mapping[str, Any] | Configuration | str, *, connection_dir: str | os.PathLike[str] | None = None
) -> bool:
    """Remove the state and the connection file of a service that does not run; tell whether there were any.

    Raises LauncherError if it runs.
    """
    key, executor = _place(config)
    removed = executor.forget(key)
    path = client_file(key, connection_dir)
    _close_tunnel(path)
    return remove_file(path) or removed


def _place(config: Mapping[str, Any] | Configuration | str) -> tuple[str, Executor]:
    if isinstance(config, str):
        if not is_key(config):
            raise ConfigurationRefused(f"{config!r} cannot be the key of a service")
        from seamless.launcher.local import LocalExecutor

        return config, LocalExecutor()
    checked = config if isinstance(config, Configuration) else Configuration.from_mapping(config)
    return checked.key, executor_for(checked)
