"""Whether the process that has executed a step was what the buckets describe: the validation snapshot."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from seamless.celltypes import canonical_json
from seamless.session import session
from seamless.transformer.recording.context import inside

SCHEMA_VERSION = 1
_SYSTEM = ("/lib", "/lib64", "/usr", "/opt", "/bin")
_DELETED = " (deleted)"


class _Taken:
    """How many snapshots this process has made of each combination."""

    def __init__(self) -> None:
        self._counts: dict[Any, int] = {}
        self._lock = threading.Lock()

    def allow(self, key: Any) -> bool:
        with self._lock:
            count = self._counts.get(key, 0)
            if count >= snapshot_limit():
                return False
            self._counts[key] = count + 1
            return True

    def clear(self) -> None:
        self._counts.clear()


taken = _Taken()
session.on_reset(taken.clear)


def snapshot_limit() -> int:
    """Return how many snapshots are made of each combination of mode, buckets and compilation context. UsageError."""
    text = os.environ.get("SEAMLESS_RECORD_VALIDATION_SNAPSHOT_LIMIT", "").strip()
    if not text:
        return 1
    if not (text.isascii() and text.isdigit()):
        from seamless.errors import UsageError

        raise UsageError(f"SEAMLESS_RECORD_VALIDATION_SNAPSHOT_LIMIT is {text!r}, expected a number from 0")
    return int(text)


def snapshot(
    mode: str, observed: Mapping[str, Any], buckets: Mapping[str, Mapping[str, Any]], checksums: Mapping[str, str]
) -> bytes:
    """Return the buffer of a snapshot. `observed`: of the site; `buckets`: their content by kind."""
    checks = checks_of(observed, buckets)
    return canonical_json(
        {
            "schema_version": SCHEMA_VERSION,
            "mode": mode,
            "bucket_checksums": dict(checksums),
            "checks": checks,
            "ok": all(check["ok"] for check in checks.values()),
        }
    )


def checks_of(observed: Mapping[str, Any], buckets: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what was expected and what was found, by name of the check."""
    views = buckets["environment"].get("validation_views") or {}
    prefixes = observed["prefixes"]
    directories = observed["directories"]
    usable = {"temporary_writable": True, "owner_may_use_new_files": True}
    umask = directories["umask"]
    found = {
        "temporary_writable": directories["temporary_writable"],
        "owner_may_use_new_files": umask is None or not int(umask, 8) & 0o700,
    }
    return {
        "determinant_env_hash": _check(views.get("determinant_env"), observed["determinant_env"]),
        "path_roots": _check(views.get("path_entries"), observed["path_entries"]),
        "sys_path_roots": _check(
            _roots(views.get("sys_path_entries") or (), prefixes), _roots(observed["sys_path_entries"], prefixes)
        ),
        "mount_policy": _check(buckets["node"].get("filesystems"), observed["mounts"]),
        "cwd_temp_umask": _check(usable, found),
        "proc_self_maps": _check([], _foreign(observed["libraries"], prefixes)),
        "gpu_visible_device_policy": _check(buckets["node_env"].get("visible_gpu_mapping"), observed["visible_gpus"]),
    }


def _check(expected: Any, actual: Any) -> dict[str, Any]:
    first, second = _hash(expected), _hash(actual)
    return {
        "expected": expected,
        "actual": actual,
        "expected_hash": first,
        "actual_hash": second,
        "ok": first == second,
    }


def _hash(value: Any) -> str:
    return sha256(canonical_json(value)).hexdigest()


def _roots(entries: Any, prefixes: list[str]) -> list[str]:
    """Return the entries that belong to the installation of Python, not to the program that happens to run."""
    scripts = {os.path.join(prefix, "bin") for prefix in prefixes}
    ours = [entry for entry in entries if any(inside(entry, prefix) for prefix in prefixes)]
    return [entry for entry in ours if os.path.realpath(entry) not in scripts]


def _foreign(libraries: list[str], prefixes: list[str]) -> list[str]:
    """Return the libraries that are neither of the system nor of Python, and those whose file is gone."""
    tops = (*_SYSTEM, *prefixes)
    return [path for path in libraries if path.endswith(_DELETED) or not any(inside(path, top) for top in tops)]
