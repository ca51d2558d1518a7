"""How two transformations differ: which pin, key or line of code, and what it was and is. Reads small buffers only."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from seamless.insight.definition import Definition, PinOf, is_hex

Read = Callable[[str], "bytes | None"]  # the bytes of a buffer (hex), or None

_TEXTS = frozenset({"text", "python", "ipython", "cson", "yaml", "str", "plain", "int", "float", "bool", "checksum"})
_SHOWN = 60  # characters of a value
_LINES = 40  # of a comparison of texts
_LONG = 1 << 20  # bytes from which a buffer is not compared by its content


@dataclass
class Difference:
    """One thing that differs. `there`: in the relative, `here`: in the step that is explained (hex, or text)."""

    kind: str  # "code", "pin", "key", "language" or "result"
    name: str
    change: str  # "changed", "added", "removed" or "renamed"
    there: str | None = None
    here: str | None = None
    details: list[str] = field(default_factory=list)  # lines of code, values, members

    def as_dict(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


def count_differences(there: Definition, here: Definition) -> int:
    """Return how many things differ; nothing is read."""
    return sum(1 for _ in _raw(there, here))


def differences(there: Definition, here: Definition, read: Read) -> list[Difference]:
    """Return what differs, the code first. `read` gives bytes, as far as they are stored."""
    found = list(_raw(there, here))
    for one in found:
        if one.change == "changed" and one.kind in ("code", "pin"):
            pins = there.pins[one.name], here.pins[one.name]
            one.details = _details(*pins, one.name in here.deep or one.name in there.deep, read)
        elif one.kind == "key" and one.change == "changed":
            one.details = _json_lines(one.there or "", one.here or "")
    return _with_renames(found)


def _raw(there: Definition, here: Definition) -> Iterator[Difference]:
    for kind, old, new in (("language", there.language, here.language), ("result", there.output, here.output)):
        if old != new:
            yield Difference(kind, kind, "changed", old, new)
    names = sorted(there.pins.keys() | here.pins.keys(), key=lambda name: (name != "code", name))
    for name in names:
        kind = "code" if name == "code" else "pin"
        yield from _one(kind, name, there.pins.get(name), here.pins.get(name))
    for name in sorted((there.keys.keys() | here.keys.keys()) - {"__format__"}):
        yield from _one("key", name, there.keys.get(name), here.keys.get(name))
    if there.keys.get("__format__") != here.keys.get("__format__") and there.pins.keys() == here.pins.keys():
        yield Difference("key", "__format__", "changed", there.keys.get("__format__"), here.keys.get("__format__"))


def _one(kind: str, name: str, old: PinOf | str | None, new: PinOf | str | None) -> Iterator[Difference]:
    if old == new:
        return
    change = "added" if old is None else "removed" if new is None else "changed"
    yield Difference(kind, name, change, _shown(old), _shown(new))


def _shown(value: PinOf | str | None) -> str | None:
    return value.checksum if isinstance(value, PinOf) else value


def _with_renames(found: list[Difference]) -> list[Difference]:
    """Make one difference of a pin that is only called otherwise."""
    new = {one.here: one for one in found if one.kind == "pin" and one.change == "added" and one.here is not None}
    result = []
    for one in found:
        if one.kind == "pin" and one.change == "removed" and one.there in new:
            other = new.pop(one.there)
            result.append(Difference("pin", other.name, "renamed", one.name, other.name))
        else:
            result.append(one)
    renamed = {one.name for one in result if one.change == "renamed"}
    return [one for one in result if one.change != "added" or one.name not in renamed]


def _details(old: PinOf, new: PinOf, deep: bool, read: Read) -> list[str]:
    lines = []
    if old.celltype != new.celltype or old.subcelltype != new.subcelltype:
        lines.append(f"celltype {_celltype(old)} -> {_celltype(new)}")
    if old.checksum is None or new.checksum is None or old.checksum == new.checksum:
        return lines
    data = read(old.checksum), read(new.checksum)
    gone = [word for word, d in zip(("there", "here"), data, strict=True) if d is None]
    if data[0] is None or data[1] is None:
        return [*lines, f"the content is not stored any more ({' and '.join(gone)})"]
    if deep:
        return lines + _members(data[0], data[1])
    return lines + content_lines(data[0], data[1], new.celltype)


def _celltype(pin: PinOf) -> str:
    return pin.celltype if pin.subcelltype is None else f"{pin.celltype}/{pin.subcelltype}"


def content_lines(old: bytes, new: bytes, celltype: str = "") -> list[str]:
    """Return how two contents differ: values, lines of text, or the first byte."""
    if max(len(old), len(new)) > _LONG:
        return [f"{len(old)} -> {len(new)} bytes", *_first_byte(old, new)]
    try:
        before, after = old.decode(), new.decode()
    except UnicodeDecodeError:
        return [f"{len(old)} -> {len(new)} bytes", *_first_byte(old, new)]
    if "\0" in before + after:
        return [f"{len(old)} -> {len(new)} bytes", *_first_byte(old, new)]
    short = len(before) <= _SHOWN and len(after) <= _SHOWN and before.count("\n") <= 1 and after.count("\n") <= 1
    if short and celltype in _TEXTS:
        return [f"{before.rstrip()} -> {after.rstrip()}"]
    return text_lines(before, after)


def text_lines(before: str, after: str) -> list[str]:
    """Return the lines that differ, each with its number: `3- old`, `3+ new`; not more than can be read."""
    old, new = before.splitlines(), after.splitlines()
    lines: list[str] = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=len(old) + len(new) > 2000)
    for tag, i, j, k, m in matcher.get_opcodes():
        if tag != "equal":
            lines += [f"{n + 1}- {old[n]}" for n in range(i, j)] + [f"{n + 1}+ {new[n]}" for n in range(k, m)]
        if len(lines) > _LINES:
            return [*lines[:_LINES], "... and more"]
    return lines or ["only the ends of lines differ"]


def likeness(old: bytes, new: bytes) -> float:
    """Return how much two pieces of code have in common, from 0 to 1."""
    return difflib.SequenceMatcher(None, old.splitlines(), new.splitlines(), autojunk=False).ratio()


def _first_byte(old: bytes, new: bytes) -> list[str]:
    n = min(len(old), len(new))
    step = 1 << 16
    for start in range(0, n, step):
        a, b = old[start : start + step], new[start : start + step]
        if a != b:
            for i, (x, y) in enumerate(zip(a, b, strict=False)):
                if x != y:
                    return [f"first difference at byte {start + i}: {x:#04x} -> {y:#04x}"]
    return [f"the first {n} bytes are the same"]


def _members(old: bytes, new: bytes) -> list[str]:
    try:
        before, after = json.loads(old), json.loads(new)
    except (ValueError, RecursionError):
        return content_lines(old, new)
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return content_lines(old, new)
    lines = []
    for name in sorted(before.keys() | after.keys()):
        a, b = before.get(name), after.get(name)
        if a != b:
            lines.append(
                f"{name}: {_value(a) if name in before else 'new'} -> {_value(b) if name in after else 'gone'}"
            )
    return [*lines[:_LINES], f"... and {len(lines) - _LINES} more"] if len(lines) > _LINES else lines


def _value(value: Any) -> str:
    return f"{value[:12]}.." if is_hex(value) else json.dumps(value)[:_SHOWN]


def _json_lines(old: str, new: str) -> list[str]:
    try:
        before, after = json.loads(old), json.loads(new)
    except (ValueError, RecursionError):
        return [f"{old.strip()} -> {new.strip()}"]
    if isinstance(before, dict) and isinstance(after, dict):
        return _members(old.encode(), new.encode())
    return [f"{_value(before)} -> {_value(after)}"]
