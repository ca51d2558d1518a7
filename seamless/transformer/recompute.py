"""Fingertip: get a buffer back by executing a transformation that is known to give it."""

from __future__ import annotations

from seamless.buffer import Buffer
from seamless.cache.access import Buffers
from seamless.cache.resolve import find, miss
from seamless.checksum import Checksum
from seamless.errors import CacheMissError, SeamlessError
from seamless.session import session
from seamless.transformer.execute import execute
from seamless.transformer.outcome import Envelope
from seamless.transformer.runner import memory


def candidates(checksum: Checksum) -> list[Checksum]:
    """Return the transformations that have given this result: from memory first, then from the stores."""
    session.ensure_active()
    found = dict.fromkeys(memory.get_transformations(checksum))
    for store in session.result_stores:
        found.update(dict.fromkeys(store.get_transformations(checksum)))
    return list(found)


def recompute(checksum: Checksum) -> Buffer:
    """Execute the candidates until one yields exactly `checksum`; the buffer is kept as scratch.

    Writes no record. Raises CacheMissError, whose cause is the failure of the last candidate.
    """
    failure: BaseException | None = None
    for tf in candidates(checksum):
        definition = find(tf)
        if definition is None:
            failure = miss(tf)
            continue
        buffers = Buffers(scratch=True, fingertip=True)
        try:
            done = execute(definition.get_value("plain"), tf, Envelope(scratch=True), buffers)
        except (SeamlessError, ValueError, TypeError) as exc:
            failure = exc
            continue
        for key, buffer in buffers.added.items():
            key.tempref(scratch=True)
            if key == checksum:
                return buffer
        failure = CacheMissError(f"transformation {tf} now gives {done.result}, not {checksum}")
    raise miss(checksum) from failure
