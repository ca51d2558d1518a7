"""The full record of one execution, made by who keeps its result. Its keys are those of the reference.

`prepare` before the step is executed, `full_record` after it; both need a result store that keeps probes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from seamless.buffer import Buffer
from seamless.cache.buffer_cache import find_in_memory
from seamless.celltypes import canonical_json, parse
from seamless.checksum import Checksum
from seamless.session import session
from seamless.transformer.buckets.probe import Required, bucket_content, required
from seamless.transformer.recording.mode import RecordBucketError, recording
from seamless.transformer.records import minimal_record

if TYPE_CHECKING:
    from seamless.transformer.execution import ExecutionAnswer
    from seamless.transformer.outcome import Envelope

BUCKETS = ("node", "environment", "node_env", "queue", "queue_node")
CHECKSUM_FIELDS = (*BUCKETS, "compilation_context", "validation_snapshot")
_RUNTIME = (
    *("hostname", "pid", "process_started_at", "process_create_time_epoch", "worker_execution_index"),
    "retry_count",
)
_DEEP = ("deepcell", "deepfolder", "folder")


def prepare(environment: Mapping[str, Any] | None) -> Required:
    """Return the buckets for a step that is about to be executed here.

    Raises RecordBucketError if a database is missing, or a bucket is missing or stale; StoreError.
    """
    session.ensure_active()
    readers = [store for store in session.result_stores if hasattr(store, "get_bucket_probe")]
    if not readers:
        raise RecordBucketError("Record mode requires an active database read server")
    if not session.writable_result_stores():
        raise RecordBucketError("Record mode requires an active database write server")
    if not session.writable_buffer_stores():
        raise RecordBucketError("Record mode requires an active hashserver that can be written to")
    return required(_All(readers), environment)


class _All:
    """Several stores of probes as one that is read."""

    def __init__(self, stores: list[Any]) -> None:
        self._stores = stores

    def get_bucket_probe(self, bucket_kind: str, label: str) -> dict[str, Any] | None:
        """Return the probe of the first store that has one."""
        found = (store.get_bucket_probe(bucket_kind, label) for store in self._stores)
        return next((probe for probe in found if probe is not None), None)

    def set_bucket_probe(self, *arguments: Any) -> None:
        """Refuse: these are only read."""
        raise TypeError("probes are read here")


def full_record(
    transformation: Mapping[str, Any], tf: Checksum, envelope: Envelope, done: ExecutionAnswer, buckets: Required
) -> dict[str, Any]:
    """Return the record, its buffers stored. `done.site` is what was noted where the step ran. Raises StoreError."""
    from seamless.transformer.recording.context import compilation_context

    site = done.site or {}
    runtime = site.get("record_runtime") or {}
    observed = site.get("job_validation") or {}
    language = language_kind(transformation, envelope)
    stored: list[bytes] = []

    def store(data: bytes) -> str:
        stored.append(data)
        return Checksum.of(data).hex()

    fields: dict[str, str | None] = dict.fromkeys(CHECKSUM_FIELDS)
    fields.update(buckets.checksums)
    if done.compilation is not None:
        fields["compilation_context"] = store(
            compilation_context(str(transformation["__language__"]), done.compilation)
        )
    contents = {kind: _content(checksum) for kind, checksum in buckets.checksums.items()}
    fields["validation_snapshot"] = _snapshot(done.mode, observed, contents, fields, store)
    of_buckets, of_job = _violations(language, contents, observed, done.compilation)
    record = minimal_record(tf, done)
    compilation = record.pop("compilation", None)
    record["checksum_fields"] = list(CHECKSUM_FIELDS)
    record |= fields
    record["execution_envelope"] = _envelope(envelope, done, language, store)
    record["freshness"] = {
        "required_bucket_labels": buckets.labels,
        "required_bucket_checksums": buckets.checksums,
        "live_tokens": buckets.live_tokens,
        "bucket_tokens": buckets.bucket_tokens,
    }
    record["bucket_contract_violations"] = of_buckets
    record["job_contract_violations"] = of_job
    record["contract_violations"] = sorted({*of_buckets, *of_job})
    record["started_at"], record["finished_at"] = runtime.get("started_at"), runtime.get("finished_at")
    record["input_total_bytes"] = input_bytes(transformation)
    record["output_total_bytes"] = byte_count([(transformation["__output__"][1], done.result)])
    record["compilation_time_seconds"] = _compilation_time(compilation)
    record |= {key: runtime.get(key) for key in _RUNTIME}
    record["retry_count"] = done.retry_count
    if compilation is not None:
        record["compilation"] = compilation
    _keep(stored)
    return record


def language_kind(transformation: Mapping[str, Any], envelope: Envelope) -> str:
    """Return python, bash or compiled."""
    language = transformation.get("__language__")
    if "__schema__" in transformation or transformation.get("__compiled__") or envelope.pins.get("__compiled__"):
        return "compiled"
    return "bash" if language == "bash" else "python"


def input_bytes(transformation: Mapping[str, Any]) -> int:
    """Return the bytes of all inputs, those of the members of deep ones included; the code is not an input."""
    formats = transformation.get("__format__") or {}
    inputs = []
    for pin, entry in transformation.items():
        if pin == "code" or pin.startswith(("__", "META__")) or entry[2] is None:
            continue
        celltype = (formats.get(pin) or {}).get("celltype") or entry[0]
        inputs.append((celltype, Checksum(entry[2])))
    return byte_count(inputs)


def byte_count(items: Iterable[tuple[str, Checksum]]) -> int:
    """Return the bytes of buffers of these celltypes. A buffer that is nowhere to be found counts nothing."""
    total = 0
    for celltype, checksum in items:
        total += _length(checksum)
        if celltype in _DEEP:
            total += sum(map(_length, _members(checksum)))
    return total


def _members(checksum: Checksum) -> Iterable[Checksum]:
    from seamless.cache.resolve import find
    from seamless.transformer.deliver import map_leaves

    buffer = find(checksum)
    members: set[Checksum] = set()
    if buffer is not None:
        map_leaves(parse(buffer.content, "plain"), lambda leaf: members.add(Checksum(leaf)))
    return members


def _length(checksum: Checksum) -> int:
    from seamless.checksum.calculate_checksum import TRIVIAL_CHECKSUMS

    trivial = TRIVIAL_CHECKSUMS.get(checksum.hex())
    if trivial is not None:
        return len(trivial)
    buffer = find_in_memory(checksum)
    if buffer is not None:
        return len(buffer)
    return next((n for store in session.buffer_stores if (n := store.length(checksum)) is not None), 0)


def _content(checksum: str) -> dict[str, Any]:
    """Return a bucket. Raises RecordBucketError if its buffer is gone."""
    from seamless.cache.resolve import find

    buffer = find(Checksum(checksum))
    if buffer is None:
        raise RecordBucketError(f"the bucket {checksum} is not stored any more; run seamless-probe --force")
    return bucket_content(buffer.content)


def _snapshot(
    mode: str,
    observed: Mapping[str, Any],
    contents: Mapping[str, Mapping[str, Any]],
    fields: Mapping[str, str | None],
    store: Any,
) -> str | None:
    """Return the checksum of the validation snapshot, if it is time for one."""
    from seamless.transformer.recording.validation import snapshot, taken

    checksums = {kind: of_bucket for kind in BUCKETS if (of_bucket := fields[kind]) is not None}
    key = (mode, tuple(sorted(checksums.items())), fields["compilation_context"])
    if not observed or not taken.allow(key):
        return None
    checksum: str = store(snapshot(mode, observed, contents, checksums))
    return checksum


def _violations(
    language: str,
    contents: Mapping[str, Mapping[str, Any]],
    observed: Mapping[str, Any],
    compilation: Mapping[str, Any] | None,
) -> tuple[list[str], list[str]]:
    """Return the codes of the buckets and of the execution. They are about compiled code in conda environments."""
    from seamless.transformer.recording.context import link_violations, variable_violations

    if language != "compiled":
        return [], []
    of_buckets = {code for content in contents.values() for code in content.get("contract_violations") or ()}
    of_job: set[str] = set()
    prefix = observed.get("conda_prefix")
    if prefix:
        of_job.update(link_violations((compilation or {}).get("links") or {}, prefix))
        variables = (observed["ld_library_path_entries"], observed["ld_preload_entries"])
        of_job.update(variable_violations(*variables, prefix))
    return sorted(of_buckets), sorted(of_job)


def _envelope(envelope: Envelope, done: ExecutionAnswer, language: str, store: Any) -> dict[str, Any]:
    mode = recording.mode
    keys = {key for key in envelope.pins if key.startswith("__")}
    keys |= {key for key, given in (("__meta__", envelope.meta), ("__env__", envelope.env)) if given}
    return {
        "requested_cluster": mode.cluster,
        "requested_queue": mode.queue,
        "requested_node": mode.node,
        "actual_remote_target": done.remote_target,
        "scratch": envelope.scratch,
        "allow_input_fingertip": envelope.allow_input_fingertip,
        "language_kind": language,
        "resolved_env_checksum": _resolved_environment(envelope.env, store),
        "active_tf_dunder_keys": sorted(keys),
    }


def _resolved_environment(environment: Mapping[str, Any] | None, store: Any) -> str | None:
    """Return the checksum of the environment of the step, with what was found for it on this machine."""
    given = {key: value for key, value in (environment or {}).items() if value}
    if not given:
        return None
    from seamless.transformer.environments.resolved import resolve

    checksum: str = store(canonical_json({**given, "resolved": resolve(given).facts()}))
    return checksum


def _compilation_time(compilation: Mapping[str, Any] | None) -> float | None:
    if compilation is None:
        return None
    return float(compilation["build_seconds"]) if compilation["built_now"] else 0.0


def _keep(stored: list[bytes]) -> None:
    if stored:
        from seamless.cache.buffer_writer import get_writer

        get_writer().store([Buffer(data) for data in stored])
