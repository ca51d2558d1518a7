"""Manual selections (`select_*`) and the current values (`get_*`). Loads no file and activates nothing."""

from __future__ import annotations

from seamless.config.context import context
from seamless.config.errors import ConfigurationError
from seamless.config.evaluation import checked_value, queue_complaint
from seamless.config.resolved import required_backend
from seamless.session import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from seamless.config.cluster import Cluster


def _select(name: str, value: Any) -> None:
    value = checked_value(name, value)
    with context.lock:
        if name == "cluster" and value != context.current().cluster:
            context.manual.pop("queue", None)
        context.manual = {**context.manual, name: value}
        if context.config is not None:
            context.config = context.config.with_manual(name, value)
    if name == "nparallel":
        session.nparallel = context.current().nparallel


def select_cluster(cluster: str | None) -> None:
    """Select a cluster; a queue of another one is forgotten. Raises ConfigurationError for a wrong name."""
    _select("cluster", cluster)


def select_project(project: str | None) -> None:
    """Select the project. Raises ConfigurationError for a wrong name."""
    _select("project", project)


def select_subproject(subproject: str | None) -> None:
    """Select the subproject; `/` separates several levels."""
    _select("subproject", subproject)


def select_stage(stage: str | None) -> None:
    """Select the stage for the next evaluation. Raises RuntimeError after `set_remote_clients`."""
    _not_forwarded("stage")
    _select("stage", stage)


def select_substage(substage: str | None) -> None:
    """Select the substage for the next evaluation. Raises RuntimeError after `set_remote_clients`."""
    _not_forwarded("substage")
    _select("substage", substage)


def _not_forwarded(what: str) -> None:
    if context.forwarded:
        raise RuntimeError(f"the {what} cannot be changed after set_remote_clients")


def select_execution(execution: str | None) -> None:
    """Select where transformations are executed: process, spawn or remote."""
    _select("execution", execution)


def select_queue(queue: str | None) -> None:
    """Select a queue of the selected cluster. Raises ConfigurationError without a cluster, or if it has none such.

    Before the files are evaluated the clusters are not known; then the queue is looked for at the evaluation.
    """
    config = context.current()
    if queue is not None:
        if config.cluster is None:
            raise ConfigurationError(f"Cannot select queue {queue!r} without selecting a cluster first")
        if context.config is not None:
            checked_value("queue", queue)
            problem = queue_complaint(queue, config.cluster, config.get_cluster(config.cluster).queues)
            if problem is not None:
                raise ConfigurationError(problem)
    _select("queue", queue)


def select_remote(remote: str | None) -> None:
    """Select what executes transformations if a cluster offers both: jobserver, daskserver, or None."""
    _select("remote", remote)


def select_persistent(persistent: bool | None) -> None:
    """Select whether buffers and results are kept by the cluster."""
    _select("persistent", persistent)


def select_record(record: bool | None) -> None:
    """Select whether full execution records are written; that of the next execution is."""
    from seamless.config.activation import configure_records

    _select("record", record)
    configure_records(context.current())


def select_node(node: str | None) -> None:
    """Select the node that batch jobs should run on."""
    _select("node", node)


def select_nparallel(nparallel: int | None) -> None:
    """Set how many transformations `parallel` keeps in flight. Raises ConfigurationError unless an int >= 1."""
    _select("nparallel", nparallel)


def set_nparallel(nparallel: int) -> None:
    """Set how many transformations `parallel` keeps in flight. Raises ConfigurationError unless an int >= 1."""
    if nparallel is None:
        raise ConfigurationError("nparallel must be an integer of at least 1, not None")
    select_nparallel(nparallel)


def get_nparallel() -> int:
    """Return how many transformations `parallel` keeps in flight. Raises ConfigurationError if that is not set."""
    nparallel = session.nparallel
    if nparallel is None:
        raise ConfigurationError(
            "nparallel is not set. Write '- nparallel: N' in seamless.yaml, or call seamless.config.set_nparallel(N)"
        )
    return nparallel


def get_stage() -> str | None:
    """Return the current stage."""
    return context.current().stage


def get_substage() -> str | None:
    """Return the current substage."""
    return context.current().substage


def get_selected_project() -> str | None:
    """Return the selected project."""
    return context.current().project


def get_selected_subproject() -> str | None:
    """Return the selected subproject."""
    return context.current().subproject


def get_selected_cluster() -> str | None:
    """Return the name of the selected cluster."""
    return context.current().cluster


def get_execution() -> str:
    """Return where transformations are executed: process, spawn or remote."""
    return context.current().execution


def get_persistent() -> bool:
    """Return whether buffers and results are kept by the cluster."""
    return context.current().persistent


def get_remote() -> str | None:
    """Return the backend that was pinned, if any."""
    return context.current().remote


def get_queue() -> str | None:
    """Return the queue that was chosen; None stands for the cluster's default queue."""
    return context.current().queue


def get_node() -> str | None:
    """Return the node that batch jobs should run on."""
    return context.current().node


def get_record() -> bool:
    """Return whether full execution records are written."""
    return context.current().record


def get_cluster(cluster: str) -> Cluster:
    """Return the definition of a cluster. Raises ConfigurationError if there is none, or a wrong one."""
    return context.current().get_cluster(cluster)


def get_local_cluster() -> str | None:
    """Return the name of the cluster that is this machine, None if the definitions name none."""
    return context.current().local_cluster


def get_current(
    cluster: str | None = None,
    project: str | None = None,
    subproject: str | None = None,
    stage: str | None = None,
    substage: str | None = None,
) -> tuple[str, str, str | None, str | None, str | None]:
    """Return cluster, project, subproject, stage, substage: the arguments, else the current values.

    An empty subproject, stage or substage means none. Raises ConfigurationError without a cluster or project.
    """
    config = context.current()
    cluster = cluster or config.cluster
    project = project or config.project
    if not cluster:
        raise ConfigurationError("No cluster defined; write '- cluster: NAME', or set SEAMLESS_CACHE")
    if not project:
        raise ConfigurationError("No project defined; write '- project: NAME' in seamless.yaml")
    chosen = [(subproject, config.subproject), (stage, config.stage), (substage, config.substage)]
    further = [current if given is None else given or None for given, current in chosen]
    return cluster, project, further[0], further[1], further[2]


def check_remote_redundancy(cluster: str) -> str | None:
    """Return what executes remote transformations on a cluster: the pin, or the only backend that it offers.

    Raises ConfigurationError if it offers both.
    """
    config = context.current()
    return required_backend(config, config.get_cluster(cluster))
