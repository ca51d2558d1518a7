"""Evaluation: files, environment and selections become a `ResolvedConfig`. Has no side effects.

Order: cluster files, `clusters` commands of the active blocks, the other commands, overrides, requirements.
"""

from __future__ import annotations

import os

from seamless.config import names
from seamless.config.cluster import synthetic_cache
from seamless.config.commands import VALUES, Command, active
from seamless.config.declarations import Report
from seamless.config.embedded import cache_from_environment
from seamless.config.errors import ConfigurationError, SeamlessConfigWarning, raise_findings
from seamless.config.files import Clusters, cluster_files, read_cluster_file, read_project_files
from seamless.config.requirements import check_requirements
from seamless.config.resolved import (
    CACHE_CLUSTER,
    CACHE_PROJECT,
    COMMAND,
    MANUAL,
    OVERRIDE,
    SELECTABLE,
    ResolvedConfig,
    Value,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from seamless.config.files import ProjectFile
    from seamless.config.nodes import Node

CACHE = "SEAMLESS_CACHE"


def evaluate(
    workdir: str,
    *,
    stage: str | None = None,
    substage: str | None = None,
    manual: Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    check: bool = True,
    project_files: bool = True,
) -> ResolvedConfig:
    """Return what is configured for a directory. Raises ConfigurationError with everything that is wrong.

    `manual` is weaker than the files, `overrides` stronger. `check=False` leaves out the requirements, such as a
    cluster for remote execution. `project_files=False`: only the cluster files are read.
    """
    environment = os.environ if environment is None else environment
    overrides = checked_values(overrides or {})
    stage, substage = checked_stage(overrides.get("stage", stage), overrides.get("substage", substage))
    run = _Evaluation(stage, substage, manual or {}, overrides)
    cache = cache_from_environment()
    if cache is not None:
        run.use_cache(cache)
        files: list[ProjectFile] = []
    else:
        run.read_cluster_files(environment)
        files = read_project_files(workdir, run.report) if project_files else []
        run.run_files(files)
    run.apply_overrides()
    raise_findings(run.report.findings)
    config = ResolvedConfig(
        run.values,
        run.clusters.by_name,
        workdir=workdir,
        local_cluster=run.clusters.local,
        cache=cache,
        files=[(file.path, len(file.items)) for file in files],
    )
    warnings = [*run.warnings(), *(check_requirements(config) if check else ())]
    config.warnings = tuple(warnings)
    return config


def checked_stage(stage: str | None, substage: str | None) -> tuple[str | None, str | None]:
    """Return stage and substage as checked names; an empty one is None."""
    return _checked_name("stage", stage), _checked_name("substage", substage)


def _checked_name(what: str, value: str | None) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ConfigurationError(f"{what} must be a string or None, not {value!r}")
    problem = names.complaint(what, value)
    if problem is not None:
        raise ConfigurationError(problem)
    return value


def checked_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values that a program or the command line has given, checked as commands are."""
    return {name: checked_value(name, value) for name, value in values.items()}


def checked_value(name: str, value: Any) -> Any:
    """Return a value for one of the selectable fields, checked as a command would be; None means none."""
    if name not in SELECTABLE:
        near = names.suggestion(name, SELECTABLE)
        raise ConfigurationError(f"there is nothing called {name!r} to be set{near}; known: {', '.join(SELECTABLE)}")
    if name in ("stage", "substage"):
        return _checked_name(name, value)
    if value is None or (value == "" and name == "subproject"):
        return None
    from seamless.config.nodes import Node, Source

    report = Report()
    node = Node("list" if isinstance(value, (list, tuple)) else "scalar", value, Source("", ""), _NOWHERE, _NOWHERE)
    value = VALUES[name][0].read(node, name, report)
    if report.findings:
        raise ConfigurationError("\n".join(finding.message for finding in report.findings))
    return value


class _Nowhere:
    line = column = 0


_NOWHERE = _Nowhere()


class _Evaluation:
    def __init__(
        self, stage: str | None, substage: str | None, manual: Mapping[str, Any], overrides: Mapping[str, Any]
    ):
        self.stage, self.substage, self.overrides = stage, substage, overrides
        self.report = Report()
        self.clusters = Clusters()
        self.values = {name: Value(value, MANUAL) for name, value in manual.items() if value is not None}
        for name, value in (("stage", stage), ("substage", substage)):
            self.values[name] = Value(value, OVERRIDE if name in overrides else MANUAL)

    def use_cache(self, directory: str) -> None:
        """Have the cache directory as the only cluster, whatever the files say."""
        self.clusters.add({CACHE_CLUSTER: synthetic_cache(directory, CACHE_CLUSTER)}, None)
        self.clusters.local = CACHE_CLUSTER
        fixed = {"cluster": CACHE_CLUSTER, "execution": "process", "persistent": True, "queue": None, "remote": None}
        if "project" not in self.values:
            fixed["project"] = CACHE_PROJECT
        self.values |= {name: Value(value, CACHE) for name, value in fixed.items()}
        cluster = self.overrides.get("cluster")
        if cluster is not None:
            self.report.error(
                f"cluster {cluster!r} cannot be chosen while SEAMLESS_CACHE is set (to {directory}); unset it", None
            )

    def read_cluster_files(self, environment: Mapping[str, str]) -> None:
        for path in cluster_files(environment):
            read_cluster_file(path, self.clusters, self.report)

    def run_files(self, files: list[ProjectFile]) -> None:
        commands = [command for file in files for command in active(file.items, self.stage, self.substage)]
        for command in commands:
            if command.name == "clusters":
                self.clusters.add(command.clusters, command.local)
        self._check_local_cluster()
        if self.report.failed:  # a queue cannot be looked up in what could not be read
            return
        for i, command in enumerate(commands):
            if command.name in VALUES:
                self._run(command, commands[i + 1 :])

    def _check_local_cluster(self) -> None:
        local = self.clusters.local
        if local is not None and local not in self.clusters.by_name:
            near = names.suggestion(local, self.clusters.by_name)
            self.report.error(
                f"local_cluster names {local!r}, which is not defined{near}; "
                f"clusters: {names.listed(sorted(self.clusters.by_name))}",
                self.clusters.local_node,
            )

    def _run(self, command: Command, further: list[Command]) -> None:
        if command.name == "cluster":
            self._select_cluster(command.value)
        elif command.name == "queue":
            self._check_queue(command.value, command.argument or command.node, further)
        self.values[command.name] = Value(command.value, COMMAND, command.node)

    def _select_cluster(self, name: str | None) -> None:
        current = self.values.get("cluster")
        if name != (None if current is None else current.value):
            self.values.pop("queue", None)

    def _check_queue(self, queue: str, node: Node | None, further: list[Command]) -> None:
        selected = self.values.get("cluster")
        if selected is None or selected.value is None:
            hint = ""
            for command in further:
                if command.name == "cluster":
                    hint = f"; move the command 'cluster' ({command.node.place}) before it"
                    break
            self.report.error(f"Cannot select queue '{queue}' without selecting a cluster first{hint}", node)
            return
        cluster = self.clusters.by_name.get(selected.value)
        if cluster is None:
            near = names.suggestion(selected.value, self.clusters.by_name)
            self.report.error(
                f"cluster {selected.value!r} is not defined{near}; "
                f"clusters: {names.listed(sorted(self.clusters.by_name))}",
                node if selected.node is None else selected.node,
                code="unknown-cluster",
            )
        elif cluster.usable:  # else its own mistakes are what is told
            problem = queue_complaint(queue, cluster.name, cluster.queues)
            if problem is not None:
                self.report.error(problem, node)

    def apply_overrides(self) -> None:
        given = {name: value for name, value in self.overrides.items() if name not in ("stage", "substage")}
        if self.report.failed:
            return
        if "cluster" in given:
            self._select_cluster(given["cluster"])
        for name, value in given.items():
            self.values[name] = Value(value, OVERRIDE)
        queue = self.values.get("queue")
        if queue is not None and queue.value is not None and queue.origin != COMMAND:
            self._check_queue(queue.value, None, [])

    def warnings(self) -> list[SeamlessConfigWarning]:
        """Return what is doubtful in what was read."""
        found = []
        if self.substage is not None and self.stage is None:
            found.append(
                SeamlessConfigWarning(
                    f"substage '{self.substage}' has no effect on services without a stage", "substage-without-stage"
                )
            )
        selected = self.values.get("cluster")
        for name, cluster in self.clusters.by_name.items():
            if not cluster.usable and (selected is None or selected.value != name):
                first = next(finding for finding in cluster.findings if finding.severity == "error")
                found.append(
                    SeamlessConfigWarning(
                        f"cluster '{name}' cannot be used: {first.message}",
                        "invalid-cluster",
                        None if first.place is None else str(first.place),
                    )
                )
        return found


def queue_complaint(queue: str, cluster: str, queues: Mapping[str, Any]) -> str | None:
    """Return why a queue cannot be chosen, or None."""
    if not queues:
        return f"Cannot select queue '{queue}': cluster '{cluster}' has no queues"
    if queue not in queues:
        near = names.suggestion(queue, queues)
        return f"cluster '{cluster}' has no queue '{queue}'{near}; queues of '{cluster}': {', '.join(queues)}"
    return None
