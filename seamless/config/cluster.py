"""Clusters: from a mapping in a file to a checked `Cluster`; queues with their templates applied."""

from __future__ import annotations

from seamless.config import names, units
from seamless.config.cluster_schema import CLUSTER, LOCAL_CLUSTER, SERVICES, STORAGE_DIRECTORY
from seamless.config.declarations import Report
from seamless.config.errors import ConfigurationError, Finding
from seamless.config.images import check_use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from seamless.config.nodes import Node

# The command line name of each backend that executes transformations, in the order in which they are looked for.
BACKENDS = ("jobserver", "daskserver")


class Cluster:
    """A cluster as it was declared. `definition`: its checked fields, queues with templates applied.

    `findings` are the mistakes and doubts in the definition; with a mistake it is not `usable`. `key` is the node
    of its name, `node` that of its fields; both are None for a cluster that is in no file.
    """

    def __init__(
        self,
        name: str,
        definition: dict[str, Any],
        key: Node | None = None,
        node: Node | None = None,
        findings: tuple[Finding, ...] = (),
    ):
        self.name, self.definition, self.key, self.node, self.findings = name, definition, key, node, findings
        self.usable = not any(finding.severity == "error" for finding in findings)

    def __repr__(self) -> str:
        return f"Cluster({self.name!r})"

    @property
    def type(self) -> str | None:
        """The kind of cluster: local, slurm, oar or None."""
        return self.definition.get("type")

    @property
    def workers(self) -> int | None:
        """The number of worker processes, if it is declared."""
        return self.definition.get("workers")

    @property
    def queues(self) -> dict[str, dict[str, Any]]:
        """The queues by name: their fields that are set."""
        return self.definition.get("queues") or {}

    @property
    def default_queue(self) -> str | None:
        """The queue that is used if none is chosen."""
        return self.definition.get("default_queue")

    @property
    def frontends(self) -> list[dict[str, Any]]:
        """The frontends, as mappings of their fields that are set."""
        return self.definition.get("frontends") or []

    def frontend_for(self, service: str, frontend_name: str | None = None) -> dict[str, Any]:
        """Return the first frontend that has a service. Raises ConfigurationError if none has."""
        for frontend in self.frontends:
            if service in frontend and (frontend_name is None or frontend.get("hostname") == frontend_name):
                return frontend
        which = "" if frontend_name is None else f" with name '{frontend_name}'"
        raise self.error(f"No frontend of cluster '{self.name}'{which} can support a {service}", "frontends")

    def backends_by_frontend(self) -> Iterator[tuple[str, list[str]]]:
        """Yield the name of each frontend with what it offers to execute transformations."""
        for i, frontend in enumerate(self.frontends):
            yield frontend.get("hostname") or f"number {i + 1}", [name for name in BACKENDS if name in frontend]

    def backends(self) -> list[str]:
        """Return what any frontend offers to execute transformations."""
        return [name for name in BACKENDS if any(name in frontend for frontend in self.frontends)]

    def effective_queue(self, chosen: str | None) -> str | None:
        """Return the chosen queue, else the default one."""
        return chosen if chosen is not None else self.default_queue

    def at(self, *path: str) -> Node | None:
        """Return the node of a field, or of the nearest one that encloses it; at last that of the name."""
        node, found = self.node, self.key
        for key in path:
            node = node.get(key) if node is not None else None
            found = node or found
        return found

    def error(self, message: str, *path: str) -> ConfigurationError:
        """Return the error for something about this cluster, with the place of the field at `path`."""
        node = self.at(*path)
        return ConfigurationError(findings=[Finding(message, None if node is None else node.place)])


