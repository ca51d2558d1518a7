"""What is noted in the process that executes a step: when, in which process, and what this process looks like.

Plain values only: they travel to who keeps the result, which may be another process on another machine.
"""

from __future__ import annotations

import itertools
import os
import time
from typing import Any

from seamless.launcher.processes import host_name, start_time

_executions = itertools.count()  # of this process


class Site:
    """One execution. Make it before; `noted` after it."""

    def __init__(self) -> None:
        self._started = time.time()
        self._index = next(_executions)

    def noted(self) -> dict[str, Any]:
        """Return `record_runtime` (of the record) and `job_validation` (what validation looks at)."""
        created = created_at()
        return {
            "record_runtime": {
                "started_at": timestamp(self._started),
                "finished_at": timestamp(time.time()),
                "hostname": host_name(),
                "pid": os.getpid(),
                "process_started_at": None if created is None else timestamp(created),
                "process_create_time_epoch": created,
                "worker_execution_index": self._index,
            },
            "job_validation": observations(),
        }


def timestamp(seconds: float) -> str:
    """Return a time as text: UTC, whole seconds.

    >>> timestamp(0.9)
    '1970-01-01T00:00:00Z'
    """
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def created_at() -> float | None:
    """Return when this process was created, in seconds since the epoch, to the hundredth."""
    ticks = start_time(os.getpid())
    try:
        with open("/proc/stat", encoding="ascii", errors="replace") as f:
            boot = next((int(line.split()[1]) for line in f if line.startswith("btime ")), None)
    except OSError:
        return None
    if ticks is None or boot is None:
        return None
    return round(boot + ticks / os.sysconf("SC_CLK_TCK"), 2)


def observations() -> dict[str, Any]:
    """Return the state of this process, as far as it may change a result."""
    from seamless.transformer.buckets.software import validation_views

    views = validation_views()
    return {
        "prefixes": _prefixes(),
        "determinant_env": views["determinant_env"],
        "path_entries": views["path_entries"],
        "sys_path_entries": views["sys_path_entries"],
        "ld_library_path_entries": views["ld_library_path_entries"],
        "ld_preload_entries": views["ld_preload_entries"],
        "mounts": _mounts(),
        "directories": _directories(),
        "libraries": _libraries(),
        "visible_gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "conda_prefix": os.environ.get("CONDA_PREFIX") or None,
    }


def _prefixes() -> list[str]:
    import sys

    return sorted({os.path.realpath(sys.prefix), os.path.realpath(sys.base_prefix)})


def _mounts() -> dict[str, str | None]:
    from seamless.transformer.buckets.machine import filesystem_types

    return filesystem_types()


def _directories() -> dict[str, Any]:
    try:
        here: str | None = os.getcwd()
    except OSError:
        here = None  # it has been removed
    temporary = os.environ.get("TMPDIR") or "/tmp"
    return {"cwd": here, "temporary": temporary, "temporary_writable": os.access(temporary, os.W_OK), "umask": _umask()}


def _umask() -> str | None:
    """Return the umask without changing it, which would be seen by other threads."""
    try:
        with open("/proc/self/status", encoding="utf-8", errors="replace") as f:
            return next((line.split()[1] for line in f if line.startswith("Umask:")), None)
    except OSError:
        return None


def _libraries() -> list[str]:
    """Return the files of the shared libraries that this process has loaded."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as f:
            paths = {line.rstrip("\n").partition("/")[2] for line in f if ".so" in line}
    except OSError:
        return []
    return sorted(f"/{path}" for path in paths if path)
