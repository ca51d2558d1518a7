"""What the commands `seamless-service-*` share: the options that select a service, and from them its launch dict.

The same evaluation as that of a program: what is shown, stopped or cleared here is what a program would use.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from seamless.cli.common import add_general, make_parser
from seamless.cli.config import split_stage
from seamless.cli.service.remote import RemoteMachine, unique
from seamless.config.cluster import Cluster
from seamless.config.description import launch_dict
from seamless.config.embedded import cache_from_environment
from seamless.config.errors import ConfigurationError
from seamless.config.evaluation import checked_stage, evaluate
from seamless.config.names import complaint, listed
from seamless.config.resolved import CACHE_CLUSTER, CACHE_PROJECT, OVERRIDE, ResolvedConfig, Value
from seamless.errors import SeamlessError
from seamless.launcher.configuration import Configuration, is_loopback

SERVICES = ("hashserver", "database", "jobserver", "daskserver", "pure-daskserver")
STORAGE = SERVICES[:2]  # those that keep files
CACHE_ALIAS = "SEAMLESS_CACHE"  # how people call the project of the cache directory
UNREACHABLE = 3  # exit status of seamless-init: a service cannot be reached, or not be started
EXIT_CODES = (
    (0, "done"),
    (1, "there is nothing such, or it failed"),
    (2, "a mistake in the arguments or in the configuration"),
    (127, "the machine of the service does not have the helpers of the launcher"),
    (255, "the machine of the service cannot be reached by SSH"),
)
# the options that say for what a service is
SCOPE = ("service", "cluster", "project", "subproject", "stage", "substage", "mode", "queue")


# --- options --------------------------------------------------------------------------------------


def service_parser(
    prog: str,
    summary: str,
    *,
    examples: Sequence[str],
    required: bool = False,
    exit_codes: Sequence[tuple[int, str]] = EXIT_CODES,
    otherwise: str = "What is not given is as configured here, for the stage $SEAMLESS_STAGE; the mode rw.",
    default_workdir: str = "$SEAMLESS_WORKDIR, else here",
) -> argparse.ArgumentParser:
    """Return a parser with the options that select services. Add others, then call `add_general(..., verbose=False)`.

    `required`: --service must be given. `otherwise` says what holds for options that are not given.
    """
    parser = make_parser(prog, summary, usage="%(prog)s [options]", examples=examples, exit_codes=exit_codes)
    parser.allow_abbrev = False
    group = parser.add_argument_group("Selection", otherwise)
    group.add_argument("--service", choices=SERVICES, required=required, help="the kind of service")
    group.add_argument("--cluster", metavar="C", help="the cluster")
    group.add_argument("--project", metavar="P", help=f"the project; {CACHE_ALIAS} for that of the cache directory")
    group.add_argument("--subproject", metavar="S", help="the subproject; '' for none")
    group.add_argument("--stage", metavar="S", help="the stage; '' for none")
    group.add_argument("--substage", metavar="S", help="the substage of a jobserver or daskserver")
    group.add_argument("--mode", choices=("ro", "rw"), help="of a hashserver or database: ro or rw")
    group.add_argument("--queue", metavar="Q", help="the queue of a daskserver")
    group.add_argument("--frontend-name", metavar="HOST", help="the frontend, if several have the service")
    group.add_argument(
        "--workdir", metavar="DIR", help=f"the directory of the project files (default: {default_workdir})"
    )
    return parser


def add_changing(parser: argparse.ArgumentParser) -> Any:
    """Add the options of a command that changes something; return their group."""
    group = parser.add_argument_group("Output")
    group.add_argument("--dry-run", action="store_true", help="print the commands that would do it, and do nothing")
    group.add_argument("--json", action="store_true", help="one JSON object a line, with sorted keys")
    return group


def finished(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add what every command has; return the parser."""
    add_general(parser, verbose=False)
    return parser


