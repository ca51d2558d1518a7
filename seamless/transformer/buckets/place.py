"""Which environment a step is executed in, and by which tokens it is told whether it has changed."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Place:
    """`name` is that of an image, else `prefix`: the directory of the environment. `conda`: the name it was given."""

    kind: Literal["docker", "conda", "python"]
    name: str
    prefix: str | None = None
    conda: str | None = None
    sha256: str | None = None

    @property
    def is_own(self) -> bool:
        """Whether it is that of this process."""
        return self.prefix is not None and os.path.realpath(self.prefix) == os.path.realpath(sys.prefix)

    @property
    def label(self) -> str:
        """The label of its bucket."""
        return f"{self.kind}:{self.name}"


def place_of(environment: Mapping[str, Any] | None) -> Place:
    """Return where a step with this environment, in low-level form, is executed. Raises UnavailableError."""
    given = environment or {}
    if given.get("docker"):
        from seamless.transformer.environments.container import find_image

        image = find_image(given["docker"])
        return Place("docker", image.name, sha256=image.sha256)
    if given.get("conda_environment") or given.get("conda"):
        from seamless.transformer.environments.conda import required_prefix, wanted_name

        name = wanted_name(given) or ""
        prefix = required_prefix(name)
        return Place("conda", prefix, prefix, name)
    return Place("conda" if is_conda(sys.prefix) else "python", sys.prefix, sys.prefix)


def is_conda(prefix: str) -> bool:
    """Tell whether this is the directory of a conda environment."""
    return os.path.isdir(os.path.join(prefix, "conda-meta"))


def tokens_of(place: Place) -> dict[str, Any]:
    """Return what changes when the environment does."""
    if place.kind == "docker":
        return {"docker_name": place.name} | ({"docker_sha256": place.sha256} if place.sha256 else {})
    assert place.prefix is not None
    tokens: dict[str, Any] = {"sys_prefix": place.prefix, "purelib_mtime_ns": mtime_ns(purelib_of(place.prefix))}
    if place.kind == "conda":
        tokens["conda_history_mtime_ns"] = mtime_ns(os.path.join(place.prefix, "conda-meta", "history"))
        tokens["conda_environment"] = place.conda or os.environ.get("CONDA_DEFAULT_ENV")
    return tokens


def purelib_of(prefix: str) -> str:
    """Return the directory of the Python packages of an environment, "" if it has no Python."""
    if os.path.realpath(prefix) == os.path.realpath(sys.prefix):
        import sysconfig

        return sysconfig.get_path("purelib")
    found = sorted(glob.glob(os.path.join(glob.escape(prefix), "lib", "python3*", "site-packages")))
    return found[-1] if found else ""


def mtime_ns(path: str) -> int | None:
    """Return when a file or directory was changed last, None if there is none."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return None
