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
        if not name.startswith("__"):
            if name in self.alias_renamed:
                module, _, original = self.alias_renamed[name].partition(":")
                return getattr(import_module(module), original)
            for source in self.alias_sources:
                module_ = import_module(source)
                if hasattr(module_, name):
                    return getattr(module_, name)
        places = ", ".join(self.alias_sources) or "nowhere"
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} (it takes its names from {places})")

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
