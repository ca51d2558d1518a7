"""The celltypes of text and scalars: text python ipython yaml, str int float bool, bytes, checksum; reading `plain`."""

from __future__ import annotations

from collections.abc import Callable

from seamless.celltypes.json_reader import parse_strict
from seamless.celltypes.plain_json import canonical_json
from seamless.checksum import Checksum, shorten, validate_checksum
from seamless.errors import MissingDependencyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BYTES = (bytes, bytearray, memoryview)
_CONTAINERS = (list, tuple, dict, set, frozenset)


def _refuse(value: Any, celltype: str, hint: str) -> TypeError:
    return TypeError(f"a value of type {type(value).__name__} is no value of celltype {celltype!r}: {hint}")


# --- writing ---------------------------------------------------------------------------------


def text_writer(celltype: str) -> Callable[[Any], bytes]:
    """Return the writer of a text celltype: UTF-8 that ends in exactly one newline."""

    def write_text(value: Any) -> bytes:
        if type(value) is not str:
            if isinstance(value, _BYTES):
                value = str(value, "utf-8")
            elif value is None or isinstance(value, _CONTAINERS):
                raise _refuse(value, celltype, "give a str, or use celltype 'plain'")
            else:
                value = str(value)
        text: str = value.rstrip("\n") + "\n"
        return text.encode()

    return write_text


def write_bytes(value: Any) -> bytes:
    """Return bytes verbatim, the memory of an array, or the text of another value without final newlines."""
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, bytearray):
        return bytes(value)
    if value is None or isinstance(value, _CONTAINERS):
        raise _refuse(value, "bytes", "give bytes, or use celltype 'plain' or 'mixed'")
    if hasattr(value, "tobytes"):
        if hasattr(value, "dtype"):
            from seamless.celltypes.npy import array_data

            return array_data(value)
        data: bytes = value.tobytes()
        return data
    return str(value).rstrip("\n").encode()


def write_str(value: Any) -> bytes:
    """Return the text of `value` as JSON; a bool stays a JSON bool."""
    if isinstance(value, bool):
        return canonical_json(value)
    if value is None:
        raise _refuse(value, "str", "give a str, or use celltype 'plain'")
    if isinstance(value, _BYTES):
        raise _refuse(value, "str", "decode it, or use celltype 'bytes'")
    return canonical_json(str(value))


def write_int(value: Any) -> bytes:
    """Return `int(value)` as JSON. Raises ValueError, TypeError as int() does."""
    if isinstance(value, _BYTES):
        value = str(value, "utf-8")
    try:
        return canonical_json(int(value))
    except OverflowError as error:
        raise ValueError(f"celltype 'int': {error}") from None


def write_float(value: Any) -> bytes:
    """Return `float(value)` as JSON. Raises ValueError, TypeError as float() does, and ValueError for NaN."""
    return canonical_json(_float(value))


def write_bool(value: Any) -> bytes:
    """Return `bool(value)` as JSON."""
    return b"true\n" if value else b"false\n"


def write_checksum(value: Any) -> bytes:
    """Return a checksum, or lists and dicts of checksums, as JSON. Raises ValueError, TypeError."""
    try:
        validate_checksum(value)
    except RecursionError:
        raise TypeError("lists and dicts of checksums nested too deeply, or containing themselves") from None
    return canonical_json(value)


WRITERS: dict[str, Callable[[Any], bytes]] = {
    **{celltype: text_writer(celltype) for celltype in ("text", "python", "ipython", "yaml")},
    "bytes": write_bytes,
    "str": write_str,
    "int": write_int,
    "float": write_float,
    "bool": write_bool,
    "checksum": write_checksum,
}


# --- reading ---------------------------------------------------------------------------------


def parse_text(data: Any, writable: bool = False) -> str:
    """Return the text without its final newlines. Raises UnicodeDecodeError."""
    return str(data, "utf-8").rstrip("\n")


def parse_python(data: Any, writable: bool = False) -> str:
    """Return the text if it is Python. Raises ValueError with line and column."""
    text = parse_text(data)
    _check_python(text, text, "python")
    return text


def parse_ipython(data: Any, writable: bool = False) -> str:
    """Return the text if it is IPython. Raises ValueError with line and column, MissingDependencyError."""
    text = parse_text(data)
    transform_ipython(text)
    return text