def read_clusters(node: Node, report: Report) -> tuple[dict[str, Cluster], Node | None]:
    """Return the clusters of a mapping, and the node of `local_cluster` if it is there.

    Mistakes in a definition stay with its Cluster; those in the mapping itself go to `report`.
    """
    clusters: dict[str, Cluster] = {}
    local: Node | None = None
    for key, value in node.items():
        if not isinstance(key.value, str):
            report.error(f"the name of a cluster must be a string, found {key.describe()}", key)
        elif key.value == LOCAL_CLUSTER:
            if isinstance(value.value, str) or value.is_null:
                local = value
            else:
                report.error(f"'{LOCAL_CLUSTER}' expects the name of a cluster, found {value.describe()}", value)
        else:
            clusters[key.value] = _read_cluster(key, value)
    return clusters, local


def _read_cluster(key: Node, node: Node) -> Cluster:
    report = Report(about_cluster=True)
    name = key.value
    problem = names.complaint("cluster", name)
    if problem:
        report.error(problem, key)
    what = f"clusters.{name}"
    fields = CLUSTER.read(node, what, report) or {}
    queues = node.get("queues")
    if queues is not None and queues.kind == "mapping":
        fields["queues"] = _expand_queues(queues, fields.get("queues") or {}, what, report)
    if not report.failed:
        _check_frontends(fields, node, what, report)
        _check_queues(fields, node, what, report)
    return Cluster(name, _without_nulls(fields), key, node, tuple(report.findings))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(child) for key, child in value.items() if child is not None}
    if isinstance(value, list):
        return [_without_nulls(child) for child in value if child is not None]  # null is also what is no mapping
    return value


def expand_templates(queues: Mapping[str, Mapping[str, Any]], unknown: Any = None) -> dict[str, dict[str, Any]]:
    """Return queues with the fields of their TEMPLATE taken over; what is written wins, and null unsets.

    `unknown(queue, template)` is called for a template that is not defined before.

    >>> expand_templates({"a": {"cores": 1, "conda": "x"}, "b": {"TEMPLATE": "a", "cores": 2, "conda": None}})["b"]
    {'cores': 2}
    """
    expanded: dict[str, dict[str, Any]] = {}
    for name, own in queues.items():
        template = own.get("TEMPLATE")
        base: dict[str, Any] = {}
        if template is not None:
            if template in expanded:
                base = dict(expanded[template])
            elif unknown is not None:
                unknown(name, template)
        for one, other in (("image", "conda"), ("conda", "image")):
            if own.get(one) is not None and own.get(other) is None:
                base.pop(other, None)
        merged = {**base, **own}
        merged.pop("TEMPLATE", None)
        expanded[name] = {key: value for key, value in merged.items() if value is not None}
    return expanded


def _expand_queues(node: Node, queues: dict[str, Any], what: str, report: Report) -> dict[str, dict[str, Any]]:
    nodes = {key.value: value for key, value in node.items() if isinstance(key.value, str)}

    def unknown(name: str, template: str) -> None:
        earlier = list(queues)[: list(queues).index(name)]
        hint = names.suggestion(template, earlier)
        if template in queues:
            hint = "; a template must be defined before the queue that uses it"
        where = nodes[name].get("TEMPLATE") or nodes[name]
        report.error(
            f"{what}: queue '{name}' has an unknown TEMPLATE '{template}'{hint}; "
            f"queues before it: {names.listed(earlier)}",
            where,
        )

    return expand_templates({name: fields or {} for name, fields in queues.items()}, unknown)


def _check_frontends(fields: dict[str, Any], node: Node, what: str, report: Report) -> None:
    frontends = node.get("frontends")
    assert frontends is not None  # a required field
    for i, (frontend, frontend_node) in enumerate(zip(fields["frontends"], frontends.value, strict=True)):
        for service in SERVICES:
            values, service_node = frontend.get(service), frontend_node.get(service)
            if values is None or service_node is None:
                continue
            place = f"{what}.frontends[{i}].{service}"
            _check_ports(values, service_node, service, place, report)
            _check_environment(values, service_node, place, fields, report)


