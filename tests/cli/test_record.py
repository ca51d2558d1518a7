"""`seamless-record`: one record as a table or as JSON, and two of them compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def command(run_cli: Any, tmp_path: Path) -> Callable[..., Any]:
    """command(*argv): exit status, stdout, stderr. There is a project file that asks for full records."""
    (tmp_path / "seamless.yaml").write_text("- execution: process\n- record: true\n")

    def run(*argv: str, **variables: str) -> tuple[int, str, str]:
        done = run_cli(list(argv), env=variables)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    return run


@pytest.fixture
def steps(command: Callable[..., Any]) -> list[str]:
    """Return the checksums of two transformations that were executed; the second with another variable set."""
    found = []
    for number, threads in enumerate(("1", "2")):
        variables = {"OMP_NUM_THREADS": threads}
        assert command("seamless-probe", "--force", **variables)[0] == 0
        status, out, err = command("seamless-run", "--json", f"echo {number}", **variables)
        assert status == 0, err
        found.append(json.loads(out)["tf_checksum"])
    return found


def test_a_record_is_shown_as_a_table(command: Callable[..., Any], steps: list[str]) -> None:
    status, out, _ = command("seamless-record", steps[0])
    rows = dict(line.split(None, 1) for line in out.splitlines())
    assert status == 0
    assert rows["tf_checksum"] == steps[0]
    assert rows["execution_envelope.language_kind"] == "bash"
    assert rows["queue"] == "-"


def test_a_record_is_one_json_object(command: Callable[..., Any], steps: list[str]) -> None:
    status, out, _ = command("seamless-record", "--json", "--expand", steps[0])
    record = json.loads(out)
    assert status == 0 and record["tf_checksum"] == steps[0]
    environment = record["buffers"]["environment"]
    assert environment["environment_variables"]["OMP_NUM_THREADS"] == "1"


def test_a_result_that_one_step_has_given_leads_to_its_record(command: Callable[..., Any], steps: list[str]) -> None:
    result = json.loads(command("seamless-record", "--json", steps[0])[1])["result_checksum"]
    assert json.loads(command("seamless-record", "--json", result)[1])["tf_checksum"] == steps[0]


def test_the_difference_is_in_the_environment(command: Callable[..., Any], steps: list[str]) -> None:
    status, out, _ = command("seamless-record", "--diff", "--json", *steps)
    differences = json.loads(out)
    assert status == 1
    assert differences["buffers.environment.environment_variables.OMP_NUM_THREADS"] == ["1", "2"]
    assert "pid" not in differences
    assert "  - 1\n  + 2\n" in command("seamless-record", "--diff", *steps)[1]


def test_times_and_processes_are_compared_on_request(command: Callable[..., Any], steps: list[str]) -> None:
    assert "pid" in json.loads(command("seamless-record", "--diff", "--json", "--all", *steps)[1])


def test_a_record_does_not_differ_from_itself(command: Callable[..., Any], steps: list[str]) -> None:
    assert command("seamless-record", "--diff", steps[0], steps[0])[:2] == (0, "")


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["--diff", "a"], "--diff compares two records, but 1 were given"),
        (["a", "b"], "use --diff"),
        (["--all", "a"], "--all requires --diff"),
        (["f" * 64], "there is no record of ffff"),
        (["no-such-file"], "neither a checksum"),
    ],
)
def test_a_mistake_is_one_message(command: Callable[..., Any], argv: list[str], text: str) -> None:
    status, out, err = command("seamless-record", *argv)
    assert (status, out) == (2, "") and text in err and "Traceback" not in err


def test_without_probes_the_command_is_not_run(command: Callable[..., Any]) -> None:
    status, out, err = command("seamless-run", "echo not run")
    assert (status, out) == (125, "")
    assert "Record mode requires bucket probes for: node=" in err
