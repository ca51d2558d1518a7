"""Launch dicts: what the launcher is told to start a service, computed from the configuration. Starts nothing.

Strings are made by ordinary code and quoted word by word; `{status_file}` is the only placeholder in a command.
"""

from __future__ import annotations

import os
import re

from seamless.config import names
from seamless.config.cluster_schema import STORAGE_DIRECTORY
from seamless.config.errors import ConfigurationError
from seamless.config.images import merge
from seamless.config.queue_parameters import CLUSTER_STRINGS, queue_parameters
from seamless.config.scope import Scope

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from seamless.config.cluster import Cluster

SERVICES = ("hashserver", "database", "jobserver", "daskserver", "pure_daskserver")
TIMEOUT_SECONDS = 600  # after so long without a request a service ends
LOGS = "~/.remote-http-launcher/logs"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")  # reached without SSH
_DASK_HANDSHAKE = {"path": "health", "port_name": "dashboard_port"}


def hashserver(scope: Scope, mode: str, frontend_name: str | None = None) -> dict[str, Any]:
    """Return the launch dict of a hashserver; `mode` is ro or rw."""
    return _storage("hashserver", scope, mode, frontend_name)


def database(scope: Scope, mode: str, frontend_name: str | None = None) -> dict[str, Any]:
    """Return the launch dict of a database; `mode` is ro or rw."""
    return _storage("database", scope, mode, frontend_name)


def _storage(service: str, scope: Scope, mode: str, frontend_name: str | None) -> dict[str, Any]:
    if mode not in ("ro", "rw"):
        raise ConfigurationError(f"the mode of a {service} must be 'ro' or 'rw', not {mode!r}")
    cluster = scope.cluster
    frontend = cluster.frontend_for(service, frontend_name)
    values = frontend[service]
    directory = scope.directory()
    root = _expanded(values[STORAGE_DIRECTORY[service]], scope, frontend).rstrip("/")
    workdir = root + directory
    program = ["hashserver"] if service == "hashserver" else ["seamless-database"]
    options = _server_options(values)
    if service == "hashserver":
        command = [*program, *options, workdir, *(["--writable"] if mode == "rw" else [])]
    else:
        command = [*program, *options, *(["--writable"] if mode == "rw" else []), f"{workdir}/seamless.db"]
    launch = {
        **_host(scope, cluster, frontend),
        **_environment(values, cluster),
        **_log(f"{LOGS}/{cluster.name}{directory}", service),
        "workdir": workdir,
        "key": _key(f"{service}-{cluster.name}-{mode}-{scope.tail()}"),
        "command": _command(command),
        "handshake": "healthcheck",
    }
    return _with_meta(launch, scope, service, mode=mode, substage=None)


def jobserver(
    scope: Scope, clients: Mapping[str, Any], frontend_name: str | None = None, *, record: bool = False
) -> dict[str, Any]:
    """Return the launch dict of a jobserver. `clients`: the stores that it is to use."""
    cluster = scope.cluster
    frontend = cluster.frontend_for("jobserver", frontend_name)
    values = frontend["jobserver"]
    if cluster.workers is None:
        raise cluster.error(f"cluster '{cluster.name}': a jobserver needs 'workers'")
    launch = {
        "workers": cluster.workers,
        **_host(scope, cluster, frontend),
        **_environment(values, cluster),
        "file_parameters": {**clients, "record": record},
        **_log(f"{LOGS}/{cluster.name}{scope.directory(substage=True)}", "jobserver"),
        "workdir": "/tmp",
        "key": _key(f"jobserver-{cluster.name}-rw-{scope.tail(substage=True)}"),
        "command": _command(["seamless-jobserver", "--workers", str(cluster.workers), *_server_options(values)]),
        "handshake": "healthcheck",
    }
    return _with_meta(launch, scope, "jobserver")


def daskserver(scope: Scope, frontend_name: str | None = None) -> dict[str, Any]:
    """Return the launch dict of a daskserver for the queue of the configuration."""
    cluster = scope.cluster
    queue = _queue(scope, cluster, None)
    launch = _dask(
        scope,
        cluster,
        queue,
        frontend_name,
        queue_parameters(cluster, queue, node=scope.config.node, record=scope.config.record),
        _log(f"{LOGS}/{cluster.name}{scope.directory(substage=True)}", "daskserver"),
        _key(f"daskserver-{cluster.name}-rw-{scope.tail(substage=True)}"),
    )
    return _with_meta(launch, scope, "daskserver", queue=queue)


def pure_daskserver(scope: Scope, queue: str | None = None, frontend_name: str | None = None) -> dict[str, Any]:
    """Return the launch dict of a daskserver without stores, one for each queue of a cluster."""
    cluster = scope.cluster
    queue = _queue(scope, cluster, queue)
    launch = _dask(
        scope,
        cluster,
        queue,
        frontend_name,
        queue_parameters(cluster, queue, node=scope.config.node, pure=True),
        _log(f"{LOGS}/{cluster.name}", f"pure-daskserver-{queue}"),
        _key(f"pure-daskserver-{cluster.name}-{queue}"),
    )
    nothing: dict[str, Any] = dict.fromkeys(("project", "subproject", "stage", "substage"))
    return _with_meta(launch, scope, "pure-daskserver", queue=queue, **nothing)


