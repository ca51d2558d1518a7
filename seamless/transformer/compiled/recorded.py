"""How a compiled step was executed before, from its record: what it needs to be executed again, beside its identity."""

from __future__ import annotations

from collections.abc import Mapping

from seamless.checksum import Checksum
from seamless.session import session
from seamless.transformer.outcome import Envelope


def recorded_envelope(tf: Checksum) -> Envelope:
    """Return the envelope with the compilation and the maxima that a record tells; an empty one without a record."""
    for store in session.result_stores:
        record = store.get_record(tf)
        compilation = record.get("compilation") if record is not None else None
        if isinstance(compilation, Mapping):
            pins = {"__compilation__": compilation.get("configuration", {})}
            return Envelope(meta={"metavars": compilation.get("metavars", {})}, pins=pins)
    return Envelope()
