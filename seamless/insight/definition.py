"""What a stored transformation says: its language, pins and keys, and which buffers it refers to. Reads no files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

from seamless.celltypes import canonical_json

DEEP = frozenset({"deepcell", "deepfolder", "folder", "module"})  # their buffers name other buffers
_CHECKSUM_KEYS = ("__schema__", "__header__", "__compilation__")
_HEX = frozenset("0123456789abcdef")


class PinOf(NamedTuple):
    """One pin: how its buffer is read, and which buffer it is (hex; None: no value)."""

    celltype: str
    subcelltype: str | None
    checksum: str | None


class Definition(NamedTuple):
    """A transformation as it is identified."""

    language: str
    output: str  # celltype of the result
    pins: dict[str, PinOf]
    keys: dict[str, str]  # other load-bearing keys, as canonical text
    deep: frozenset[str]  # the pins whose buffers name other buffers

    def references(self) -> Iterator[tuple[str, bool]]:
        """Yield the checksum (hex) of each buffer that is needed to execute it, and whether that names others."""
        for name, pin in self.pins.items():
            if pin.checksum is not None:
                yield pin.checksum, name in self.deep
        for key in _CHECKSUM_KEYS:
            value = self.keys.get(key, "").strip().strip('"')
            if is_hex(value):
                yield value, False

    @property
    def deep_result(self) -> bool:
        """Whether the buffer of its result names other buffers."""
        return self.output in DEEP


def is_hex(text: object) -> bool:
    """Tell whether `text` is a checksum as 64 hexadecimal digits."""
    return isinstance(text, str) and len(text) == 64 and _HEX.issuperset(text)


def definition_of(data: bytes) -> Definition | None:
    """Return the definition in an identity buffer, or None if the bytes are no transformation."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return definition_of_dict(value) if isinstance(value, dict) and "__language__" in value else None


def definition_of_dict(value: Mapping[str, Any]) -> Definition | None:
    """Return the definition in a transformation dict, or None if it is malformed."""
    pins: dict[str, PinOf] = {}
    keys: dict[str, str] = {}
    deep = set()
    formats = value.get("__format__") or {}
    for key, entry in value.items():
        if not key.startswith("__"):
            if not (isinstance(entry, (list, tuple)) and len(entry) == 3 and isinstance(entry[0], str)):
                return None
            if entry[2] is not None and not is_hex(entry[2]):
                return None
            pins[key] = PinOf(*entry)
            how = formats.get(key) if isinstance(formats, dict) else None
            if entry[0] in DEEP or (isinstance(how, dict) and str(how.get("celltype")) in DEEP):
                deep.add(key)
        elif key not in ("__language__", "__output__"):
            try:
                keys[key] = canonical_json(entry).decode()
            except (TypeError, ValueError, RecursionError):
                return None
    output = value.get("__output__") or ["result", "mixed", None]
    if not (isinstance(output, (list, tuple)) and len(output) > 1):
        return None
    return Definition(str(value["__language__"]), str(output[1]), pins, keys, frozenset(deep))


def features_of(definition: Definition) -> set[int]:
    """Return numbers that stand for the pins and for the shape: two relatives have some in common."""
    found = {_feature(name, *map(str, pin)) for name, pin in definition.pins.items()}
    found.add(_feature("", definition.language, definition.output, *sorted(definition.pins)))
    return found


def members_of(data: bytes) -> list[str]:
    """Return the checksums (hex) that a deep buffer names; none for what is no JSON object."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return []
    return [entry for entry in value.values() if is_hex(entry)] if isinstance(value, dict) else []


def _feature(*words: str) -> int:
    digest = blake2b("\0".join(words).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
