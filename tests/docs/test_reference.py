"""The generated reference is that of the code, and knows everything that the code reads."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES = ("celltypes", "commands", "configuration", "environment", "exit-statuses", "formats", "http", "python")
COMMANDS = sorted(s.name for s in entry_points(group="console_scripts") if s.module.split(".")[0] == "seamless")


@pytest.fixture(scope="module")
def reference() -> Iterator[ModuleType]:
    """Return the script that makes the reference."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "scripts"))
        yield importlib.import_module("make_reference")


@pytest.mark.parametrize("page", PAGES)
def test_a_generated_page_is_up_to_date(page: str, reference: ModuleType) -> None:
    made = reference.pages()[REFERENCE / f"{page}.md"]
    assert (REFERENCE / f"{page}.md").read_text(encoding="utf-8") == made, "run scripts/make_reference.py"


def test_every_page_of_the_reference_is_a_known_one() -> None:
    assert {path.stem for path in REFERENCE.glob("*.md")} == set(PAGES)


OURS = r"(?:SEAMLESS|HASHSERVER|REMOTE_HTTP_LAUNCHER)_[A-Z_]+[A-Z]"


def variables_read() -> set[str]:
    """Return the environment variables that the package asks for by name, and every text that is a name of ours."""
    found = set()
    for path in (ROOT / "seamless").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and re.fullmatch(OURS, str(node.value)):
                found.add(str(node.value))
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("os.environ.get", "os.getenv"):
                name = node.args[0]
            elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
                name = node.slice
            else:
                continue
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                found.add(name.value)
    return found


def test_the_code_reads_variables() -> None:
    assert {"SEAMLESS_CACHE", "TMPDIR", "NO_COLOR", "HASHSERVER_WRITABLE"} <= variables_read()


@pytest.mark.parametrize("name", sorted(variables_read()))
def test_a_variable_that_is_read_is_documented_with_its_default(name: str, reference: ModuleType) -> None:
    assert reference.documented_variables()[name].default


def test_no_variable_of_ours_is_documented_that_nobody_reads(reference: ModuleType) -> None:
    documented = {name for name in reference.documented_variables() if re.fullmatch(OURS, name)}
    assert documented - variables_read() == set()


def test_every_celltype_is_documented(reference: ModuleType) -> None:
    from seamless.celltypes import ALL_CELLTYPES

    assert set(reference.CELLTYPES) == set(ALL_CELLTYPES)


def test_every_command_of_a_project_file_is_documented(reference: ModuleType) -> None:
    from seamless.config.commands import BLOCKS, COMMANDS

    page = reference.configuration_page()
    assert [name for name in (*COMMANDS, *BLOCKS) if f"`- {name}" not in page] == []


@pytest.mark.parametrize("service", ["hashserver", "seamless-database"])
def test_every_path_of_a_server_is_documented(service: str, reference: ModuleType) -> None:
    from seamless.services.database import openapi
    from seamless.services.hashserver import description

    made = description.description(writable=True).openapi() if service == "hashserver" else None
    document = made or openapi.description(writable=True)
    section = reference.http_page().split(f"## {service}\n")[1]
    assert [path for path in document["paths"] if f" {path}`" not in section] == []


@pytest.mark.parametrize("module", ["seamless", "seamless.transformer", "seamless.config"])
def test_every_public_name_is_described(module: str, reference: ModuleType) -> None:
    names = importlib.import_module(module).__all__
    text = reference.python_page()
    described = {line.removeprefix("### ") for line in text.splitlines() if line.startswith("### ")}
    assert [name for name in names if name not in described and f"`{name}`" not in text and name not in text] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_the_exit_statuses_of_a_command_are_those_of_its_help(command: str, reference: ModuleType) -> None:
    parser = reference.commands()[command]
    page = (REFERENCE / "exit-statuses.md").read_text(encoding="utf-8")
    section = page.split(f"## {command}\n")[1].split("\n## ")[0]
    rows = reference.exit_codes(parser)
    assert rows
    assert [status for status, meaning in rows if f"| {status} | {meaning} |" not in section] == []
