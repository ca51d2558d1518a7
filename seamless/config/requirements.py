"""What must hold between the values of a configuration: the check at the end of each evaluation."""

from __future__ import annotations

from seamless.config.cluster import queue_problems
from seamless.config.errors import ConfigurationError, Finding, SeamlessConfigWarning, raise_findings
from seamless.config.names import listed
from seamless.config.resolved import ResolvedConfig, required_backend

TYPE_CHECKING = False
if TYPE_CHECKING:
    from seamless.config.cluster import Cluster


def check_requirements(config: ResolvedConfig) -> list[SeamlessConfigWarning]:
    """Return the warnings about a configuration. Raises ConfigurationError if it cannot work."""
    warnings = _check_execution(config)
    cluster = config.selected_cluster
    if cluster is None:
        return warnings
    if config.persistent and config.project is None:
        raise _error(
            config, "cluster", "No project defined; a store needs one: write '- project: NAME' in seamless.yaml"
        )
    for finding in cluster.findings:  # only doubts are left
        warnings.append(
            SeamlessConfigWarning(finding.message, finding.code, None if finding.place is None else str(finding.place))
        )
    if config.execution == "remote":
        warnings += _check_backend(config, cluster)
    return warnings


def _check_execution(config: ResolvedConfig) -> list[SeamlessConfigWarning]:
    warnings = []
    if not config.is_set("execution"):
        because = "a cluster is defined" if config.cluster is not None else "no cluster is selected"
        warnings.append(
            SeamlessConfigWarning(
                f"no 'execution' command: it defaults to '{config.execution}' because {because}; "
                f"write '- execution: {config.execution}' to say so",
                "no-execution-command",
            )
        )
    if config.cluster is not None:
        return warnings
    if config.execution == "remote":
        raise _error(config, "execution", "execution is 'remote', but no cluster is selected; write '- cluster: NAME'")
    if config.is_set("persistent"):
        if config.persistent:
            raise _error(
                config, "persistent", "persistent is true, but no cluster is selected; write '- cluster: NAME'"
            )
    else:
        warnings.append(
            SeamlessConfigWarning(
                "no cluster; running without persistence. Select a cluster, or write '- persistent: false'",
                "no-cluster-no-persistence",
            )
        )
    return warnings


def _check_backend(config: ResolvedConfig, cluster: Cluster) -> list[SeamlessConfigWarning]:
    backend = required_backend(config, cluster)
    offered = cluster.backends()
    if not config.persistent and backend != "daskserver":
        raise _error(
            config,
            "persistent",
            f"remote execution without persistence is pure Dask, and pure Dask needs a daskserver; "
            f"cluster '{cluster.name}' offers: {listed(offered)}",
        )
    if backend is None:
        place = cluster.at("frontends")
        return [
            SeamlessConfigWarning(
                f"cluster '{cluster.name}' only stores and cannot execute; add '- execution: process'",
                "remote-without-backend",
                None if place is None else str(place.place),
            )
        ]
    if backend not in offered:
        raise _error(
            config,
            "remote",
            f"no frontend of cluster '{cluster.name}' offers a {backend}; it offers: {listed(offered)}",
        )
    if backend == "jobserver" and cluster.workers is None:
        raise cluster.error(f"cluster '{cluster.name}': a jobserver needs 'workers'")
    if backend == "daskserver":
        _check_queue(config, cluster)
    return []


def _check_queue(config: ResolvedConfig, cluster: Cluster) -> None:
    queue = cluster.effective_queue(config.queue)
    if cluster.type is None:
        raise cluster.error(f"cluster '{cluster.name}': a daskserver needs 'type': local, slurm or oar")
    if queue is None:
        raise cluster.error(
            f"cluster '{cluster.name}': a daskserver needs a queue; write '- queue: NAME' or set 'default_queue'; "
            f"queues of '{cluster.name}': {listed(cluster.queues)}",
            "queues",
        )
    raise_findings(queue_problems(cluster, queue))


def _error(config: ResolvedConfig, name: str, message: str) -> ConfigurationError:
    """Return the error with the place of the command that has set a value."""
    value = config.values.get(name)
    node = None if value is None else value.node
    return ConfigurationError(findings=[Finding(message, None if node is None else node.place)])
