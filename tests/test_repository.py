"""The repository around the code: everything a user can set is documented, and nothing speaks of one machine."""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import subprocess
from collections.abc import Iterator
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = {
    script.name: script.module
    for script in entry_points(group="console_scripts")
    if script.module.split(".")[0] == "seamless"
}

TEXT_SUFFIXES = {".py", ".md", ".toml", ".sh", ".yml", ".yaml", ".cfg", ".txt", ".def", ".bash", ".zsh", ".fish", ""}


def source_files() -> list[Path]:
    """Return the files of the repository: what git knows or would add, or without git everything of ours."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        paths = [ROOT / name.decode() for name in listed.stdout.split(b"\0") if name]
    else:
        tops = ("seamless", "tests", "docs", "demo", "benchmarks", "scripts")
        paths = [path for top in tops for path in (ROOT / top).rglob("*")] + list(ROOT.iterdir())
        paths = [path for path in paths if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)]
    return sorted(path for path in paths if path.is_file() and path.suffix in TEXT_SUFFIXES)


FILES = source_files()


def manual() -> str:
    """Return what a user can read: README and docs, as one text."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return "\n".join(page.read_text(encoding="utf-8") for page in pages)


def mentions(text: str, word: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None


# --- documentation ------------------------------------------------------------------------------


def parser_of(command: str) -> argparse.ArgumentParser:
    """Return the parser of a console script: `build_parser` of its module, or of `<module>_options`."""
    name = SCRIPTS[command]
    module = importlib.import_module(name)
    if not hasattr(module, "build_parser"):
        module = importlib.import_module(f"{name}_options")
    parser = module.build_parser()
    assert isinstance(parser, argparse.ArgumentParser)
    return parser


def visible_options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if action.help == argparse.SUPPRESS:
            continue
        long = [option for option in action.option_strings if option.startswith("--")]
        yield from long or action.option_strings


@pytest.mark.parametrize("command", sorted(SCRIPTS))
def test_every_option_of_a_command_is_in_the_manual(command: str) -> None:
    text = manual()
    missing = [option for option in visible_options(parser_of(command)) if not mentions(text, option)]
    assert missing == []


@pytest.mark.parametrize("command", sorted(SCRIPTS))
def test_every_command_is_in_the_manual(command: str) -> None:
    assert mentions(manual(), command)


@pytest.mark.parametrize("command", sorted(SCRIPTS))
def test_every_option_of_a_command_has_a_help_text(command: str) -> None:
    silent = [
        action.option_strings for action in parser_of(command)._actions if action.option_strings and not action.help
    ]
    assert silent == []


def environment_variables() -> set[str]:
    """Return the variables of ours that the package reads: whole string constants that begin with SEAMLESS_."""
    found = set()
    for path in (ROOT / "seamless").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if re.fullmatch(r"SEAMLESS_[A-Z][A-Z_]*[A-Z]", node.value):
                    found.add(node.value)
    return found


@pytest.mark.parametrize("variable", sorted(environment_variables()))
def test_every_environment_variable_is_in_the_manual(variable: str) -> None:
    assert mentions(manual(), variable)


def test_the_changelog_says_what_happens_to_caches() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]
    assert releases
    assert [release.splitlines()[0] for release in releases if "### Cache compatibility" not in release] == []


def test_the_version_of_the_package_is_that_of_the_installation() -> None:
    import seamless

    assert seamless.__version__ == version("seamless")


def test_the_makefile_has_the_promised_targets() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE)
    assert {"demo", "test", "lint", "benchmarks", "docs", "clean"} <= set(targets)


# --- the sources --------------------------------------------------------------------------------

# Directories that exist on one machine only. Written so that this file does not match itself.
EXAMPLE_USERS = "me|you|user|alice|bob"
MACHINE_PATHS = re.compile(rf"(?<![\w.~$}}])/(?:ro{{2}}t|hom[e]/(?!(?:{EXAMPLE_USERS})/)[a-z]\w*|wor[k]|User[s]/\w+)/")


def test_no_file_names_a_path_of_one_machine() -> None:
    found = []
    for path in FILES:
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if MACHINE_PATHS.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert found == []


def test_a_path_of_one_machine_is_noticed() -> None:
    assert MACHINE_PATHS.search('open("/' + 'home/jdoe17/data.txt")')
    assert not MACHINE_PATHS.search("~/.cache/seamless, $HOME/work/x and /home/alice/x")


PACKAGE = sorted((ROOT / "seamless").rglob("*.py"))


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_in_a_few_lines_what_it_owns(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring, "a module begins with a docstring"


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_has_at_most_500_lines_and_its_functions_at_most_60(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    functions = [
        node for node in ast.walk(ast.parse(text)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1}" for node in functions if node.end_lineno - node.lineno >= 60
    ]
    assert long == []
    assert len(text.splitlines()) <= 500


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_exception_is_swallowed_whole(path: Path) -> None:
    handlers = [
        node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.ExceptHandler)
    ]
    silent = [
        node.lineno
        for node in handlers
        if all(isinstance(statement, (ast.Pass, ast.Continue)) for statement in node.body)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
    ]
    assert silent == []


def test_shell_files_stop_at_the_first_error() -> None:
    shell = [path for path in FILES if path.suffix == ".sh" or path.read_bytes().startswith(b"#!/usr/bin/env bash")]
    # Sourced by interactive shells, those of the completions and of seamless mode must not end them.
    shell = [path for path in shell if path.suffix in ("", ".sh") and not {"completions", "mode"} & set(path.parts)]
    assert shell
    careless = [str(path.relative_to(ROOT)) for path in shell if not stops_at_errors(path.read_text())]
    assert careless == []


def stops_at_errors(script: str) -> bool:
    """Tell whether a script stops at errors, or says why it looks at each itself."""
    if script.startswith("#!/bin/sh"):
        return "set -eu" in script
    return "set -euo pipefail" in script or "set -uo pipefail # not -e: " in script
