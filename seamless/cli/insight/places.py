"""Which store on this machine a command looks into: the one that a step would use, or a directory that is named.

Starts no service, and asks none: the files are read as they are.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from seamless.checksum import Checksum
from seamless.cli.run_options import split_scope
from seamless.cli.storage import configuration_files
from seamless.cli.transfer.options import STORAGE_TEXT
from seamless.config.embedded import cache_from_environment
from seamless.errors import UsageError
from seamless.insight.place import Place, checked_place, places_below
from seamless.stores.embedded import cache_subdirectory, default_cache_directory

if TYPE_CHECKING:
    from seamless.cli.storage import Storage


def add_place(parser: argparse.ArgumentParser, *, scope: bool = True) -> argparse._ArgumentGroup:
    """Add the options that select a store; return their group (Storage). `scope`: also `--project` and `--stage`."""
    group = parser.add_argument_group("Store", f"Its files, on this machine:\n{STORAGE_TEXT}")
    if scope:
        group.add_argument("--project", metavar="P[:SUB]", default="", help="the part of this project")
        group.add_argument("--stage", metavar="S[:SUB]", default="", help="... and this stage")
    group.add_argument("--directory", metavar="DIR", default=None, help="the store in this directory of buffers")
    group.add_argument(
        "--database", metavar="DIR", default=None, help="with --directory: where seamless.db is (default: there, too)"
    )
    return group


def selected_place(options: argparse.Namespace) -> Place:
    """Return the store that the options mean. Raises UsageError if there is none, or if it is on another machine."""
    directory, database = getattr(options, "directory", None), getattr(options, "database", None)
    if directory is not None:
        return checked_place(directory, database)
    if database is not None:
        raise UsageError("--database requires --directory")
    names = _names(options)
    if cache_from_environment() is None and configuration_files():
        return _configured(names)
    return _of_cache(names)


def every_place(options: argparse.Namespace) -> list[Place]:
    """Return the stores of all projects and stages below the cache directory, or below `--directory`."""
    root = options.directory or cache_from_environment() or default_cache_directory()
    if options.directory is None and cache_from_environment() is None and configuration_files():
        raise UsageError("--all means the stores of a cache directory; name that of the services with --directory")
    found = places_below(os.path.abspath(os.path.expanduser(root)))
    if not found:
        raise UsageError(f"there is no store in {root}")
    return found


@contextmanager
def origins_in(options: argparse.Namespace, storage: Storage) -> Iterator[Callable[[Checksum], list[Checksum]]]:
    """Give a function that finds the steps that give a buffer, also as a part of a result where an index can be had."""
    try:
        place = selected_place(options)
    except UsageError:  # the store is on another machine
        yield storage.results.get_transformations
        return
    from seamless.insight.sidecar import Sidecar

    with Sidecar(place) as sidecar:
        sidecar.update()

        def origins(checksum: Checksum) -> list[Checksum]:
            return [Checksum(name) for name in sidecar.giving(checksum.hex())]

        yield origins


def _names(options: argparse.Namespace) -> list[str | None]:
    stage = options.stage or os.environ.get("SEAMLESS_STAGE", "").strip()
    return [*split_scope(options.project, "--project"), *split_scope(stage, "--stage")]


def _of_cache(names: list[str | None]) -> Place:
    root = cache_from_environment() or default_cache_directory()
    path = cache_subdirectory(root, *names[:3])
    return checked_place(path, label=os.path.relpath(path, root))


def _configured(names: list[str | None]) -> Place:
    """Return the store of the services that the project files name; without any the one in the cache directory."""
    from seamless.config.description import launch_dict
    from seamless.config.evaluation import evaluate

    overrides = {key: name for key, name in zip(("project", "subproject"), names[:2], strict=True) if name}
    config = evaluate(os.getcwd(), stage=names[2], substage=names[3], overrides=overrides, check=False)
    if config.cluster is None or not config.persistent:
        return _of_cache([config.project, config.subproject, config.stage, None])
    services = [launch_dict(config, service, "ro") for service in ("hashserver", "database")]
    directories = [service["workdir"] for service in services]
    for service in services:
        host = service.get("ssh_hostname") or service.get("hostname")
        if host is not None:
            raise UsageError(
                f"the store of cluster '{config.cluster}' is on {host}; run this command there, with "
                f"--directory {directories[0]} --database {directories[1]}"
            )
    return checked_place(directories[0], directories[1], label=str(config.project))
