"""The dynamic section of a shared object (ELF): which libraries it names, and where it has them looked for."""

from __future__ import annotations

import struct
from typing import NamedTuple

_LOAD, _DYNAMIC = 1, 2  # kinds of segments
_NEEDED, _STRTAB, _RPATH, _RUNPATH = 1, 5, 15, 29  # tags


class DynamicSection(NamedTuple):
    """What it says; all empty for a file that is no ELF object or has no such section."""

    needed: list[str]
    rpath: list[str]
    runpath: list[str]


def dynamic_section(path: str) -> DynamicSection:
    """Return what the dynamic section of a file says. Raises OSError."""
    with open(path, "rb") as f:
        data = f.read()
    try:
        return _parsed(data)
    except (struct.error, IndexError, ValueError, OverflowError):
        return DynamicSection([], [], [])


def _parsed(data: bytes) -> DynamicSection:
    result = DynamicSection([], [], [])
    if data[:4] != b"\x7fELF":
        return result
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    segments = _segments(data, wide, order)
    entries = [
        entry
        for kind, offset, _, size in segments
        if kind == _DYNAMIC
        for entry in _entries(data, offset, size, wide, order)
    ]
    table = next((value for tag, value in entries if tag == _STRTAB), None)
    if table is None:
        return result
    # The address of the strings, as an offset in the file.
    start = next((o + table - a for kind, o, a, size in segments if kind == _LOAD and a <= table < a + size), table)

    def text(value: int) -> str:
        end = data.index(b"\0", start + value)
        return data[start + value : end].decode(errors="surrogateescape")

    for tag, value in entries:
        if tag == _NEEDED:
            result.needed.append(text(value))
        elif tag == _RPATH:
            result.rpath.extend(entry for entry in text(value).split(":") if entry)
        elif tag == _RUNPATH:
            result.runpath.extend(entry for entry in text(value).split(":") if entry)
    return result


def _segments(data: bytes, wide: bool, order: str) -> list[tuple[int, int, int, int]]:
    """Return (kind, offset in the file, address, size) of each segment."""
    if wide:
        (table,) = struct.unpack_from(f"{order}Q", data, 32)
        size, count = struct.unpack_from(f"{order}HH", data, 54)
        rows = [struct.unpack_from(f"{order}IIQQQQ", data, table + i * size) for i in range(count)]
        return [(row[0], row[2], row[3], row[5]) for row in rows]
    (table,) = struct.unpack_from(f"{order}I", data, 28)
    size, count = struct.unpack_from(f"{order}HH", data, 42)
    rows = [struct.unpack_from(f"{order}IIIII", data, table + i * size) for i in range(count)]
    return [(row[0], row[1], row[2], row[4]) for row in rows]


def _entries(data: bytes, offset: int, size: int, wide: bool, order: str) -> list[tuple[int, int]]:
    """Return (tag, value) up to the end of the section."""
    form = f"{order}{'QQ' if wide else 'II'}"
    step = struct.calcsize(form)
    found = []
    for place in range(offset, offset + size, step):
        tag, value = struct.unpack_from(form, data, place)
        if tag == 0:
            break
        found.append((tag, value))
    return found