def require_selection(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End the command unless a service or a cluster is given."""
    if options.service is None and options.cluster is None:
        parser.error("--service or --cluster is required")


# --- from options to a configuration ----------------------------------------------------------------


def evaluated(options: argparse.Namespace, *, project_files: bool = True) -> ResolvedConfig:
    """Return what is configured, with the options above it. Raises ConfigurationError, SeamlessError.

    `project_files` False: only the files of clusters count, and the environment only by SEAMLESS_CACHE.
    """
    given = {name: getattr(options, name) for name in ("cluster", "project", "subproject", "queue")}
    overrides = {name: value for name, value in given.items() if value is not None}
    stage, substage, workdir = options.stage, options.substage, options.workdir
    if project_files:
        workdir = workdir or os.environ.get("SEAMLESS_WORKDIR")
        if stage is None:
            stage, default = split_stage(os.environ.get("SEAMLESS_STAGE"))
            substage = default if substage is None else substage
    cache = names_cache(options)
    if cache:
        overrides = {
            name: value for name, value in overrides.items() if value not in (CACHE_ALIAS, CACHE_PROJECT, CACHE_CLUSTER)
        }
        if cache_from_environment() is None:
            return _recorded_cache(options, overrides, *checked_stage(stage, substage))
    return evaluate(
        os.path.abspath(workdir or os.getcwd()),
        stage=stage,
        substage=substage,
        overrides=overrides,
        check=False,
        project_files=project_files,
    )


def names_cache(options: argparse.Namespace) -> bool:
    """Tell whether the options mean the services of a cache directory."""
    return options.project in (CACHE_ALIAS, CACHE_PROJECT) or options.cluster == CACHE_CLUSTER


def _recorded_cache(
    options: argparse.Namespace, overrides: dict[str, Any], stage: str | None, substage: str | None
) -> ResolvedConfig:
    """Return the configuration for the cache directory that a service is recorded to work in."""
    from seamless.launcher.paths import state_path
    from seamless.launcher.statefile import read_state_or_none

    if overrides.get("cluster") is not None:
        raise ConfigurationError(
            f"--project {CACHE_ALIAS} means services of a cache directory; they belong to no cluster "
            f"(found --cluster {overrides['cluster']})"
        )
    subproject = overrides.get("subproject") or None
    problem = complaint("subproject", subproject, nested=True) if subproject else None
    if problem:
        raise ConfigurationError(problem)
    values = {"subproject": subproject, "stage": stage, "substage": substage}
    for service in [options.service] if options.service else STORAGE:
        root = "/root"
        launch = launch_dict(_cache_config(root, values), service, options.mode or "rw")
        state = read_state_or_none(state_path(launch["key"])) or {}
        workdir, tail = state.get("workdir"), launch["workdir"][len(root) :]
        if isinstance(workdir, str) and workdir.endswith(tail):
            return _cache_config(workdir[: -len(tail)] or "/", values)
    raise SeamlessError(
        f"project {CACHE_ALIAS} requires an existing launcher JSON with workdir, or SEAMLESS_CACHE to be set"
    )


def _cache_config(root: str, values: dict[str, str | None]) -> ResolvedConfig:
    from seamless.config.cluster import synthetic_cache

    fixed = {"cluster": CACHE_CLUSTER, "project": CACHE_PROJECT, "execution": "process", "persistent": True, **values}
    return ResolvedConfig(
        {name: Value(value, OVERRIDE) for name, value in fixed.items()},
        {CACHE_CLUSTER: synthetic_cache(root, CACHE_CLUSTER)},
        workdir=os.getcwd(),
        local_cluster=CACHE_CLUSTER,
        cache=root,
    )


# --- from a configuration to services -----------------------------------------------------------------


class Target(NamedTuple):
    """The service that the options select: its launch dict, also as the launcher reads it."""

    launch: dict[str, Any]
    checked: Configuration

    @property
    def key(self) -> str:
        """The key of the service."""
        return self.checked.key

    @property
    def host(self) -> str | None:
        """The name by which SSH reaches its machine; None for this one."""
        return None if self.checked.is_local else self.checked.ssh_hostname or self.checked.hostname

    @property
    def machine(self) -> RemoteMachine | None:
        """The machine of the service; None for this one."""
        return None if self.host is None else RemoteMachine(self.host)


def selected(options: argparse.Namespace, *, project_files: bool = True) -> Target:
    """Return the service that the options select. Raises ConfigurationError, SeamlessError."""
    config = evaluated(options, project_files=project_files)
    launch = launch_dict(config, options.service, options.mode or "rw", frontend_name=options.frontend_name)
    return Target(launch, Configuration.from_mapping(launch))


def with_commands(text: str, key: str, scope: Mapping[str, Any]) -> str:
    """Return a message of the launcher with the commands for users in place of its helpers.

    >>> with_commands("ssh h rhl-stop K, rhl-logs K", "K", {"service": "database", "stage": "s"})
    'seamless-service-stop --service database --stage s, seamless-service-logs --service database --stage s'
    """
    which = f"--service {scope['service']}" + (f" --stage {scope['stage']}" if scope.get("stage") else "")
    pattern = rf"(?:ssh \S+ )?rhl-(stop|logs|inspect) {re.escape(key)}(?![\w.-])"
    return re.sub(pattern, rf"seamless-service-\1 {which}", text)


def ssh_target(frontend: Mapping[str, Any]) -> str:
    """Return the name by which SSH reaches a frontend that is not this machine."""
    return str(frontend.get("ssh_hostname") or frontend["hostname"])


def hosts_of(config: ResolvedConfig, cluster: str) -> tuple[bool, list[str]]:
    """Tell whether a cluster has a frontend on this machine, and return how SSH reaches the others.

    Raises ConfigurationError for a cluster that is not defined, or not rightly.
    """
    definition = config.get_cluster(cluster)
    others = [ssh_target(one) for one in definition.frontends if not is_here(config, definition, one)]
    return len(others) < len(definition.frontends), unique(others)


def is_here(config: ResolvedConfig, cluster: Cluster, frontend: Mapping[str, Any]) -> bool:
    """Tell whether a frontend is this machine."""
    names = [frontend[name] for name in ("hostname", "ssh_hostname") if name in frontend]
    return config.is_local(cluster, frontend) or all(is_loopback(name) for name in names)


def unknown_cluster(config: ResolvedConfig, cluster: str) -> ConfigurationError:
    """Return the error for a cluster that is neither defined nor recorded."""
    return ConfigurationError(
        f"cluster {cluster!r} is not defined, and no service of it is recorded on this machine; "
        f"clusters: {listed(sorted(config.clusters))}"
    )
