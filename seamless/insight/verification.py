"""Does a step give the same again? It is executed once more, and the results are compared: by their bytes, then by a
witness, a small step that is computed from either. A difference is registered; the known result stays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from seamless.buffer import Buffer
from seamless.cache.access import Buffers
from seamless.cache.resolve import find
from seamless.checksum import Checksum
from seamless.errors import SeamlessError, UsageError
from seamless.insight.definition import DEEP, definition_of_dict
from seamless.insight.differences import content_lines
from seamless.session import session
from seamless.transformer.execute import execute
from seamless.transformer.identity import load_bearing, transformation_checksum
from seamless.transformer.outcome import Envelope, OutputHandler
from seamless.transformer.runner import run_transformation

PIN = "result"  # what a witness command finds the result under


@dataclass
class Verdict:
    """What a verification has shown: `same`, `equivalent` (only the witness is the same), `different` or `failed`."""

    step: str
    cached: str
    new: str | None = None
    error: str | None = None
    witnesses: tuple[str, str] | None = None  # of the cached and of the new result
    details: list[str] = field(default_factory=list)
    registered: list[str] = field(default_factory=list)  # the stores that know it now

    @property
    def outcome(self) -> str:
        """The verdict in one word."""
        if self.new is None:
            return "failed"
        if self.new == self.cached:
            return "same"
        return "equivalent" if self.witnesses is not None and len(set(self.witnesses)) == 1 else "different"

    def as_dict(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "tf_checksum": self.step,
            "outcome": self.outcome,
            "cached": self.cached,
            "new": self.new,
            "witnesses": list(self.witnesses) if self.witnesses else None,
            "error": self.error,
            "details": self.details,
            "registered": self.registered,
        }


def verify(
    tf: Checksum,
    transformation: Mapping[str, Any],
    cached: Checksum,
    *,
    witness: str | None = None,
    forget: bool = False,
    on_output: OutputHandler | None = None,
) -> Verdict:
    """Execute a step again, here, and compare. `witness`: a bash command that reads `result`, or a known step (hex).

    `forget`: a result that does not come again is no longer the result of the step. Uses the active stores. Raises
    UsageError for a witness that cannot be, StoreError.
    """
    verdict = Verdict(tf.hex(), cached.hex())
    buffers = Buffers(scratch=True, fingertip=True)
    try:
        done = execute(load_bearing(transformation), tf, _envelope(transformation, tf), buffers, on_output=on_output)
    except (SeamlessError, ValueError, TypeError, OSError) as exc:
        verdict.error = str(exc).rstrip()
        return verdict
    verdict.new = done.result.hex()
    if done.result != cached:
        _store(buffers)
        verdict.details = _details(transformation, cached, done.result)
        verdict.registered = register(tf, cached, done.result, forget=forget)
        if witness is not None:
            verdict.witnesses = _witnesses(witness, transformation, cached, done.result)
    return verdict


def register(tf: Checksum, cached: Checksum, new: Checksum, *, forget: bool = False) -> list[str]:
    """Note in every writable store that the cached result did not come again; return their names.

    The cached result stays the result of the step unless `forget`.
    """
    noted = []
    for store in session.writable_result_stores():
        contest = getattr(store, "contest", None)
        if contest is None or store.get_result(tf) != cached:
            continue
        contest(tf, cached)
        if not forget:
            store.set_result(tf, cached)
            store.set_result(tf, new)  # refused, and noted as the other result
        noted.append(store.name)
    return noted


def _store(buffers: Buffers) -> None:
    """Store the other result, so that it can be looked at."""
    pairs = [(checksum, buffer.content) for checksum, buffer in buffers.added.items()]
    for store in session.writable_buffer_stores():
        store.put(pairs)


def _envelope(transformation: Mapping[str, Any], tf: Checksum) -> Envelope:
    envelope = Envelope()
    if "__schema__" in transformation:
        from seamless.transformer.compiled.recorded import recorded_envelope

        envelope = recorded_envelope(tf)
    return replace(envelope, scratch=True, allow_input_fingertip=True)


def _details(transformation: Mapping[str, Any], cached: Checksum, new: Checksum) -> list[str]:
    before, after = find(cached), find(new)
    if before is None or after is None:
        return ["the content of the cached result is not stored, so that only the checksums can be compared"]
    definition = definition_of_dict(transformation)
    if definition is not None and definition.deep_result:
        return _deep_details(before, after)
    return content_lines(before.content, after.content)


def _deep_details(before: Buffer, after: Buffer) -> list[str]:
    old, new = json.loads(before.content), json.loads(after.content)
    lines = []
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) == new.get(name):
            continue
        if name not in old or name not in new:
            lines.append(f"{name}: {'only in the cached result' if name in old else 'only in the new result'}")
            continue
        contents = find(Checksum(old[name])), find(Checksum(new[name]))
        if contents[0] is None or contents[1] is None:
            lines.append(f"{name}: other content")
        else:
            lines += [f"{name}: {line}" for line in content_lines(contents[0].content, contents[1].content)]
    return lines


def _witnesses(witness: str, transformation: Mapping[str, Any], cached: Checksum, new: Checksum) -> tuple[str, str]:
    first, second = (_witness(witness, transformation, cached, result) for result in (cached, new))
    return first, second


def _witness(witness: str, transformation: Mapping[str, Any], cached: Checksum, result: Checksum) -> str:
    """Return the checksum (hex) of what the witness gives for a result. Raises SeamlessError if it fails."""
    step = _known_step(witness, cached, result)
    if step is None:
        step = _command(witness, transformation, result)
    outcome = run_transformation(step, transformation_checksum(step), Envelope(allow_input_fingertip=True))
    if outcome.result is None:
        raise SeamlessError(f"the witness fails for the result {result}: {(outcome.error or '').rstrip()}")
    return outcome.result.hex()


def _known_step(witness: str, cached: Checksum, result: Checksum) -> dict[str, Any] | None:
    """Return the step of this checksum, with `result` in the place of the cached result; None for a command."""
    try:
        checksum = Checksum(witness)
    except ValueError:
        return None
    buffer = find(checksum)
    if buffer is None:
        raise UsageError(f"--witness {witness}: this transformation is not stored")
    step: dict[str, Any] = load_bearing(buffer.get_value("plain"))
    places = [name for name, pin in step.items() if not name.startswith("__") and pin[2] == cached.hex()]
    if not places:
        raise UsageError(f"--witness {witness}: none of its inputs is the cached result {cached}")
    return {name: [*pin[:2], result.hex()] if name in places else pin for name, pin in step.items()}


def _command(witness: str, transformation: Mapping[str, Any], result: Checksum) -> dict[str, Any]:
    """Return the bash step that has the result as its file or directory."""
    code = Buffer(f"{{\n{witness.rstrip()}\n}} > RESULT\n".encode())
    for store in session.writable_buffer_stores():
        store.put([(code.get_checksum(), code.content)])
    deep = (transformation.get("__output__") or ["", "mixed", None])[1] in DEEP
    mode: dict[str, Any] = {"filesystem": {"mode": "directory" if deep else "file", "optional": True}}
    if deep:
        mode = {"celltype": "deepfolder", **mode}
    return {
        "__language__": "bash",
        "__output__": ["result", "bytes", None],
        "__format__": {PIN: mode},
        "code": ["text", None, code.get_checksum().hex()],
        PIN: ["mixed" if deep else "bytes", None, result.hex()],
    }
