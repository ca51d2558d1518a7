"""The tools that are compared: what each is called, how it is installed, and how it does the task of `tasks/`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

TASKS = Path(__file__).parent / "tasks"
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Tool:
    """`file`: its description of the task in `tasks/`; `argv`: what runs it in the directory of the project."""

    name: str
    file: str
    argv: tuple[str, ...]
    packages: tuple[str, ...] = ()  # from PyPI, into the environment of the comparison
    needs: tuple[str, ...] = ()  # commands that must be there
    setup: tuple[tuple[str, ...], ...] = ()  # in a new project, not measured
    save: tuple[tuple[str, ...], ...] = ()  # after inputs have changed, not measured
    environment: dict[str, str] = field(default_factory=dict)
    language: str = "sh"


_ANNEX_SETUP = (
    ("datalad", "create", "--force", "-c", "text2git", "."),
    ("git", "config", "user.name", "me"),
    ("git", "config", "user.email", "me@example.org"),
    ("datalad", "save", "-m", "texts"),
)
_GIT = {"GIT_AUTHOR_NAME": "me", "GIT_COMMITTER_NAME": "me"} | dict.fromkeys(
    ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "me@example.org"
)

TOOLS = (
    Tool("plain shell", "plain.sh", ("bash", "plain.sh")),
    Tool("seamless-run", "seamless.sh", ("bash", "seamless.sh")),
    Tool("make", "Makefile", ("make", "-s"), needs=("make",), language="make"),
    Tool("Snakemake", "Snakefile", ("snakemake", "-c1", "-q"), ("snakemake",), ("snakemake",), language="py"),
    Tool(
        "datalad run",
        "datalad.sh",
        ("bash", "datalad.sh"),
        ("datalad", "git-annex"),
        ("datalad", "git-annex", "git"),
        _ANNEX_SETUP,
        (("datalad", "save", "-m", "change"),),
        _GIT,
    ),
    Tool("redun", "redun_task.py", ("redun", "run", "redun_task.py", "main"), ("redun",), ("redun",), language="py"),
    Tool("joblib.Memory", "joblib_task.py", ("python", "joblib_task.py"), ("joblib",), ("python",), language="py"),
)
