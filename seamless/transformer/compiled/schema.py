"""The schema of a compiled step: its inputs and outputs, their dtypes and shapes. Every mistake is a TypeError.

Knows neither numpy nor a compiler. The message of a mistake in a text begins with the file and the line.
"""

from __future__ import annotations

import keyword
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seamless.transformer.compiled.schema_text import line_of

# name -> C type
SCALARS = {
    **{f"{sign}int{bits}": f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "float32": "float",
    "float64": "double",
    "bool": "bool",
    "char": "char",
    "complex64": "_Complex float",
    "complex128": "_Complex double",
}
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
C_KEYWORDS = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if inline int long register "
    "restrict return short signed sizeof static struct switch typedef union unsigned void volatile while bool true "
    "false _Alignas _Alignof _Atomic _Bool _Complex _Generic _Imaginary _Noreturn _Static_assert _Thread_local".split()
) | {f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)}


@dataclass(frozen=True)
class ScalarDType:
    """One of the scalar dtypes."""

    name: str

    @property
    def c_type(self) -> str:
        """Its name in C."""
        return SCALARS[self.name]


@dataclass(frozen=True)
class StructField:
    """A member of a struct; `shape` has positive integers only."""

    name: str
    dtype: ScalarDType | StructDType
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class StructDType:
    """A struct, aligned as C aligns it."""

    fields: tuple[StructField, ...]


@dataclass(frozen=True)
class Parameter:
    """An input or output; a scalar has no shape. In a shape, names (wildcards) come before integers."""

    name: str
    dtype: ScalarDType | StructDType
    shape: tuple[int | str, ...] | None = None

    @property
    def dims(self) -> tuple[int | str, ...]:
        """The shape, empty for a scalar."""
        return self.shape or ()

    @property
    def element_shape(self) -> tuple[int, ...]:
        """The integers at the end of the shape."""
        return tuple(n for n in self.dims if isinstance(n, int))

    @property
    def wildcard_dims(self) -> tuple[str, ...]:
        """The names at the beginning of the shape."""
        return tuple(n for n in self.dims if isinstance(n, str))


@dataclass(frozen=True)
class Signature:
    """The inputs and outputs of `transform`."""

    inputs: tuple[Parameter, ...] = ()
    outputs: tuple[Parameter, ...] = ()
    input_wildcards: tuple[str, ...] = field(init=False)  # those in the shape of an input
    output_wildcards: tuple[str, ...] = field(init=False)  # those in shapes of outputs only

    def __post_init__(self) -> None:
        inside = dict.fromkeys(name for p in self.inputs for name in p.wildcard_dims)
        outside = dict.fromkeys(name for p in self.outputs for name in p.wildcard_dims if name not in inside)
        object.__setattr__(self, "input_wildcards", tuple(inside))
        object.__setattr__(self, "output_wildcards", tuple(outside))

    @property
    def wildcard_names(self) -> tuple[str, ...]:
        """All wildcards, those of inputs first."""
        return self.input_wildcards + self.output_wildcards

    @classmethod
    def from_dict(cls, document: Any) -> Signature:
        """Return the signature that a mapping with `inputs` and `outputs` describes. Raises TypeError."""
        return parse_document(document, None)


def parse_schema(text: str, name: str | os.PathLike[str] | None = None) -> Signature:
    """Return the signature that a YAML text describes; `name` is that of its file, for messages. Raises TypeError."""
    import yaml

    from seamless.transformer.compiled.schema_text import read_text

    where = os.fspath(name) if name is not None else "schema"
    try:
        document = read_text(text)
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 1
        raise TypeError(f"{where}:{line}: this is not YAML: {exc.problem or exc.context}") from exc
    except (yaml.YAMLError, ValueError) as exc:
        raise TypeError(f"{where}: this is not YAML: {exc}") from exc
    return parse_document(document, where)


def load_signature(path: str | os.PathLike[str]) -> Signature:
    """Return the signature of a YAML file. Raises TypeError, OSError."""
    return parse_schema(Path(path).read_text(encoding="utf-8"), path)


def parse_dtype(definition: Any) -> ScalarDType | StructDType:
    """Return the dtype that a name, or a mapping with `fields`, describes. Raises TypeError."""
    return _Reader(None).dtype(definition, None)


def parse_document(document: Any, where: str | None) -> Signature:
    """Return the signature of a parsed document; `where` names its file in messages."""
    reader = _Reader(where)
    if not isinstance(document, Mapping):
        raise reader.mistake("Signature document must be a mapping with 'inputs' and 'outputs'")
    unknown = [key for key in document if key not in ("inputs", "outputs", "function_name")]
    if unknown:
        line = line_of(document, unknown[0])
        raise reader.mistake(f"Unknown signature keys: {sorted(map(str, unknown))}", line)
    if "function_name" in document:
        import warnings

        warnings.warn(
            "'function_name' in a schema has no effect: the function is always called transform",
            DeprecationWarning,
            stacklevel=3,
        )
    inputs, outputs = (reader.parameters(document, key) for key in ("inputs", "outputs"))
    signature = Signature(tuple(p for p, _ in inputs), tuple(p for p, _ in outputs))

    from seamless.transformer.compiled.names import check_names

    check_names(signature, [line for _, line in [*inputs, *outputs]], reader.mistake)
    return signature


