"""For what a service is: the cluster, project and stage that its key and its directory are made of."""

from __future__ import annotations

from seamless.config import names
from seamless.config.errors import ConfigurationError
from seamless.config.resolved import CACHE_PROJECT, ResolvedConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from seamless.config.cluster import Cluster


class Scope:
    """For what a service is: cluster, project, subproject, stage, substage."""

    def __init__(self, config: ResolvedConfig, **chosen: str | None):
        def value(name: str) -> str | None:
            given = chosen.get(name)
            return getattr(config, name) if given is None else given or None

        self.config = config
        self.cluster_name, self.project, self.subproject = value("cluster"), value("project"), value("subproject")
        self.stage, self.substage = value("stage"), value("substage")
        for name in ("project", "subproject", "stage", "substage"):
            given = getattr(self, name)
            problem = names.complaint(name, given, nested=name == "subproject") if given else None
            if problem and not (name == "project" and given == CACHE_PROJECT):
                raise ConfigurationError(problem)

    @property
    def cluster(self) -> Cluster:
        """The definition of the cluster."""
        if self.cluster_name is None:
            raise ConfigurationError("No cluster defined; write '- cluster: NAME', or set SEAMLESS_CACHE")
        return self.config.get_cluster(self.cluster_name)

    def directory(self, *, substage: bool = False) -> str:
        """Return /project[/subproject][/STAGE-stage]; with `substage`, that of the services of a substage."""
        if self.project is None:
            raise ConfigurationError("No project defined; write '- project: NAME' in seamless.yaml")
        path = f"/{self.project}" + (f"/{self.subproject}" if self.subproject else "")
        if self.stage:
            path += f"/STAGE-{self.stage}"
            if substage and self.substage:
                path += f"SUBSTAGE-{self.substage}"
        return path

    def tail(self, *, substage: bool = False) -> str:
        """Return the directory as a part of a key."""
        return self.directory(substage=substage).strip("/").replace("/", "--")
