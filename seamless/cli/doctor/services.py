"""Checks of the services that a configuration calls for: do they answer, do they know us, who reaches them."""

from __future__ import annotations

import os
import stat
import sys
from typing import Any

from seamless.cli.doctor.finding import HERE, Finding, good, note, problem, skipped
from seamless.cli.doctor.plan import is_remote
from seamless.cli.service.common import STORAGE
from seamless.config.description import launch_dict
from seamless.config.errors import ConfigurationError
from seamless.config.resolved import ResolvedConfig
from seamless.launcher.client import client_file
from seamless.launcher.configuration import Configuration, is_loopback
from seamless.launcher.handshake import probe
from seamless.launcher.health import handshake_port
from seamless.launcher.statefile import MalformedStateError, State, is_port, read_state

_PROBE_SECONDS = 5.0


def check_services(config: ResolvedConfig) -> list[Finding]:
    """Return a finding for each service that programs of this configuration connect to. Starts nothing."""
    if config.persistent and config.project is None:
        return [skipped("service", HERE, "no project is selected")]
    found = []
    names = [*(STORAGE if config.persistent else ())]
    if is_remote(config) and config.remote_effective:
        names.append(config.remote_effective if config.persistent else "pure-daskserver")
    for name in names:
        try:
            checked = Configuration.from_mapping(launch_dict(config, name))
        except ConfigurationError as exc:
            found.append(problem("service", name, exc.findings[0].message, "correct the definition of the cluster"))
        else:
            found += _check_service(name, checked)
    return found


def _check_service(name: str, checked: Configuration) -> list[Finding]:
    path = client_file(checked.key)
    try:
        payload = read_state(path)
    except MalformedStateError as exc:
        return [problem("service", name, exc.message, f"seamless-service-rm --client --service {name}")]
    if payload is None or payload.get("status") == "stale":
        return [good("service", name, "not running; the first program that needs it starts it")]
    port = handshake_port(payload, checked.handshake) or payload.get("port")
    host = payload.get("hostname")
    if not isinstance(host, str) or not is_port(port):
        text = "its connection file names no host and port"
        return [problem("service", name, text, f"seamless-service-rm --client --service {name}")]
    assert isinstance(port, int)
    launch_id = str(payload.get("launch_id") or "")
    answer = probe(host, port, checked.handshake, timeout=_PROBE_SECONDS, launch_id=launch_id)
    way = f"{host}:{port}" + (f", tunnel to {payload['tunneled-host']}" if "tunneled-host" in payload else "")
    if not answer.healthy:
        fix = f"seamless-init starts it again; its log: seamless-service-logs --service {name}"
        return [problem("service", name, f"{way}: {answer.problem}", fix)]
    return [good("service", name, f"answers at {way}"), *_check_token(name, payload, path)]


def _check_token(name: str, payload: State, path: str) -> list[Finding]:
    """Return whether the token that is kept here is the right one, and for nobody else to read."""
    token = payload.get("token")
    if not isinstance(token, str):
        text = "the service asks for no token: whoever reaches its port may use it"
        return [note("token", name, text, "remove 'insecure' from its definition")]
    found = []
    if stat.S_IMODE(os.stat(path).st_mode) & 0o077:
        found.append(problem("token", name, f"others can read {path}", f"chmod 600 {path}"))
    status = _status_with(payload["hostname"], payload["port"], token)
    if status in (401, 403):
        fix = f"seamless-service-stop --service {name}; the next program starts it again"
        return [*found, problem("token", name, f"the service does not accept it (HTTP status {status})", fix)]
    return [*found, good("token", name, "accepted")] if status == 200 else found


def _status_with(host: str, port: int, token: str) -> int | None:
    """Return the HTTP status of a request that needs the token; None if there was no answer."""
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection(host, port, timeout=_PROBE_SECONDS)
    try:
        connection.request("GET", "/status", headers={"Authorization": f"Bearer {token}"})
        return connection.getresponse().status
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


# --- who reaches them -------------------------------------------------------------------------------


def check_workers(config: ResolvedConfig) -> list[Finding]:
    """Return whether workers on other machines can reach the stores, as far as the configuration tells."""
    cluster = config.selected_cluster
    if cluster is None or not is_remote(config) or not config.persistent or config.remote_effective is None:
        return []
    workers = _first(cluster.frontends, config.remote_effective)
    batch = cluster.type in ("slurm", "oar") and config.remote_effective == "daskserver"
    found = []
    for name in STORAGE:
        frontend = _first(cluster.frontends, name)
        if frontend is None or workers is None:
            continue
        interface = str(frontend[name].get("network_interface") or "localhost")
        if not is_loopback(interface):
            found.append(good("workers", name, f"listens on {interface}"))
        elif batch:
            text = f"it listens on {interface}, which workers on compute nodes cannot reach"
            found.append(problem("workers", name, text, "set network_interface to an address that these nodes reach"))
        elif frontend is not workers:
            where = workers.get("hostname", "this machine")
            text = f"it listens on {interface}, which the workers on {where} cannot reach"
            found.append(problem("workers", name, text, f"set network_interface to an address that {where} reaches"))
        else:
            found.append(good("workers", name, f"on the machine of the {config.remote_effective}"))
    return found


def _first(frontends: list[dict[str, Any]], service: str) -> dict[str, Any] | None:
    return next((frontend for frontend in frontends if service in frontend), None)


# --- optional packages ------------------------------------------------------------------------------

_EXTRAS = {
    "shell": ("compression" if sys.version_info >= (3, 14) else "backports",),  # .zst files
    "arrays": ("numpy",),
    "progress": ("tqdm",),
    "services": ("fastapi", "uvicorn", "aiohttp"),
    "dask": ("dask", "distributed"),
}


def check_packages(config: ResolvedConfig) -> list[Finding]:
    """Return which extras are installed; one that this configuration needs is a problem if it is not."""
    from importlib.util import find_spec

    needed = "dask" if is_remote(config) and config.remote_effective == "daskserver" else ""
    have, found = [], []
    for extra, modules in _EXTRAS.items():
        missing = [module for module in modules if find_spec(module) is None]
        fix = f"pip install 'seamless[{extra}]'"
        if not missing:
            have.append(extra)
        elif extra == needed:
            found.append(problem("packages", HERE, f"{extra}: {', '.join(missing)} missing", fix))
        else:
            found.append(note("packages", HERE, f"{extra}: {', '.join(missing)} missing", fix))
    return [*([good("packages", HERE, ", ".join(have))] if have else []), *found]
