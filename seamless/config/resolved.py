"""The outcome of an evaluation: `ResolvedConfig`, an immutable answer to "where does it run, and on which storage".

Owns the defaults that depend on other values. Does nothing: no network, no process, no file.
"""

from __future__ import annotations

import os

from seamless.config.cluster import BACKENDS
from seamless.config.errors import ConfigurationError, Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from seamless.config.cluster import Cluster
    from seamless.config.errors import SeamlessConfigWarning
    from seamless.config.nodes import Node

CACHE_CLUSTER = "__SEAMLESS_CACHE__"
CACHE_PROJECT = "__TOPLEVEL__"

# What commands, selections and overrides set; None means: not set.
SELECTABLE = (
    "project",
    "subproject",
    "cluster",
    "stage",
    "substage",
    "execution",
    "persistent",
    "remote",
    "queue",
    "node",
    "record",
    "nparallel",
)
# The state that is shown, in this order.
STATE = (*SELECTABLE[:7], "remote", "remote_effective", *SELECTABLE[8:])

COMMAND, MANUAL, OVERRIDE, DEFAULT = "command", "manual", "override", "default"


class Value:
    """A value with its origin: one of the words above, or "SEAMLESS_CACHE"; a command also has its node."""

    __slots__ = ("node", "origin", "value")

    def __init__(self, value: Any, origin: str, node: Node | None = None):
        self.value, self.origin, self.node = value, origin, node

    def __str__(self) -> str:
        if self.value is None and self.origin == MANUAL:
            return DEFAULT
        return self.origin if self.node is None else str(self.node.place)


