"""`seamless-service-clear`: it deletes the data that were named, asks before, and nothing else goes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.service.conftest import Command, Place

HASHSERVER = ("--service", "hashserver")
DATABASE = ("--service", "database")


def buffers_in(directory: Path) -> int:
    return sum(len(path.name) >= 64 for path in directory.glob("??/*"))


def test_buffers_go_and_the_marker_stays(place: Place, command: Command) -> None:
    directory = place.buffer("thesis")
    result = command("clear", *HASHSERVER)
    assert result == (0, f"removed 1 item(s) from {directory}\n", "")
    assert os.listdir(directory) == [".HASHSERVER_PREFIX"]


def test_stages_and_subprojects_stay_unless_all_is_to_go(place: Place, command: Command) -> None:
    directory = place.buffer("thesis")
    inner = [place.buffer("thesis/STAGE-s"), place.buffer("thesis/sub/STAGE-s"), place.buffer("thesis/ab")]
    result = command("clear", *HASHSERVER)
    assert "there stay: STAGE-s, ab, sub" in result.err
    assert buffers_in(directory) == 0
    assert [buffers_in(path) for path in inner] == [1, 1, 1]
    result = command("clear", *HASHSERVER, "--recursive", "--json")
    assert [row["path"] for row in result.rows] == [str(path) for path in (directory, inner[0], inner[2], inner[1])]
    assert [buffers_in(path) for path in inner] == [0, 0, 0]


def test_a_stage_is_cleared_by_itself(place: Place, command: Command) -> None:
    directory, stage = place.buffer("thesis"), place.buffer("thesis/STAGE-s")
    assert command("clear", *HASHSERVER, "--stage", "s").status == 0
    assert (buffers_in(directory), buffers_in(stage)) == (1, 0)


def test_what_is_not_of_seamless_stays(place: Place, command: Command) -> None:
    directory = place.buffer("thesis")
    (directory / "notes").mkdir()
    (directory / "notes" / "a.txt").write_text("mine")
    command("clear", *HASHSERVER, "--recursive")
    assert (directory / "notes" / "a.txt").exists()


def test_a_stage_that_is_a_link_stays(place: Place, command: Command) -> None:
    directory, stage = place.buffer("thesis"), place.buffer("elsewhere")
    (directory / "STAGE-s").symlink_to(stage)
    assert "there stay: STAGE-s" in command("clear", *HASHSERVER, "--recursive").err
    assert (directory / "STAGE-s").is_symlink()
    assert (buffers_in(directory), buffers_in(stage)) == (0, 1)


def test_a_database_goes_with_its_companions(place: Place, command: Command) -> None:
    directory, stage = place.database("thesis"), place.database("thesis/STAGE-s")
    (directory / "seamless.db-wal").write_text("")
    assert command("clear", *DATABASE).out == f"removed 2 item(s) from {directory}\n"
    assert os.listdir(directory) == ["STAGE-s"]
    assert (stage / "seamless.db").exists()


@pytest.fixture
def shared(place: Place, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory that holds both buffers and a database, of a cluster of its own."""
    (place.work / "seamless.yaml").write_text(
        f"""
- project: thesis
- cluster: one
- clusters:
    one:
      type: local
      frontends: [{{hashserver: {{bufferdir: {place.buffers}}}, database: {{database_dir: {place.buffers}}}}}]
"""
    )
    directory = place.buffer("thesis")
    (directory / "seamless.db").write_text("x")
    (directory / "seamless.db-wal").write_text("x")
    return directory


def test_in_a_shared_directory_buffers_go_without_the_database(shared: Path, command: Command) -> None:
    result = command("clear", *HASHSERVER)
    assert "there stay: seamless.db, seamless.db-wal" in result.err
    assert (buffers_in(shared), (shared / "seamless.db").exists()) == (0, True)


