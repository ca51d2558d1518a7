"""Which files a source reads, by its own words, and which ones the options of its commands name.

For compilers that do not tell: those of Fortran, Rust and Go, and the linker. Only files that exist are found, by
absolute paths or below directories that options name: those of the system are not looked at.
"""

from __future__ import annotations

import glob
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence

from seamless.transformer.compiled.definition import ModuleDefinition, Source

# include 'x', #include "x", include!("x"), include_str!("x"), #[path = "x"]
_INCLUDE = re.compile(r"""(?i:\binclude\w*!?|\bpath\s*=)\s*[(\[{]?\s*(["'])([^"'\n]+)\1""")
_RUST_MODULE = re.compile(r"^\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;", re.MULTILINE)
_FORTRAN_USE = re.compile(r"^\s*use\b\s*(?:,\s*(?:non_)?intrinsic\s*)?(?:::)?\s*(\w+)", re.MULTILINE | re.IGNORECASE)
_FORTRAN_SUBMODULE = re.compile(r"^\s*submodule\s*\(\s*(\w+)\s*(?::\s*(\w+)\s*)?\)", re.MULTILINE | re.IGNORECASE)
_CGO = re.compile(r"^\s*(?://)?\s*#cgo\b[^:\n]*:(.*)$", re.MULTILINE)
_LARGEST = 4 << 20  # bytes of a text that is read for the files that it includes


def files_of_definition(definition: ModuleDefinition) -> set[str]:
    """Return the files that the sources and the options of a module name."""
    found: set[str] = set()
    for source in definition.sources:
        found |= files_of_source(source)
    words = [word for source in definition.sources for word in source.compilation.effective_options()]
    return found | files_of_options([*words, *definition.link_options])


def files_of_source(source: Source) -> set[str]:
    """Return the files that one source includes, and those that these include."""
    words = source.compilation.effective_options()
    for line in _CGO.findall(source.code):
        words += _split(line)
    found = files_of_options(words)
    directories = directories_of(words, "-I", "-J", "-isystem")
    left = [(source.code, "")]
    while left:
        text, place = left.pop()
        for path in _named(text, [place, *directories] if place else directories):
            real = os.path.realpath(path)
            if real not in found and os.path.isfile(real):
                found.add(real)
                left.append((_text(real), os.path.dirname(real)))
    return found


def files_of_options(words: Sequence[str]) -> set[str]:
    """Return the files that options name: by their paths, or as libraries (`-lX`) below a directory (`-L`)."""
    found = {part for word in words for part in (word, *re.split("[=,]", word)) if os.path.isabs(part)}
    directories = directories_of(words, "-L")
    for name in (word[2:] for word in words if word.startswith("-l")):
        found |= {os.path.join(d, f"lib{name}.{kind}") for d in directories for kind in ("so", "a", "rlib")}
    for directory in directories:
        found |= set(glob.glob(os.path.join(glob.escape(directory), "*.rlib")))
    return {os.path.realpath(path) for path in found if os.path.isfile(path)}


def directories_of(words: Sequence[str], *flags: str) -> list[str]:
    """Return the absolute directories that follow any of the flags, in one word or as the next one."""
    found = []
    for i, word in enumerate(words):
        for flag in flags:
            if word.startswith(flag):
                rest = word.removeprefix(flag) or (words[i + 1] if i + 1 < len(words) else "")
                found.append(rest.rpartition("=")[2])  # rustc: -L native=DIRECTORY
    return [path for path in found if os.path.isabs(path)]


def _named(text: str, directories: Sequence[str]) -> Iterator[str]:
    """Yield the paths that a text may mean, whether or not they are there."""
    names = [name for _, name in _INCLUDE.findall(text)]
    names += [f"{name.lower()}.mod" for name in _FORTRAN_USE.findall(text)]
    for ancestor, parent in _FORTRAN_SUBMODULE.findall(text):
        names.append(f"{ancestor.lower()}{f'@{parent.lower()}' if parent else ''}.smod")
    for name in _RUST_MODULE.findall(text):
        names += [f"{name}.rs", f"{name}/mod.rs"]
    for name in names:
        yield from (os.path.join(directory, name) for directory in directories)
        if os.path.isabs(name):
            yield name


def _text(path: str) -> str:
    """Return the text of a file that may itself include others; nothing for a large one."""
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read(_LARGEST)
    except OSError:
        return ""


def _split(line: str) -> Iterable[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()
