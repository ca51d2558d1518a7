"""Probing where steps are executed: the buckets are made anew by the process that keeps the results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from seamless.buffer import Buffer
from seamless.session import session
from seamless.transformer.buckets.probe import refresh
from seamless.transformer.recording.mode import PROBE, RecordBucketError

if TYPE_CHECKING:
    from seamless.transformer.outcome import Envelope


def probe(envelope: Envelope) -> Buffer:
    """Bring the buckets for steps with this envelope up to date; return a report.

    The report (celltype plain) is a list of kind, label, checksum, refreshed. Raises RecordBucketError without stores
    that can be written to, StoreError, UnavailableError.
    """
    results: list[Any] = [s for s in session.writable_result_stores() if hasattr(s, "set_bucket_probe")]
    stores = session.writable_buffer_stores()
    if not results or not stores:
        raise RecordBucketError("probes need a database and a hashserver that can be written to")
    wanted = envelope.pins[PROBE]
    options = wanted if isinstance(wanted, Mapping) else {}
    force, shared_is_new = bool(options.get("force")), bool(options.get("shared_is_new"))
    found = [refresh(buffers, results[0], envelope.env, force=force, shared_is_new=shared_is_new) for buffers in stores]
    return Buffer([vars(one) for one in found[0]], "plain")
