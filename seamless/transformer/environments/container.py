"""Container images for steps: which image, and the argument list that runs a command in it by Apptainer.

The environment inside is clean, the image read-only, and nothing of this machine but the workspace is there; with
`network: false` there is no network either.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seamless.transformer.environments.errors import refuse

_KEYS = frozenset({"name", "sha256", "network", "binds", "runtime"})
_SCHEMES = re.compile(r"(docker|oras|library|shub|https?)://.+")


@dataclass(frozen=True)
class Image:
    """An image that can be run: `path` is a file, a directory, or a reference that the runtime fetches."""

    name: str
    path: str
    runtime: str
    sha256: str | None = None
    network: bool = True
    binds: tuple[str, ...] = ()


def find_image(docker: Any) -> Image:
    """Return the image that an environment asks for: a name, or a mapping with `name`.

    Also `sha256` (of the file: it must be that), `network` (false: none), `binds` (SOURCE[:DESTINATION[:ro]]) and
    `runtime`. Raises UnavailableError.
    """
    given: Mapping[str, Any] = docker if isinstance(docker, Mapping) else {"name": docker}
    unknown = sorted(set(given) - _KEYS)
    name = str(given.get("name") or "")
    if unknown:
        refuse(f"the container image '{name}' is given with {', '.join(map(repr, unknown))}, which is not known here")
    path = os.path.abspath(os.path.expanduser(name.removeprefix("file://")))
    if _SCHEMES.fullmatch(name):
        path = name
        if given.get("sha256"):
            refuse(f"'sha256' is that of a file, and the container image '{name}' is none: write NAME@sha256:DIGEST")
    elif not os.path.exists(path):
        refuse(
            f"the step needs the container image '{name}', and there is no such file on this machine "
            f"({os.uname().nodename}). Give the path of an image (.sif) that is there, or 'docker://{name}' to have it "
            "fetched"
        )
    return Image(
        name,
        path,
        _runtime(str(given.get("runtime") or "auto"), name),
        _digest(path, name, given.get("sha256")),
        given.get("network", True) is not False,
        tuple(map(str, given.get("binds") or ())),
    )


def _runtime(wanted: str, name: str) -> str:
    from seamless.launcher.errors import LauncherError
    from seamless.launcher.images import find_runtime

    try:
        return find_runtime(wanted)
    except LauncherError as exc:
        refuse(f"the step needs the container image '{name}': {exc}")


def _digest(path: str, name: str, wanted: Any) -> str | None:
    """Return the SHA-256 of an image file, remembered until the file changes. Raises UnavailableError."""
    if not os.path.isfile(path):
        return None
    from seamless.launcher.errors import LauncherError
    from seamless.launcher.images import digest_of, verify

    try:
        verify(path, wanted)
        return digest_of(path)
    except LauncherError as exc:
        refuse(f"the step needs the container image '{name}': {exc}")


def inside(image: Image, argv: Sequence[str], directory: str, *, binds: Sequence[str] = ()) -> list[str]:
    """Return the argument list that runs `argv` in `directory`, which is the only one that can be written to."""
    words = [image.runtime, "--quiet", "exec", "--cleanenv", "--contain", "--no-home", "--pwd", directory]
    words += ["--bind", f"{directory}:{directory}"]
    for bind in (*binds, *image.binds):
        words += ["--bind", bind]
    if not image.network:
        words += ["--net", "--network", "none"]
    return [*words, image.path, *argv]