class _Reader:
    """Turns plain data into parameters; knows the name of the file for its messages."""

    def __init__(self, where: str | None):
        self.where = where

    def mistake(self, text: str, line: int | None = None) -> TypeError:
        """Return the error for a mistake, its place first."""
        if self.where is None:
            return TypeError(text)
        return TypeError(f"{self.where}:{line}: {text}" if line is not None else f"{self.where}: {text}")

    def parameters(self, document: Mapping[str, Any], key: str) -> list[tuple[Parameter, int | None]]:
        """Return the parameters of a list, each with its line."""
        entries = document.get(key, [])
        if not isinstance(entries, (list, tuple)):
            raise self.mistake(f"'{key}' must be a list", line_of(document, key))
        return [(self.parameter(entry, line_of(entries, i)), line_of(entries, i)) for i, entry in enumerate(entries)]

    def parameter(self, entry: Any, line: int | None) -> Parameter:
        """Return one parameter."""
        name = self.named_entry(entry, line, "Parameter")
        if keyword.iskeyword(name):
            raise self.mistake(f"Parameter name is a keyword of Python: '{name}'", line_of(entry, "name"))
        dtype = self.dtype(entry["dtype"], line_of(entry, "dtype") or line)
        shape = self.shape(entry, f"Parameter '{name}'", wildcards=True)
        return Parameter(name, dtype, shape or None)

    def named_entry(self, entry: Any, line: int | None, kind: str) -> str:
        """Check the keys of a parameter or field; return its name."""
        if not isinstance(entry, Mapping):
            raise self.mistake(f"{kind} entry must be a mapping", line)
        if "name" not in entry:
            raise self.mistake(f"{kind} is missing required key 'name'", line)
        name = entry["name"]
        name_line = line_of(entry, "name") or line
        if not isinstance(name, str) or not _IDENTIFIER.match(name):
            hint = " (YAML takes yes, no, on and off for booleans: quote it)" if isinstance(name, bool) else ""
            raise self.mistake(f"{kind} name must be a valid C identifier: {name!r}{hint}", name_line)
        if name in C_KEYWORDS:
            raise self.mistake(f"{kind} name is a keyword or type of C: '{name}'", name_line)
        if "dtype" not in entry:
            raise self.mistake(f"{kind} '{name}' is missing required key 'dtype'", line)
        for key in entry:
            if key not in ("name", "dtype", "shape"):
                text = f"{kind} '{name}' has an unexpected keyword {key!r} (expected: name, dtype, shape)"
                raise self.mistake(text, line_of(entry, key))
        return name

    def dtype(self, definition: Any, line: int | None) -> ScalarDType | StructDType:
        """Return a dtype."""
        if isinstance(definition, str):
            if definition not in SCALARS:
                raise self.mistake(f"Unknown scalar dtype: {definition!r} (there are: {', '.join(SCALARS)})", line)
            return ScalarDType(definition)
        if not isinstance(definition, Mapping):
            raise self.mistake("Dtype must be a scalar dtype name or a mapping with 'fields'", line)
        if not isinstance(definition.get("fields", []), (list, tuple)) or "fields" not in definition:
            raise self.mistake("Dtype mapping must contain a 'fields' list", line)
        unknown = [key for key in definition if key != "fields"]
        if unknown:
            line = line_of(definition, unknown[0])
            raise self.mistake(f"Unknown structured dtype keys: {sorted(map(str, unknown))}", line)
        entries = definition["fields"]
        if not entries:
            raise self.mistake("Structured dtype requires a non-empty 'fields' list", line)
        found: list[StructField] = []
        for i, entry in enumerate(entries):
            entry_line = line_of(entries, i) or line
            name = self.named_entry(entry, entry_line, "Struct field")
            if any(other.name == name for other in found):
                raise self.mistake(f"Struct field '{name}' is there twice", entry_line)
            dtype = self.dtype(entry["dtype"], line_of(entry, "dtype") or entry_line)
            shape = self.shape(entry, f"Struct field '{name}'", wildcards=False)
            found.append(StructField(name, dtype, tuple(n for n in shape if isinstance(n, int))))
        return StructDType(tuple(found))

    def shape(self, entry: Mapping[str, Any], what: str, *, wildcards: bool) -> tuple[int | str, ...]:
        """Return the shape of a parameter or field; empty if it has none."""
        if "shape" not in entry:
            return ()
        shape, line = entry["shape"], line_of(entry, "shape")
        if not isinstance(shape, Sequence) or isinstance(shape, str):
            raise self.mistake(f"{what} shape must be a list", line)
        if not shape:
            raise self.mistake(f"{what} shape must not be empty (a scalar has none)", line)
        for n in shape:
            if type(n) is int and n > 0:
                continue
            if not wildcards or not isinstance(n, str) or not _IDENTIFIER.match(n):
                names = " or valid wildcard dimension names" if wildcards else ""
                raise self.mistake(f"{what} shape entries must be positive integers{names}, not {n!r}", line)
            if n in C_KEYWORDS:
                raise self.mistake(f"{what} has a keyword or type of C as wildcard dimension: '{n}'", line)
        numbers = [isinstance(n, int) for n in shape]
        if numbers != sorted(numbers):
            raise self.mistake(f"{what} has fixed dimensions before wildcard dimensions", line)
        return tuple(shape)
