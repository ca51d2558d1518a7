"""Check everything that is written, also what is not used now: all stages, all clusters, all queues."""

from __future__ import annotations

import os

from seamless.config.cluster import queue_problems
from seamless.config.cluster_schema import SERVICES
from seamless.config.commands import Block, read_commands
from seamless.config.declarations import Report
from seamless.config.embedded import cache_from_environment
from seamless.config.errors import ConfigurationError, Finding
from seamless.config.evaluation import evaluate
from seamless.config.files import (
    PROJECT_FILES,
    Clusters,
    cluster_files,
    read_cluster_file,
    read_project_file,
    read_project_files,
)
from seamless.config.nodes import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from seamless.config.cluster import Cluster
    from seamless.config.commands import Command
    from seamless.config.nodes import Node

_EVERY_INTERFACE = ("0.0.0.0", "::")


def check_workdir(workdir: str, environment: Mapping[str, str] | None = None) -> list[Finding]:
    """Return everything that is wrong or doubtful in the project files of a directory and in all cluster files."""
    environment = os.environ if environment is None else environment
    report, clusters = Report(), Clusters()
    for path in cluster_files(environment):
        read_cluster_file(path, clusters, report)
    files = read_project_files(workdir, report)
    items = [item for file in files for item in file.items]
    for command in _commands(items):
        clusters.add(command.clusters, None)
    findings = [*report.findings, *_check_clusters(clusters)]
    if not report.failed and cache_from_environment() is None:
        known = {(finding.message, finding.sort_key()) for finding in findings}
        for stage, substage in _stages(items):
            found = _evaluated(workdir, stage, substage, environment)
            findings += [finding for finding in found if (finding.message, finding.sort_key()) not in known]
            known |= {(finding.message, finding.sort_key()) for finding in found}
    return _sorted(findings)


def check_files(paths: Iterable[str]) -> list[Finding]:
    """Return what is wrong or doubtful in single files; a list is a project file, a mapping a cluster file."""
    findings: list[Finding] = []
    for path in paths:
        report, clusters = Report(), Clusters()
        if os.path.basename(path) in PROJECT_FILES:
            items = read_project_file(os.path.abspath(path), report).items
            for command in _commands(items):
                clusters.add(command.clusters, command.local)
        else:
            _read_any(os.path.abspath(path), clusters, report)
        findings += [*report.findings, *_check_clusters(clusters)]
    return _sorted(findings)


def _read_any(path: str, clusters: Clusters, report: Report) -> None:
    root = read_file(path, report.findings)
    if root is not None and root.kind == "list":
        for command in _commands(read_commands(root, root, report)):
            clusters.add(command.clusters, command.local)
    elif root is not None:
        read_cluster_file(path, clusters, report)


def _sorted(findings: list[Finding]) -> list[Finding]:
    unique = {(finding.message, finding.sort_key(), finding.severity): finding for finding in findings}
    return sorted(unique.values(), key=Finding.sort_key)


def _commands(items: Iterable[Command | Block]) -> Iterator[Command]:
    for item in items:
        if isinstance(item, Block):
            yield from _commands(item.items)
        else:
            yield item


def _stages(items: Iterable[Command | Block]) -> list[tuple[str | None, str | None]]:
    """Return no stage, and every stage and substage that has a block."""
    names: dict[str, list[str | None]] = {"stage": [None], "substage": [None]}

    def collect(items: Iterable[Command | Block]) -> None:
        for item in items:
            if isinstance(item, Block):
                if item.name not in names[item.kind]:
                    names[item.kind].append(item.name)
                collect(item.items)

    collect(items)
    return [(stage, substage) for stage in names["stage"] for substage in names["substage"]]


def _evaluated(workdir: str, stage: str | None, substage: str | None, environment: Mapping[str, str]) -> list[Finding]:
    try:
        warnings = evaluate(workdir, stage=stage, substage=substage, environment=environment).warnings
    except ConfigurationError as exc:
        return list(exc.findings)
    where = "".join(f" ({kind} '{name}')" for kind, name in (("stage", stage), ("substage", substage)) if name)
    about_values = ("no-execution-command", "no-cluster-no-persistence", "remote-without-backend")
    return [Finding(w.message + where, code=w.code, severity="warning") for w in warnings if w.code in about_values]


