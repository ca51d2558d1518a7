"""Full records: what they hold, what they need, and what happens when that is not there."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seamless.checksum import Checksum
from seamless.config import select_record
from seamless.errors import StoreError
from seamless.transformer import delayed, shutdown_workers, spawn
from seamless.transformer.buckets.probe import refresh

RecordOf = Callable[[Any], dict[str, Any]]

MINIMAL = [
    "schema_version", "tf_checksum", "result_checksum", "seamless_version", "execution_mode", "remote_target",
    "wall_time_seconds", "cpu_time_user_seconds", "cpu_time_system_seconds", "memory_peak_bytes",
    "gpu_memory_peak_bytes",
]  # fmt: skip
CHECKSUMS = [
    "node", "environment", "node_env", "queue", "queue_node", "compilation_context", "validation_snapshot",
]  # fmt: skip
FULL = [
    *MINIMAL, "checksum_fields", *CHECKSUMS, "execution_envelope", "freshness", "bucket_contract_violations",
    "job_contract_violations", "contract_violations", "started_at", "finished_at", "input_total_bytes",
    "output_total_bytes", "compilation_time_seconds", "hostname", "pid", "process_started_at",
    "process_create_time_epoch", "worker_execution_index", "retry_count",
]  # fmt: skip
ENVELOPE = [
    "requested_cluster", "requested_queue", "requested_node", "actual_remote_target", "scratch",
    "allow_input_fingertip", "language_kind", "resolved_env_checksum", "active_tf_dunder_keys",
]  # fmt: skip
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def add(a, b):
    return a + b


def test_a_minimal_record_has_exactly_its_keys(record_of: RecordOf) -> None:
    assert list(record_of(delayed(add)(1, 2))) == MINIMAL


def test_a_full_record_has_exactly_its_keys(probed: Any, record_of: RecordOf) -> None:
    record = record_of(delayed(add)(1, 2))
    assert sorted(record) == sorted(FULL)
    assert record["checksum_fields"] == CHECKSUMS
    assert sorted(record["execution_envelope"]) == sorted(ENVELOPE)
    assert sorted(record["freshness"]) == [
        "bucket_tokens", "live_tokens", "required_bucket_checksums", "required_bucket_labels",
    ]  # fmt: skip


def test_the_buckets_are_those_of_the_probes(probed: Any, record_of: RecordOf) -> None:
    record = record_of(delayed(add)(1, 2))
    freshness = record["freshness"]
    assert list(freshness["required_bucket_labels"]) == ["node", "environment", "node_env"]
    for kind, label in freshness["required_bucket_labels"].items():
        probe = probed.results.get_bucket_probe(kind, label)
        assert record[kind] == freshness["required_bucket_checksums"][kind] == probe["bucket_checksum"]
        assert freshness["bucket_tokens"][kind] == freshness["live_tokens"][kind] == probe["freshness_tokens"]
    assert record["queue"] is record["queue_node"] is record["compilation_context"] is None


def test_it_tells_of_the_process_that_has_executed(probed: Any, record_of: RecordOf) -> None:
    record = record_of(delayed(add)(1, 2))
    assert record["pid"] == os.getpid() and record["hostname"] == os.uname().nodename
    assert all(TIME.fullmatch(record[key]) for key in ("started_at", "finished_at", "process_started_at"))
    assert record["process_create_time_epoch"] > 1e9
    again = record_of(delayed(add)(3, 4))
    assert again["worker_execution_index"] == record["worker_execution_index"] + 1


def test_bytes_are_counted_not_buffers(probed: Any, record_of: RecordOf) -> None:
    record = record_of(delayed(add)("a", "bc"))
    assert (record["input_total_bytes"], record["output_total_bytes"]) == (len('"a"\n"bc"\n'), len('"abc"\n'))


def test_the_members_of_deep_results_and_inputs_count(probed: Any, record_of: RecordOf) -> None:
    step = delayed(lambda: {"x": "four", "y": "sixsix"})
    step.celltypes.result = "deepcell"
    tf = step()
    record = record_of(tf)
    index = len(Checksum(record["result_checksum"]).resolve("bytes"))
    assert record["output_total_bytes"] == index + len('"four"\n') + len('"sixsix"\n')
    use = delayed(lambda d: len(d))
    use.celltypes.d = "deepcell"
    assert record_of(use(tf))["input_total_bytes"] == record["output_total_bytes"]


def test_a_worker_tells_of_itself(probed: Any, record_of: RecordOf) -> None:
    spawn(1)
    try:
        first, second = record_of(delayed(add)(1, 2)), record_of(delayed(add)(3, 4))
    finally:
        shutdown_workers()
    assert (first["execution_mode"], first["retry_count"]) == ("spawn", 0)
    assert first["pid"] == second["pid"] != os.getpid()
    assert (first["worker_execution_index"], second["worker_execution_index"]) == (0, 1)
    assert first["validation_snapshot"] and second["validation_snapshot"] is None


def test_a_step_whose_worker_died_once_was_tried_again(probed: Any, record_of: RecordOf, tmp_path: Path) -> None:
    def dies_once(marker):
        import os
        import signal

        if not os.path.exists(marker):
            open(marker, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return 1

    spawn(1)
    try:
        assert record_of(delayed(dies_once)(str(tmp_path / "marker")))["retry_count"] == 1
    finally:
        shutdown_workers()


def test_a_command_and_its_environment_are_recorded(probed: Any, record_of: RecordOf) -> None:
    step = delayed("echo > RESULT", "bash")
    step.celltypes.result = "bytes"
    step.environment.set_which(["sort>=1"])
    envelope = record_of(step())["execution_envelope"]
    assert envelope["language_kind"] == "bash"
    environment = Checksum(envelope["resolved_env_checksum"]).resolve("plain")
    assert environment["which"] == ["sort>=1"]
    assert environment["resolved"]["commands"]["sort"]["path"].endswith("/sort")
    assert environment["resolved"]["commands"]["sort"]["version"]
    assert envelope["active_tf_dunder_keys"] == ["__env__", "__meta__"]


# --- once, and only for executions --------------------------------------------------------------


def test_a_hit_and_a_failure_leave_no_record(probed: Any, record_of: RecordOf, store: Any) -> None:
    first = record_of(delayed(add)(1, 2))
    assert record_of(delayed(add)(1, 2)) == first
    failing = delayed(add)(1, "a")
    assert failing.compute() is None
    assert store.results.get_record(failing.transformation_checksum) is None


def test_a_recomputation_leaves_the_record_as_it_is(probed: Any, record_of: RecordOf, store: Any) -> None:
    step = delayed(add)
    step.scratch = True
    tf = step("one", "two")
    first = record_of(tf)
    tf.result_checksum.fingertip_sync("mixed")
    assert store.results.get_record(tf.transformation_checksum) == first


# --- what it needs ------------------------------------------------------------------------------


def test_missing_probes_are_named_and_nothing_is_executed(store: Any, tmp_path: Path) -> None:
    select_record(True)
    tf = delayed(lambda path: open(path, "w").close() or 1)(str(tmp_path / "ran"))
    assert tf.compute() is None
    assert (
        f"RecordBucketError: Record mode requires bucket probes for: node='{os.uname().nodename}', environment='"
        in (tf.exception)
    )
    assert "seamless-probe" in tf.exception and not (tmp_path / "ran").exists()


def test_an_installed_package_makes_the_buckets_stale_until_they_are_made_anew(
    probed: Any, record_of: RecordOf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    purelib = tmp_path / "site-packages"
    purelib.mkdir()
    monkeypatch.setattr("seamless.transformer.buckets.place.purelib_of", lambda prefix: str(purelib))
    refresh(probed.buffers, probed.results, None)
    record_of(delayed(add)(1, 2))
    os.utime(purelib, ns=(0, 0))  # as pip does by adding a directory
    tf = delayed(add)(3, 4)
    assert tf.compute() is None
    assert "Record mode detected stale bucket probes for: environment='" in tf.exception
    assert "node_env='" in tf.exception and "node='" not in tf.exception.replace("node_env='", "")
    refresh(probed.buffers, probed.results, None)
    tf.clear_exception()
    assert record_of(tf)


def test_without_a_database_it_is_refused() -> None:
    select_record(True)
    tf = delayed(add)(1, 2)
    assert tf.compute() is None
    assert "Record mode requires an active database read server" in tf.exception


def test_a_read_only_database_is_refused(probed: Any, tmp_path: Path) -> None:
    from seamless.session import session
    from seamless.stores.embedded import open_embedded

    read_only = open_embedded(probed.directory, writable=False)
    session.activate([read_only.buffers], [read_only.results])
    tf = delayed(add)(1, 2)
    assert tf.compute() is None
    assert "Record mode requires an active database write server" in tf.exception


# --- failures -----------------------------------------------------------------------------------


def broken(*arguments: Any) -> bool:
    raise StoreError("the database is gone")


def test_a_record_that_cannot_be_written_is_fatal_in_record_mode(probed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probed.results, "set_record", broken)
    tf = delayed(add)(1, 2)
    with pytest.raises(StoreError, match="the database is gone"):
        tf.compute()
    assert probed.results.get_result(tf.transformation_checksum) is None


def test_otherwise_it_is_a_warning(store: Any) -> None:
    with contextlib.closing(sqlite3.connect(store.results.name)) as connection:
        connection.execute(
            "CREATE TRIGGER broken BEFORE INSERT ON meta_data BEGIN SELECT RAISE(ABORT, 'the database is gone'); END"
        )
    tf = delayed(add)(1, 2)
    with pytest.warns(UserWarning, match="no execution record .* the database is gone"):
        assert tf.compute() is not None
    assert store.results.get_result(tf.transformation_checksum) == tf.result_checksum


def test_record_mode_can_be_left_again(probed: Any, record_of: RecordOf) -> None:
    select_record(False)
    assert list(record_of(delayed(add)(1, 2))) == MINIMAL


# --- queues of a cluster ------------------------------------------------------------------------


def test_where_a_dask_server_executes_the_queue_has_buckets_too(
    store: Any, record_of: RecordOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seamless.transformer.recording.mode import RecordMode, recording

    monkeypatch.setenv("SLURM_JOB_PARTITION", "long")
    recording.mode = RecordMode(True, "c", "q", None, "daskserver", {"cores": 4})
    refresh(store.buffers, store.results, None)
    record = record_of(delayed(add)(1, 2))
    labels = record["freshness"]["required_bucket_labels"]
    assert labels["queue"] == "c/q/daskserver"
    assert labels["queue_node"] == f"{record['queue']}:{os.uname().nodename}"
    assert list(record["freshness"]["live_tokens"]["queue"]) == ["queue_config_sha256"]
    assert Checksum(record["queue"]).resolve("plain")["queue_configuration"] == {"cores": 4}
    assert Checksum(record["queue_node"]).resolve("plain")["scheduler_environment"] == {"SLURM_JOB_PARTITION": "long"}
    recording.mode = RecordMode(True, "c", "q", None, "daskserver", {"cores": 8})
    tf = delayed(add)(3, 4)
    assert tf.compute() is None and "stale bucket probes for: queue='c/q/daskserver'" in tf.exception
