"""What the buckets hold, and that a record names the environment or the image that its step has run in."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from seamless.checksum import Checksum
from seamless.config import select_record
from seamless.transformer import delayed
from seamless.transformer.buckets.probe import refresh
from seamless.transformer.recording.mode import RecordMode, recording
from tests.transformer.environments.conftest import image, prefix

__all__ = ["image", "prefix"]  # fixtures

RecordOf = Callable[[Any], dict[str, Any]]

HEAD = ["schema_version", "bucket_kind", "label", "contract_ok", "contract_violations"]
KEYS = {
    "node": [
        "cpu", "memory_total_bytes", "numa_topology", "aslr", "transparent_hugepages", "overcommit_memory", "platform",
        "os", "distribution", "libraries", "filesystems", "container", "gpu_inventory", "hostname",
    ],
    "environment": [
        "python", "python_packages", "conda_env_export", "environment_variables",
        "gpu_determinism_environment_variables", "locale", "timezone", "compiler_environment", "compiler_inventory",
        "docker_image", "validation_views",
    ],
    "node_env": [
        "numpy_show_config", "threadpoolctl", "mxcsr_state", "cuda_driver", "cuda_runtime", "visible_gpu_mapping",
        "node_checksum", "environment_checksum",
    ],
    "queue": ["cluster", "queue_configuration"],
    "queue_node": ["limits", "allocation", "scheduler_environment"],
}  # fmt: skip
VIEWS = [
    "path_entries", "path_hash", "sys_path_entries", "sys_path_hash", "determinant_env", "determinant_env_hash",
    "ld_library_path_entries", "ld_preload_entries",
]  # fmt: skip


def content(checksum: str) -> dict[str, Any]:
    found: dict[str, Any] = Checksum(checksum).resolve("plain")
    return found


def command(code: str, **environment: Any) -> Any:
    step = delayed(code, "bash")
    step.celltypes.result = "bytes"
    for name, value in environment.items():
        getattr(step.environment, f"set_{name}")(value)
    return step


def test_each_of_the_five_buckets_has_exactly_its_keys(store: Any) -> None:
    recording.mode = RecordMode(True, "c", "q", None, "daskserver", {"cores": 4})
    probes = {probe.kind: probe for probe in refresh(store.buffers, store.results, None)}
    assert sorted(probes) == sorted(KEYS)
    for kind, probe in probes.items():
        bucket = content(probe.checksum)
        assert sorted(bucket) == sorted([*HEAD, *KEYS[kind]]), kind
        assert (bucket["schema_version"], bucket["bucket_kind"], bucket["label"]) == (1, kind, probe.label)
        assert (bucket["contract_ok"], bucket["contract_violations"]) == (True, [])
    assert sorted(content(probes["environment"].checksum)["validation_views"]) == sorted(VIEWS)


def test_the_tokens_of_the_buckets_are_those_agreed(store: Any) -> None:
    recording.mode = RecordMode(True, "c", "q", None, "daskserver", {"cores": 4})
    probes = {probe.kind: probe for probe in refresh(store.buffers, store.results, None)}
    tokens = {kind: store.results.get_bucket_probe(kind, p.label)["freshness_tokens"] for kind, p in probes.items()}
    assert sorted(tokens["node"]) == ["boot_id", "hostname"]
    assert {"sys_prefix", "purelib_mtime_ns"} <= set(tokens["environment"])
    assert list(tokens["queue"]) == ["queue_config_sha256"]
    assert tokens["node_env"] == {"node": tokens["node"], "environment": tokens["environment"]}
    assert tokens["queue_node"] == {"queue": tokens["queue"], "node": tokens["node"]}


def test_the_record_of_a_step_in_a_conda_environment_names_its_packages(
    store: Any, record_of: RecordOf, prefix: Path
) -> None:
    step = command("frobnicate > RESULT", conda_env="tools")
    refresh(store.buffers, store.results, step.environment._to_lowlevel())
    select_record(True)
    record = record_of(step())
    assert record["freshness"]["required_bucket_labels"]["environment"] == f"conda:{prefix}"
    tokens = record["freshness"]["live_tokens"]["environment"]
    assert sorted(tokens) == ["conda_environment", "conda_history_mtime_ns", "purelib_mtime_ns", "sys_prefix"]
    assert (tokens["conda_environment"], tokens["sys_prefix"]) == ("tools", str(prefix))
    assert content(record["environment"])["conda_env_export"] == ["frobnicate-1.17.2-0", "python-3.11.2-0"]
    resolved = content(record["execution_envelope"]["resolved_env_checksum"])
    assert resolved["resolved"]["conda_prefix"] == str(prefix)


def test_a_package_that_is_installed_in_a_conda_environment_makes_its_bucket_stale(
    store: Any, record_of: RecordOf, prefix: Path
) -> None:
    step = command("frobnicate > RESULT", conda_env="tools")
    refresh(store.buffers, store.results, step.environment._to_lowlevel())
    select_record(True)
    os.utime(prefix / "conda-meta" / "history", ns=(0, 0))  # as conda does by writing to it
    handle = step()
    assert handle.compute() is None
    assert f"stale bucket probes for: environment='conda:{prefix}'" in handle.exception


@pytest.mark.apptainer
def test_the_record_of_a_step_in_an_image_names_its_digest(
    store: Any, record_of: RecordOf, image: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "tools.sif"
    subprocess.run(["apptainer", "--quiet", "build", file, image["name"]], check=True, capture_output=True)
    digest = sha256(file.read_bytes()).hexdigest()
    given = {**image, "name": str(file), "sha256": digest}
    step = command('echo "$APPTAINER_NAME" > RESULT', docker=given, which=["sort"])
    refresh(store.buffers, store.results, step.environment._to_lowlevel())
    select_record(True)
    handle = step()
    record = record_of(handle)
    assert handle.run() == b"tools.sif\n"
    assert record["freshness"]["required_bucket_labels"]["environment"] == f"docker:{file}"
    assert record["freshness"]["live_tokens"]["environment"] == {"docker_name": str(file), "docker_sha256": digest}
    assert content(record["environment"])["docker_image"] == {"name": str(file), "sha256": digest}
    resolved = content(record["execution_envelope"]["resolved_env_checksum"])["resolved"]
    assert (resolved["image"]["path"], resolved["image"]["sha256"]) == (str(file), digest)
    assert resolved["commands"]["sort"]["path"].endswith("/sort")
