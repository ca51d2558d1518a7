"""Bytes made of large pieces, without the price of ordinary memory for them.

To fill fresh memory, page by page, takes about as long as to hash it; in huge pages it takes a fifth of that.
"""

from __future__ import annotations

import functools

TYPE_CHECKING = False  # that of `typing`, which takes longer to import than all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

LARGE = 1 << 25  # bytes from which the C library always takes fresh memory
_HUGE_PAGE = 1 << 21
_ADVICE = 14  # MADV_HUGEPAGE


def joined(pieces: Iterable[Any], length: int) -> bytes:
    """Return the bytes of flat bytes-like pieces, `length` of them in all.

    >>> joined([b"ab", bytearray(b"c")], 3)
    b'abc'
    """
    fresh = _memory() if length >= LARGE else None
    if fresh is None:
        return b"".join(pieces)
    result = bytes(length)
    place, start = fresh(result), 0
    for piece in pieces:
        end = start + len(piece)
        place[start:end] = piece
        start = end
    if start != length:
        raise ValueError(f"the pieces have {start} bytes instead of {length}")
    return result


@functools.cache
def _memory() -> Callable[[bytes], memoryview] | None:
    """Return what gives the memory of bytes that nobody has seen yet, to be filled; None where that cannot be done.

    So far such bytes, of zeros, are only promised by the system. CPython itself makes bytes in these two steps.
    """
    import platform

    if platform.python_implementation() != "CPython":
        return None
    try:
        import ctypes

        advise = ctypes.CDLL(None).madvise
    except (ImportError, OSError, AttributeError):
        return None
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    address_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object)(("PyBytes_AsString", ctypes.pythonapi))

    def fresh(content: bytes) -> memoryview:
        address = address_of(content)
        first = -(-address // _HUGE_PAGE) * _HUGE_PAGE
        advise(first, address + len(content) - first, _ADVICE)  # where it is refused, the memory is ordinary
        return memoryview((ctypes.c_char * len(content)).from_address(address)).cast("B")

    return fresh
