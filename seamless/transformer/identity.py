"""Identity: which keys of a transformation dict bear load, the buffer made of them, its checksum.

Frozen: a change here changes every checksum ever computed (golden vectors guard it).
"""

from __future__ import annotations

from collections.abc import Mapping

from seamless.checksum import Checksum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

try:  # the C function behind json.dumps(ensure_ascii=False); importing `json` itself costs start-up time
    from _json import encode_basestring as _quote  # type: ignore[import-not-found]
except ImportError:
    from json.encoder import encode_basestring as _quote  # type: ignore[attr-defined,no-redef]

LOAD_BEARING = frozenset({"__language__", "__output__", "__as__", "__format__", "__schema__"})
ORTHOGONAL = frozenset(
    {
        "__meta__",
        "__env__",
        "__compilation__",
        "__record_probe__",
        "__code_checksum__",
        "__code_text__",
        "__compilers__",
        "__languages__",
    }
)
DERIVED = frozenset({"__compiled__", "__header__", "__deps__"})


def is_load_bearing(key: str) -> bool:
    """Tell whether `key` enters the identity. Raises ValueError for an unknown `__key__`."""
    if key.startswith("__"):
        if key in LOAD_BEARING:
            return True
        if key in ORTHOGONAL or key in DERIVED:
            return False
        raise ValueError(f"Unknown transformation dunder key: {key}")
    return not key.startswith("META__")


def load_bearing(transformation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of `transformation` that is its identity."""
    return {key: value for key, value in transformation.items() if is_load_bearing(key)}


def orthogonal(transformation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of `transformation` that only says how it is executed."""
    return {key: value for key, value in transformation.items() if not is_load_bearing(key)}


def pin_text(celltype: str, subcelltype: str | None, checksum: str | None) -> str:
    """Return the canonical JSON of one pin, as a value at the first level of the identity dict."""
    sub = "null" if subcelltype is None else _quote(subcelltype)
    value = "null" if checksum is None else f'"{checksum}"'
    return f"[\n    {_quote(celltype)},\n    {sub},\n    {value}\n  ]"


def transformation_buffer(transformation: Mapping[str, Any]) -> bytes:
    """Return the identity buffer: canonical JSON of the load-bearing keys, with a final newline."""
    lines = []
    for key in sorted(transformation):
        if not is_load_bearing(key):
            continue
        value = transformation[key]
        if type(value) is str:
            text = _quote(value)
        elif _is_pin(value):
            text = pin_text(*value)
        else:
            from seamless.celltypes import canonical_json

            text = canonical_json(value)[:-1].decode().replace("\n", "\n  ")
        lines.append(f"  {_quote(key)}: {text}")
    if not lines:
        return b"{}\n"
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def transformation_checksum(transformation: Mapping[str, Any]) -> Checksum:
    """Return the checksum that identifies `transformation`."""
    return Checksum.of(transformation_buffer(transformation))


def _is_pin(value: Any) -> bool:
    return (
        type(value) in (list, tuple)
        and len(value) == 3
        and type(value[0]) is str
        and (value[1] is None or type(value[1]) is str)
        and (value[2] is None or (type(value[2]) is str and len(value[2]) == 64))
    )
