"""The validation snapshot: what was expected of a process, and what it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from seamless.checksum import Checksum
from seamless.errors import UsageError
from seamless.transformer import delayed
from seamless.transformer.recording.site import observations
from seamless.transformer.recording.validation import checks_of, snapshot_limit

RecordOf = Callable[[Any], dict[str, Any]]
CHECKS = [
    "cwd_temp_umask", "determinant_env_hash", "gpu_visible_device_policy", "mount_policy", "path_roots",
    "proc_self_maps", "sys_path_roots",
]  # fmt: skip


def buckets_of(observed: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return buckets that describe exactly what was observed."""
    names = ("determinant_env", "path_entries", "sys_path_entries")
    return {
        "environment": {"validation_views": {name: observed[name] for name in names}},
        "node": {"filesystems": observed["mounts"]},
        "node_env": {"visible_gpu_mapping": observed["visible_gpus"]},
    }


def test_a_snapshot_has_the_checks(probed: Any, record_of: RecordOf) -> None:
    record = record_of(delayed(lambda: 1)())
    snapshot = Checksum(record["validation_snapshot"]).resolve("plain")
    assert sorted(snapshot["checks"]) == CHECKS
    for check in snapshot["checks"].values():
        assert sorted(check) == ["actual", "actual_hash", "expected", "expected_hash", "ok"]
        assert check["ok"] is (check["actual_hash"] == check["expected_hash"])
    assert snapshot["bucket_checksums"] == record["freshness"]["required_bucket_checksums"]


def test_a_snapshot_is_made_once_for_the_same_circumstances(probed: Any, record_of: RecordOf) -> None:
    assert record_of(delayed(lambda: 1)())["validation_snapshot"]
    assert record_of(delayed(lambda: 2)())["validation_snapshot"] is None


def test_how_many_are_made_can_be_set(probed: Any, record_of: RecordOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAMLESS_RECORD_VALIDATION_SNAPSHOT_LIMIT", "2")
    made = [record_of(delayed(lambda x: x)(i))["validation_snapshot"] for i in range(3)]
    assert [checksum is not None for checksum in made] == [True, True, False]


def test_a_limit_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAMLESS_RECORD_VALIDATION_SNAPSHOT_LIMIT", "many")
    with pytest.raises(UsageError, match="'many', expected a number"):
        snapshot_limit()


@pytest.mark.parametrize(
    ("observed", "value", "check"),
    [
        ("determinant_env", {"OMP_NUM_THREADS": "77"}, "determinant_env_hash"),
        ("path_entries", ["/elsewhere"], "path_roots"),
        ("sys_path_entries", [], "sys_path_roots"),
        ("mounts", {"root": "nfs"}, "mount_policy"),
        ("libraries", ["/home/me/lib/libx.so"], "proc_self_maps"),
        ("libraries", ["/usr/lib/libx.so (deleted)"], "proc_self_maps"),
        ("visible_gpus", "3", "gpu_visible_device_policy"),
        (
            "directories",
            {"cwd": "/", "temporary": "/t", "temporary_writable": False, "umask": "0022"},
            "cwd_temp_umask",
        ),
        ("directories", {"cwd": "/", "temporary": "/t", "temporary_writable": True, "umask": "0700"}, "cwd_temp_umask"),
    ],
)
def test_what_is_not_as_the_buckets_say_is_found(observed: str, value: Any, check: str) -> None:
    now = observations()
    now["libraries"] = []
    buckets = buckets_of(now)
    assert [name for name, found in checks_of(now, buckets).items() if not found["ok"]] == []
    now[observed] = value
    assert [name for name, found in checks_of(now, buckets).items() if not found["ok"]] == [check]


def test_the_directory_of_the_program_is_no_difference() -> None:
    now = observations()
    now["libraries"] = []
    buckets = buckets_of(now)
    now["sys_path_entries"] = ["/home/me/project", *now["sys_path_entries"]]
    assert checks_of(now, buckets)["sys_path_roots"]["ok"]