class ResolvedConfig:
    """What is configured, with all defaults applied. Attributes: those of `STATE`, and the ones set below.

    `values` has what was set, with its origin; `cache` is the directory of $SEAMLESS_CACHE, or None.
    `remote_effective` is None, without an error, also if the cluster does not tell which is meant; see
    `required_backend`.
    """

    def __init__(
        self,
        values: Mapping[str, Value],
        clusters: Mapping[str, Cluster],
        *,
        workdir: str,
        local_cluster: str | None = None,
        cache: str | None = None,
        files: Sequence[tuple[str, int]] = (),
        warnings: Sequence[SeamlessConfigWarning] = (),
    ):
        self.values = dict(values)
        self.clusters, self.local_cluster = dict(clusters), local_cluster
        self.workdir, self.cache = workdir, cache
        self.files, self.warnings = tuple(files), tuple(warnings)
        self.project: str | None = self._get("project")
        self.subproject: str | None = self._get("subproject")
        self.cluster: str | None = self._get("cluster")
        self.stage: str | None = self._get("stage")
        self.substage: str | None = self._get("substage")
        self.execution: str = self._get("execution", "remote" if self.cluster is not None else "process")
        self.persistent: bool = self._get("persistent", self.cluster is not None)
        self.remote: str | None = self._get("remote")
        self.queue: str | None = self._get("queue")
        self.node: str | None = self._get("node")
        self.record: bool = self._get("record", False)
        self.nparallel: int | None = self._get("nparallel")
        self.remote_effective = self.remote or self._exposed()

    def __repr__(self) -> str:
        return f"ResolvedConfig({', '.join(f'{name}={value!r}' for name, value in self.state().items())})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ResolvedConfig):
            return NotImplemented
        return self.state() == other.state() and self.origins() == other.origins()

    __hash__ = None  # type: ignore[assignment]

    def _get(self, name: str, default: Any = None) -> Any:
        value = self.values.get(name)
        return default if value is None or value.value is None else value.value

    def is_set(self, name: str) -> bool:
        """Whether a value was set, and is not a default."""
        return self._get(name) is not None

    @property
    def selected_cluster(self) -> Cluster | None:
        """The definition of the selected cluster, None without one. Raises ConfigurationError if it is not usable."""
        return None if self.cluster is None else self.get_cluster(self.cluster)

    def get_cluster(self, name: str) -> Cluster:
        """Return the definition of a cluster. Raises ConfigurationError if there is none, or a wrong one."""
        cluster = self.clusters.get(name)
        if cluster is None:
            from seamless.config.names import listed, suggestion

            chosen = self.values.get("cluster")
            node = chosen.node if chosen is not None and chosen.value == name else None
            near = suggestion(name, self.clusters)
            raise ConfigurationError(
                findings=[
                    Finding(
                        f"cluster {name!r} is not defined{near}; clusters: {listed(sorted(self.clusters))}",
                        None if node is None or node.is_null else node.place,
                        code="unknown-cluster",
                    )
                ]
            )
        if not cluster.usable:
            from seamless.config.errors import raise_findings

            raise_findings(cluster.findings)
        return cluster

    def _exposed(self) -> str | None:
        cluster = self.clusters.get(self.cluster) if self.cluster is not None else None
        exposed = cluster.backends() if cluster is not None else []
        return exposed[0] if len(exposed) == 1 else None

    def is_local(self, cluster: Cluster, frontend: Mapping[str, Any]) -> bool:
        """Whether a frontend is this machine, by the configuration."""
        return frontend.get("hostname") is None or cluster.name == self.local_cluster

    def state(self) -> dict[str, Any]:
        """Return the values of all fields."""
        return {name: getattr(self, name) for name in STATE}

    def origins(self) -> dict[str, str]:
        """Return where each field has its value from."""
        origins = {name: str(self.values.get(name, DEFAULT)) for name in SELECTABLE}
        return {name: origins["remote"] if name == "remote_effective" else origins[name] for name in STATE}

    def active(self) -> list[str]:
        """Return the names of the backends that this configuration calls for."""
        backends = []
        if self.cluster is not None:
            if self.persistent:
                backends += ["buffer", "database"]
            if self.execution == "remote":
                backend = self.remote_effective if self.persistent else "pure_daskserver"
                backends += [backend] if backend is not None else []
        if self.execution == "spawn":
            backends.append(f"spawn:{self.pool_size()}")
        return backends

    def pool_size(self) -> int:
        """Return the number of worker processes for execution `spawn`."""
        for name in (self.cluster, self.local_cluster):
            cluster = self.clusters.get(name) if name is not None else None
            if cluster is not None and cluster.workers is not None:
                return cluster.workers
        return len(os.sched_getaffinity(0))

    def with_manual(self, name: str, value: Any) -> ResolvedConfig:
        """Return this configuration with a value selected by the program after the evaluation."""
        values = dict(self.values)
        if name in values and values[name].origin == OVERRIDE:  # the stronger one
            return self
        if name == "cluster" and value != self.cluster:
            values.pop("queue", None)
        values[name] = Value(value, MANUAL)
        return ResolvedConfig(
            values,
            self.clusters,
            workdir=self.workdir,
            local_cluster=self.local_cluster,
            cache=self.cache,
            files=self.files,
            warnings=self.warnings,
        )


def required_backend(config: ResolvedConfig, cluster: Cluster) -> str | None:
    """Return what executes remote transformations on a cluster: the pin, or what it offers, else None.

    Raises ConfigurationError if the cluster offers both and nothing tells which is meant.
    """
    if config.remote is not None:
        return config.remote
    advice = "write '- remote: jobserver' or '- remote: daskserver' in seamless.profile.yaml"
    found: dict[str, str] = {}
    for frontend, backends in cluster.backends_by_frontend():
        if len(backends) > 1:
            raise cluster.error(
                f"cluster '{cluster.name}': frontend '{frontend}' offers both {' and '.join(BACKENDS)}; {advice}",
                "frontends",
            )
        for backend in backends:
            found.setdefault(backend, frontend)
    if len(found) > 1:
        where = ", ".join(f"{backend} on '{frontend}'" for backend, frontend in found.items())
        raise cluster.error(f"cluster '{cluster.name}' offers different backends ({where}); {advice}", "frontends")
    return next(iter(found), None)
