"""What is to be checked: from a configuration to the places that it names, and what each of them is to provide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from seamless.cli.service.common import is_here, ssh_target
from seamless.config.cluster_schema import SERVICES, STORAGE_DIRECTORY
from seamless.config.resolved import ResolvedConfig
from seamless.launcher.paths import DEFAULT_BASE, base_directory

PROGRAMS = {
    "hashserver": "hashserver",
    "database": "seamless-database",
    "jobserver": "seamless-jobserver",
    "daskserver": "seamless-dask-wrapper",
}


class Service(NamedTuple):
    """A service that a place is to run: its fields in the definition of the cluster."""

    cluster: str
    name: str
    fields: Mapping[str, Any]

    @property
    def interface(self) -> str:
        """What it listens on."""
        return str(self.fields.get("network_interface") or "localhost")

    @property
    def directory(self) -> str | None:
        """Where its data are, for all projects."""
        value = self.fields.get(STORAGE_DIRECTORY.get(self.name, ""))
        return None if value is None else str(value)

    @property
    def program(self) -> str | None:
        """The command that must be found; None if it comes from a conda environment or an image."""
        return None if "conda" in self.fields or "image" in self.fields else PROGRAMS[self.name]

    @property
    def ports_needed(self) -> int:
        """How many ports it binds."""
        return 2 if self.name == "daskserver" else 1


class Place(NamedTuple):
    """A machine (`host` is how SSH reaches it, None for this one) and the services that it is to run."""

    host: str | None
    services: list[Service]

    def request(self, helpers: list[str], beside: list[str]) -> dict[str, Any]:
        """Return what the probe is to look at."""
        base = base_directory() if self.host is None else DEFAULT_BASE
        directories = [base, *(service.directory for service in self.services if service.directory)]
        locked = [base, *(s.directory for s in self.services if s.directory and s.name == "database")]
        ranges = {
            service.name: [service.interface, service.fields["port_start"], service.fields["port_end"]]
            for service in self.services
            if "port_start" in service.fields
        }
        programs = [service.program for service in self.services if service.program]
        return {
            "programs": list(dict.fromkeys([*helpers, *programs])),
            "places": beside,
            "directories": list(dict.fromkeys(directories)),
            "locks": list(dict.fromkeys(locked)),
            "ports": ranges,
        }


def places_of(config: ResolvedConfig, clusters: list[str]) -> list[Place]:
    """Return the machines of some clusters, each once. Raises ConfigurationError for a cluster that is not usable."""
    found: dict[str | None, list[Service]] = {}
    for name in clusters:
        cluster = config.get_cluster(name)
        for frontend in cluster.frontends:
            host = None if is_here(config, cluster, frontend) else ssh_target(frontend)
            services = found.setdefault(host, [])
            services += [Service(name, service, frontend[service]) for service in SERVICES if service in frontend]
    return [Place(host, services) for host, services in found.items()]


def is_remote(config: ResolvedConfig) -> bool:
    """Tell whether transformations are executed by a service."""
    return config.execution == "remote"
