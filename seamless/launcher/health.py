"""Whether what is recorded as running is well, and is what was recorded: process, port, launch id, answer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from seamless.launcher.errors import LauncherError
from seamless.launcher.handshake import Answer, HandshakeConfig, probe, reachable_host
from seamless.launcher.processes import Member, recorded_process
from seamless.launcher.sockets import listens
from seamless.launcher.statefile import check_running, secondary_ports

ANOTHER = "another process answers on this port"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5


def handshake_port(state: Mapping[str, Any], handshake: HandshakeConfig | None) -> int | None:
    """Return the port that the handshake goes to, or None if the service has not reported it."""
    name = handshake.port_name if handshake is not None else None
    if not name or name == "port":
        port = state.get("port")
        return port if isinstance(port, int) else None
    return secondary_ports(state).get(name)


def examine(state: Mapping[str, Any], process: Member, handshake: HandshakeConfig | None) -> Answer:
    """Ask a service of this machine once, and see that it is `process` that answers."""
    try:
        check_running(state)
    except LauncherError as exc:
        return Answer(exc.message)
    port = handshake_port(state, handshake)
    if port is None:
        return Answer(f"it does not report the port {handshake.port_name!r}" if handshake else "it reports no port")
    launch_id = str(state.get("launch_id") or "")
    host = reachable_host(str(state.get("network_interface") or "localhost"))
    answer = probe(host, port, handshake, launch_id=launch_id)
    if answer.healthy and not (launch_id and answer.launch_id == launch_id) and listens(process, port) is False:
        return Answer(ANOTHER, answer.launch_id)
    return answer


def examine_patiently(state: Mapping[str, Any], handshake: HandshakeConfig | None, seconds: float) -> Answer:
    """Ask until the answer is good, the process is gone, another one answers, or `seconds` are over."""
    deadline, pause = time.monotonic() + seconds, _FIRST_PAUSE
    while True:
        process = recorded_process(state)
        if process is None:
            return Answer("its process has ended")
        answer = examine(state, process, handshake)
        if answer.healthy or answer.problem == ANOTHER or time.monotonic() >= deadline:
            return answer
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