def _check_ports(values: dict[str, Any], node: Node, service: str, what: str, report: Report) -> None:
    start, end = values.get("port_start"), values.get("port_end")
    if (start is None) != (end is None):
        report.error(f"{what}: 'port_start' and 'port_end' must both be set or both be omitted", node)
    elif start is not None and end is not None:
        if start > end:
            report.error(f"{what}: 'port_start' {start} is above 'port_end' {end}", node.get("port_start"))
        elif service == "daskserver" and start == end:
            report.error(f"{what}: two ports are needed (scheduler and dashboard), found one: {start}", node)


def _check_environment(values: dict[str, Any], node: Node, what: str, cluster: dict[str, Any], report: Report) -> None:
    image = values.get("image")
    if image is None:
        return
    image_node = node.get("image") or node
    if values.get("conda") is not None:
        report.error(f"{what}: 'conda' and 'image' exclude each other; keep one", image_node)
    check_use(image, image_node, f"{what}.image", cluster, report)


def _check_queues(fields: dict[str, Any], node: Node, what: str, report: Report) -> None:
    queues: dict[str, dict[str, Any]] = fields.get("queues") or {}
    queues_node = node.get("queues")
    for name, queue in queues.items():
        queue_node = (queues_node.get(name) if queues_node is not None else None) or node
        place = f"{what}.queues.{name}"
        _check_environment(queue, queue_node, place, fields, report)
        if queue.get("exclusive") and "job_cores" in queue:
            report.error(f"{place}: 'job_cores' and 'exclusive' exclude each other", queue_node)
    default = fields.get("default_queue")
    if default is not None and default not in queues:
        near = names.suggestion(default, queues)
        report.error(
            f"{what}: 'default_queue' {default!r} is not among its queues{near}; queues: {names.listed(queues)}",
            node.get("default_queue"),
        )


def queue_problems(cluster: Cluster, name: str) -> list[Finding]:
    """Return what keeps a daskserver from working with a queue, although each field is right."""
    queue = cluster.queues[name]
    problems = []
    if cluster.type is None:
        problems.append("a daskserver needs the 'type' of the cluster: local, slurm or oar")
    if cluster.type in ("slurm", "oar"):
        problems += [f"queue '{name}' needs '{field}'" for field in ("walltime", "memory") if field not in queue]
    if "cores" not in queue:
        if cluster.type == "local" and cluster.workers is None:
            what = "for local cluster exclusive mode" if queue.get("exclusive") else "when 'exclusive' is not set"
            problems.append(f"queue '{name}': 'cores' is required {what}")
        elif cluster.type != "local" and not queue.get("exclusive"):
            problems.append(f"queue '{name}': 'cores' is required when 'exclusive' is not set")
    if cluster.type == "oar" and "memory_per_core_property_name" not in cluster.definition:
        problems.append("a daskserver on OAR needs 'memory_per_core_property_name'")
    lifetime = _lifetime_problem(queue)
    if lifetime and cluster.type in ("slurm", "oar"):
        problems.append(f"queue '{name}': {lifetime}")
    node = cluster.at("queues", name)
    place = None if node is None else node.place
    return [Finding(f"cluster '{cluster.name}': {problem}", place, about_cluster=True) for problem in problems]


def _lifetime_problem(queue: dict[str, Any]) -> str | None:
    """Return why the workers' lifetime comes out as nothing. One job at most has no lifetime."""
    if "lifetime" in queue or "walltime" not in queue or queue.get("maximum_jobs", 1) == 1:
        return None
    stagger = queue.get("lifetime_stagger", "4m")
    if units.walltime_seconds(queue["walltime"]) - units.seconds(stagger) - 60 > 0:
        return None
    return (
        f"the lifetime of a worker, walltime {queue['walltime']} - lifetime_stagger {stagger} - 1m, must be above 0; "
        "set 'lifetime', or a smaller 'lifetime_stagger'"
    )


def synthetic_cache(directory: str, name: str) -> Cluster:
    """Return the cluster that stands for a cache directory on this machine."""
    frontend = {service: {field: directory} for service, field in STORAGE_DIRECTORY.items()}
    return Cluster(name, {"type": "local", "frontends": [frontend]})
