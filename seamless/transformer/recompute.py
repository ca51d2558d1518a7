"""Execute again what has been executed: to get a lost buffer back (fingertip), or to compare the results."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from seamless.buffer import Buffer
from seamless.cache.access import Buffers
from seamless.cache.resolve import find, miss
from seamless.checksum import Checksum
from seamless.errors import CacheMissError, SeamlessError
from seamless.session import session
from seamless.transformer.execute import execute
from seamless.transformer.execution import seam
from seamless.transformer.outcome import Envelope, Outcome
from seamless.transformer.runner import find_undamaged, forget, lookup, memory

if TYPE_CHECKING:
    from seamless.transformer.transformation import Transformation


_wanted: ContextVar[frozenset[Checksum]] = ContextVar("wanted", default=frozenset())  # what is being recomputed here


class Comparison(NamedTuple):
    """What an execution for comparison has shown."""

    cached: Checksum | None  # the result known before
    new: Checksum | None  # that of the execution
    error: str | None  # why there is no new result

    @property
    def equal(self) -> bool | None:
        """Whether both are the same; None if there is nothing to compare."""
        return None if self.cached is None or self.new is None else self.cached == self.new


def known_result(transformation: Transformation) -> Checksum | None:
    """Return the result as far as it is known without executing anything, also upstream; else None.

    Raises StoreError.
    """
    if transformation._outcome is None:
        for upstream in transformation.dependencies().values():
            if any(known_result(dependency) is None for dependency in upstream):
                return None
        tf = transformation._construct()
        known = lookup(tf, require_value=not transformation.scratch) if tf is not None else None
        if tf is None or known is None:
            return None
        transformation._settle(Outcome(tf, result=known, cached=True))
    assert transformation._outcome is not None
    return transformation._outcome.result


def compare(transformation: Transformation) -> Comparison:
    """Execute a transformation again, whether or not its result is known. Raises StoreError.

    Without a known result it is computed as ever. A different result contests the known one in every writable
    store, and the known one is forgotten.
    """
    tf = transformation._construct()
    if tf is None:
        return Comparison(None, None, transformation.exception)
    cached = lookup(tf)
    if cached is None:
        return Comparison(None, transformation.compute(), transformation.exception)
    assert transformation._tf_dict is not None
    try:
        new, _ = _execute_again(transformation._tf_dict, tf, transformation._definition.envelope)
    except (SeamlessError, ValueError, TypeError) as exc:
        return Comparison(cached, None, str(exc))
    if new != cached:
        _contest(tf, cached)
    return Comparison(cached, new, None)


def _contest(tf: Checksum, cached: Checksum) -> None:
    for store in session.writable_result_stores():
        contest = getattr(store, "contest", None)
        if contest is not None and store.get_result(tf) == cached:
            contest(tf, cached)
    forget(tf)


def fingertip_result(checksum: Checksum) -> Buffer:
    """Return the buffer of a result, computed again if it is gone or damaged. Raises CacheMissError."""
    found = find_undamaged(checksum)
    if found is None:
        found = recompute(checksum) if seam.parent is None else seam.parent.fingertip(checksum)
    return found


def candidates(checksum: Checksum) -> list[Checksum]:
    """Return the transformations that have given this result: from memory first, then from the stores."""
    session.ensure_active()
    found = dict.fromkeys(memory.get_transformations(checksum))
    for store in session.result_stores:
        found.update(dict.fromkeys(store.get_transformations(checksum)))
    return list(found)


def recompute(checksum: Checksum) -> Buffer:
    """Execute the candidates until one yields exactly `checksum`; the buffer is kept as scratch.

    Writes no record. Raises CacheMissError, whose cause is the failure of the last candidate. What is needed to compute
    itself, such as the input that a copying command gives back, is a miss.
    """
    wanted = _wanted.get()
    if checksum in wanted:
        raise miss(checksum)
    token = _wanted.set(wanted | {checksum})
    try:
        return _from_candidates(checksum)
    finally:
        _wanted.reset(token)


def _from_candidates(checksum: Checksum) -> Buffer:
    failure: BaseException | None = None
    for tf in candidates(checksum):
        definition = find(tf)
        if definition is None:
            failure = miss(tf)
            continue
        try:
            transformation = definition.get_value("plain")
            result, added = _execute_again(transformation, tf, _envelope(transformation, tf))
        except (SeamlessError, ValueError, TypeError) as exc:
            failure = exc
            continue
        if checksum in added:
            return added[checksum]
        failure = CacheMissError(f"transformation {tf} now gives {result}, not {checksum}")
    raise miss(checksum) from failure


def _envelope(transformation: dict[str, Any], tf: Checksum) -> Envelope:
    """Return how to execute a step of which only the identity is known."""
    if "__schema__" not in transformation:
        return Envelope()
    from seamless.transformer.compiled.recorded import recorded_envelope

    return recorded_envelope(tf)


def _execute_again(
    transformation: dict[str, Any], tf: Checksum, envelope: Envelope
) -> tuple[Checksum, dict[Checksum, Buffer]]:
    """Return the result and the buffers that were made, which fade as scratch. Writes nothing."""
    buffers = Buffers(scratch=True, fingertip=True)
    done = execute(transformation, tf, replace(envelope, scratch=True), buffers)
    for checksum in buffers.added:
        checksum.tempref(scratch=True)
    return done.result, buffers.added