def _queue(scope: Scope, cluster: Cluster, queue: str | None) -> str:
    """Return the queue: the argument, that of the configuration if it is for this cluster, else the default one."""
    if queue is None and scope.config.cluster == cluster.name:
        queue = scope.config.queue
    queue = cluster.effective_queue(queue)
    if queue is None:
        raise cluster.error(
            f"cluster '{cluster.name}': no queue is chosen and there is no 'default_queue'; "
            f"queues of '{cluster.name}': {names.listed(cluster.queues)}",
            "queues",
        )
    if queue not in cluster.queues:
        near = names.suggestion(queue, cluster.queues)
        raise cluster.error(
            f"cluster '{cluster.name}' has no queue '{queue}'{near}; "
            f"queues of '{cluster.name}': {names.listed(cluster.queues)}",
            "queues",
        )
    return queue


def _dask(
    scope: Scope,
    cluster: Cluster,
    queue: str,
    frontend_name: str | None,
    parameters: dict[str, Any],
    log: dict[str, Any],
    key: str,
) -> dict[str, Any]:
    frontend = cluster.frontend_for("daskserver", frontend_name)
    values = frontend["daskserver"]
    if cluster.type is None:
        raise cluster.error(f"cluster '{cluster.name}': a daskserver needs 'type': local, slurm or oar")
    cluster_string = CLUSTER_STRINGS[cluster.type]
    environment = {**values}
    if values.get("submit") == "host":
        environment.pop("image", None)  # it is the workers' alone
    if "image" not in environment and "conda" in cluster.queues[queue]:
        environment["conda"] = cluster.queues[queue]["conda"]
    launch = {
        "cluster_string": cluster_string,
        **_host(scope, cluster, frontend),
        **_environment(environment, cluster),
        "file_parameters": parameters,
        **log,
        "workdir": "/tmp",
        "key": key,
        "command": _command(["seamless-dask-wrapper", cluster_string, *_server_options(values)]),
        "handshake": dict(_DASK_HANDSHAKE),
    }
    if "image" in environment:
        launch["submit"] = values.get("submit", "proxy")
        if "submit_binds" in values:
            launch["submit_binds"] = values["submit_binds"]
    return launch


# --- parts ----------------------------------------------------------------------------------------


def _host(scope: Scope, cluster: Cluster, frontend: Mapping[str, Any]) -> dict[str, Any]:
    if scope.config.is_local(cluster, frontend):
        return {}
    host: dict[str, Any] = {"tunnel": True} if cluster.definition.get("tunnel") else {}
    host["hostname"] = frontend["hostname"]
    if "ssh_hostname" in frontend:
        host["ssh_hostname"] = frontend["ssh_hostname"]
    return host


def _environment(values: Mapping[str, Any], cluster: Cluster) -> dict[str, Any]:
    fields = ("network_interface", "conda", "port_start", "port_end")
    found = {name: values[name] for name in fields if name in values}
    if "image" in values:
        definition = cluster.definition
        found["image"] = merge(values["image"], definition.get("images", {}), definition.get("image_defaults", {}))
        found.pop("conda", None)
    if values.get("insecure"):
        found["insecure"] = True
    return found


def _log(directory: str, name: str) -> dict[str, Any]:
    return {
        "log_level": "minimal",
        "log_file": f"{directory}/{name}.log",
        "debug_log_file": f"{directory}/{name}.debug.log",
        "timeout": TIMEOUT_SECONDS,
    }


def _server_options(values: Mapping[str, Any]) -> list[str]:
    options = []
    if "port_start" in values:
        options += ["--port-range", str(values["port_start"]), str(values["port_end"])]
    options += ["--status-file", "{status_file}"]
    if "network_interface" in values:
        options += ["--host", values["network_interface"]]
    return [*options, "--timeout", str(TIMEOUT_SECONDS)]


def _command(words: list[str]) -> str:
    return " ".join(word if word == "{status_file}" else _quoted(word) for word in words)


def _quoted(word: str) -> str:
    """Return a word for `shlex.split`, after whose split the launcher fills in placeholders and expands `~/`."""
    import shlex

    word = word.replace("{", "{{").replace("}", "}}")
    if word.startswith("~/"):
        rest = shlex.quote(word[2:])
        return f"~/{rest}" if rest == word[2:] else shlex.quote(word)
    return shlex.quote(word)


def _key(key: str) -> str:
    if not re.fullmatch(names.KEY_PATTERN, key):
        odd = re.sub(r"[A-Za-z0-9._-]", "", key)[0]
        raise ConfigurationError(
            f"no service can be started for a name with {odd!r} (its key would be {key!r}); "
            "use letters, digits and any of _ . -"
        )
    return key


def _expanded(directory: str, scope: Scope, frontend: Mapping[str, Any]) -> str:
    """Return a directory with its variables replaced, which is done for this machine only."""
    cluster = scope.cluster

    def value(match: re.Match[str]) -> str:
        name = match[1]
        loopback = frontend.get("hostname") in _LOOPBACK and "ssh_hostname" not in frontend
        if not loopback and not scope.config.is_local(cluster, frontend):
            raise cluster.error(
                f"cluster '{cluster.name}': the variable in {directory!r} is not known on "
                f"'{frontend['hostname']}'; write the directory itself",
                "frontends",
            )
        if not os.environ.get(name):
            raise cluster.error(f"cluster '{cluster.name}': {directory!r} needs the variable {name}", "frontends")
        return os.environ[name]

    return re.sub(r"\$\{(\w+)\}", value, directory)


def _with_meta(launch: dict[str, Any], scope: Scope, service: str, *, mode: str = "rw", **fixed: Any) -> dict[str, Any]:
    from seamless.config.meta import meta

    described = {
        "service": service,
        "cluster": scope.cluster_name,
        "mode": mode,
        "project": scope.project,
        "subproject": scope.subproject,
        "stage": scope.stage,
        "substage": scope.substage,
        "queue": None,
        **fixed,
    }
    launch["meta"] = meta(launch, described, scope.config.workdir)
    return launch
