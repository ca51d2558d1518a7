"""Variables of the caller's environment that a line uses, and configuration that is not read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seamless.cli.running.notices import outside_variables, read_and_overwritten, used_variables
from seamless.cli.storage import configuration_files


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("echo $A", ["A"]),
        ("echo ${A}", ["A"]),
        ("echo ${#A} ${!B}", ["A", "B"]),
        ('echo ${A:-x} "$B" $A', ["A", "B"]),
        ("awk '{print $NF}'", []),
        ('echo "it\'s $A"', ["A"]),
        ("echo \\$A", []),
        ("echo $1 $$ $? $@ ${1} $", []),
        ("echo $A_1b.c", ["A_1b"]),
        ("echo 'unfinished $A", []),
    ],
)
def test_variables_are_found_where_bash_expands_them(line: str, names: list[str]) -> None:
    assert used_variables(line) == names


@pytest.mark.parametrize(
    "line",
    [
        "FOO=1; echo $FOO",
        "export FOO=2; echo $FOO",
        "for FOO in 1 2; do echo $FOO; done",
        "while read -r FOO; do echo $FOO; done",
        "read A FOO; echo $FOO",
        "FOO+=x; echo $FOO",
        "FOO[1]=x; echo $FOO",
        "((FOO = 1)); echo $FOO",
        "echo ${FOO:=1}",
        "echo '$FOO'",
        "echo nothing",
    ],
)
def test_a_variable_that_the_line_assigns_is_its_own(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOO", "1")
    assert outside_variables(line, set()) == []


def test_only_undeclared_set_and_unusual_variables_count(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FOO", "BAR"):
        monkeypatch.setenv(name, "1")
    monkeypatch.delenv("UNSET", raising=False)
    assert outside_variables("echo $FOO $BAR $UNSET $HOME $LC_ALL", {"BAR"}) == ["FOO"]


def test_configuration_files_are_found(work: Path) -> None:
    assert configuration_files() == []
    (work / "seamless.yaml").write_text("")
    assert configuration_files() == ["seamless.yaml"]


@pytest.mark.parametrize(
    "line",
    [
        "sort t.txt > t.txt",
        "sort < t.txt > t.txt",
        "sort -u ./t.txt > 't.txt'",
        "cat t.txt | sort > t.txt",
        "echo a > b.txt; cat t.txt b.txt > t.txt",
        "(sort t.txt; echo x) > t.txt",
    ],
)
def test_a_file_that_is_read_by_the_command_that_replaces_it_is_found(line: str) -> None:
    assert read_and_overwritten(line) == "t.txt"


@pytest.mark.parametrize(
    "line",
    [
        "sort t.txt",
        "sort t.txt > u.txt",
        "echo t.txt > t.txt",
        "sort t.txt > u.txt; cat u.txt > t.txt",
        "echo a > t.txt; sort t.txt > v.txt",
        "sort a.txt > t.txt 2> t.txt.err",
    ],
)
def test_a_file_that_the_replacing_command_does_not_read_is_not_found(line: str) -> None:
    assert read_and_overwritten(line) is None


def test_a_result_that_is_read_by_its_own_command_is_warned_of(seamless_run: Any, work: Path) -> None:
    (work / "t.txt").write_text("b\na\n")
    warning = "'t.txt' is both read and written by the same command"
    assert warning in seamless_run("--dry", "sort t.txt > t.txt").err
    assert warning not in seamless_run("-q", "--dry", "sort t.txt > t.txt").err
    (work / "t.txt").unlink()
    assert warning not in seamless_run("--dry", "sort t.txt > t.txt").err
