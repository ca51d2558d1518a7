"""The commands that a step requires (`which`): whether they are there, and in the required version."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from seamless.transformer.environments.errors import refuse
from seamless.transformer.environments.versions import satisfies

if TYPE_CHECKING:
    from seamless.transformer.environments.container import Image

_ITEM = re.compile(r"\s*([^\s=<>!~]+)\s*([=<>!~].*)?")
_VERSION = re.compile(r"\d+(?:\.\d+)+[\w.+-]*|\b\d+\b")
_SECONDS = 30.0
# Of each argument: its path, and what it says about its version; each ends with a NUL byte.
_ASK = r'for n; do p=$(command -v "$n") || p=; printf "%s\0" "$p"; [ -z "$p" ] || "$n" --version 2>&1 </dev/null; '
_ASK += r'printf "\0"; done'


class Required(NamedTuple):
    """A command, and what its version must be ("" for any)."""

    name: str
    version: str


def parse(item: str) -> Required:
    """Return what an item of `which` asks for.

    >>> parse("samtools>=1.17"), parse("sort")
    (Required(name='samtools', version='>=1.17'), Required(name='sort', version=''))
    """
    match = _ITEM.fullmatch(item)
    return Required(item.strip(), "") if match is None else Required(match[1], (match[2] or "").strip())


def found(items: Iterable[str], path: str | None = None) -> dict[str, dict[str, str | None]]:
    """Return path and version of each required command, by its name. `path`: instead of $PATH.

    The version is asked for only where one is required. Raises UnavailableError that names all that is wrong.
    """
    looked = os.environ.get("PATH", os.defpath) if path is None else path

    def ask(required: Required) -> tuple[str | None, str | None]:
        place = shutil.which(required.name, path=looked)
        return place, version_of(place) if place is not None and required.version else None

    return _checked({required: ask(required) for required in map(parse, items)}, f"not found on PATH ({looked})")


def found_in(image: Image, items: Iterable[str]) -> dict[str, dict[str, str | None]]:
    """Return the same of the commands inside a container image. Raises UnavailableError."""
    import tempfile

    from seamless.transformer.bash.process import StartError, run_process
    from seamless.transformer.environments.container import inside

    wanted = [parse(item) for item in items]
    with tempfile.TemporaryDirectory(prefix="seamless-which-") as directory:
        argv = inside(image, ["/bin/sh", "-c", _ASK, "sh", *(required.name for required in wanted)], directory)
        try:
            done = run_process(argv, cwd=directory, deadline=time.monotonic() + 10 * _SECONDS)
        except StartError as exc:
            refuse(str(exc))
    if done.exit_status:
        text = done.stderr.decode(errors="replace").strip()
        refuse(f"the container image '{image.name}' cannot be run (status {done.exit_status}): {text}")
    answers = done.stdout.decode(errors="replace").split("\0")
    facts: dict[Required, tuple[str | None, str | None]] = {}
    for required, path, text in zip(wanted, answers[::2], answers[1::2], strict=False):
        facts[required] = path.strip() or None, _version_in(text) if required.version else None
    return _checked(facts, f"which the container image '{image.name}' does not have")


def _checked(
    facts: dict[Required, tuple[str | None, str | None]], missing_where: str
) -> dict[str, dict[str, str | None]]:
    """Return the facts by name. Raises UnavailableError for what is missing, or in another version."""
    missing = [required.name for required, (path, _) in facts.items() if path is None]
    problems = []
    if missing:
        names = ", ".join(repr(name) for name in missing)
        what = "commands" if len(missing) > 1 else "the command"
        problems.append(f"the environment asks for {what} {names}, {missing_where}")
    for required, (path, version) in facts.items():
        if path and required.version and (version is None or not satisfies(version, required.version)):
            problems.append(f"{required.name} is {version or 'of an unknown version'}, not {required.version} ({path})")
    if problems:
        refuse("; ".join(problems) + ". Install it, or correct the list 'which' of the environment")
    return {required.name: {"path": path, "version": version} for required, (path, version) in facts.items()}


def version_of(path: str) -> str | None:
    """Return the first version that a command prints when asked for it, or None."""
    from seamless.transformer.bash.process import StartError, run_process

    try:
        done = run_process([path, "--version"], cwd="/", deadline=time.monotonic() + _SECONDS)
    except StartError:
        return None
    return _version_in((done.stdout + done.stderr).decode(errors="replace"))


def _version_in(text: str) -> str | None:
    match = _VERSION.search(text)
    return match[0] if match else None
