"""Rows about services, from what the launcher has recorded: for what a service is, and which rows are meant."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from seamless.cli.service.common import CACHE_ALIAS, SCOPE, hosts_of, unknown_cluster
from seamless.cli.service.remote import RemoteMachine, at_once
from seamless.config.resolved import CACHE_PROJECT, ResolvedConfig
from seamless.errors import SeamlessError
from seamless.launcher.listing import client_rows, server_rows

Row = dict[str, Any]

_KEY = r"(?P<service>hashserver|database|jobserver|daskserver)-(?P<cluster>{0})-(?P<mode>rw|ro)-(?P<tail>.+)"
_PURE_KEY = r"(?P<service>pure-daskserver)-(?P<cluster>{0})-(?P<queue>.+)"
_STAGE = re.compile(r"STAGE-(?P<stage>.+?)(?:SUBSTAGE-(?P<substage>.+))?")


def scope_of(key: str, meta: Mapping[str, Any], cluster: str | None = None) -> Row:
    """Return for what a service is: by its `meta`, else by its key, which may be ambiguous.

    `cluster`: the cluster to which the key is said to belong.

    >>> {k: v for k, v in scope_of("jobserver-a-b-rw-p--s--STAGE-xSUBSTAGE-y", {}).items() if v}
    {'service': 'jobserver', 'cluster': 'a-b', 'project': 'p', 'subproject': 's', 'stage': 'x', 'substage': 'y', \
'mode': 'rw'}
    """
    if isinstance(meta.get("service"), str):
        return {name: meta.get(name) for name in SCOPE}
    scope: Row = dict.fromkeys(SCOPE)
    middle = re.escape(cluster) if cluster is not None else ".+?"
    match = re.fullmatch(_KEY.format(middle), key) or re.fullmatch(_PURE_KEY.format(middle), key)
    if match is None:
        return scope
    scope |= {"mode": "rw", **match.groupdict()}
    tail = scope.pop("tail", None)
    if tail is not None:
        project, *further = tail.split("--")
        stage = _STAGE.fullmatch(further[-1]) if further else None
        if stage is not None:
            further.pop()
            scope |= stage.groupdict()
        scope |= {"project": project, "subproject": "/".join(further) or None}
    return scope


def belongs(row: Mapping[str, Any], cluster: str) -> bool:
    """Tell whether a row of the launcher is about a service of this cluster."""
    found = row["meta"].get("cluster")
    return found == cluster if found is not None else scope_of(row["key"], {}, cluster)["cluster"] == cluster


def service_row(row: Mapping[str, Any], *, client: bool, cluster: str | None = None) -> Row:
    """Return the row of `seamless-service-ps` for one of the launcher."""
    status = row.get("status")
    found = scope_of(row["key"], row["meta"], cluster)
    if client and status not in ("stale", "failed"):
        status = "client"
    return {
        **found,
        "project": shown_project(found["project"]),
        "process": status,
        "port": row.get("port"),
        "persistent": None if found["service"] in ("hashserver", "database", None) else "n/a",
        "size": None,
        "key": row["key"],
        "host": row.get("host"),
        "pid": row.get("pid"),
        "meta": row["meta"],
    }


def shown_project(project: str | None) -> str | None:
    """Return how people call a project."""
    return CACHE_ALIAS if project == CACHE_PROJECT else project


def matches(row: Mapping[str, Any], options: argparse.Namespace) -> bool:
    """Tell whether a row is one of those that the options ask for; what is not given may be anything."""
    for name in SCOPE:
        wanted = getattr(options, name)
        if name == "mode" and row["mode"] is None:  # data without a service: of both modes
            continue
        if name == "project":
            wanted = shown_project(wanted)
        if wanted is not None and (row.get(name) or "") != wanted:
            return False
    return True


def rows_of_cluster(rows: Iterable[Mapping[str, Any]], cluster: str, *, client: bool = False) -> list[Row]:
    """Return the rows of `seamless-service-ps` for those of the launcher that are about this cluster."""
    return [service_row(row, client=client, cluster=cluster) for row in rows if belongs(row, cluster)]


class Meant(NamedTuple):
    """The keys of the services that are meant, by machine (None is this one), and what could not be looked at."""

    keys: dict[str | None, list[str]]
    problems: list[SeamlessError]


def meant_on_cluster(
    config: ResolvedConfig, options: argparse.Namespace, *, client: bool = True, server: bool = True
) -> Meant:
    """Return the services that `--cluster` and the other options mean: by the states, and the connections from here.

    The machines of the cluster are asked, all at once. Raises ConfigurationError.
    """
    cluster = options.cluster
    connected = rows_of_cluster(client_rows(), cluster, client=True) if client else []
    recorded = rows_of_cluster(server_rows(check=False), cluster) if server else []
    if cluster not in config.clusters:
        if not connected and not recorded:
            raise unknown_cluster(config, cluster)
        hosts = []
    else:
        hosts = hosts_of(config, cluster)[1] if server else []
    answers = at_once({host: RemoteMachine(host).process_rows for host in hosts})
    keys: dict[str | None, list[str]] = {}
    problems = []
    for host, answer in answers.items():
        if isinstance(answer, SeamlessError):
            problems.append(answer)
        else:
            keys[host] = _keys(rows_of_cluster(answer, cluster), options)
    there = {key for found in keys.values() for key in found}
    keys[None] = _keys(recorded + [row for row in connected if row["key"] not in there], options)
    return Meant({machine: found for machine, found in keys.items() if found}, problems)


def _keys(rows: list[Row], options: argparse.Namespace) -> list[str]:
    return sorted({row["key"] for row in rows if matches(row, options)})
