"""The text that bash executes: variables, the header, the environment's activation, the code of the step.

Only the code belongs to the identity; everything else here may change.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import Any, NoReturn

from seamless.errors import SeamlessStreamTransformationError

SCRIPT_NAME = "transform.sh"

# The trap must neither fail (a job may have ended by itself) nor change the exit status.
_HEADER = """set -u -e
trap 'kill $(jobs -pr) 2>/dev/null || :' EXIT
"""

_KNOWN = frozenset(("which", "conda", "conda_environment", "powers", "docker"))


def script_text(code: str, variables: Mapping[str, str], environment: Mapping[str, Any] | None = None) -> str:
    """Return the whole script. `variables`: words of bash, already quoted, by name. `environment`: low-level form.

    Raises SeamlessStreamTransformationError if the environment asks for something that cannot be had.
    """
    exports = "".join(f"export {name}={variables[name]}\n" for name in sorted(variables))
    return f"#!/bin/bash\n{exports}{_HEADER}{_activation(environment or {})}{code}\n"


def check_environment(environment: Mapping[str, Any] | None) -> None:
    """Refuse an environment that cannot be honoured here, before anything is written.

    Raises SeamlessStreamTransformationError.
    """
    given = {key: value for key, value in (environment or {}).items() if value}
    for key in sorted(given):
        if key not in _KNOWN:
            _refuse(f"the environment asks for {key!r}, which is not known here")
    if "docker" in given:
        docker = given["docker"]
        image = docker.get("name", docker) if isinstance(docker, Mapping) else docker
        _refuse(
            f"the environment asks for the container image {image!r}, and steps cannot be executed in containers here. "
            "Remove the image from the environment, or name a conda environment instead"
        )
    if "powers" in given:
        _refuse(f"the environment asks for powers {given['powers']!r}, and none are offered here")
    if "conda" in given and "conda_environment" not in given:
        _refuse(
            "the environment gives a conda definition but no name: create the conda environment, then give its name "
            "(set_conda_env)"
        )
    if "conda_environment" not in given:
        _check_commands(given.get("which", ()))


def _check_commands(commands: Any) -> None:
    """Refuse if a command of `which` is not on PATH."""
    import shutil

    missing = [command for command in commands if shutil.which(command) is None]
    if missing:
        names = ", ".join(repr(command) for command in missing)
        _refuse(
            f"the environment asks for {'commands' if len(missing) > 1 else 'the command'} {names}, not found on PATH "
            f"({os.environ.get('PATH', '')}). Install it, or correct the list 'which' of the environment"
        )


def _activation(environment: Mapping[str, Any]) -> str:
    """Return the lines that activate the conda environment and check for commands in it."""
    name = environment.get("conda_environment")
    if not name:
        return ""
    profile = os.path.join(_conda_root(), "etc", "profile.d", "conda.sh")
    # Activation scripts of conda packages read variables that may be unset.
    lines = ["set +u", f"source {shlex.quote(profile)}", f"conda activate {shlex.quote(str(name))}", "set -u"]
    for command in environment.get("which") or ():
        message = f"the command {command!r} is not in the conda environment {str(name)!r}"
        lines.append(f"type -P {shlex.quote(command)} >/dev/null || {{ echo {shlex.quote(message)} >&2; exit 127; }}")
    return "\n".join(lines) + "\n"


def _conda_root() -> str:
    """Return the directory of the conda installation. Raises SeamlessStreamTransformationError."""
    root = os.environ.get("CONDA_ROOT")
    if not root:
        root = _ask_conda()
    if root and os.path.isfile(os.path.join(root, "etc", "profile.d", "conda.sh")):
        return root
    found = f"{root} has no etc/profile.d/conda.sh" if root else "'conda info --base' gives none"
    _refuse(
        f"Cannot activate conda environment: could not determine conda root directory ({found}). "
        "Set CONDA_ROOT to the directory of the conda installation"
    )


def _ask_conda() -> str:
    """Return what `conda info --base` prints, '' without conda."""
    import subprocess

    conda = os.environ.get("CONDA_EXE") or "conda"
    try:
        answer = subprocess.run(
            [conda, "info", "--base"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return os.fsdecode(answer.stdout).strip() if answer.returncode == 0 else ""


def _refuse(reason: str) -> NoReturn:
    raise SeamlessStreamTransformationError(reason + ".\n")
