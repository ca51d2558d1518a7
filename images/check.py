"""The test of an image: what is in it is what was locked, and its commands run. `check.py [COMMAND...]`

Without COMMAND all commands of Seamless are tried.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import distribution, distributions
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEBIAN = ["dpkg-query", "--show", "--showformat", "${Package}=${Version}\\n"]


def name_of(text: str) -> str:
    """Return the normalised name of a distribution."""
    return re.sub(r"[-_.]+", "-", text).lower()


def wrong_packages() -> list[str]:
    """Return how the installed packages differ from the locks."""
    locked = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", (HERE / "requirements.lock").read_text(), flags=re.M))
    expected = {name_of(name): version for name, version in locked.items()}
    installed = {name_of(found.metadata["Name"]): found.version for found in distributions(path=own_path())}
    installed.pop("seamless", None)
    problems = [
        f"{name} {installed.get(name)} is installed, {expected.get(name)} locked"
        for name in sorted(expected.keys() | installed.keys())
        if expected.get(name) != installed.get(name)
    ]
    debian = subprocess.run(DEBIAN, capture_output=True, text=True, check=True).stdout.splitlines()
    if sorted(debian) != sorted((HERE / "packages.lock").read_text().splitlines()):
        problems.append("the Debian packages are not those of packages.lock")
    return problems


def own_path() -> list[str]:
    """Return where packages are that do not come from Debian."""
    return [entry for entry in sys.path if entry.startswith(str(HERE))]


def failing(commands: list[str]) -> list[str]:
    """Return those of the commands that cannot even print their help."""
    problems = []
    for command in commands:
        done = subprocess.run([command, "--help"], capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0 or not done.stdout:
            problems.append(f"{command} --help: status {done.returncode}: {done.stderr.strip()[-500:]}")
    return problems


def main() -> int:
    """Return 1, and say why, if something is wrong."""
    entries = distribution("seamless").entry_points.select(group="console_scripts")
    commands = sys.argv[1:] or sorted(entry.name for entry in entries)
    problems = wrong_packages() + failing([str(HERE / "bin" / command) for command in commands])
    for problem in problems:
        print(f"check.py: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
