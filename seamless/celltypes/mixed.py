"""Celltype `mixed`: JSON for plain values, npy for one array or bytes, a stream for containers of both.

A stream is: magic, storage name, form (the shape of the value as JSON), magic, lengths, `[offsets, skeleton]`
as JSON, and the elements of the arrays back to back. `mixed_form` makes it, `mixed_stream` reads it; both, and
`npy`, are loaded when a value with an array or bytes comes by.
"""

from __future__ import annotations

from json import JSONDecodeError
from json.encoder import encode_basestring_ascii

from seamless.celltypes.json_reader import parse_lenient
from seamless.celltypes.json_writer import Unwritable, int_repr
from seamless.celltypes.mixed_json import FoundBinaryError, is_binary, mixed_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAGIC_NUMPY = b"\x93NUMPY"
MAGIC_STREAM = b"\x94SEAMLESS-MIXED"


def write_mixed(value: Any) -> bytes:
    """Return the bytes of `value`.

    Raises TypeError for what cannot be held (also nesting beyond 450 containers and circular values).
    """
    kind = type(value)
    if kind is str:
        return (encode_basestring_ascii(value) + "\n").encode()
    if kind is int:
        return (int_repr(value) + "\n").encode()
    try:
        try:
            return mixed_json(value)
        except FoundBinaryError:
            return _write_with_binary(value)
    except Unwritable as error:
        raise error.as_error() from None
    except RecursionError:
        raise TypeError("the value is nested too deeply") from None


def _write_with_binary(value: Any) -> bytes:
    from seamless.celltypes import npy

    if isinstance(value, bytes):
        return npy.write_bytes_array(value)
    if is_binary(value):
        numpy = npy.load_numpy("celltype 'mixed'")
        return npy.write_array(numpy.asanyarray(value))
    from seamless.celltypes.mixed_form import write_stream

    return write_stream(value)


def parse_mixed(data: Any, writable: bool = False) -> Any:
    """Return the value: arrays are read-only views of `data`, or copies if `writable`.

    What is neither npy nor a stream nor JSON becomes a 0-dimensional `S` array, if it is UTF-8.
    Raises ValueError (also UnicodeDecodeError).
    """
    head = bytes(data[:15])
    if head[:6] == MAGIC_NUMPY:
        from seamless.celltypes.npy import read_array

        return read_array(data, writable)
    if head == MAGIC_STREAM:
        from seamless.celltypes.mixed_stream import read_stream

        return read_stream(data, writable)
    try:
        return parse_lenient(str(data, "utf-8"))
    except JSONDecodeError:
        from seamless.celltypes.npy import bytes_array

        return bytes_array(data, writable)
