"""Conda environments for steps: found by name, prefix or definition, and entered without conda itself."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from seamless.transformer.environments.errors import refuse

PROFILE = os.path.join("etc", "profile.d", "conda.sh")

# Entered as `conda activate` does: variables, then the scripts of the packages, which may read unset variables.
ENTER = (
    'set +u; export CONDA_PREFIX="$1" CONDA_DEFAULT_ENV="$2" PATH="$1/bin:$PATH"; '
    'for f in "$1"/etc/conda/activate.d/*.sh; do if [ -e "$f" ]; then . "$f"; fi; done; shift 2'
)
_REQUIREMENT = re.compile(r"(?:[\w.-]+::)?([\w.-]+)\s*(.*)")


def wanted_name(environment: Mapping[str, Any]) -> str | None:
    """Return the name or prefix of the conda environment that is asked for; also that which a definition names."""
    name = environment.get("conda_environment")
    if name:
        return str(name)
    definition = environment.get("conda")
    if not definition:
        return None
    name = definition.get("name") or definition.get("prefix") if isinstance(definition, Mapping) else None
    if not name:
        refuse(
            "the environment gives a conda definition but no name: create the conda environment, then give its name "
            "(set_conda_env), or write 'name:' in the definition"
        )
    return str(name)


def prefix_of(name: str) -> str | None:
    """Return the directory of an environment known by name or absolute path; None if it cannot be found."""
    if name.startswith("/"):
        return os.path.normpath(name) if os.path.isdir(name) else None
    current = os.environ.get("CONDA_PREFIX", "")
    if current and name in (os.environ.get("CONDA_DEFAULT_ENV"), os.path.basename(current)):
        return current
    from seamless.launcher.conda import cached_setup

    for place in _places():
        if os.path.isdir(found := os.path.join(place, name)):
            return found
    setup = cached_setup()
    found_there = setup.find(name) if setup is not None else None
    if found_there is not None and os.path.isdir(found_there):
        return found_there
    return root_or_none() if name == "base" else None


def _places() -> Iterator[str]:
    """Yield the directories that may hold environments by their names."""
    root = root_or_none()
    if root is not None:
        yield os.path.join(root, "envs")
    for directory in os.environ.get("CONDA_ENVS_PATH", "").split(os.pathsep):
        if directory:
            yield directory
    yield os.path.expanduser("~/.conda/envs")


def root_or_none() -> str | None:
    """Return the directory of the conda installation as far as that can be told without running it."""
    root = os.environ.get("CONDA_ROOT")
    if root:
        return root
    executable = os.environ.get("CONDA_EXE")
    if executable and os.path.isfile(executable):
        return os.path.dirname(os.path.dirname(os.path.realpath(executable)))
    from seamless.launcher.conda import cached_setup

    setup = cached_setup()
    return setup.base if setup is not None else None


def required_prefix(name: str) -> str:
    """Return the directory of an environment; conda itself is asked if need be. Raises UnavailableError."""
    prefix = prefix_of(name)
    if prefix is None and not name.startswith("/"):
        from seamless.launcher.conda import refresh_cache
        from seamless.launcher.errors import LauncherError

        try:
            prefix = refresh_cache().find(name)
        except LauncherError as exc:
            refuse(f"the step needs the conda environment '{name}', and conda cannot be asked for it: {exc}")
    if prefix is None:
        refuse(
            f"the step needs the conda environment '{name}', and there is none of that name on this machine "
            f"({os.uname().nodename}). Create it: conda create -n {name}, or conda env create -f its definition"
        )
    return prefix


def installed(prefix: str) -> dict[str, str]:
    """Return the versions of the packages of an environment by name, from what conda has noted there."""
    found: dict[str, str] = {}
    try:
        names = os.listdir(os.path.join(prefix, "conda-meta"))
    except OSError:
        return found
    for name in names:
        if not name.endswith(".json"):
            continue
        try:
            with open(os.path.join(prefix, "conda-meta", name), encoding="utf-8") as f:
                package = json.load(f)
            found[str(package["name"])] = str(package["version"])
        except (OSError, ValueError, RecursionError, KeyError, TypeError):
            continue  # not a package
    return dict(sorted(found.items()))


def check_definition(definition: Mapping[str, Any], prefix: str, name: str) -> None:
    """Raise UnavailableError unless the environment has what the definition lists. What `pip:` lists is not checked."""
    from seamless.transformer.environments.versions import satisfies

    present = installed(prefix)
    problems = []
    for item in definition.get("dependencies") or ():
        match = _REQUIREMENT.fullmatch(item.strip()) if isinstance(item, str) else None
        if match is None:
            continue
        package, wanted = match[1].lower(), match[2].strip()
        if package not in present:
            problems.append(f"{package} is not installed")
        elif not satisfies(present[package], wanted):
            problems.append(f"{package} is {present[package]}, not {wanted}")
    if problems:
        refuse(
            f"the conda environment '{name}' ({prefix}) is not as its definition says: {'; '.join(problems)}. "
            f"Update it: conda env update -n {name} -f its definition"
        )


def inside(prefix: str, name: str, argv: list[str]) -> list[str]:
    """Return the argument list that runs `argv` in an environment."""
    return ["/bin/bash", "-c", f'{ENTER}; exec "$@"', "bash", prefix, name, *argv]
