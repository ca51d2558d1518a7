"""What a CompiledTransformer is made of beside its own code: further objects, maxima of wildcards, celltypes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from seamless.transformer.languages import CompilationConfig, get_language


def read_source(value: Any, what: str) -> tuple[str, str | None]:
    """Return (text, file it comes from or None) of text or a Path, which is read now. Raises TypeError, OSError."""
    if isinstance(value, Path):
        return value.read_text(encoding="utf-8"), str(value)
    if isinstance(value, str):
        return value, None
    raise TypeError(f"{what} is text or a pathlib.Path, not {type(value).__name__}")


class CompiledObject:
    """More source, in whatever compiled language, that is linked with the code of a step."""

    def __init__(self, *, language: str) -> None:
        self._language = language
        self._compilation = get_language(language).compilation.copy()
        self._code: str | None = None
        self._origin: str | None = None

    @property
    def language(self) -> str:
        """The language of the source."""
        return self._language

    @property
    def code(self) -> str | None:
        """The source. Assign text or a Path, which is read at once."""
        return self._code

    @code.setter
    def code(self, value: str | Path) -> None:
        self._code, self._origin = read_source(value, "the code of a compiled object")

    @property
    def compilation(self) -> CompilationConfig:
        """How it is compiled; never part of an identity."""
        return self._compilation

    @compilation.setter
    def compilation(self, value: CompilationConfig) -> None:
        self._compilation = check_compilation(value)

    def copy(self) -> CompiledObject:
        """Return an independent copy."""
        new = CompiledObject(language=self._language)
        new._compilation = self._compilation.copy()
        new._code, new._origin = self._code, self._origin
        return new

    def __repr__(self) -> str:
        return f"<CompiledObject ({self._language})>"


def check_compilation(value: Any) -> CompilationConfig:
    """Return the configuration. Raises TypeError for anything else."""
    if not isinstance(value, CompilationConfig):
        raise TypeError(f"a compilation is a CompilationConfig, not {type(value).__name__}")
    return value


class ObjectList:
    """The further objects of a step, in the order in which they were appended: obj0, obj1, ..."""

    def __init__(self, objects: Iterable[CompiledObject] = ()) -> None:
        self._objects = list(objects)

    def append(self, item: CompiledObject) -> None:
        """Add an object. Raises TypeError for anything else."""
        if not isinstance(item, CompiledObject):
            raise TypeError(f"objects has CompiledObject only, not {type(item).__name__}")
        self._objects.append(item)

    def __getitem__(self, index: Any) -> Any:
        return self._objects[index]

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[CompiledObject]:
        return iter(self._objects)

    def __repr__(self) -> str:
        return repr(self._objects)

    def named(self) -> dict[str, CompiledObject]:
        """Return the objects by the names that identity and build give them."""
        return {f"obj{i}": item for i, item in enumerate(self._objects)}


class Metavars:
    """The most that each wildcard of outputs may become: attributes `max<W>`, integers. Never part of an identity."""

    def __init__(self, names: Iterable[str] = (), values: dict[str, int] | None = None) -> None:
        known = values or {}
        object.__setattr__(self, "_values", {name: known.get(name) for name in names})

    _values: dict[str, int | None]

    def __getattr__(self, name: str) -> int | None:
        if name.startswith("_") or name not in self._values:
            raise AttributeError(self._unknown(name))
        return self._values[name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._values:
            raise AttributeError(self._unknown(name))
        number = int(value)
        if not 0 <= number < 2**32:
            raise ValueError(f"metavars.{name} is the size of a dimension, from 0 to {2**32 - 1}, not {number}")
        self._values[name] = number

    def _unknown(self, name: str) -> str:
        return f"the schema has no metavar '{name}' (there are: {', '.join(self._values) or 'none'})"

    def __dir__(self) -> list[str]:
        return ["is_complete", "to_dict", *self._values]

    def __repr__(self) -> str:
        return f"Metavars({self._values})"

    @property
    def is_complete(self) -> bool:
        """Whether each has a value."""
        return None not in self._values.values()

    def missing(self) -> list[str]:
        """Return the names without a value."""
        return [name for name, value in self._values.items() if value is None]

    def to_dict(self) -> dict[str, int]:
        """Return those that have a value."""
        return {name: value for name, value in self._values.items() if value is not None}


class CompiledCelltypes:
    """Celltypes of a compiled step: those of inputs are `mixed`, `result` is `mixed` or `deepcell`."""

    def __init__(self, items: dict[str, str], changed: Callable[[], None]) -> None:
        object.__setattr__(self, "_items", items)
        object.__setattr__(self, "_changed", changed)

    _items: dict[str, str]
    _changed: Callable[[], None]

    def __getitem__(self, name: str) -> str:
        return self._items[name]

    def __getattr__(self, name: str) -> str:
        if name.startswith("_") or name not in self._items:
            raise AttributeError(name)
        return self._items[name]

    def __setitem__(self, name: str, value: str) -> None:
        setattr(self, name, value)

    def __setattr__(self, name: str, value: str) -> None:
        if name != "result":
            raise AttributeError(f"only celltypes.result of a compiled step can be set, not '{name}'")
        if value not in ("mixed", "deepcell"):
            raise TypeError(f"celltypes.result of a compiled step is 'mixed' or 'deepcell', not {value!r}")
        self._items[name] = value
        self._changed()

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._items))

    def __len__(self) -> int:
        return len(self._items)

    def __dir__(self) -> list[str]:
        return sorted(self._items)

    def __repr__(self) -> str:
        return repr(self._items)

    def keys(self) -> list[str]:
        """Return the names."""
        return list(self._items)

    def items(self) -> list[tuple[str, str]]:
        """Return the (name, celltype) pairs."""
        return list(self._items.items())
