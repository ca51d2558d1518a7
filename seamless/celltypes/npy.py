"""The npy format: the bytes of celltype `binary`, written and read by our own code.

Independent of what the installed numpy would write. Padding bytes are written as zeros. Never pickles.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from io import BytesIO

from seamless.celltypes.dtypes import (
    padding_runs,
    require_storable,
    require_unmasked,
    struct_from_descr,
    struct_to_descr,
)
from seamless.celltypes.mixed import MAGIC_NUMPY as MAGIC
from seamless.celltypes.mixed import parse_mixed
from seamless.celltypes.mixed_json import is_binary
from seamless.errors import MissingDependencyError
from seamless.util.large_bytes import LARGE, joined

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import numpy

_ALIGNMENT = 64
# Room that numpy leaves for the growth of the leading axis; part of every checksum.
_GROWTH_DIGITS = 21
# Longest header that is read: far beyond any dtype in use, but no bomb for the literal parser.
_MAX_HEADER = 16 << 20
_CHUNK_BYTES = 1 << 20
_MAX_S_BYTES = 2**31 - 1

_SIMPLE_HEADER = re.compile(
    rb"\{'descr': '([<>|=]?[?a-zA-Z]\d*(?:\[[^']*\])?)', 'fortran_order': (True|False), 'shape': \(([\d, ]*)\), \} *\n"
)


def load_numpy(purpose: str) -> Any:
    """Return the module numpy. Raises MissingDependencyError."""
    try:
        import numpy
    except ImportError:
        raise MissingDependencyError("numpy", extra="arrays", purpose=purpose) from None
    return numpy


# --- writing ---------------------------------------------------------------------------------


def header(descr: Any, fortran_order: bool, shape: tuple[int, ...]) -> bytes:
    """Return magic, version and header; the data follow at a multiple of 64.

    Version 1.0, or 2.0 for more than 65535 bytes, or 3.0 for field names outside Latin-1.
    """
    text = f"{{'descr': {descr!r}, 'fortran_order': {fortran_order}, 'shape': {shape!r}, }}"
    if shape:
        text += " " * (_GROWTH_DIGITS - len(str(shape[-1 if fortran_order else 0])))
    try:
        body, version = text.encode("latin-1"), 1
    except UnicodeEncodeError:
        body, version = text.encode("utf-8"), 3
    if version == 1:
        padding = _ALIGNMENT - (10 + len(body) + 1) % _ALIGNMENT
        length = len(body) + padding + 1
        if length <= 65535:
            return MAGIC + b"\x01\x00" + struct.pack("<H", length) + body + b" " * padding + b"\n"
        version = 2
    padding = _ALIGNMENT - (12 + len(body) + 1) % _ALIGNMENT
    return MAGIC + bytes((version, 0)) + struct.pack("<I", len(body) + padding + 1) + body + b" " * padding + b"\n"


def write_binary(value: Any) -> bytes:
    """Return the npy bytes of an array or of what numpy makes an array of; npy bytes verbatim.

    Raises TypeError for dtypes that cannot be stored, ValueError for ragged lists and bytes that are not npy.
    """
    if isinstance(value, bytes):
        if not value.startswith(MAGIC):
            raise ValueError(
                "bytes under celltype 'binary' are taken as npy and must begin with its magic string: "
                "use celltype 'bytes' or 'mixed' for other bytes"
            )
        return value
    numpy = load_numpy("celltype 'binary'")
    return write_array(value if isinstance(value, numpy.ndarray) else numpy.array(value))


def write_array(array: numpy.ndarray[Any, Any]) -> bytes:
    """Return the npy bytes of an array, made with one copy of its data. Raises TypeError."""
    return join_chunks(*array_parts(array))


def array_parts(array: numpy.ndarray[Any, Any]) -> tuple[list[bytes], list[Any]]:
    """Return what makes up the npy bytes of an array, for `join_chunks` or `pieces`. Raises TypeError."""
    require_storable(array)
    dtype = array.dtype
    descr = dtype.str if dtype.names is None else struct_to_descr(dtype)
    flags = array.flags
    fortran = bool(flags.f_contiguous and not flags.c_contiguous)
    return [header(descr, fortran, array.shape)], [array.T if fortran else array]


def join_chunks(head: list[bytes], arrays: list[Any]) -> bytes:
    """Return `head` and then the elements of each array or bytes-like, in C order, copied once."""
    length = sum(map(len, head)) + sum(len(array) if isinstance(array, bytes) else array.nbytes for array in arrays)
    if length >= LARGE:
        return joined(map(_flat, pieces(head, arrays)), length)
    if all(isinstance(array, bytes) or _is_direct(array) for array in arrays):
        return b"".join([*head, *arrays])
    out = BytesIO()
    out.writelines(pieces(head, arrays))
    return out.getvalue()


def pieces(head: list[bytes], arrays: list[Any]) -> Iterator[Any]:
    """Yield the bytes that `join_chunks` returns in bytes-like pieces, which must be used before the arrays change."""
    yield from head
    for array in arrays:
        if isinstance(array, bytes) or _is_direct(array):
            yield array
        else:
            yield from _chunks(array)


def _flat(piece: Any) -> Any:
    """Return an array as one of bytes, also of a dtype that memoryviews do not know."""
    return piece if isinstance(piece, bytes) else piece.reshape(-1).view("u1")


def _is_direct(array: Any) -> bool:
    return bool(array.flags.c_contiguous) and not padding_runs(array.dtype)


def _chunks(array: Any) -> Iterator[bytes]:
    """Yield the elements in C order, padding bytes as zeros."""
    numpy = load_numpy("writing an array")
    itemsize = array.dtype.itemsize
    runs = padding_runs(array.dtype)
    elements = max(1, _CHUNK_BYTES // itemsize)
    flags = ["external_loop", "buffered", "zerosize_ok"]
    for chunk in numpy.nditer(array, flags=flags, order="C", buffersize=elements):
        data = chunk.tobytes()
        if runs and data:
            rows = numpy.frombuffer(bytearray(data), numpy.uint8).reshape(-1, itemsize)
            for start, stop in runs:
                rows[:, start:stop] = 0
            data = rows.tobytes()
        yield data


def array_data(array: Any) -> bytes:
    """Return the elements of an array or numpy scalar in C order, without a header."""
    numpy = load_numpy("writing an array")
    require_unmasked(array)
    array = numpy.asarray(array)
    if array.dtype.hasobject:
        raise TypeError("an array of Python objects has no bytes: give it a numeric dtype")
    return join_chunks([], [array]) if padding_runs(array.dtype) else bytes(array.tobytes())


def write_bytes_array(data: bytes) -> bytes:
    """Return the npy bytes of the 0-dimensional `S` array that stands for bytes; needs no numpy."""
    parts = list(bytes_pieces(data))
    return joined(parts, sum(map(len, parts)))


def bytes_pieces(data: bytes) -> Iterator[bytes]:
    """Return the same in two pieces."""
    if len(data) > _MAX_S_BYTES:
        raise ValueError(f"{len(data)} bytes are too many for celltypes 'mixed' and 'binary': use celltype 'bytes'")
    return iter([header(f"|S{len(data) or 1}", False, ()), data or b"\0"])


# --- reading ---------------------------------------------------------------------------------


def parse_binary(data: Any, writable: bool = False) -> Any:
    """Return the array in npy bytes: a read-only view, or a copy if `writable`; a numpy scalar if 0-dimensional.

    Text that is not JSON is a 0-dimensional `S` array, as for celltype `mixed`. Raises TypeError if the data are
    something else, ValueError if they are malformed.
    """
    if bytes(data[:6]) == MAGIC:
        return read_array(data, writable)
    try:
        value = parse_mixed(data, writable)
    except UnicodeDecodeError:
        value = None
    if not is_binary(value):
        raise TypeError(
            "these bytes are not npy (celltype 'binary'): they begin with "
            f"{bytes(data[:12])!r}; convert the value to an array first"
        )
    return value


def read_array(data: Any, writable: bool = False) -> Any:
    """Return the array in npy bytes, as `parse_binary`. Raises ValueError."""
    numpy = load_numpy("reading an array")
    dtype, fortran_order, shape, offset = _read_header(data, numpy)
    array = view(numpy, data, offset, len(data), dtype, shape, "F" if fortran_order else "C")
    if writable:
        array = array.copy(order="K")
    return array if array.shape or dtype.kind == "S" else array[()]


def view(numpy: Any, data: Any, start: int, end: int, dtype: Any, shape: tuple[int, ...], order: str = "C") -> Any:
    """Return a read-only array over `data[start:end]`. Raises ValueError if that is too short."""
    size = math.prod(shape) * dtype.itemsize
    if not 0 <= start <= start + size <= end <= len(data):
        raise ValueError(f"array data are too short: {max(0, end - start)} bytes where {size} are needed")
    try:
        array = numpy.ndarray(shape, dtype, data, start, None, order)
    except (TypeError, OverflowError, MemoryError) as error:
        raise ValueError(f"impossible array of shape {shape} and dtype {dtype}: {error}") from None
    array.flags.writeable = False
    return array


def bytes_array(data: Any, writable: bool = False) -> Any:
    """Return the 0-dimensional `S` array that holds all of `data`. Raises ValueError."""
    numpy = load_numpy("reading bytes of celltype 'mixed'")
    if len(data) > _MAX_S_BYTES:
        raise ValueError(f"{len(data)} bytes are too many for an array item: read them with celltype 'bytes'")
    size = len(data) or 1
    array = view(numpy, data if len(data) else b"\0", 0, size, numpy.dtype(f"S{size}"), ())
    return array.copy() if writable else array


def _read_header(data: Any, numpy: Any) -> tuple[Any, bool, tuple[int, ...], int]:
    """Return dtype, whether in Fortran order, shape, and the offset of the data."""
    if len(data) < 12:
        raise ValueError(f"npy data end within the header ({len(data)} bytes)")
    version = data[6]
    if version not in (1, 2, 3) or data[7] != 0:
        raise ValueError(f"npy version {data[6]}.{data[7]} is not known (1.0, 2.0, 3.0 are)")
    start = 10 if version == 1 else 12
    length = int.from_bytes(data[8:start], "little")
    if length > _MAX_HEADER or start + length > len(data):
        raise ValueError(f"npy header of {length} bytes in {len(data)} bytes of data")
    raw = bytes(data[start : start + length])
    match = _SIMPLE_HEADER.fullmatch(raw)
    if match is not None:
        descr: Any = match[1].decode("ascii", "replace")
        fortran_order: Any = match[2] == b"True"
        shape: Any = _shape_of_text(match[3])
    else:
        descr, fortran_order, shape = _literal_header(raw, "utf-8" if version == 3 else "latin-1")
    return _dtype_of_descr(descr, numpy), fortran_order, shape, start + length


def _shape_of_text(text: bytes) -> tuple[int, ...]:
    # without underscores or signs, which int() would accept; so many digits are no shape
    if len(text) > 1000:
        raise ValueError("npy header: shape is too long")
    return tuple(int(part) for part in text.split(b",") if part.strip())


def _literal_header(raw: bytes, encoding: str) -> tuple[Any, bool, tuple[int, ...]]:
    import ast

    try:
        found = ast.literal_eval(raw.decode(encoding).strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(f"npy header is not a literal: {error}") from None
    if not isinstance(found, dict) or set(found) != {"descr", "fortran_order", "shape"}:
        raise ValueError("npy header must be a dict of descr, fortran_order and shape")
    shape, fortran_order = found["shape"], found["fortran_order"]
    if type(shape) is not tuple or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"npy header: shape must be a tuple of non-negative integers, not {str(shape)[:80]}")
    if type(fortran_order) is not bool:
        raise ValueError(f"npy header: fortran_order must be True or False, not {str(fortran_order)[:80]}")
    return found["descr"], fortran_order, shape


def _dtype_of_descr(descr: Any, numpy: Any) -> Any:
    try:
        dtype = struct_from_descr(descr, numpy)
    except (TypeError, OverflowError, MemoryError, RecursionError, SyntaxError) as error:
        raise ValueError(f"npy header: not a dtype: {str(descr)[:80]}: {error}") from None
    if dtype.hasobject:
        raise ValueError("npy data of Python objects are not read: they would have to be unpickled")
    return dtype
