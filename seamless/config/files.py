"""Which files are read: project files from the working directory upwards, cluster files of the site and the user.

<dir>/seamless.yaml, <dir>/seamless.profile.yaml      and the parent's, with inherit_from_parent
/etc/seamless/clusters.yaml, clusters.d/*.yaml        $SEAMLESS_SITE_CONFIG instead of /etc/seamless
~/.seamless/clusters.yaml, clusters/*.yaml
"""

from __future__ import annotations

import os

from seamless.config.cluster import read_clusters
from seamless.config.commands import INHERIT, Command, read_commands
from seamless.config.declarations import Report
from seamless.config.errors import ConfigurationError, Finding, Place, shown_path
from seamless.config.nodes import Node, Source, read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from seamless.config.cluster import Cluster
    from seamless.config.commands import Block

PROJECT_FILES = ("seamless.yaml", "seamless.profile.yaml")
SITE_DIRECTORY = "/etc/seamless"


class ProjectFile:
    """A project file and its commands."""

    __slots__ = ("items", "path")

    def __init__(self, path: str, items: list[Command | Block]):
        self.path, self.items = path, items


class Clusters:
    """The clusters that are defined, and which of them is this machine."""

    def __init__(self) -> None:
        self.by_name: dict[str, Cluster] = {}
        self.local: str | None = None
        self.local_node: Node | None = None
        self.replaced: list[tuple[Cluster, Cluster]] = []  # (new, old) definitions of one name

    def add(self, clusters: Mapping[str, Cluster], local: Node | None) -> None:
        """Add definitions; each replaces an earlier one of its name as a whole."""
        for name, cluster in clusters.items():
            if name in self.by_name:
                self.replaced.append((cluster, self.by_name[name]))
            self.by_name[name] = cluster
        if local is not None:
            self.local, self.local_node = local.value, local


def read_project_file(path: str, report: Report) -> ProjectFile:
    """Read a project file. Mistakes go to `report`."""
    before = len(report.findings)
    root = read_file(path, report.findings)
    if len(report.findings) > before:
        return ProjectFile(path, [])
    return ProjectFile(path, read_commands(root, _start_of(path), report))


def _start_of(path: str) -> Node:
    """Return a node at the start of an empty file, for what is to be said about it."""
    return Node("scalar", None, Source(path, ""), _Start, _Start)


class _Start:
    line = column = 0


def read_project_files(workdir: str, report: Report) -> list[ProjectFile]:
    """Return the project files for a directory in the order of execution: outermost directory first."""
    directory = os.path.realpath(workdir)
    if not os.path.isdir(directory):
        raise ConfigurationError(f"{shown_path(workdir)!r} is not a directory; the project files would be in it")
    found: list[ProjectFile] = []
    while True:
        paths = [os.path.join(directory, name) for name in PROJECT_FILES]
        here = [read_project_file(path, report) for path in paths if os.path.isfile(path)]
        found = here + found
        parent = os.path.dirname(directory)
        if parent == directory or not any(_inherits(file) for file in here):
            return found
        directory = parent


def _inherits(file: ProjectFile) -> bool:
    return any(isinstance(item, Command) and item.name == INHERIT and item.value for item in file.items)


def cluster_files(environment: Mapping[str, str]) -> list[str]:
    """Return the cluster files that exist, in the order in which they are read."""
    site = environment.get("SEAMLESS_SITE_CONFIG")
    paths = []
    if site is None or site.strip():
        base = SITE_DIRECTORY if site is None else os.path.abspath(os.path.expanduser(site.strip()))
        paths += [os.path.join(base, "clusters.yaml"), *_yaml_files(os.path.join(base, "clusters.d"))]
    home = environment.get("HOME") or os.path.expanduser("~")
    own = os.path.join(home, ".seamless")
    paths += [os.path.join(own, "clusters.yaml"), *_yaml_files(os.path.join(own, "clusters"))]
    return [os.path.abspath(path) for path in paths if os.path.isfile(path)]


def _yaml_files(directory: str) -> list[str]:
    try:
        found = sorted(name for name in os.listdir(directory) if name.endswith(".yaml"))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as exc:
        raise ConfigurationError(
            findings=[Finding(f"the directory of cluster files cannot be read: {exc.strerror}", Place(directory))]
        ) from exc
    return [os.path.join(directory, name) for name in found]


def read_cluster_file(path: str, clusters: Clusters, report: Report) -> None:
    """Add the clusters of a file. Mistakes of single definitions stay with them, others go to `report`."""
    root = read_file(path, report.findings)
    if root is None or root.is_null:
        return
    if root.kind != "mapping":
        report.error(f"expected a mapping from names to clusters, found {root.describe()}", root)
        return
    clusters.add(*read_clusters(root, report))
