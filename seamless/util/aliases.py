"""Import paths of the reference that lead to our modules: one mechanism for all of them.

A package calls `install` once; its submodules are not files. Names are looked up in the modules that they come from,
when they are used, so that nothing is imported before.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Alias(ModuleType):
    """A module whose names are those of other modules, the first one that has a name."""

    alias_sources: tuple[str, ...] = ()
    alias_renamed: Mapping[str, str] = {}  # name -> MODULE:NAME

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return [found for found in self.__dir__() if not found.startswith("_")]
        place = self._place_of(name)
        if place is not None:
            return getattr(*place)
        places = ", ".join(self.alias_sources) or "nowhere"
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} (it takes its names from {places})")

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a name where it comes from, so that what is set has its effect; a submodule is set here."""
        place = None if isinstance(value, ModuleType) else self._place_of(name)
        if place is None:
            super().__setattr__(name, value)
        else:
            self.__dict__.setdefault("alias_originals", {}).setdefault(name, getattr(*place))
            setattr(*place, value)

    def __delattr__(self, name: str) -> None:
        """Take back what was set: tools that replace a name for a while end with this, as the name is not here."""
        originals = self.__dict__.get("alias_originals", {})
        place = self._place_of(name) if name in originals else None
        if place is None:
            super().__delattr__(name)
        else:
            setattr(*place, originals.pop(name))

    def _place_of(self, name: str) -> tuple[ModuleType, str] | None:
        """Return the module that a name comes from, and its name there; None if there is none."""
        if name.startswith("__"):
            return None
        if name in self.alias_renamed:
            module, _, original = self.alias_renamed[name].partition(":")
            return import_module(module), original
        for source in self.alias_sources:
            found = import_module(source)
            if hasattr(found, name):
                return found, name
        return None

    def __dir__(self) -> list[str]:
        names = set(self.alias_renamed)
        for source in self.alias_sources:
            module = import_module(source)
            names.update(getattr(module, "__all__", None) or [n for n in dir(module) if not n.startswith("_")])
        return sorted(names)


def install(
    package: str, modules: Mapping[str, tuple[str, ...]], renamed: Mapping[str, Mapping[str, str]] | None = None
) -> None:
    """Make `package`, which is being imported, and submodules of it aliases.

    `modules`: for each submodule ("" is the package) where its names come from; `renamed`: for each, the names that
    are others there, as MODULE:NAME.
    """
    for name, sources in modules.items():
        path = f"{package}.{name}" if name else package
        module = sys.modules.get(path)
        if module is None:
            module = Alias(path, f"The reference's import path for {', '.join(sources)}.")
            module.__spec__ = ModuleSpec(path, None, origin="alias")
            sys.modules[path] = module
            setattr(sys.modules[package], name, module)
        module.__class__ = Alias
        module.__dict__["alias_sources"] = sources
        module.__dict__["alias_renamed"] = (renamed or {}).get(name, {})
