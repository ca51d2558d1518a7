"""What the tests of the launcher share beside fixtures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from seamless.launcher import Observer, Phase

KEY = "service-local-rw-project"

# What an installation of conda has as conda.sh, for the prefix BASE.
CONDA_SH = """
conda() {
    if [ "$1" = activate ]; then
        prefix=$2
        if [ "$2" = base ]; then prefix=BASE; fi
        [ -d "$prefix" ] || { echo "EnvironmentNameNotFound: $2" >&2; return 1; }
        export CONDA_PREFIX="$prefix"
        export PATH="$prefix/bin:$PATH"
    elif [ "$1" = info ]; then
        echo BASE
    elif [ "$1" = env ]; then
        echo '{"envs": ["BASE", "BASE/envs/tools"]}'
    fi
}
"""


class Recorder(Observer):
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.warnings: list[str] = []
        self.errors: list[str] = []
        self.service = ""

    def begin(self, key: str, service: str) -> None:
        self.service = service

    def phase(self, phase: Phase, result: str = "") -> None:
        self.phases.append(f"{phase}:{result}")

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def error(self, text: str) -> bool:
        self.errors.append(text)
        return True


def starts(workdir: Path) -> list[int]:
    """Return the pids of all processes that have begun to serve in the directory."""
    path = workdir / "starts.txt"
    return [int(line.split()[0]) for line in path.read_text().splitlines()] if path.exists() else []


def change(path: Path, **fields: Any) -> None:
    """Change fields of a JSON file; None removes one."""
    value = json.loads(path.read_text()) | fields
    path.write_text(json.dumps({name: item for name, item in value.items() if item is not None}))
