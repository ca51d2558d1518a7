"""The table of compiled languages: those built in, one file each in `native`, and those defined at run time."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seamless.transformer.languages.configuration import CompilationConfig, compilation_from


@dataclass(frozen=True)
class LanguageDefinition:
    """A compiled language. `export` tells how its code makes `transform` callable from C."""

    name: str
    compilation: CompilationConfig
    export: str = ""


_languages: dict[str, LanguageDefinition] = {}
_lock = threading.Lock()


def define_compiled_language(name: str, compilation: Mapping[str, Any]) -> LanguageDefinition:
    """Define a compiled language, or define it anew, in this process; executions elsewhere get it with the step.

    Raises TypeError for an unknown key, ValueError for an unknown mode or for a language that is not compiled.
    """
    if not isinstance(name, str) or not name:
        raise TypeError(f"the name of a language is text, not {name!r}")
    if name in ("python", "bash"):
        raise ValueError(f"'{name}' is not a compiled language")
    definition = LanguageDefinition(name, compilation_from(compilation))
    with _lock:
        _languages[name] = definition
    return definition


def get_language(name: str) -> LanguageDefinition:
    """Return the definition of a compiled language. Raises KeyError."""
    definition = _languages.get(name)
    if definition is not None:
        return definition
    if not is_native(name):
        raise KeyError(f"Unknown compiled language: {name!r}")
    definition = native_language(name)
    with _lock:
        return _languages.setdefault(name, definition)


@functools.lru_cache(maxsize=64)
def is_native(name: str) -> bool:
    """Tell whether a language is built in, and so known in every process: it has a file in `native`."""
    if not name.isidentifier() or name.startswith("_"):
        return False
    return os.path.isfile(os.path.join(os.path.dirname(__file__), "native", f"{name}.py"))


def native_language(name: str) -> LanguageDefinition:
    """Return a language as it is built in, also if it has been defined anew. `name` must be one that is."""
    import importlib

    module = importlib.import_module(f"seamless.transformer.languages.native.{name}")
    return LanguageDefinition(name, compilation_from(module.COMPILATION), module.EXPORT)


def is_compiled_language(name: object) -> bool:
    """Tell whether a language of this name is compiled, and known in this process."""
    return isinstance(name, str) and (name in _languages or is_native(name))
