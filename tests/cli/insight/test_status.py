"""`seamless-status`, as a user types it after steps have failed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seamless.stores.embedded import open_embedded
from seamless.stores.failures import note_failure
from tests.cli.insight.test_commands import User
from tests.conftest import RunCli


@pytest.fixture
def user(run_cli: RunCli, tmp_path: Path) -> User:
    """A user of whose three steps two have failed."""
    made = User(run_cli, tmp_path)
    made.run("seamless-run", "-c", "echo fine")
    for number in (1, 2):
        assert made.attempt("seamless-run", "-c", f"echo 'no key {number}' >&2; test -e never{number}").returncode == 1
    return made


@pytest.fixture
def noted(run_cli: RunCli, tmp_path: Path) -> User:
    """A user in whose store two failures are noted; nothing was executed."""
    directory = tmp_path / "cache" / "__TOPLEVEL__"
    open_embedded(directory)
    for number in (1, 2):
        error, stderr = f"Return code {number}", f"no key {number}\n".encode()
        note_failure(str(directory), f"{number}" * 64, error=error, stderr=stderr, exit_status=1, command="test")
    return User(run_cli, tmp_path)


def failed(user: User) -> list[str]:
    return user.run("seamless-status", "--checksums").split()


def test_the_store_is_shown_with_what_has_failed_and_why(user: User) -> None:
    out = user.run("seamless-status")
    assert "results         1\n" in out and "running         0\n" in out
    assert "failed          2, without a result since\n" in out
    assert "exit status 1: no key 2\n" in out and "exit status 1: no key 1\n" in out


def test_every_failed_step_has_a_line_that_begins_with_its_checksum(noted: User) -> None:
    lines = noted.run("seamless-status", "--failed").splitlines()
    assert [line.split()[0] for line in lines] == failed(noted)
    assert lines[0].endswith("exit status 1: no key 2")


def test_the_error_output_of_a_failed_step_can_be_read_later(user: User) -> None:
    out = user.run("seamless-status", *failed(user))
    assert "state           failed: the next run executes it again" in out
    assert "no key 1\n" in out and "no key 2\n" in out and "Return code 1" in out


def test_the_first_digits_name_a_step(noted: User) -> None:
    step = failed(noted)[0]
    assert json.loads(noted.run("seamless-status", "--json", step[:12]))["tf_checksum"] == step


def test_a_step_with_a_result_is_known(user: User) -> None:
    step = json.loads(user.run("seamless-run", "--json", "-c", "echo fine"))["tf_checksum"]
    assert "state           known: result " in user.run("seamless-status", step)


def test_a_failed_command_that_is_executed_again_by_its_checksum_is_in_the_history_only(user: User) -> None:
    gate = user.place / "gate"
    assert user.attempt("seamless-run", "-c", f"test -e {gate} && echo done").returncode == 1
    step = failed(user)[0]
    gate.touch()
    user.run("seamless-run-transformation", step)
    assert step not in failed(user)
    rows = [json.loads(row) for row in user.run("seamless-status", "--history", "--json").splitlines()]
    assert [row["result_checksum"] is not None for row in rows] == [True, False, False]


def test_results_are_counted_by_the_code_of_their_steps(user: User) -> None:
    (user.place / "t.txt").write_text("1\n")
    user.run("seamless-run", "sort t.txt")
    (user.place / "t.txt").write_text("2\n")
    user.run("seamless-run", "sort t.txt")
    header, first, second = user.run("seamless-status", "--steps").splitlines()
    assert header.split() == ["results", "total", "longest", "code"]
    assert (first.split()[0], first.split("  ")[-1]) == ("2", "sort t.txt")
    assert (second.split()[0], second.split("  ")[-1]) == ("1", "echo fine")


def test_a_recent_failure_is_one_of_the_last_hour(noted: User) -> None:
    assert len(noted.run("seamless-status", "--failed", "--since", "1h").splitlines()) == 2


def test_all_projects_are_shown(user: User) -> None:
    user.run("seamless-run", "--project", "thesis", "-c", "echo fine")
    rows = user.run("seamless-status", "--all", "--json").splitlines()
    assert [(json.loads(row)["store"], len(json.loads(row)["failed"])) for row in rows] == [
        ("__TOPLEVEL__", 2),
        ("thesis", 0),
    ]


def test_no_failure_is_said_and_standard_output_stays_empty(noted: User) -> None:
    noted.run("seamless-run", "--project", "thesis", "-c", "echo fine")
    done = noted.attempt("seamless-status", "--failed", "--project", "thesis")
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"no failed step is without a result in " in done.stderr


def test_it_is_said_when_older_failures_are_not_noted_any_more(noted: User) -> None:
    (notes,) = noted.cache.rglob(".failures.jsonl")
    notes.write_text(notes.read_text() * 100)
    done = noted.attempt("seamless-status", "--failed")
    assert len(done.stdout.splitlines()) == 2
    assert b"the last 200 failures are noted; there may have been more" in done.stderr


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["--failed", "0" * 64], 2, "either name steps, or ask for all of them"),
        (["--failed", "--steps"], 2, "--steps is about results"),
        (["--since", "5"], 2, "--since: '5' is not a time"),
        (["123456"], 1, "no step that runs or has failed begins so"),
        (["nofile"], 2, "neither a checksum"),
        (["--project", "none"], 2, "there is no store in "),
    ],
)
def test_a_mistake_is_told(noted: User, words: list[str], status: int, text: str) -> None:
    found, said = noted.refused("seamless-status", *words)
    assert found == status and text in said


def test_a_checksum_of_which_nothing_is_known_is_said_to_be_so(noted: User) -> None:
    done = noted.attempt("seamless-status", "0" * 64)
    assert done.returncode == 1 and b"state           unknown" in done.stdout
