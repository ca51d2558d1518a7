"""Checks of a cache directory of this machine: can it be used, is there room, is its database in order."""

from __future__ import annotations

import os
import sqlite3

from seamless.cli.doctor.finding import HERE, Finding, good, problem
from seamless.cli.doctor.machine import check_machine
from seamless.cli.doctor.plan import Place, Service
from seamless.config.resolved import ResolvedConfig
from seamless.errors import SeamlessError
from seamless.stores.embedded import DATABASE, TOPLEVEL, cache_subdirectory, default_cache_directory, open_embedded


def check_store(config: ResolvedConfig, seconds: float) -> list[Finding]:
    """Return the findings about the cache directory that this configuration uses. Makes nothing."""
    root = config.cache or default_cache_directory()
    project = None if config.project == TOPLEVEL else config.project
    directory = cache_subdirectory(root, project, config.subproject if project else None, config.stage)
    fields = {"database_dir": root, "image": None}  # no command is needed
    found = check_machine(Place(None, [Service("", "database", fields)]), seconds)
    return [*found, *_check_files(directory)]


def _check_files(directory: str) -> list[Finding]:
    if not os.path.isdir(directory):
        return [good("store", HERE, f"{directory}: made at need")]
    try:
        open_embedded(directory, writable=False)
    except SeamlessError as exc:
        return [
            problem("store", HERE, str(exc), f"see docs: share, back up and clear a cache; or move {directory} away")
        ]
    path = os.path.join(directory, DATABASE)
    if not os.path.exists(path):
        return [good("store", HERE, f"{directory}: no results yet")]
    wrong = _damage(path)
    if wrong:
        fix = f"seamless-database-check {path} says more; restore a copy, or move the file away"
        return [problem("store", HERE, f"{path}: {wrong}", fix)]
    return [good("store", HERE, directory)]


def _damage(path: str) -> str:
    """Return what SQLite says is wrong with a file; empty if nothing is."""
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0)
    except sqlite3.Error as exc:
        return str(exc)
    try:
        (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as exc:
        return str(exc)
    finally:
        connection.close()
    return "" if answer == "ok" else str(answer)
