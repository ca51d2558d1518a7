"""Values in, values out: pins as the user's code sees them, and the result as a buffer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from seamless.cache.access import Buffers
from seamless.celltypes import canonical_json, parse, serialize
from seamless.checksum import Checksum

DEEP_CELLTYPES = ("deepcell", "deepfolder", "folder")


def input_values(transformation: Mapping[str, Any], buffers: Buffers) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (arguments by the name that the code sees, module definitions by name).

    Raises CacheMissError for an input that is nowhere to be found, ValueError for one that does not parse.
    """
    names = transformation.get("__as__") or {}
    pins: dict[str, Any] = {}
    modules: dict[str, Any] = {}
    for pin, entry in transformation.items():
        if pin == "code" or pin.startswith(("__", "META__")):
            continue
        celltype, subcelltype, checksum = entry
        if subcelltype == "module":
            modules[pin] = parse(buffers.view(Checksum(checksum)), "plain")
            continue
        if pin.endswith("_SCHEMA"):
            continue
        pins[names.get(pin, pin)] = None if checksum is None else input_value(celltype, Checksum(checksum), buffers)
    return pins, modules


def input_value(celltype: str, checksum: Checksum, buffers: Buffers) -> Any:
    """Return the value of one pin."""
    content = buffers.view(checksum)
    if celltype == "folder":
        index = parse(content, "plain")
        return {path: buffers.read(Checksum(member)) for path, member in index.items()}
    if celltype in DEEP_CELLTYPES:
        return map_leaves(parse(content, "plain"), Checksum)
    return parse(content, celltype)


def map_leaves(value: Any, function: Callable[[Any], Any]) -> Any:
    """Return nested dicts and lists with `function` applied to everything else."""
    if isinstance(value, dict):
        return {key: map_leaves(item, function) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [map_leaves(item, function) for item in value]
    return function(value)


def pack_deep(value: Any, celltype: str, add: Callable[[bytes], Checksum]) -> bytes:
    """Return the buffer of a deep structure, see `pack_leaves`. Raises TypeError."""
    return canonical_json(pack_leaves(value, celltype, add))


def pack_leaves(value: Any, celltype: str, add: Callable[[bytes], Checksum]) -> Any:
    """Return a deep structure with hexadecimal checksums as leaves; what is no checksum becomes a buffer by `add`.

    A leaf of a `deepcell` is a `mixed` buffer, that of a folder the raw bytes. Raises TypeError.
    """
    from seamless.transformer.pins import known_checksum

    def leaf(item: Any) -> str:
        if isinstance(item, Checksum):
            return item.hex()
        if isinstance(item, str) and (known := known_checksum(item)) is not None:
            return known.hex()
        return add(serialize(item, "mixed" if celltype == "deepcell" else "bytes")).hex()

    if celltype != "deepcell" and not isinstance(value, dict):
        raise TypeError(f"celltype {celltype!r} needs a dict of path to content, not {type(value).__name__}")
    return map_leaves(value, leaf)


def result_buffer(value: Any, celltype: str, buffers: Buffers) -> Checksum:
    """Add the result (and the leaves of a deep one) to `buffers`; return its checksum."""
    if isinstance(value, Checksum) and celltype != "checksum":
        return value  # the step points at a buffer that exists already
    if celltype in DEEP_CELLTYPES:
        return buffers.add(pack_deep(value, celltype, buffers.add))
    if celltype == "checksum" and not isinstance(value, (Checksum, str)):
        raise TypeError("it needs a Checksum or its hexadecimal digits")
    return buffers.add_value(value, celltype)