# --- clusters -------------------------------------------------------------------------------------


def _check_clusters(clusters: Clusters) -> Iterator[Finding]:
    for new, old in clusters.replaced:
        if _directory_of(new) == _directory_of(old):
            yield _warning(
                f"cluster '{new.name}' replaces the definition in {_path_of(old)}", new.key, "duplicate-cluster"
            )
        yield from old.findings
    for cluster in clusters.by_name.values():
        yield from cluster.findings
        if cluster.usable:
            yield from _check_cluster(cluster)


def _path_of(cluster: Cluster) -> str:
    return str(cluster.key.place) if cluster.key is not None else "the environment"


def _directory_of(cluster: Cluster) -> str | None:
    """Return the directory of a `clusters/*.yaml` or `clusters.d/*.yaml`, where no order is meant; else the file."""
    if cluster.key is None:
        return None
    directory, path = os.path.dirname(cluster.key.source.path), cluster.key.source.path
    return directory if os.path.basename(directory) in ("clusters", "clusters.d") else path


def _check_cluster(cluster: Cluster) -> Iterator[Finding]:
    backends = cluster.backends()
    if "daskserver" in backends:
        for queue in cluster.queues:
            yield from queue_problems(cluster, queue)
        if not cluster.queues:
            yield _error(f"cluster '{cluster.name}': a daskserver needs a queue", cluster.key)
    if "jobserver" in backends and cluster.workers is None:
        yield _error(f"cluster '{cluster.name}': a jobserver needs 'workers'", cluster.key)
    offered = {service for frontend in cluster.frontends for service in SERVICES if service in frontend}
    for one, other in (("hashserver", "database"), ("database", "hashserver")):
        if one in offered and other not in offered:
            yield _warning(
                f"cluster '{cluster.name}' has a {one}, but no {other}; a persistent store needs both",
                cluster.at("frontends"),
                "incomplete-store",
            )
    yield from _check_hosts(cluster)


def _check_hosts(cluster: Cluster) -> Iterator[Finding]:
    ranges: dict[str, list[tuple[int, int, str]]] = {}
    frontends = cluster.at("frontends")
    for i, frontend in enumerate(cluster.frontends):
        node = frontends.value[i] if frontends is not None and frontends.kind == "list" else cluster.node
        for service in SERVICES:
            values = frontend.get(service)
            if values is None:
                continue
            service_node = (node.get(service) if node is not None else None) or node
            if values.get("network_interface") in _EVERY_INTERFACE:
                yield _warning(_listens(cluster, service, values), service_node, "every-interface")
            if "port_start" not in values:
                continue
            start, end = values["port_start"], values["port_end"]
            for other_start, other_end, other in ranges.setdefault(frontend.get("hostname", ""), []):
                if start <= other_end and other_start <= end:
                    yield _warning(
                        f"cluster '{cluster.name}': the ports {start}-{end} of the {service} overlap with "
                        f"{other_start}-{other_end} of the {other} on the same host",
                        service_node,
                        "overlapping-ports",
                    )
            ranges[frontend.get("hostname", "")].append((start, end, service))


def _listens(cluster: Cluster, service: str, values: Mapping[str, Any]) -> str:
    text = f"cluster '{cluster.name}': the {service} listens on every interface of its host"
    if values.get("insecure"):
        return f"{text} and asks for no token: everybody who reaches it can use it"
    return f"{text}; an address of the internal network, or a tunnel, keeps others away"


def _warning(message: str, node: Node | None, code: str) -> Finding:
    return Finding(message, None if node is None else node.place, code=code, severity="warning", about_cluster=True)


def _error(message: str, node: Node | None) -> Finding:
    return Finding(message, None if node is None else node.place, about_cluster=True)
