"""The celltypes: how a value becomes bytes, how bytes become a value, and conversion between celltypes.

Bytes in, bytes out: nothing here knows buffers, caches or stores. The bytes are frozen: they decide
checksums. The modules that do the work, and numpy, are loaded at first need.
"""

from __future__ import annotations

from seamless.checksum import Checksum

TYPE_CHECKING = False  # that of `typing`, which takes long to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

TEXT_CELLTYPES = ("text", "python", "ipython", "yaml")
CELLTYPES = ("binary", "mixed", *TEXT_CELLTYPES, "plain", "str", "bytes", "int", "float", "bool", "checksum")
DEEP_CELLTYPES = ("deepcell", "deepfolder", "folder", "module")
ALL_CELLTYPES = CELLTYPES + DEEP_CELLTYPES

_WRITERS: dict[str, Callable[[Any], bytes]] = {}
_PARSERS: dict[str, Callable[[Any, bool], Any]] = {}


def check_celltype(name: str) -> str:
    """Return `name`. Raises TypeError unless it is one of the 17 celltypes."""
    if not isinstance(name, str) or name not in ALL_CELLTYPES:
        raise TypeError(f"unknown celltype {name!r}: expected one of {', '.join(ALL_CELLTYPES)}")
    return name


def serialize(value: Any, celltype: str) -> bytes:
    """Return the bytes of `value` under `celltype`.

    Raises TypeError for a value, ValueError for a content that the celltype cannot hold. Text of the
    celltypes `python`, `ipython` and `yaml` is not validated here, but when it is parsed.
    """
    writer = _WRITERS.get(celltype) if type(celltype) is str else None
    if writer is None:
        writer = _find_writer(celltype)
    if type(value) is Checksum and celltype != "checksum":
        raise TypeError(
            f"a Checksum is not a value of celltype {celltype!r}: "
            "resolve it first, or use celltype 'checksum' to store the checksum itself"
        )
    return writer(value)


def parse(data: Any, celltype: str, *, writable: bool = False) -> Any:
    """Return the value that the bytes-like `data` hold under `celltype`.

    Arrays are read-only views of `data`, which must not change afterwards; with `writable`, private copies.
    Raises ValueError (also UnicodeDecodeError) or TypeError if `data` are not of that celltype.
    """
    parser = _PARSERS.get(celltype) if type(celltype) is str else None
    if parser is None:
        parser = _find_parser(celltype)
    if type(data) is not bytes:
        data = memoryview(data).cast("B")
    return parser(data, writable)


def convert(data: Any, source: str, target: str, *, resolve: Callable[[str], Any] | None = None) -> bytes:
    """Return the bytes of celltype `target` that stand for the bytes `data` of celltype `source`.

    `resolve` turns the hex of a checksum into its bytes; only celltype `checksum` as the source needs it.
    Raises SeamlessConversionError if there is no such conversion or these data do not allow it.
    """
    from seamless.celltypes.conversion import convert_bytes

    return convert_bytes(data, check_celltype(source), check_celltype(target), resolve)


def canonical_json(value: Any) -> bytes:
    """Return the bytes of `value` under celltype `plain`. Contained Checksums are written as hex."""
    from seamless.celltypes.plain_json import canonical_json as write

    return write(value)


def _find_writer(celltype: str) -> Callable[[Any], bytes]:
    check_celltype(celltype)
    writer: Callable[[Any], bytes]
    if celltype == "mixed":
        from seamless.celltypes.mixed import write_mixed as writer
    elif celltype == "binary":
        from seamless.celltypes.npy import write_binary as writer
    elif celltype == "plain" or celltype in DEEP_CELLTYPES:
        from seamless.celltypes.plain_json import canonical_json as writer
    else:
        from seamless.celltypes.text import WRITERS

        writer = WRITERS[celltype]
    _WRITERS[celltype] = writer
    return writer


def _find_parser(celltype: str) -> Callable[[Any, bool], Any]:
    check_celltype(celltype)
    parser: Callable[[Any, bool], Any]
    if celltype == "mixed":
        from seamless.celltypes.mixed import parse_mixed as parser
    elif celltype == "binary":
        from seamless.celltypes.npy import parse_binary as parser
    else:
        from seamless.celltypes.text import PARSERS

        parser = PARSERS["plain" if celltype in DEEP_CELLTYPES else celltype]
    _PARSERS[celltype] = parser
    return parser