def test_in_a_shared_directory_the_database_goes_without_the_buffers(shared: Path, command: Command) -> None:
    result = command("clear", *DATABASE)
    assert "there stay: buffers" in result.err
    assert (buffers_in(shared), (shared / "seamless.db").exists()) == (1, False)


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["jobserver", "daskserver", "pure-daskserver"])
def test_a_service_without_data_is_refused(place: Place, command: Command, service: str) -> None:
    result = command("clear", "--service", service)
    assert result.status == 2
    assert "no durable data" in result.err


def test_a_directory_in_use_is_refused_unless_forced(place: Place, command: Command) -> None:
    directory = place.buffer("thesis")
    place.record_alive("hashserver-ws-rw-thesis", workdir=str(directory))
    result = command("clear", *HASHSERVER)
    assert result.status == 1
    assert "hashserver-ws-rw-thesis is running" in result.err
    assert buffers_in(directory) == 1
    assert command("clear", *HASHSERVER, "--force").status == 0
    assert buffers_in(directory) == 0


def test_the_service_of_another_stage_is_no_hindrance(place: Place, command: Command) -> None:
    directory = place.buffer("thesis")
    place.record_alive("hashserver-ws-rw-thesis--STAGE-s", workdir=str(place.buffer("thesis/STAGE-s")))
    assert command("clear", *HASHSERVER).status == 0
    assert buffers_in(directory) == 0
    assert command("clear", *HASHSERVER, "--recursive").status == 1


def test_a_service_that_is_gone_is_no_hindrance(place: Place, command: Command) -> None:
    directory = place.buffer("thesis")
    place.record("hashserver-ws-rw-thesis", status="running", pid=2**30, workdir=str(directory))
    assert command("clear", *HASHSERVER).status == 0


def test_a_directory_that_is_absent_is_an_error(place: Place, command: Command) -> None:
    result = command("clear", *HASHSERVER)
    assert result.status == 1
    assert result.err == f"rhl-clear: path does not exist: {place.buffers}/thesis\n"


def test_the_directory_of_all_projects_is_refused(place: Place, command: Command) -> None:
    other = place.buffer("other")
    (place.buffers / "thesis").symlink_to(place.buffers)
    result = command("clear", *HASHSERVER)
    assert result.status == 1
    assert "all projects" in result.err
    assert buffers_in(other) == 1


def test_an_empty_project_is_refused(place: Place, command: Command) -> None:
    place.buffer("other")
    assert command("clear", *HASHSERVER, "--project", "").status == 2


# --- dry run, asking ------------------------------------------------------------------------------


def test_a_dry_run_prints_the_helper_and_deletes_nothing(place: Place, command: Command) -> None:
    directory = place.buffer("thesis")
    assert command("clear", *HASHSERVER, "--dry-run") == (0, f"rhl-clear {directory}\n", "")
    (row,) = command("clear", *HASHSERVER, "--dry-run", "--json").rows
    assert (row["command"], row["items"], row["stay"]) == (["rhl-clear", str(directory)], 1, [])
    assert buffers_in(directory) == 1


def test_a_dry_run_says_what_the_helper_would_delete_beyond(place: Place, command: Command) -> None:
    place.buffer("thesis")
    place.buffer("thesis/STAGE-s")
    assert "without STAGE-s, which rhl-clear would delete as well" in command("clear", *HASHSERVER, "--dry-run").err


@pytest.mark.parametrize(("answer", "options", "left"), [("y", [], 0), ("", [], 1), ("n", [], 1), ("n", ["--yes"], 0)])
def test_on_a_terminal_it_asks(place: Place, answer: str, options: list[str], left: int) -> None:
    directory = place.buffer("thesis")
    controller, terminal = os.openpty()
    try:
        os.write(controller, f"{answer}\n".encode())
        done = subprocess.run(
            [sys.executable, "-m", "seamless.cli.service.clear", *HASHSERVER, *options],
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=terminal,
            timeout=60,
            check=False,
        )
        shown = os.read(controller, 65536).decode()
    finally:
        os.close(controller)
        os.close(terminal)
    assert (done.returncode, buffers_in(directory)) == (left, left)
    assert (f"1 item(s), 6 B in {directory}" in shown) is not bool(options)
