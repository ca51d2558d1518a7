"""Open, reuse and end the tunnel of a connection file: a process of its own (`monitor`) that outlives this one."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from seamless.launcher.configuration import Configuration
from seamless.launcher.errors import LauncherError, TunnelError
from seamless.launcher.observers import Observer, Phase
from seamless.launcher.paths import make_private
from seamless.launcher.processes import Member, is_same_process, wait_until
from seamless.launcher.programs import module_command
from seamless.launcher.ssh.reach import (
    LISTENER,
    MONITOR_MODULE,
    ask,
    forward_target,
    local_ports,
    monitor_of,
    remote_ports,
    state_of,
    tunnelled_payload,
)
from seamless.launcher.statefile import State, read_state_or_none, update_state

if TYPE_CHECKING:
    import subprocess

_READY_SECONDS = 45.0
_ANSWER_SECONDS = 15.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
_ATTEMPTS = 3  # another program may take a port that was free
_FINAL = ("connection was closed", "connection reset", "another service")  # will not be otherwise a moment later
_FIRST_PORT, _PORTS = 20000, 12000  # below what the kernel gives to connections
_ADVICE = (
    ("prohibited", "the key may not forward ports: its line in authorized_keys needs port-forwarding and "
     'permitopen="127.0.0.1:*"'),
    ("onnection refused", "nothing listens there: see that network_interface is the address that the service binds"),
    ("resolve", "network_interface must be a name or an address that is known there"),
)  # fmt: skip


@contextlib.contextmanager
def tunnelled(config: Configuration, state: State, path: str, observer: Observer) -> Iterator[State]:
    """Have a tunnel to a service that runs, and yield what a client needs to know, to be written to `path`.

    A tunnel that is there is used again. When the block raises, a new one is ended. Raises TunnelError.
    """
    before = read_state_or_none(path) or {}
    monitor = monitor_of(before, path)
    if monitor is not None:
        if _forwards(before) == remote_ports(state) and before.get("tunneled-host") == config.ssh_target:
            payload = tunnelled_payload(config, state, local_ports(before), monitor.pid)
            os.kill(monitor.pid, signal.SIGUSR1)  # if it waits to connect again: now
            if not _problem(config, payload, monitor):
                _tell(observer, config, payload)
                yield payload
                return
        end_monitor(monitor)
    started = _Started.open(config, state, path, local_ports(before))
    try:
        payload = tunnelled_payload(config, state, started.local, started.pid)
        problem = _problem(config, payload, None)
        if problem:
            raise _error(config, payload, problem, started.said())
        _tell(observer, config, payload)
        yield payload
        started.keep()
    finally:
        started.close()


def _forwards(payload: Mapping[str, Any]) -> dict[str, int]:
    state = state_of(payload)
    return {} if state is None else remote_ports(state)


def _tell(observer: Observer, config: Configuration, payload: State) -> None:
    observer.phase(Phase.TUNNEL_SETUP, f"localhost:{payload['port']} -> {config.ssh_target}:{payload['tunneled-port']}")
    observer.phase(Phase.LOCAL_VALIDATE, "ok")


def _problem(config: Configuration, payload: State, monitor: Member | None) -> str:
    """Ask through the tunnel until the answer is good; return what is wrong after 15 s."""
    deadline, pause = time.monotonic() + _ANSWER_SECONDS, _FIRST_PAUSE
    while True:
        answer = ask(config, payload, _ANSWER_SECONDS)
        if monitor is not None and not is_same_process(*monitor):
            return "its process has ended"
        final = answer.healthy or any(text in answer.problem for text in _FINAL)
        if final or time.monotonic() >= deadline:
            return answer.problem
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _error(config: Configuration, payload: State, problem: str, said: Sequence[str]) -> TunnelError:
    host, interface = config.ssh_target, payload["tunneled-network-interface"]
    where = f"{forward_target(interface)}:{payload['tunneled-port']}"
    reason = said[-1] if said else problem
    advice = next((advice for mark, advice in _ADVICE if mark in reason), "")
    return TunnelError(
        f"{config.key} runs on {host}, but {where} does not answer through the tunnel: {reason}",
        phase=Phase.TUNNEL_SETUP,
        key=config.key,
        host=host,
        hint=advice or f"see whether it answers there: ssh {host} rhl-verify-port {where.replace(':', ' ')}",
    )


class _Started:
    """A new monitor, which ends unless `keep` is called. `local`: the ports on this machine by their names."""

    def __init__(self, process: subprocess.Popen[bytes], local: Mapping[str, int]):
        self.process, self.local, self.pid, self._data = process, local, 0, b""

    @classmethod
    def open(cls, config: Configuration, state: State, path: str, preferred: Mapping[str, int]) -> _Started:
        """Start it, and wait until the ports are open."""
        message = ""
        for attempt in range(_ATTEMPTS):
            started = cls(_start(config, path), _choose(path, remote_ports(state), preferred if not attempt else {}))
            try:
                message = started._begin(config, state, path)
                if not message:
                    return started
            except BaseException:
                started.close()
                raise
            started.close()
            if "cannot listen to port" not in message:
                break
        host = config.ssh_target
        raise TunnelError(
            f"cannot open a tunnel to {host} for {config.key}: {message}",
            phase=Phase.TUNNEL_SETUP,
            key=config.key,
            host=host,
            hint=f"see whether `ssh -N {host}` stays connected",
        )

    def _begin(self, config: Configuration, state: State, path: str) -> str:
        """Tell it what to hold; return what is wrong, or nothing."""
        target = forward_target(str(state.get("network_interface") or config.network_interface))
        forwards = [
            {"local": self.local[name], "target": target, "remote": port} for name, port in remote_ports(state).items()
        ]
        self._send(json.dumps({"host": config.ssh_target, "path": path, "forwards": forwards}) + "\n")
        answer = self._receive(_READY_SECONDS)
        if answer.get("status") == "ready":
            self.pid = answer["pid"]
            return ""
        return str(answer.get("message") or "the process that holds it ended without a word")

    def _send(self, text: str) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(text.encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            return  # its answer says why, or that there is none

    def _receive(self, seconds: float) -> dict[str, Any]:
        assert self.process.stdout is not None
        fd, deadline = self.process.stdout.fileno(), time.monotonic() + seconds
        while b"\n" not in self._data:
            ready = select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]
            piece = os.read(fd, 65536) if ready else b""
            if not piece:
                return {"message": "" if ready else f"no answer within {seconds:g} s"}
            self._data += piece
        line, _, self._data = self._data.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def said(self) -> list[str]:
        """End it and return what ssh has said meanwhile about connections."""
        self._send("drop\n")
        said = self._receive(5.0).get("said")
        return [line for line in said if "open failed" in line] if isinstance(said, list) else []

    def keep(self) -> None:
        """Let it go on: the connection file names it."""
        self._send("keep\n")

    def close(self) -> None:
        """Let go of it. Without `keep` that is its end."""
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue
        self.process.wait()


def _start(config: Configuration, path: str) -> subprocess.Popen[bytes]:
    import subprocess

    log = path.removesuffix(".json") + ".tunnel.log"
    make_private(os.path.dirname(path))
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(
            [*module_command(MONITOR_MODULE), path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=fd,
            cwd="/",
            start_new_session=True,
        )
    except OSError as exc:
        raise LauncherError(f"cannot start the process for the tunnel of {config.key}: {exc.strerror}") from exc
    finally:
        os.close(fd)


def _choose(path: str, ports: Mapping[str, int], preferred: Mapping[str, int]) -> dict[str, int]:
    """Return a free port of this machine for each port of the service: the one before, else always the same."""
    import zlib

    chosen: dict[str, int] = {}
    for name in ports:
        usual = _FIRST_PORT + zlib.crc32(os.fsencode(f"{path} {name}")) % _PORTS
        port = next((port for port in (preferred.get(name), usual) if port and _is_free(port)), None)
        chosen[name] = port if port and port not in chosen.values() else _free_port()
    return chosen


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LISTENER, port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LISTENER, 0))
        return int(probe.getsockname()[1])


def end_monitor(monitor: Member) -> None:
    """End the process that holds a tunnel, and wait until its ports are free."""
    try:
        os.kill(monitor.pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    if not wait_until(lambda: not is_same_process(*monitor), 5.0):
        os.kill(monitor.pid, signal.SIGKILL)


def end_tunnel(path: str) -> None:
    """End the tunnel of a connection file, if there is one, and mark the file as stale."""
    payload = read_state_or_none(path)
    if payload is None:
        return
    monitor = monitor_of(payload, path)
    update_state(path, status="stale")
    if monitor is not None:
        end_monitor(monitor)
