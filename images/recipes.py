"""The definitions and locks of the images, read and judged without building anything. Standard library only."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent

# The extras of pyproject.toml that an image has; the names of the images are those of the conda environments.
EXTRAS = {
    "hashserver": ("services",),
    "seamless-database": ("services",),
    "seamless-jobserver": ("services", "arrays", "progress", "compiled", "shell"),
    "seamless-dask": ("services", "arrays", "progress", "compiled", "shell", "dask", "hpc"),
    "seamless": ("services", "arrays", "progress", "compiled", "shell", "dask", "hpc", "ipython"),
}
BASE = "base"
NAMES = (BASE, *EXTRAS)

_HEADERS = {"debootstrap": {"osversion", "mirrorurl", "include"}, "localimage": {"from"}}
_SHELL = ("post", "environment", "runscript", "startscript", "test")
_NEEDED = ("arguments", "post", "environment", "test", "labels", "help")
_LABELS = ("title", "description", "version", "licenses")
_VARIABLES = {"LC_ALL", "PATH", "PYTHONNOUSERSITE", "PYTHONUNBUFFERED"}
_NETWORK = re.compile(r"https?://|\b(curl|wget|git|apt|apt-get|pip download|conda|ftp|ssh|scp)\s")
_SNAPSHOT = re.compile(r"/\d{8}T\d{6}Z/?$")
_ARGUMENT = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_PIN = re.compile(r"([A-Za-z0-9][\w.-]*)==(\S+?)(?: ;.*)?((?: --hash=sha256:[0-9a-f]{64})+)")


class Section(NamedTuple):
    """A block of a definition: `%name words`, the line of that, and what follows it."""

    name: str
    words: str
    line: int
    text: str


class Recipe(NamedTuple):
    """A definition: the header in lower-case keys, the sections in order, the whole text."""

    path: Path
    header: dict[str, str]
    sections: tuple[Section, ...]
    text: str

    def section(self, name: str) -> str:
        """Return the text of a section, or nothing."""
        return "".join(section.text for section in self.sections if section.name == name)

    @property
    def arguments(self) -> dict[str, str]:
        """The build arguments, with their defaults."""
        pairs = (line.split("=", 1) for line in lines_of(self.section("arguments")) if "=" in line)
        return {name.strip(): value.strip() for name, value in pairs}


def lines_of(text: str) -> list[str]:
    """Return the lines that say something, without their indentation."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def read(path: Path) -> Recipe:
    """Return a definition. Raises ValueError, with the line, if it is none."""
    text = path.read_text(encoding="utf-8")
    header: dict[str, str] = {}
    blocks: list[tuple[str, str, int, list[str]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("%"):
            name, _, words = line[1:].partition(" ")
            blocks.append((name, words.strip(), number, []))
        elif blocks:
            blocks[-1][3].append(line + "\n")
        elif line.strip() and not line.startswith("#"):
            key, colon, value = line.partition(":")
            if not colon or not value.strip():
                raise ValueError(f"{path.name}:{number}: expected 'Key: value', found {line!r}")
            header[key.strip().lower()] = value.strip()
    sections = tuple(Section(name, words, line, "".join(body)) for name, words, line, body in blocks)
    return Recipe(path, header, sections, text)


def complaints(path: Path) -> Iterator[str]:
    """Yield what is wrong with a definition, a line each."""
    try:
        recipe = read(path)
    except ValueError as exc:
        yield str(exc)
        return
    yield from (f"{path.name}: {problem}" for problem in (*_structure(recipe), *_content(recipe), *_scripts(recipe)))


def _structure(recipe: Recipe) -> Iterator[str]:
    bootstrap = recipe.header.get("bootstrap", "")
    allowed = _HEADERS.get(bootstrap)
    if allowed is None:
        yield f"Bootstrap is {bootstrap!r}; expected one of {', '.join(_HEADERS)}"
    else:
        found = set(recipe.header) - {"bootstrap"}
        yield from (f"the header has {key!r}, which {bootstrap} does not know" for key in sorted(found - allowed))
        yield from (f"the header lacks {key!r}" for key in sorted(allowed - found))
    names = [f"%{section.name} {section.words}".strip() for section in recipe.sections]
    yield from (f"{name} is there twice" for name in sorted(set(names)) if names.count(name) > 1)
    needed = _NEEDED if bootstrap == "debootstrap" else (*_NEEDED, "files", "runscript", "startscript")
    yield from (f"there is no %{name}" for name in needed if not lines_of(recipe.section(name)))
    declared, used = set(recipe.arguments), set(_ARGUMENT.findall(recipe.text))
    yield from (f"{{{{ {name} }}}} is not declared in %arguments" for name in sorted(used - declared))
    yield from (f"the argument {name!r} is not used" for name in sorted(declared - used))


def _content(recipe: Recipe) -> Iterator[str]:
    labels = dict(line.partition(" ")[::2] for line in lines_of(recipe.section("labels")))
    wanted = [*(f"org.opencontainers.image.{name}" for name in _LABELS), "seamless.service", "seamless.input-digest"]
    yield from (f"there is no label {name}" for name in wanted if name not in labels)
    if recipe.header.get("bootstrap") == "debootstrap" and not _SNAPSHOT.search(recipe.arguments.get("mirror", "")):
        yield "the default of 'mirror' is not a dated state of an archive (.../YYYYMMDDTHHMMSSZ/)"
    exported = set(re.findall(r"export (\w+)", recipe.section("environment")))
    yield from (f"%environment sets {name}" for name in sorted(exported - _VARIABLES))
    if re.search(r"\blatest\b", recipe.text):
        yield "'latest' pins nothing"
    for line in lines_of(recipe.section("files")):
        source = line.split()[0]
        if not (recipe.path.parent / source).is_file():
            yield f"%files names {source}, which is not there"


def _scripts(recipe: Recipe) -> Iterator[str]:
    for section in recipe.sections:
        if section.name not in _SHELL and section.name != "apprun":
            continue
        for line in lines_of(section.text):
            if _NETWORK.search(line):
                yield f"%{section.name} uses a network: {line}"
        script = _ARGUMENT.sub("argument", section.text)
        done = subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True, timeout=30, check=False)
        if done.returncode != 0:
            yield f"%{section.name} (line {section.line}) is no shell script: {done.stderr.strip()}"


# --- locks --------------------------------------------------------------------------------------


def pins(path: Path) -> dict[str, str]:
    """Return the versions that a lock pins, by normalised name. Raises ValueError for a line that pins nothing."""
    found: dict[str, str] = {}
    text = re.sub(r"\\\n\s*", " ", path.read_text(encoding="utf-8"))
    for line in lines_of(re.sub(r" +", " ", text)):
        match = _PIN.fullmatch(line)
        if match is None:
            raise ValueError(f"{path.name}: expected NAME==VERSION --hash=sha256:..., found {line[:100]!r}")
        name = normalised(match[1])
        if name in found:
            raise ValueError(f"{path.name}: {name} is there twice")
        found[name] = match[2]
    return found


def normalised(name: str) -> str:
    """Return the name of a distribution as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lock_complaints(directory: Path) -> Iterator[str]:
    """Yield what is wrong with the locks: nothing pinned, or not the same in each image."""
    try:
        locks = {name: pins(directory / f"{name}.lock") for name in EXTRAS}
    except (ValueError, OSError) as exc:
        yield str(exc)
        return
    whole = locks["seamless"]
    for name, lock in locks.items():
        for package, version in lock.items():
            if whole.get(package) != version:
                yield f"{name}.lock: {package} is {version}, in seamless.lock {whole.get(package)}"


def check(directory: Path = HERE) -> list[str]:
    """Return what is wrong with the definitions and locks, a line each. Builds nothing, asks nobody."""
    problems = [problem for name in NAMES for problem in complaints(directory / f"{name}.def")]
    return [*problems, *lock_complaints(directory)]
