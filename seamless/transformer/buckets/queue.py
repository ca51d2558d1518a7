"""Buckets of steps that are executed by a queue of a cluster: its configuration, and what it allots on a node."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from seamless.celltypes import canonical_json

if TYPE_CHECKING:
    from seamless.transformer.recording.mode import RecordMode

_LIMITS = ("RLIMIT_AS", "RLIMIT_CORE", "RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_MEMLOCK", "RLIMIT_NOFILE", "RLIMIT_STACK")
# Of the variables of a batch system, those that tell what was allotted, and none that differs in each job.
_ALLOTTED = (
    *("SLURM_CLUSTER_NAME", "SLURM_JOB_PARTITION", "SLURM_JOB_QOS", "SLURM_JOB_ACCOUNT", "SLURM_CPUS_PER_TASK"),
    *("SLURM_CPUS_ON_NODE", "SLURM_MEM_PER_CPU", "SLURM_MEM_PER_NODE", "SLURM_NTASKS", "SLURM_CPU_BIND_TYPE"),
    *("OAR_PROJECT_NAME", "OAR_QUEUE", "OAR_RESOURCE_PROPERTIES"),
)


def queue_label(mode: RecordMode) -> str:
    """Return the label of the bucket `queue`."""
    return f"{mode.cluster}/{mode.queue}/{mode.remote_target}"


def queue_tokens(mode: RecordMode) -> dict[str, Any]:
    """Return what changes when the configuration of the queue does."""
    return {"queue_config_sha256": sha256(canonical_json(dict(mode.queue_configuration or {}))).hexdigest()}


def queue_facts(mode: RecordMode) -> dict[str, Any]:
    """Return the facts of the bucket `queue`."""
    return {"cluster": mode.cluster, "queue_configuration": dict(mode.queue_configuration or {})}


def queue_node_facts() -> dict[str, Any]:
    """Return the facts of the bucket `queue_node`: what processes of the queue may use on this node."""
    return {
        "limits": _limits(),
        "allocation": {"processors": len(os.sched_getaffinity(0)), "memory_bytes": _memory_limit()},
        "scheduler_environment": {name: os.environ[name] for name in sorted(_ALLOTTED) if name in os.environ},
    }


def _limits() -> dict[str, list[int | None]]:
    """Return soft and hard limit by name; None is no limit."""
    import resource

    found = {name: resource.getrlimit(getattr(resource, name)) for name in _LIMITS}
    return {name: [None if n == resource.RLIM_INFINITY else n for n in pair] for name, pair in found.items()}


def _memory_limit() -> int | None:
    """Return the limit of the control group, as far as it is visible."""
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path, encoding="ascii") as f:
                text = f.read().strip()
        except OSError:
            continue
        if text.isdigit() and int(text) < 1 << 60:
            return int(text)
    return None
