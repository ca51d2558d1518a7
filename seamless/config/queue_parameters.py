"""From a queue to the parameters that the Dask wrapper gets: the mapping from field names to those on the wire."""

from __future__ import annotations

import re

from seamless.config import units
from seamless.config.images import merge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from seamless.config.cluster import Cluster

CLUSTER_STRINGS = {
    "local": "distributed::LocalCluster",
    "slurm": "dask_jobqueue::SLURMCluster",
    "oar": "dask_jobqueue::OARCluster",
}
# Field of a queue -> name on the wire, in this order.
_WIRE = {
    "walltime": "walltime",
    "exclusive": "exclusive",
    "cores": "cores",
    "job_cores": "job_cores",
    "memory": "memory",
    "tmpdir": "tmpdir",
    "partition": "partition",
    "project": "project",
    "job_script_prologue": "job_script_prologue",
    "worker_threads": "worker_threads",
    "processes": "processes",
    "unknown_task_duration": "unknown-task-duration",
    "target_duration": "target-duration",
    "lifetime_stagger": "lifetime-stagger",
    "lifetime": "lifetime",
    "dask_resources": "dask-resources",
    "interactive": "interactive",
    "maximum_jobs": "maximum_jobs",
    "extra_dask_config": "extra_dask_config",
}
_NODE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,\[\]-]*")


def queue_parameters(
    cluster: Cluster, queue_name: str, *, node: str | None = None, record: bool | None = None, pure: bool = False
) -> dict[str, Any]:
    """Return the parameters of a daskserver for a queue. `record` is left out if None.

    Raises ConfigurationError if the queue cannot be used on this type of cluster, or nodes cannot be chosen on it.
    """
    queue = dict(cluster.queues[queue_name])
    if cluster.type == "local":
        _fill_in_local(cluster, queue, pure)
    if "cores" not in queue and not (queue.get("exclusive") and cluster.type != "local"):
        what = "for local cluster exclusive mode" if queue.get("exclusive") else "when 'exclusive' is not set"
        raise cluster.error(
            f"cluster '{cluster.name}': queue '{queue_name}': 'cores' is required {what}", "queues", queue_name
        )
    walltime = queue.get("walltime", "")
    if cluster.type == "oar" and walltime or cluster.type == "slurm" and walltime[-1:].isalpha():
        queue["walltime"] = units.without_days(walltime)
    parameters = {wire: queue[field] for field, wire in _WIRE.items() if field in queue}
    parameters |= _placement(cluster, queue_name, queue, node)
    if queue.get("image") is not None:
        definition = cluster.definition
        parameters["image"] = merge(queue["image"], definition.get("images", {}), definition.get("image_defaults", {}))
    if pure:
        parameters.setdefault("worker_threads", 2)
        parameters["pure_dask"] = True
    if record is not None:
        parameters["record"] = record
    return parameters


def _fill_in_local(cluster: Cluster, queue: dict[str, Any], pure: bool) -> None:
    if cluster.workers is not None:
        queue.setdefault("cores", cluster.workers)
        if pure:
            queue.setdefault("maximum_jobs", cluster.workers)


def _placement(cluster: Cluster, queue_name: str, queue: dict[str, Any], node: str | None) -> dict[str, Any]:
    """Return what depends on the batch system: whole nodes, a certain node, the memory of a core."""
    directives = list(queue.get("job_extra_directives", []))
    placement: dict[str, Any] = {}
    whole = bool(queue.get("exclusive")) and "cores" not in queue
    if node is not None:
        if cluster.type not in ("slurm", "oar"):
            raise cluster.error(f"Node selection is not supported for cluster type '{cluster.type}'", "type")
        if not _NODE.fullmatch(node):
            raise cluster.error(f"node {node!r} is not the name of a node", "queues", queue_name)
    if cluster.type == "slurm":
        if whole and "--exclusive" not in directives:
            directives.append("--exclusive")
        if node is not None:
            directives.append(f"--nodelist={node}")
    memory_property = cluster.definition.get("memory_per_core_property_name")
    if cluster.type == "oar":
        if whole:
            placement["resource_spec"] = "/nodes=1"
        if node is not None:
            directives = _oar_properties(directives, node, None if whole else _core_memory(queue, memory_property))
            memory_property = "not_applicable"  # dask-jobqueue adds nothing then
    if directives or "job_extra_directives" in queue:
        placement["job_extra_directives"] = directives
    if memory_property is not None:
        placement["memory_per_core_property_name"] = memory_property
    return placement


def _core_memory(queue: dict[str, Any], memory_property: str | None) -> str | None:
    """Return the OAR condition for the memory of a core, in MiB."""
    if memory_property in (None, "not_applicable") or "memory" not in queue:
        return None
    cores = queue.get("job_cores", queue["cores"])
    mebibytes = units.bytes_of(queue["memory"]) / 2**20
    return f"{memory_property}>={-int(-mebibytes // cores)}"


def _oar_properties(directives: list[str], node: str, core_memory: str | None) -> list[str]:
    """Return directives with all `-p` conditions in one: OAR obeys only the last `-p`.

    >>> _oar_properties(["-t besteffort", '-p "gpu>0"'], "n1", "mem>=2000")
    ['-t besteffort', '-p "host=\\'n1\\' AND mem>=2000 AND gpu>0"']
    """
    conditions = [f"host='{node}'"] + ([core_memory] if core_memory is not None else [])
    others = []
    remaining = iter(directives)
    for directive in remaining:
        if directive.split(None, 1)[:1] == ["-p"]:
            condition = directive[2:].strip() or next(remaining, "").strip()
            if len(condition) > 1 and condition[0] == condition[-1] == '"':
                condition = condition[1:-1]
            if condition:
                conditions.append(f"({condition})" if " or " in condition.lower() else condition)
        else:
            others.append(directive)
    return [*others, f'-p "{" AND ".join(conditions)}"']
