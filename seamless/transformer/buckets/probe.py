"""Probes: whether the buckets that execution records need are still true, and making them anew."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from seamless.celltypes import canonical_json, parse
from seamless.checksum import Checksum
from seamless.transformer.buckets import machine, queue, software
from seamless.transformer.buckets.place import place_of, tokens_of
from seamless.transformer.recording.mode import RecordBucketError, recording

if TYPE_CHECKING:
    from typing import Protocol

    from seamless.session import BufferStore

    class Probes(Protocol):
        """A result store that keeps probes."""

        def get_bucket_probe(self, bucket_kind: str, label: str) -> dict[str, Any] | None: ...

        def set_bucket_probe(
            self, bucket_kind: str, label: str, bucket_checksum: Checksum, captured_at: str, tokens: dict[str, Any], /
        ) -> None: ...


SCHEMA_VERSION = 1
_SHARED = frozenset(("environment", "queue"))  # kinds of buckets that several machines have in common


@dataclass(frozen=True)
class Probe:
    """The state of one bucket; `refreshed`: it has just been made."""

    kind: str
    label: str
    checksum: str
    refreshed: bool


@dataclass
class Required:
    """The buckets that the record of a step needs, all of them up to date; each mapping is keyed by kind."""

    labels: dict[str, str] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)
    live_tokens: dict[str, Any] = field(default_factory=dict)
    bucket_tokens: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Kind:
    """One bucket as it should be now. The label of some is made of the checksums of those before."""

    kind: str
    label: str
    tokens: dict[str, Any]
    facts: Callable[[], dict[str, Any]]
    violations: Callable[[], list[str]] = list


def _walk(environment: Mapping[str, Any] | None, checksum_of: Callable[[_Kind], str | None]) -> None:
    """Have `checksum_of` look at each bucket that is needed here; what depends on an absent one is left out."""
    place = place_of(environment)
    tokens = {"node": {"hostname": machine.hostname(), "boot_id": machine.boot_id()}, "environment": tokens_of(place)}
    node = checksum_of(_Kind("node", machine.hostname(), tokens["node"], machine.node_facts))
    facts = partial(software.environment_facts, place)
    violations = software.environment_violations
    env = checksum_of(_Kind("environment", place.label, tokens["environment"], facts, violations))
    if node is not None and env is not None:
        facts = partial(software.node_environment_facts, node, env)
        checksum_of(_Kind("node_env", f"{node}:{env}", tokens, facts))
    mode = recording.mode
    if mode.remote_target != "daskserver":
        return
    of_queue = queue.queue_tokens(mode)
    known = checksum_of(_Kind("queue", queue.queue_label(mode), of_queue, partial(queue.queue_facts, mode)))
    if known is not None:
        both = {"queue": of_queue, "node": tokens["node"]}
        checksum_of(_Kind("queue_node", f"{known}:{machine.hostname()}", both, queue.queue_node_facts))


def refresh(
    buffers: BufferStore,
    results: Probes,
    environment: Mapping[str, Any] | None,
    *,
    force: bool = False,
    shared_is_new: bool = False,
) -> list[Probe]:
    """Make the buckets of this machine and of this process anew if they are stale, or with `force` in any case.

    `environment`: what the steps ask for, in low-level form. `shared_is_new`: another machine has just made those
    that do not belong to one: they are made anew only if they are stale. Raises StoreError, UnavailableError.
    """
    found: list[Probe] = []

    def checksum_of(wanted: _Kind) -> str:
        forced = force and not (shared_is_new and wanted.kind in _SHARED)
        found.append(_refreshed(wanted, buffers, results, forced))
        return found[-1].checksum

    _walk(environment, checksum_of)
    return found


def required(results: Probes, environment: Mapping[str, Any] | None) -> Required:
    """Return the buckets that the record of a step needs. Raises RecordBucketError if one is missing or stale."""
    found = Required()
    missing: list[str] = []
    stale: list[str] = []

    def checksum_of(wanted: _Kind) -> str | None:
        probe = results.get_bucket_probe(wanted.kind, wanted.label)
        if probe is None:
            missing.append(f"{wanted.kind}={wanted.label!r}")
            return None
        found.labels[wanted.kind] = wanted.label
        found.checksums[wanted.kind] = str(probe["bucket_checksum"])
        found.live_tokens[wanted.kind] = wanted.tokens
        found.bucket_tokens[wanted.kind] = probe["freshness_tokens"]
        if probe["freshness_tokens"] != wanted.tokens:
            stale.append(f"{wanted.kind}={wanted.label!r}")
        return found.checksums[wanted.kind]

    _walk(environment, checksum_of)
    advice = f"; run seamless-probe on {machine.hostname()}, with the environment of the step"
    if missing:
        raise RecordBucketError(f"Record mode requires bucket probes for: {', '.join(missing)}{advice}")
    if stale:
        raise RecordBucketError(f"Record mode detected stale bucket probes for: {', '.join(stale)}{advice}")
    return found


def _refreshed(wanted: _Kind, buffers: BufferStore, results: Probes, force: bool) -> Probe:
    known = results.get_bucket_probe(wanted.kind, wanted.label)
    if known is not None and not force and known["freshness_tokens"] == wanted.tokens:
        checksum = Checksum(known["bucket_checksum"])
        if buffers.has([checksum])[0]:
            return Probe(wanted.kind, wanted.label, checksum.hex(), False)
    violations = wanted.violations()
    head = {"schema_version": SCHEMA_VERSION, "bucket_kind": wanted.kind, "label": wanted.label}
    verdict = {"contract_ok": not violations, "contract_violations": violations}
    # What a library tells of itself may hold more than JSON knows.
    data = canonical_json(json.loads(json.dumps({**head, **wanted.facts(), **verdict}, default=str)))
    checksum = Checksum.of(data)
    buffers.put([(checksum, data)])
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    results.set_bucket_probe(wanted.kind, wanted.label, checksum, now, wanted.tokens)
    return Probe(wanted.kind, wanted.label, checksum.hex(), True)


def bucket_content(data: bytes) -> dict[str, Any]:
    """Return what a bucket says."""
    found: dict[str, Any] = parse(data, "plain")
    return found
