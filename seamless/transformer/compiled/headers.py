"""Files outside its sources that a module was built from, such as a header with an absolute path or below an `-I`.

What they are is known only after a build. They are then listed beside the modules; their content is part of the key.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from hashlib import sha256

# C compilers write a make rule with all files but those of the system to the file that this variable names.
VARIABLE = "DEPENDENCIES_OUTPUT"
SUFFIX = ".d"
LIST = "headers.json"
_WORD = re.compile(r"(?:\\[ #\\]|\$\$|[^\s\\])+")


def files_of_rules(directory: str) -> set[str]:
    """Return the files outside a build directory that the rules in it name."""
    found: set[str] = set()
    for name in os.listdir(directory):
        if name.endswith(SUFFIX):
            with open(os.path.join(directory, name), encoding="utf-8", errors="surrogateescape") as f:
                found.update(_prerequisites(f.read()))
    inside = os.path.join(os.path.realpath(directory), "")
    resolved = {os.path.realpath(os.path.join(directory, path)) for path in found}
    return {path for path in resolved if not path.startswith(inside)}


def _prerequisites(rules: str) -> Iterable[str]:
    """Yield the words after the colon of each rule."""
    for rule in rules.replace("\\\n", " ").splitlines():
        for word in _WORD.findall(rule.partition(": ")[2]):
            yield re.sub(r"\\([ #\\])", r"\1", word).replace("$$", "$")


def extended(digest: str, place: str) -> str:
    """Return the key of a module with the content of the files that its last build has read, if there were any."""
    try:
        with open(os.path.join(place, LIST), encoding="utf-8") as f:
            paths = json.load(f)
    except (OSError, ValueError, RecursionError):
        return digest
    return with_files(digest, paths)


def with_files(digest: str, paths: Iterable[str]) -> str:
    """Return the key of a module that was built from these files, as they are now."""
    contents = {path: _checksum(path) for path in paths}
    if not contents:
        return digest
    return sha256(json.dumps([digest, contents], sort_keys=True).encode()).hexdigest()


def _checksum(path: str) -> str | None:
    try:
        with open(path, "rb") as f:
            return sha256(f.read()).hexdigest()
    except OSError:
        return None


def write_list(place: str, paths: Iterable[str]) -> None:
    """List the files of a module. Raises OSError."""
    from seamless.util.files import write_atomically

    os.makedirs(place, mode=0o700, exist_ok=True)
    write_atomically(os.path.join(place, LIST), json.dumps(sorted(paths)).encode())
