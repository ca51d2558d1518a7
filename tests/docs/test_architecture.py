"""The page about the architecture names what exists, and all that is of a package."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

# `seamless/x/y.py` in the text, and x/y.py in the drawing.
NAMED = sorted(set(re.findall(r"(?<![\w/])seamless/[\w/]*\w(?:\.py|/)", PAGE)))
STOREYS = {"cli", "services", "config", "transformer", "remote", "launcher", "stores", "cache", "celltypes"}
DRAWN = sorted(set(re.findall(rf"(?<![\w/.])(?:{'|'.join(sorted(STOREYS))})/[\w/]+\.py", PAGE)))
TESTS = sorted(set(re.findall(r"(tests/[\w/]+\.py)::(\w+)", PAGE)))
PACKAGES = sorted(
    str(path.parent.relative_to(ROOT)) for path in (ROOT / "seamless").rglob("__init__.py") if path.parent.name
)


@pytest.mark.parametrize("name", NAMED)
def test_what_the_page_names_exists(name: str) -> None:
    assert (ROOT / name).exists()


@pytest.mark.parametrize("name", DRAWN)
def test_what_is_in_the_drawing_exists(name: str) -> None:
    assert (ROOT / "seamless" / name).is_file()


def test_the_drawings_go_through_every_storey() -> None:
    assert {name.split("/")[0] for name in DRAWN} == STOREYS


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_is_named(package: str) -> None:
    assert f"{package}/" in PAGE


@pytest.mark.parametrize(("path", "name"), TESTS)
def test_a_test_that_holds_an_invariant_exists(path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


def test_every_invariant_has_a_test() -> None:
    table = PAGE.split("## Invariants")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert rows
    assert [row for row in rows if "::test_" not in row] == []
