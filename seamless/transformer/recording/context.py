"""What a compiled step was compiled with, and which libraries its module is linked to: the compilation context."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from seamless.celltypes import canonical_json

SCHEMA_VERSION = 1
_SECONDS = 30.0
# Of the report of a build: what tells the result apart, not how long it took.
_FACTS = ("configuration", "target", "commands", "compilers", "module_sha256", "processor", "metavars", "links")
# The C library itself is that of the system, also for what conda has compiled.
_C_LIBRARY = re.compile(r"(ld-linux[\w.-]*|libc|libm|libdl|libpthread|librt|libutil|libresolv|linux-vdso)\.so(\.\d+)*")


def compilation_context(language: str, compilation: Mapping[str, Any]) -> bytes:
    """Return the buffer that says how the code of a step was made; the same for each execution of the same module."""
    facts = {key: compilation[key] for key in _FACTS if key in compilation}
    return canonical_json({"schema_version": SCHEMA_VERSION, "language": language, **facts})


def links_of(path: str) -> dict[str, Any]:
    """Return what a shared object is linked to: `libraries` (name -> path or None), `rpath`, `runpath` (lists)."""
    from seamless.transformer.recording.elf import dynamic_section

    section = dynamic_section(path)
    origin = os.path.dirname(os.path.realpath(path))
    return {
        "libraries": _resolved(path, section.needed),
        "rpath": [entry.replace("$ORIGIN", origin) for entry in section.rpath],
        "runpath": [entry.replace("$ORIGIN", origin) for entry in section.runpath],
    }


def _resolved(path: str, needed: Iterable[str]) -> dict[str, str | None]:
    """Return where the loader finds the libraries; without `ldd`, which asks it, nobody can tell."""
    import time

    from seamless.transformer.bash.process import StartError, run_process

    found: dict[str, str | None] = dict.fromkeys(needed)
    try:
        done = run_process(["ldd", path], cwd="/", deadline=time.monotonic() + _SECONDS)
    except StartError:
        return found
    for line in done.stdout.decode(errors="replace").splitlines():
        match = re.match(r"\s*(\S+) => (/.*?)(?: \(0x[0-9a-f]+\))?$", line)
        if match:
            found[match[1]] = os.path.realpath(match[2])
    return dict(sorted(found.items()))


def link_violations(links: Mapping[str, Any], prefix: str) -> list[str]:
    """Return the violation codes of a module that should be linked inside a conda environment."""
    codes = []
    libraries = links.get("libraries") or {}
    outside = [p for name, p in libraries.items() if p and not _C_LIBRARY.fullmatch(name) and not inside(p, prefix)]
    if outside:
        codes.append("native_link_outside_conda_prefix")
    for name in ("rpath", "runpath"):
        if any(not inside(entry, prefix) for entry in links.get(name) or ()):
            codes.append(f"{name}_outside_conda_prefix")
    return codes


def variable_violations(library_path: Iterable[str], preload: Iterable[str], prefix: str) -> list[str]:
    """Return the violation codes of variables that have libraries loaded from outside a conda environment."""
    codes = []
    if any(not inside(entry, prefix) for entry in library_path):
        codes.append("ld_library_path_outside_conda_prefix")
    if any(not inside(entry, prefix) for entry in preload):
        codes.append("ld_preload_outside_conda_prefix")
    return codes


def inside(path: str, prefix: str) -> bool:
    """Tell whether a path is in a directory, links followed."""
    real, top = os.path.realpath(path), os.path.realpath(prefix)
    return real == top or real.startswith(top.rstrip(os.sep) + os.sep)
