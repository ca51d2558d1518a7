"""A pytest plugin: what the tests import of the reference's implementation and is not here, as empty modules and names.

A few are not empty, see `reference_commands` and the package `seamless_dask` beside this file.

So the tests of a file that need nothing of it can run. A test that does use such a name fails with NotPublic.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from reference_commands import STAND_INS

from seamless.util.aliases import Alias

PACKAGES = (
    "compression_utils", "database", "database_models", "jobserver",
    "seamless_config", "seamless_dask", "seamless_remote", "seamless_transformer", "ssh_guard",
)  # fmt: skip


class NotPublic(Exception):
    """The test uses a name that is part of the reference's implementation."""


class Unknown:
    """A name of the reference's implementation: it can be imported, and used for nothing."""

    def __init__(self, name: str):
        object.__setattr__(self, "name", name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotPublic(f"{self.name}.{name} is part of the reference's implementation")

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise NotPublic(f"{self.name} is part of the reference's implementation")

    def __setattr__(self, name: str, value: Any) -> None:
        raise NotPublic(f"{self.name}.{name} is part of the reference's implementation")


class StandIn(ModuleType):
    """A module of the reference's implementation."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if f"{self.__name__}.{name}" in STAND_INS:
            return import_module(f"{self.__name__}.{name}")
        return Unknown(f"{self.__name__}.{name}")


class Finder:
    """Finds what no other finder has found, as packages without content."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if name.partition(".")[0] in PACKAGES else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Fill in what our commands can play."""
        if module.__name__ in STAND_INS:
            vars(module).update(STAND_INS[module.__name__]())


def any_name(module: Alias, name: str) -> Any:
    """Return what an alias module has, or a stand-in."""
    try:
        return found_name(module, name)
    except AttributeError:
        if name.startswith("__"):
            raise
        return Unknown(f"{module.__name__}.{name}")


found_name = Alias.__getattr__
Alias.__getattr__ = any_name  # type: ignore[method-assign]
sys.meta_path.append(Finder())
