"""`seamless VERB` is `seamless-VERB`, `seamless help` shows the manual, and what is no verb gets a suggestion."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seamless.cli import topics, umbrella, verbs

ROOT = Path(__file__).resolve().parents[2]
SECTION = (ROOT / "pyproject.toml").read_text().partition("[project.scripts]\n")[2].partition("\n[")[0]
SCRIPTS = dict(re.findall(r'^([\w.-]+) = "([\w.]+:\w+)"$', SECTION, re.MULTILINE))
RunCli = Callable[..., "subprocess.CompletedProcess[bytes]"]


def test_every_command_for_people_is_a_verb_with_its_own_function() -> None:
    expected = {name: target for name, target in SCRIPTS.items() if name.startswith("seamless-")}
    expected["hashserver"] = SCRIPTS["hashserver"]
    found = {verbs.command_of(verb): row[verb][0] for row in verbs.GROUPS.values() for verb in row}
    assert found == expected


@pytest.mark.parametrize("verb", verbs.all_verbs())
def test_the_function_of_a_verb_exists(verb: str) -> None:
    found = verbs.find([verb, "--help"])
    assert found is not None
    module, _, function = found[1].partition(":")
    assert callable(getattr(importlib.import_module(module), function))
    assert found[::2] == (verb, ["--help"])


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["service", "ps", "-q"], ("service-ps", ["-q"])),
        (["queue", "finish"], ("queue-finish", [])),
        (["queue", "--status"], ("queue", ["--status"])),
        (["run", "service", "ps"], ("run", ["service", "ps"])),
        (["service"], None),
        (["-v", "run"], None),
        ([], None),
    ],
)
def test_a_verb_may_be_two_words(words: list[str], found: object) -> None:
    result = verbs.find(words)
    assert (result and result[::2]) == found


def test_a_verb_does_what_its_command_does(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("alpha\nbeta\n")
    env = {"SEAMLESS_CACHE": str(tmp_path / "cache")}
    done = run_cli(["seamless", "run", "--explain", "tac", "a.txt"], cwd=tmp_path, env=env)
    assert (done.returncode, done.stdout) == (0, b"beta\nalpha\n")
    assert b"seamless-run: it has to run: never run here" in done.stderr
    again = run_cli(["seamless-run", "--explain", "tac", "a.txt"], cwd=tmp_path, env=env)
    assert (again.stdout, again.stderr.split()[1]) == (b"beta\nalpha\n", b"cached:")


@pytest.mark.parametrize("words", [["run", "--version"], ["checksum", "--help"], ["run", "--nonsense", "true"]])
def test_options_and_messages_are_those_of_the_command(words: list[str], run_cli: RunCli) -> None:
    verb, *rest = words
    ours, theirs = run_cli(["seamless", verb, *rest]), run_cli([f"seamless-{verb}", *rest])
    assert (ours.returncode, ours.stdout, ours.stderr) == (theirs.returncode, theirs.stdout, theirs.stderr)
    assert ours.stdout or ours.stderr


def test_the_exit_status_of_the_command_is_passed_on(run_cli: RunCli, tmp_path: Path) -> None:
    env = {"SEAMLESS_CACHE": str(tmp_path / "cache")}
    assert run_cli(["seamless", "run", "-c", "exit 7"], cwd=tmp_path, env=env).returncode == 7


def test_without_a_verb_the_verbs_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert umbrella.main([]) == 2
    listed = capsys.readouterr()
    assert listed.out == ""
    assert [verb for verb in verbs.all_verbs() if f"\n  {verb} " not in listed.err] == []


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"], ["help", "--help"]])
def test_the_help_lists_the_verbs_in_groups_of_at_most_80_columns(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert umbrella.main(words) == 0
    out = capsys.readouterr().out
    assert [group for group in verbs.GROUPS if f"\n{group}:\n" not in out] == []
    assert [line for line in out.partition("pages of the manual")[0].splitlines() if len(line) > 80] == []


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    from seamless.version import __version__

    assert umbrella.main(["--version"]) == 0
    assert capsys.readouterr().out == f"seamless (Seamless) {__version__}\n"


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["rnu"], "Did you mean 'run'?"),
        (["seamless-run"], "Did you mean 'seamless run'?"),
        (["checksum", "file"], ""),
        (["chcksum"], "'checksum'"),
        (["service"], "service-ps, "),
        (["database-chek"], "'database-check'"),
        (["xyzzy"], "seamless run COMMAND"),
    ],
)
def test_what_is_no_verb_gets_a_suggestion(
    words: list[str], advice: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    status = umbrella.main(words)
    error = capsys.readouterr().err
    if not advice:  # a verb after all, which has its own message
        assert (status, "no verb" in error) == (1, False)
        return
    assert (status, advice in error) == (2, True), error


def test_an_option_that_is_unknown_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert umbrella.main(["--frob"]) == 2
    assert "--frob" in capsys.readouterr().err


# --- help -----------------------------------------------------------------------------------------


def test_help_of_a_verb_is_the_help_of_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert umbrella.main(["help", "service", "ps"]) == 0
    assert "usage: seamless-service-ps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("topic", "page"),
    [
        (["tutorial"], "tutorial.md"),
        (["shell-pipelines"], "howto/shell-pipelines.md"),
        (["shell", "pipelines"], "howto/shell-pipelines.md"),
        (["howto/queue"], "howto/queue.md"),
        (["exit-statuses.md"], "reference/exit-statuses.md"),
    ],
)
def test_help_shows_a_page_of_the_manual(topic: list[str], page: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert umbrella.main(["help", *topic]) == 0
    assert capsys.readouterr().out == (ROOT / "docs" / page).read_text(encoding="utf-8")


def test_every_howto_is_a_topic() -> None:
    assert {path.stem for path in (ROOT / "docs" / "howto").glob("*.md")} <= set(topics.pages())


@pytest.mark.parametrize(("topic", "advice"), [("shel-pipeline", "'shell-pipelines'"), ("xyzzy", "lists all")])
def test_an_unknown_topic_gets_a_suggestion(topic: str, advice: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert umbrella.main(["help", topic]) == 2
    assert advice in capsys.readouterr().err


def test_an_installed_manual_is_found_above_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "lib" / "python3" / "site-packages" / "seamless" / "cli"
    pages = tmp_path / "share" / "doc" / "seamless"
    for directory in (package, pages):
        directory.mkdir(parents=True)
    monkeypatch.setattr(topics, "__file__", str(package / "topics.py"))
    assert topics.pages() == {}
    (pages / "tutorial.md").write_text("# Tutorial\n")
    assert topics.pages() == {"tutorial": str(pages / "tutorial.md")}


# --- start-up -------------------------------------------------------------------------------------


def test_a_verb_loads_nothing_that_its_command_does_not(tmp_path: Path, run_cli: RunCli) -> None:
    (tmp_path / "a.txt").write_text("alpha\n")
    env = {"SEAMLESS_CACHE": str(tmp_path / "cache")}
    assert run_cli(["seamless-run", "cat", "a.txt"], cwd=tmp_path, env=env).returncode == 0

    def loaded(module: str, words: list[str]) -> set[str]:
        program = (
            "import os, sys\n"
            "def note(status): print(*sys.modules, file=sys.stderr); sys.stderr.flush(); leave(status)\n"
            "leave, os._exit = os._exit, note\n"
            f"sys.argv = {words!r}\n"
            f"from {module} import main\n"
            "main()\n"
        )
        done = run_cli([sys.executable, "-c", program], cwd=tmp_path, env=env)
        assert done.stdout == b"alpha\n"
        return set(done.stderr.decode().split())

    direct = loaded("seamless.cli.run", ["seamless-run", "cat", "a.txt"])
    by_verb = loaded("seamless.cli.umbrella", ["seamless", "run", "cat", "a.txt"])
    assert by_verb - direct <= {"seamless.cli.umbrella", "seamless.cli.verbs"}
    assert "seamless.cli.running.command" in direct
