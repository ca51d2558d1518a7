"""ModuleDefinition: all that a module is built from, and nothing of where or when. Its text is the key of a build."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seamless.errors import TransformationError
from seamless.transformer.languages.configuration import CompilationConfig


class BuildError(TransformationError):
    """A module cannot be built; the text is complete."""


@dataclass(frozen=True)
class Source:
    """One source that becomes one object. `origin`: the file that the user has written it in, if known."""

    name: str  # main, obj0, obj1, ...
    language: str
    code: str
    compilation: CompilationConfig
    origin: str | None = None

    @property
    def filename(self) -> str:
        """The name of its file in the build directory."""
        return f"{self.name}.{self.compilation.extension or 'code'}"

    @property
    def object_name(self) -> str:
        """The name of what it is compiled to."""
        return f"{self.name}.{'o' if self.compilation.mode == 'object' else 'a'}"

    def command(self, compiler: str) -> list[str]:
        """Return the command line, to be run in the build directory."""
        config = self.compilation
        words = [compiler, *config.language_flag.split(), *config.compile_flag.split(), *config.effective_options()]
        if config.include_flag:
            words += [config.include_flag, "."]
        return [*words, *config.output_flag.split(), self.object_name, self.filename]

    def described(self) -> dict[str, Any]:
        """Return what the object depends on, beside the compiler."""
        return {
            "name": self.name,
            "language": self.language,
            "code": self.code,
            "command": self.command(self.compilation.compiler),
        }


@dataclass(frozen=True)
class ModuleDefinition:
    """The sources of a module, its header, and the C text through which it is called."""

    sources: tuple[Source, ...]
    header: str
    entry: str

    @property
    def link_options(self) -> list[str]:
        """The link options of all sources."""
        return [word for source in self.sources for word in source.compilation.link_options]

    def described(self) -> dict[str, Any]:
        """Return what the module depends on, beside compilers and machine."""
        return {
            "sources": [source.described() for source in self.sources],
            "header": self.header,
            "entry": self.entry,
            "link_options": self.link_options,
        }

    def show(self, text: str) -> str:
        """Return a message of a compiler with the names of the user's files for those of the build directory."""
        import re

        for source in self.sources:
            if source.origin is not None:
                pattern = rf"(?<![\w./-])(?:\./)?{re.escape(source.filename)}(?!\w)"
                text = re.sub(pattern, lambda _, origin=source.origin: origin, text)  # type: ignore[misc]
        return text
