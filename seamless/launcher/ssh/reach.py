"""How a service of another machine is reached from here: what a connection file says of a tunnel, and whether it holds.

Starts and stops nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from seamless.launcher.configuration import Configuration, is_loopback
from seamless.launcher.handshake import Answer, HandshakeConfig, probe, reachable_host
from seamless.launcher.processes import Member, owner, start_time
from seamless.launcher.statefile import State, is_port, secondary_ports

LISTENER = "127.0.0.1"
WARM_SECONDS = 1.5  # for a service that has answered before; one that does not is looked at on its machine
MONITOR_MODULE = "seamless.launcher.ssh.monitor"
_HANDED_ON = ("parameters", "meta", "token", "launch_id")
_WITHOUT_HANDSHAKE = HandshakeConfig("/")


def forward_target(interface: str) -> str:
    """Return the address that the other machine is to connect to for a service bound to `interface`.

    >>> [forward_target(text) for text in ("localhost", "0.0.0.0", "10.0.0.5", "::1", "::")]
    ['127.0.0.1', '127.0.0.1', '10.0.0.5', '::1', '::1']
    """
    host = reachable_host(interface).strip("[]")
    return host if ":" in host or not is_loopback(host) else LISTENER


def remote_ports(state: Mapping[str, Any]) -> dict[str, int]:
    """Return all ports of a service by their names."""
    return {"port": state["port"], **secondary_ports(state)}


def tunnelled_payload(config: Configuration, state: Mapping[str, Any], local: Mapping[str, int], pid: int) -> State:
    """Return what a client needs to know of a service whose ports are forwarded to `local` by the process `pid`."""
    payload: State = {"hostname": "localhost", "port": local["port"], "tunneled-host": config.ssh_target}
    payload["tunneled-network-interface"] = str(state.get("network_interface") or config.network_interface)
    for name, port in remote_ports(state).items():
        payload[name] = local[name]
        payload[f"tunneled-{name}"] = port
    payload["tunnel_pid"] = pid
    return payload | {name: state[name] for name in _HANDED_ON if state.get(name) is not None}


def local_ports(payload: Mapping[str, Any]) -> dict[str, int]:
    """Return the ports on this machine that a connection file of a tunnel names."""
    ports = {"port": payload.get("port"), **secondary_ports(payload)}
    return {name: port for name, port in ports.items() if not name.startswith("tunneled-") and is_port(port)}  # type: ignore[misc]


def state_of(payload: Mapping[str, Any]) -> State | None:
    """Return what a connection file tells of the state of the service, or None if it is incomplete."""
    prefix = "tunneled-" if "tunneled-host" in payload else ""
    state: State = {name: payload[name] for name in _HANDED_ON if name in payload}
    for name in local_ports(payload):
        port = payload.get(f"{prefix}{name}")
        if not is_port(port):
            return None
        state[name] = port
    if "tunneled-network-interface" in payload:
        state["network_interface"] = payload["tunneled-network-interface"]
    return state if "port" in state else None


def monitor_of(payload: Mapping[str, Any], path: str) -> Member | None:
    """Return the living process that holds the tunnel of the connection file `path`."""
    pid = payload.get("tunnel_pid")
    if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 1 or owner(pid) != os.getuid():
        return None
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            words = f.read().split(b"\0")
    except OSError:
        return None
    started = start_time(pid)
    is_monitor = os.fsencode(path) in words and MONITOR_MODULE.encode() in words
    return Member(pid, started) if is_monitor and started is not None else None


def described_state(config: Configuration, payload: Mapping[str, Any], path: str) -> State | None:
    """Return what a connection file tells of the state if it is for `config`, and its tunnel is there."""
    if config.tunnel:
        good = payload.get("tunneled-host") == config.ssh_target and monitor_of(payload, path) is not None
    else:
        good = payload.get("hostname") == config.hostname and "tunneled-host" not in payload
    return state_of(payload) if good else None


def ask(config: Configuration, payload: Mapping[str, Any], seconds: float) -> Answer:
    """Ask a service whether it is well, at the address that the connection file names."""
    handshake = config.handshake
    name = (handshake.port_name if handshake is not None else None) or "port"
    port = local_ports(payload).get(name)
    if port is None:
        return Answer(f"it does not report the port {name!r}")
    launch_id = str(payload.get("launch_id") or "")
    if not config.tunnel:
        return probe(str(payload["hostname"]), port, handshake, timeout=seconds, launch_id=launch_id)
    # A tunnel accepts every connection; only an answer, whatever it says, shows that there is a service behind it.
    answer = probe(LISTENER, port, handshake or _WITHOUT_HANDSHAKE, timeout=seconds, launch_id=launch_id)
    return Answer("", answer.launch_id) if handshake is None and answer.problem.startswith("HTTP") else answer
