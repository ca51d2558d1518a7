"""The generated reference is that of the code, and knows everything that the code reads."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES = ("celltypes", "commands", "environment", "exit-statuses", "formats", "python")


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """Return the script that makes the reference."""
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "scripts" / "make_reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES)
def test_a_generated_page_is_up_to_date(page: str, reference: ModuleType) -> None:
    made = reference.pages()[REFERENCE / f"{page}.md"]
    assert (REFERENCE / f"{page}.md").read_text(encoding="utf-8") == made, "run scripts/make_reference.py"


def test_every_page_of_the_reference_is_a_known_one() -> None:
    assert {path.stem for path in REFERENCE.glob("*.md")} == set(PAGES)


def variables_read() -> set[str]:
    """Return the environment variables that the package asks for by name, and every text that is a name of ours."""
    found = set()
    for path in (ROOT / "seamless").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and re.fullmatch(r"SEAMLESS_[A-Z_]+[A-Z]", str(node.value)):
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
    assert {"SEAMLESS_CACHE", "TMPDIR", "NO_COLOR"} <= variables_read()


@pytest.mark.parametrize("name", sorted(variables_read()))
def test_a_variable_that_is_read_is_documented_with_its_default(name: str, reference: ModuleType) -> None:
    known = {variable.name: variable for variable in [*reference.own_variables(), *reference.OTHER_VARIABLES]}
    assert known[name].default


def test_no_variable_of_ours_is_documented_that_nobody_reads(reference: ModuleType) -> None:
    assert {variable.name for variable in reference.own_variables()} - variables_read() == set()


def test_every_celltype_is_documented(reference: ModuleType) -> None:
    from seamless.celltypes import ALL_CELLTYPES

    assert set(reference.CELLTYPES) == set(ALL_CELLTYPES)


@pytest.mark.parametrize("module", ["seamless", "seamless.transformer"])
def test_every_public_name_is_described(module: str, reference: ModuleType) -> None:
    names = importlib.import_module(module).__all__
    text = reference.python_page()
    described = {line.removeprefix("### ") for line in text.splitlines() if line.startswith("### ")}
    assert [name for name in names if name not in described and f"`{name}`" not in text and name not in text] == []


@pytest.mark.parametrize("command", ["seamless-run", "seamless-checksum"])
def test_the_exit_statuses_of_a_command_are_those_of_its_help(command: str, reference: ModuleType) -> None:
    parser = reference.commands()[command]
    page = (REFERENCE / "exit-statuses.md").read_text(encoding="utf-8")
    section = page.split(f"## {command}\n")[1].split("\n## ")[0]
    rows = reference.exit_codes(parser)
    assert rows
    assert [status for status, meaning in rows if f"| {status} | {meaning} |" not in section] == []