def transform_ipython(text: str) -> str:
    """Return IPython code as the Python code that IPython makes of it. Raises as `parse_ipython`."""
    try:
        from IPython.core.inputtransformer2 import TransformerManager
    except ImportError:
        raise MissingDependencyError("ipython", extra="ipython", purpose="celltype 'ipython'") from None
    try:
        python: str = TransformerManager().transform_cell(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _invalid(text, "ipython", error) from None
    _check_python(python, text, "ipython")
    return python


def _check_python(code: str, text: str, celltype: str) -> None:
    from seamless.util.python_ast import python_tree

    try:
        python_tree(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _invalid(text, celltype, error) from None


def _invalid(text: str, celltype: str, error: BaseException) -> ValueError:
    line, column = getattr(error, "lineno", None), getattr(error, "offset", None)
    place = f"line {line}, column {column}: " if line else ""
    reason = getattr(error, "msg", None) or str(error) or type(error).__name__
    return ValueError(f"not valid {celltype}: {place}{reason}; in: {shorten(text)}")


def parse_yaml(data: Any, writable: bool = False) -> str:
    """Return the text if it is YAML. Raises ValueError with line and column."""
    text = parse_text(data)
    load_yaml(text)
    return text


def load_yaml(text: str) -> Any:
    """Return the value of YAML text. Raises ValueError with line and column."""
    import yaml

    from seamless.util.yaml_safety import CONSTRUCTION_ERRORS, fast_loader, is_too_deep

    try:
        try:
            fast = fast_loader()
            if is_too_deep(text, fast):
                raise RecursionError("nested too deeply")
            return yaml.load(text, Loader=fast)
        except yaml.YAMLError:
            if "\\ud" not in text.lower():
                raise
            return yaml.load(text, Loader=yaml.SafeLoader)  # slower, but takes the escapes of surrogates that JSON has
    except (yaml.YAMLError, RecursionError, *CONSTRUCTION_ERRORS) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        reason = getattr(error, "problem", None) or str(error) or type(error).__name__
        raise ValueError(f"not valid yaml: {place}{reason}; in: {shorten(text)}") from None


def parse_plain(data: Any, writable: bool = False) -> Any:
    """Return the value of JSON by the standard. Raises ValueError."""
    return parse_strict(data)


def parse_str(data: Any, writable: bool = False) -> str:
    """Return the JSON string, or the text of another JSON value. Raises ValueError."""
    value = parse_strict(data)
    return value if isinstance(value, str) else str(value)


def parse_int(data: Any, writable: bool = False) -> int:
    """Return `int()` of the JSON value, exact for integers of any size. Raises ValueError, TypeError."""
    return int(parse_strict(data))


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError(f"celltype 'float': {error}") from None


def parse_float(data: Any, writable: bool = False) -> float:
    """Return `float()` of the JSON value. Raises ValueError, TypeError."""
    return _float(parse_strict(data))


def parse_bool(data: Any, writable: bool = False) -> bool:
    """Return `bool()` of the JSON value. Raises ValueError."""
    return bool(parse_strict(data))


def parse_bytes(data: Any, writable: bool = False) -> bytes:
    """Return the data as bytes, without a copy if they are bytes."""
    return bytes(data)


def parse_checksum(data: Any, writable: bool = False) -> Any:
    """Return a hex string (given as JSON or bare), or lists and dicts of them. Raises ValueError, TypeError."""
    text = parse_text(data)
    if len(text) == 64 and text.isalnum():
        return Checksum(text).hex()
    value = parse_strict(data)
    try:
        validate_checksum(value)
    except RecursionError:
        raise ValueError(f"lists and dicts of checksums nested too deeply; in: {shorten(text)}") from None
    return value


PARSERS: dict[str, Callable[[Any, bool], Any]] = {
    "text": parse_text,
    "python": parse_python,
    "ipython": parse_ipython,
    "yaml": parse_yaml,
    "plain": parse_plain,
    "bytes": parse_bytes,
    "str": parse_str,
    "int": parse_int,
    "float": parse_float,
    "bool": parse_bool,
    "checksum": parse_checksum,
}
