"""Attribute- and item-style views of a transformer's celltypes, arguments, modules and globals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from seamless.transformer.pins import RESULT_FORBIDDEN, normalize_celltype


class _Mapping:
    """A dict whose keys are attributes too. `_changed` is called after each change."""

    def __init__(self, items: dict[str, Any], fixed: bool, changed: Callable[[], None]) -> None:
        object.__setattr__(self, "_items", items)
        object.__setattr__(self, "_fixed", fixed)
        object.__setattr__(self, "_changed", changed)

    _items: dict[str, Any]
    _fixed: bool
    _changed: Callable[[], None]

    def __getitem__(self, name: str) -> Any:
        return self._items[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._items[name] = value
        self._changed()

    def __delitem__(self, name: str) -> None:
        del self._items[name]
        self._changed()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._items))

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __dir__(self) -> list[str]:
        return sorted(self._items)

    def __repr__(self) -> str:
        return repr(self._items)

    def keys(self) -> list[str]:
        """Return the names."""
        return list(self._items)

    def items(self) -> list[tuple[str, Any]]:
        """Return the (name, value) pairs."""
        return list(self._items.items())


class CelltypesWrapper(_Mapping):
    """Celltype of each pin, and of `result`. For a function the pins are its parameters."""

    def __setitem__(self, name: str, value: Any) -> None:
        if self._fixed and name not in self._items:
            raise AttributeError(name)
        celltype = normalize_celltype(value)
        if name == "result" and celltype in RESULT_FORBIDDEN:
            raise TypeError(f"result celltype cannot be '{celltype}'")
        self._items[name] = celltype
        if not self._fixed:
            self._items.setdefault("result", "mixed")
        self._changed()

    def __delitem__(self, name: str) -> None:
        if self._fixed:
            raise AttributeError(f"the pins of a function are its parameters: cannot delete '{name}'")
        super().__delitem__(name)


class ArgsWrapper(_Mapping):
    """Arguments bound in advance. Reading one that is not set gives None."""

    def __init__(
        self, items: dict[str, Any], celltypes: dict[str, str], fixed: bool, changed: Callable[[], None]
    ) -> None:
        super().__init__(items, fixed, changed)
        object.__setattr__(self, "_celltypes", celltypes)

    _celltypes: dict[str, str]

    def _check(self, name: str) -> None:
        if name == "result" or (self._fixed and name not in self._celltypes):
            raise AttributeError(name)

    def __getitem__(self, name: str) -> Any:
        self._check(name)
        return self._items.get(name)

    def __setitem__(self, name: str, value: Any) -> None:
        self._check(name)
        self._items[name] = value
        if not self._fixed:
            self._celltypes.setdefault(name, "mixed")
            self._celltypes.setdefault("result", "mixed")
        self._changed()

    def __delitem__(self, name: str) -> None:
        self._check(name)
        if self._fixed:
            raise AttributeError(f"the arguments of a function are its parameters: cannot delete '{name}'")
        super().__delitem__(name)


class ModulesWrapper(_Mapping):
    """Modules that travel with the code: name to module object or module definition."""

    def __setitem__(self, name: str, value: Any) -> None:
        from seamless.transformer.modules import module_definition

        self._items[name] = module_definition(value)
        self._changed()


class GlobalsWrapper(_Mapping):
    """Values that the code finds as global names."""

    def __setitem__(self, name: str, value: Any) -> None:
        if not name.isidentifier():
            raise AttributeError(f"a global needs a Python name, not {name!r}")
        self._items[name] = value
        self._changed()
