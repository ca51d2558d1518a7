"""What clients send: the JSON of a transformation to be executed, checked, and what it means for the execution."""

from __future__ import annotations

import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from seamless.buffer import Buffer
from seamless.checksum import Checksum
from seamless.transformer.from_dict import envelope_of
from seamless.transformer.identity import load_bearing, orthogonal, transformation_checksum
from seamless.transformer.outcome import Envelope
from seamless.transformer.remote_job import META_KEY

_LONGEST_NAME = 200  # characters of the identifier of a request
_DEEPEST = "is nested too deeply"


class RefusedError(Exception):
    """A request that cannot be granted: the status and the text of the answer."""

    def __init__(self, status: int, text: str, *, retry_after: int | None = None):
        super().__init__(text)
        self.status, self.text, self.retry_after = status, text, retry_after


@dataclass
class JobRequest:
    """One transformation that a client wants executed."""

    transformation: dict[str, Any]  # identity dict
    tf: Checksum
    orthogonal: dict[str, Any] = field(default_factory=dict)  # keys that say how it is executed
    scratch: bool = False
    strict: bool = False
    record: bool = False
    # What only clients of this project say:
    request: str | None = None  # identifies the request, so that it may be sent twice, watched and taken back
    refresh: bool = False
    live: bool = False  # the output is wanted while it appears
    timeout: float | None = None
    wait: float = 0.0  # seconds to wait for the end before answering
    command: str | None = None
    name: str | None = None
    origin: tuple[str, int] | None = None
    buffers: list[Buffer] = field(default_factory=list)  # inputs that may be in no store yet

    @property
    def is_plain(self) -> bool:
        """Whether its envelope can be had without asking a store, and it is executed as any."""
        meta = self.orthogonal.get("__meta__") or {}
        return not self.orthogonal.get("__env__") and META_KEY not in meta

    def envelope(self) -> Envelope:
        """Return how it is to be executed. May ask the stores: blocks. Raises SeamlessError, ValueError."""
        envelope = envelope_of(self.orthogonal, scratch=self.scratch, strict=self.strict, timeout=self.timeout)
        # "Local" is the process that wants it, which is not this one.
        envelope = replace(envelope, local=False, command=self.command, origin=self.origin)
        return envelope if self.name is None else replace(envelope, name=self.name)


def parse_request(body: bytes) -> JobRequest:
    """Return the request in a body. Raises RefusedError (400)."""
    try:
        value = json.loads(body)
    except RecursionError:
        raise RefusedError(400, f"Invalid JSON: the body {_DEEPEST}") from None
    except ValueError as exc:
        raise RefusedError(400, f"Invalid JSON: {exc}") from None
    if not isinstance(value, dict):
        raise _invalid(f"expected an object, not {_kind(value)}")
    transformation = _field(value, "transformation_dict", dict)
    claimed = checksum_in(_field(value, "tf_checksum", str), "Invalid payload: tf_checksum")
    dunder = _field(value, "tf_dunder", dict, {})
    more = _identified(transformation, dunder, claimed)
    return JobRequest(
        load_bearing(transformation),
        claimed,
        more,
        scratch=_field(value, "scratch", bool, False),
        strict=_field(value, "strict_dunder", bool, False),
        record=_field(value, "record", bool, False),
        request=_name(value),
        refresh=_field(value, "refresh", bool, False),
        live=_field(value, "live", bool, False),
        timeout=_seconds(value, "timeout"),
        wait=_seconds(value, "wait") or 0.0,
        command=_field(value, "command", str, None),
        name=_field(value, "name", str, None),
        origin=_origin(value),
        buffers=_buffers(value),
    )


def checksum_in(text: str, what: str = "Invalid checksum") -> Checksum:
    """Return a checksum given as hexadecimal digits. Raises RefusedError (400)."""
    try:
        return Checksum(text.lower())
    except (ValueError, TypeError):
        raise RefusedError(400, f"{what}: {text[:100]!r} is not 64 hexadecimal digits") from None


def _identified(transformation: Mapping[str, Any], dunder: Mapping[str, Any], claimed: Checksum) -> dict[str, Any]:
    """Return the orthogonal keys, after the rest was found to be what the client says it is."""
    try:
        actual = transformation_checksum(transformation)
        more = {**orthogonal(transformation), **orthogonal(dunder)}
        _check_pins(transformation)
    except RecursionError:
        raise _invalid(f"transformation_dict {_DEEPEST}") from None
    except (ValueError, TypeError, KeyError, OverflowError) as exc:
        raise _invalid(f"transformation_dict: {exc}") from None
    if actual != claimed:
        raise _invalid(f"tf_checksum is {claimed}, but transformation_dict has the checksum {actual}")
    if not isinstance(more.get("__meta__") or {}, dict):
        raise _invalid(f"__meta__: expected an object, not {_kind(more['__meta__'])}")
    return more


def _check_pins(transformation: Mapping[str, Any]) -> None:
    if not isinstance(transformation.get("__language__"), str):
        raise ValueError("'__language__' is missing")
    for name, value in load_bearing(transformation).items():
        if name == "__output__":
            if not isinstance(value, list) or not 3 <= len(value) <= 4 or not isinstance(value[1], str):
                raise ValueError(f"'{name}' is not [name, celltype, subcelltype]")
        elif not name.startswith("__"):
            if not isinstance(value, list) or len(value) != 3 or not isinstance(value[0], str):
                raise ValueError(f"pin '{name}' is not [celltype, subcelltype, checksum]")
            if value[2] is not None:
                Checksum(value[2])


def _field(value: Mapping[str, Any], name: str, kind: type, default: Any = ...) -> Any:
    found = value.get(name)
    if found is None:
        if default is ...:
            raise _invalid(f"{name} is missing")
        return default
    if not isinstance(found, kind):
        raise _invalid(f"{name}: expected {_KINDS[kind]}, not {_kind(found)}")
    return found


def _seconds(value: Mapping[str, Any], name: str) -> float | None:
    found = value.get(name)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not 0 <= found < 1e9:
        raise _invalid(f"{name}: expected a number of seconds, not {_kind(found)}")
    return float(found)


def _name(value: Mapping[str, Any]) -> str | None:
    name: str | None = _field(value, "request", str, None)
    if name is not None and not 0 < len(name) <= _LONGEST_NAME:
        raise _invalid(f"request: expected 1 to {_LONGEST_NAME} characters")
    return name


def _origin(value: Mapping[str, Any]) -> tuple[str, int] | None:
    origin = _field(value, "origin", list, None)
    if origin is None:
        return None
    if len(origin) != 2 or not isinstance(origin[0], str) or not isinstance(origin[1], int):
        raise _invalid("origin: expected a file name and a line number")
    return origin[0], origin[1]


def _buffers(value: Mapping[str, Any]) -> list[Buffer]:
    found = []
    for name, text in _field(value, "buffers", dict, {}).items():
        try:
            found.append(Buffer(binascii.a2b_base64(text), checksum=checksum_in(name, "Invalid payload: buffers")))
        except (ValueError, TypeError) as exc:
            raise _invalid(f"buffers: {name[:100]}: {exc}") from None
    return found


def _invalid(text: str) -> RefusedError:
    return RefusedError(400, f"Invalid payload: {text}")


_KINDS: dict[type, str] = {
    dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number",
}  # fmt: skip


def _kind(value: object) -> str:
    return "null" if value is None else _KINDS.get(type(value), type(value).__name__)
