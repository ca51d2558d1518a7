"""The text that bash executes: variables, the header, the environment's activation, the code of the step.

Only the code belongs to the identity; everything else here may change.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from seamless.errors import SeamlessStreamTransformationError

if TYPE_CHECKING:
    from seamless.transformer.environments.resolved import Resolved

SCRIPT_NAME = "transform.sh"

# The trap must neither fail (a job may have ended by itself) nor change the exit status.
_HEADER = """set -u -e
trap 'kill $(jobs -pr) 2>/dev/null || :' EXIT
"""


class Surroundings(NamedTuple):
    """The environment of a command, found on this machine. `profile`: the conda.sh that activates; None: no need."""

    resolved: Resolved
    profile: str | None


def script_text(code: str, variables: Mapping[str, str], surroundings: Surroundings | None = None) -> str:
    """Return the whole script. `variables`: words of bash, already quoted, by name."""
    exports = "".join(f"export {name}={variables[name]}\n" for name in sorted(variables))
    return f"#!/bin/bash\n{exports}{_HEADER}{_activation(surroundings)}{code}\n"


def check_environment(environment: Mapping[str, Any] | None) -> Surroundings | None:
    """Return the environment in low-level form as it is found here, before anything is written; None without one.

    Raises SeamlessStreamTransformationError for one that cannot be honoured.
    """
    if not environment:
        return None
    from seamless.transformer.environments.conda import prefix_of, wanted_name
    from seamless.transformer.environments.errors import UnavailableError
    from seamless.transformer.environments.resolved import resolve

    try:
        name = wanted_name(environment)
        profile = None
        if name is not None and not environment.get("docker"):
            profile = _profile(is_known=prefix_of(name) is not None)
        return Surroundings(resolve(environment, activated=profile is not None), profile)
    except UnavailableError as exc:
        raise SeamlessStreamTransformationError(str(exc)) from exc


def _activation(surroundings: Surroundings | None) -> str:
    """Return the lines that activate the conda environment and check for commands in it."""
    if surroundings is None or surroundings.resolved.name is None:
        return ""
    from seamless.transformer.environments.commands import parse
    from seamless.transformer.environments.conda import ENTER

    resolved, profile = surroundings
    name = str(resolved.name)
    if profile is not None:
        # Activation scripts of conda packages read variables that may be unset.
        lines = ["set +u", f"source {shlex.quote(profile)}", f"conda activate {shlex.quote(name)}", "set -u"]
    else:
        lines = [f"set -- {shlex.quote(str(resolved.prefix))} {shlex.quote(name)}", ENTER, "set -u"]
    for item in () if resolved.commands else resolved.which:
        command = parse(item).name
        message = f"the command {command!r} is not in the conda environment {name!r}"
        lines.append(f"type -P {shlex.quote(command)} >/dev/null || {{ echo {shlex.quote(message)} >&2; exit 127; }}")
    return "\n".join(lines) + "\n"


def _profile(*, is_known: bool) -> str | None:
    """Return the file that defines `conda activate`; None if it is not needed, because the environment `is_known`.

    Raises UnavailableError.
    """
    root = os.environ.get("CONDA_ROOT")
    if not root:
        if is_known:
            return None
        root = _ask_conda()
    from seamless.transformer.environments.conda import PROFILE
    from seamless.transformer.environments.errors import refuse

    profile = os.path.join(root, PROFILE) if root else ""
    if os.path.isfile(profile):
        return profile
    if is_known:
        return None
    found = f"{root} has no {PROFILE}" if root else "'conda info --base' gives none"
    refuse(
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
