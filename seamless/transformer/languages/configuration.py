"""CompilationConfig: how the sources of one language are compiled. Never part of an identity."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

MODES = ("object", "archive", "package")
TARGETS = ("profile", "release", "debug", "fast")


@dataclass
class CompilationConfig:
    """The compiler of a language and its options. ValueError for an unknown mode or target.

    `target` chooses the options: `profile` (default) and `release` are `options` and those of that name, `debug` is
    `debug_options` alone, `fast` is `options` and `fast_options`: faster on this machine, perhaps other digits.
    """

    compiler: str
    mode: str
    options: list[str] = field(default_factory=list)
    debug_options: list[str] = field(default_factory=list)
    profile_options: list[str] = field(default_factory=list)
    release_options: list[str] = field(default_factory=list)
    compile_flag: str = ""
    output_flag: str = "-o"
    language_flag: str = ""
    include_flag: str = "-I"
    extension: str = ""
    target: str = "profile"
    link_options: list[str] = field(default_factory=list)
    fast_options: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.check()

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _FIELD_NAMES:
            raise AttributeError(f"a compilation has no '{name}' (there are: {', '.join(_FIELD_NAMES)})")
        object.__setattr__(self, name, value)

    def check(self) -> None:
        """Raise ValueError for an unknown mode or target, TypeError for options that are no list of words."""
        if self.mode not in MODES:
            raise ValueError(f"Unsupported compile mode: {self.mode!r} (expected {', '.join(MODES)})")
        if self.target not in TARGETS:
            raise ValueError(f"Unsupported compile target: {self.target!r} (expected {', '.join(TARGETS)})")
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name.endswith("options"):
                if not isinstance(value, (list, tuple)) or not all(isinstance(word, str) for word in value):
                    raise TypeError(f"compilation.{item.name} is a list of words, not {value!r}")
            elif not isinstance(value, str):
                raise TypeError(f"compilation.{item.name} is text, not {value!r}")

    def effective_options(self) -> list[str]:
        """Return the options of the chosen target."""
        if self.target == "debug":
            return list(self.debug_options)
        more = {"profile": self.profile_options, "release": self.release_options, "fast": self.fast_options}
        return [*self.options, *more[self.target]]

    def stored(self) -> dict[str, Any]:
        """Return the plain form, as it is stored and as an execution elsewhere reads it. Raises as `check`."""
        self.check()
        found: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            found[item.name] = list(value) if isinstance(value, (list, tuple)) else value
        if self.target == "profile":
            del found["target"]
        if self.target != "fast":
            del found["fast_options"]
        if not self.link_options:
            del found["link_options"]
        return found

    def copy(self) -> CompilationConfig:
        """Return an independent copy."""
        return copy.deepcopy(self)


_FIELD_NAMES = tuple(item.name for item in fields(CompilationConfig))


def compilation_from(definition: Mapping[str, Any]) -> CompilationConfig:
    """Return the configuration that a plain mapping describes. Raises TypeError for an unknown key, ValueError."""
    values: dict[str, Any] = {k: list(v) if isinstance(v, (list, tuple)) else v for k, v in definition.items()}
    return CompilationConfig(**values)
