"""Which numpy dtypes can be stored, their padding, and structured dtypes in the npy description language."""

from __future__ import annotations

import re
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SIMPLE_KINDS = frozenset("biufS")
_INSTEAD = {
    "U": "use dtype 'S' (encoded text), or a list of str with celltype 'plain' or 'mixed'",
    "T": "use dtype 'S' (encoded text), or a list of str with celltype 'plain' or 'mixed'",
    "O": "use a numeric dtype, or celltype 'plain' or 'mixed' for lists and dicts",
    "c": "store .real and .imag as two arrays, or .view(float)",
    "M": "store .astype('int64') and the unit",
    "m": "store .astype('int64') and the unit",
    "V": "use a structured dtype with align=True, or bytes",
}
_TYPE_TEXT = re.compile(r"[<>|=]?[?a-zA-Z]\d*(?:\[[0-9a-zA-Zμ/]*\])?", re.ASCII)
_PADDING_TEXT = re.compile(r"\|V(\d{1,9})", re.ASCII)


def require_storable(array: Any) -> None:
    """Raise TypeError, naming the alternative, unless an array can be stored without loss."""
    require_unmasked(array)
    require_supported(array.dtype)


def require_unmasked(array: Any) -> None:
    """Raise TypeError if an item of an array is masked."""
    masked = sys.modules.get("numpy.ma")
    # Looked at as bytes, since the mask of a structured array is one itself.
    if masked is not None and isinstance(array, masked.MaskedArray) and 1 in masked.getmaskarray(array).tobytes():
        raise TypeError("a masked array would lose its mask: use .filled(), or store .data and .mask as two arrays")


def require_supported(dtype: Any) -> None:
    """Raise TypeError, naming the alternative, unless arrays of `dtype` can be stored."""
    if dtype.kind in _SIMPLE_KINDS and dtype.subdtype is None:
        if not dtype.isnative:
            raise TypeError(f"dtype {dtype.str} has foreign byte order: use .astype({dtype.newbyteorder('=').str!r})")
        if dtype.itemsize == 0:
            raise TypeError("dtype 'S0' holds nothing: use 'S1'")
        return
    if dtype.subdtype is not None:
        require_supported(dtype.subdtype[0])
        return
    if dtype.names is None:
        raise TypeError(f"an array of dtype {dtype} cannot be stored: {_INSTEAD.get(dtype.kind, 'use another dtype')}")
    if not dtype.isalignedstruct or not dtype.names:
        raise TypeError("a structured dtype must be memory-aligned: use numpy.dtype([...], align=True) and .astype")
    for name in dtype.names:
        require_supported(dtype.fields[name][0])
    if not _same_layout(dtype, aligned_struct([(name, dtype.fields[name][0]) for name in dtype.names])):
        raise TypeError("a structured dtype with its own offsets cannot be stored: use numpy.dtype([...], align=True)")


def aligned_struct(fields: list[tuple[str, Any]]) -> Any:
    """Return the aligned structured dtype of these fields. Raises ValueError, TypeError."""
    import numpy

    return numpy.dtype(fields, align=True)


def _same_layout(a: Any, b: Any) -> bool:
    return bool(
        a.itemsize == b.itemsize
        and a.names == b.names
        and all(a.fields[name][1] == b.fields[name][1] and len(a.fields[name]) == 2 for name in a.names)
    )


# --- padding ---------------------------------------------------------------------------------


def padding_runs(dtype: Any) -> list[tuple[int, int]]:
    """Return the (start, stop) byte ranges of an item that hold no data."""
    if dtype.names is None and dtype.subdtype is None and (dtype.kind != "f" or dtype.itemsize <= 8):
        return []
    runs, position = [], 0
    for start, stop in _data_runs(dtype):
        if start > position:
            runs.append((position, start))
        position = max(position, stop)
    if dtype.itemsize > position:
        runs.append((position, dtype.itemsize))
    return runs


def _data_runs(dtype: Any) -> list[tuple[int, int]]:
    if dtype.subdtype is not None:
        base = dtype.subdtype[0]
        if not padding_runs(base):
            return [(0, dtype.itemsize)]
        inner, step = _data_runs(base), base.itemsize
        return [(i + start, i + stop) for i in range(0, dtype.itemsize, step) for start, stop in inner]
    if dtype.names is not None:
        return sorted(
            (offset + start, offset + stop)
            for field, offset, *_ in dtype.fields.values()
            for start, stop in _data_runs(field)
        )
    if dtype.kind == "f" and dtype.itemsize > 8:
        import numpy

        if numpy.finfo(dtype).nmant == 63:  # x87: ten bytes, the rest is whatever was in memory
            return [(0, 10)]
    return [(0, dtype.itemsize)]


# --- the npy description language ------------------------------------------------------------


def struct_to_descr(dtype: Any) -> Any:
    """Return the npy description of a dtype: a str, or a list of (name, description[, shape]) with padding."""
    if dtype.names is None:
        return dtype.str
    descr: list[Any] = []
    position = 0
    for name in dtype.names:
        field, offset = dtype.fields[name][:2]
        if offset > position:
            descr.append(("", f"|V{offset - position}"))
        if field.subdtype is None:
            descr.append((name, struct_to_descr(field)))
        else:
            base, shape = field.subdtype
            descr.append((name, struct_to_descr(base), shape))
        position = offset + field.itemsize
    if dtype.itemsize > position:
        descr.append(("", f"|V{dtype.itemsize - position}"))
    return descr


def struct_from_descr(descr: Any, numpy: Any) -> Any:
    """Return the dtype of an npy description; an aligned structured dtype where the layout allows.

    Raises ValueError or another error of numpy for what is no description.
    """
    if isinstance(descr, str):
        if _TYPE_TEXT.fullmatch(descr) is None:
            raise ValueError(f"not a dtype: {descr[:80]!r}")
        dtype = numpy.dtype(descr)
        if dtype.itemsize == 0:
            raise ValueError(f"dtype without a size: {descr!r}")
        return dtype
    if not isinstance(descr, list) or not descr:
        raise ValueError(f"not a dtype: {str(descr)[:80]}")
    names: list[str] = []
    formats: list[Any] = []
    offsets: list[int] = []
    position = 0
    for entry in descr:
        if not isinstance(entry, tuple) or not 2 <= len(entry) <= 3:
            raise ValueError(f"not a field: {str(entry)[:80]}")
        name, kind = entry[:2]
        if name == "" and isinstance(kind, str) and (padding := _PADDING_TEXT.fullmatch(kind)):
            position += int(padding[1])
            continue
        if isinstance(name, tuple) and len(name) == 2:
            name = name[1]
        if not isinstance(name, str) or not name or name in names:
            raise ValueError(f"not a field name: {str(name)[:80]!r}")
        field = struct_from_descr(kind, numpy)
        if len(entry) == 3:
            field = numpy.dtype((field, sub_shape(entry[2])))
        names.append(name)
        formats.append(field)
        offsets.append(position)
        position += field.itemsize
    if not names:
        raise ValueError("a structured dtype without fields")
    exact = numpy.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": position})
    aligned = aligned_struct(list(zip(names, formats, strict=True)))
    return aligned if _same_layout(exact, aligned) else exact


def sub_shape(shape: Any) -> tuple[int, ...]:
    """Return the shape of a sub-array field. Raises ValueError."""
    if isinstance(shape, int) and not isinstance(shape, bool):
        shape = (shape,)
    if not isinstance(shape, (tuple, list)) or not all(type(n) is int and 0 <= n < 2**31 for n in shape):
        raise ValueError(f"not the shape of a field: {str(shape)[:80]}")
    return tuple(shape)
