"""`seamless-service-resolve`: the same answer as that of a program, and one line of JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from seamless.config import configure_hashserver, set_workdir
from seamless.config.api import load

if TYPE_CHECKING:
    from tests.cli.service.conftest import Command, Place

KEYS = {
    "key", "ssh_hostname", "workdir", "log_path", "service", "cluster", "mode", "project", "subproject", "stage",
    "substage", "queue", "host", "port_range", "command", "fingerprint",
}  # fmt: skip


def resolve(command: Command, *arguments: str) -> Any:
    result = command("resolve", *arguments)
    assert (result.status, result.err) == (0, "")
    (row,) = result.rows
    assert set(row) == KEYS
    return row


def test_a_service_of_this_machine_has_no_host(place: Place, command: Command) -> None:
    row = resolve(command, "--service", "database", "--cluster", "ws", "--project", "p", "--subproject", "a/b")
    assert row["key"] == "database-ws-rw-p--a--b"
    assert (row["ssh_hostname"], row["host"], row["port_range"]) == (None, None, None)
    assert row["workdir"] == f"{place.databases}/p/a/b"
    assert row["log_path"] == "~/.remote-http-launcher/server/database-ws-rw-p--a--b.log"


def test_a_service_elsewhere_is_resolved_without_contact(place: Place, command: Command) -> None:
    row = resolve(command, "--service", "hashserver", "--cluster", "hpc", "--project", "p", "--mode", "ro")
    assert (row["ssh_hostname"], row["host"]) == ("hpc-login", "login.hpc.example")
    assert (row["mode"], row["port_range"]) == ("ro", [60100, 60199])


def test_without_ssh_hostname_the_target_is_the_hostname(place: Place, command: Command) -> None:
    (place.work / "seamless.yaml").write_text(
        "- clusters: {far: {frontends: [{hostname: far.example, database: {database_dir: /d}}]}}\n"
    )
    row = resolve(command, "--service", "database", "--cluster", "far", "--project", "p", "--workdir", ".")
    assert (row["ssh_hostname"], row["host"]) == ("far.example", "far.example")


def test_project_files_count_only_with_workdir(place: Place, command: Command) -> None:
    result = command("resolve", "--service", "hashserver")
    assert result.status == 2
    assert "No cluster defined" in result.err
    assert resolve(command, "--service", "hashserver", "--workdir", ".")["key"] == "hashserver-ws-rw-thesis"


def test_the_environment_does_not_choose_a_stage_unless_project_files_count(
    place: Place, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAMLESS_STAGE", "near:gpu")
    where = ("--service", "hashserver", "--cluster", "ws", "--project", "thesis")
    assert resolve(command, *where)["stage"] is None
    assert resolve(command, *where, "--workdir", ".")["stage"] == "near"


def test_the_stage_is_current_while_the_files_are_evaluated(place: Place, command: Command) -> None:
    row = resolve(command, "--service", "hashserver", "--workdir", ".", "--stage", "far")
    assert row["key"] == "hashserver-hpc-rw-thesis--STAGE-far"


@pytest.mark.parametrize("stage", [None, "near", "far"])
def test_the_answer_is_that_of_a_program(place: Place, command: Command, stage: str | None) -> None:
    row = resolve(command, "--service", "hashserver", "--workdir", ".", *(["--stage", stage] if stage else []))
    set_workdir(str(place.work))
    load(stage)
    launch = configure_hashserver("rw")
    assert (row["key"], row["workdir"], row["command"]) == (launch["key"], launch["workdir"], launch["command"])
    assert row["fingerprint"] == launch["meta"]["fingerprint"]


def test_a_queue_is_checked_and_reported(place: Place, command: Command) -> None:
    where = ("--service", "pure-daskserver", "--cluster", "hpc")
    assert resolve(command, *where)["key"] == "pure-daskserver-hpc-standard"
    assert resolve(command, *where, "--queue", "highmem")["queue"] == "highmem"
    result = command("resolve", *where, "--queue", "hihgmem")
    assert result.status == 2
    assert "did you mean 'highmem'?" in result.err


def test_the_log_is_where_the_launcher_of_this_machine_keeps_it(
    place: Place, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMOTE_HTTP_LAUNCHER_DIR", "/elsewhere")
    here = resolve(command, "--service", "database", "--cluster", "ws", "--project", "p")
    there = resolve(command, "--service", "database", "--cluster", "hpc", "--project", "p")
    assert here["log_path"] == "/elsewhere/server/database-ws-rw-p.log"
    assert there["log_path"] == "~/.remote-http-launcher/server/database-hpc-rw-p.log"


@pytest.mark.parametrize(
    ("arguments", "mention"),
    [
        (["--service", "hashserver", "--cluster", "wss", "--project", "p"], "clusters: hpc, ws"),
        (["--service", "hashserver", "--cluster", "ws"], "No project defined"),
        (["--service", "hashserver", "--cluster", "ws", "--project", "a--b"], "cannot contain '--'"),
        (["--service", "hashserver", "--cluster", "ws", "--project", ""], "it is empty"),
        (["--service", "hashserver", "--cluster", "ws", "--project", "p", "--stage", "a/b"], "cannot contain '/'"),
        (["--service", "jobserver", "--cluster", "hpc", "--project", "p"], "can support a jobserver"),
        (["--cluster", "ws"], "--service"),
        (["--service", "filesystem"], "invalid choice"),
    ],
)
def test_a_mistake_is_one_message_and_status_2(
    place: Place, command: Command, arguments: list[str], mention: str
) -> None:
    result = command("resolve", *arguments)
    assert result.status == 2
    assert mention in result.err
    assert "Traceback" not in result.err


def test_the_help_says_that_answers_are_not_to_be_kept(place: Place, command: Command) -> None:
    assert "do not keep its answers" in command("resolve", "--help").out


# --- the cache directory --------------------------------------------------------------------------


def test_the_cache_directory_is_a_project_by_its_own_name(
    place: Place, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAMLESS_CACHE", "/cache")
    row = resolve(command, "--service", "hashserver", "--project", "SEAMLESS_CACHE", "--stage", "s")
    assert row["key"] == "hashserver-__SEAMLESS_CACHE__-rw-__TOPLEVEL__--STAGE-s"
    assert row["workdir"] == "/cache/__TOPLEVEL__/STAGE-s"


def test_without_the_variable_a_recorded_service_tells_where_the_cache_is(place: Place, command: Command) -> None:
    place.record("hashserver-__SEAMLESS_CACHE__-rw-__TOPLEVEL__", workdir="/some/cache/__TOPLEVEL__")
    row = resolve(command, "--service", "hashserver", "--project", "SEAMLESS_CACHE")
    assert row["workdir"] == "/some/cache/__TOPLEVEL__"


@pytest.mark.parametrize("workdir", [None, "/some/where/else"])
def test_without_either_the_cache_is_not_known(place: Place, command: Command, workdir: str | None) -> None:
    if workdir is not None:
        place.record("hashserver-__SEAMLESS_CACHE__-rw-__TOPLEVEL__", workdir=workdir)
    result = command("resolve", "--service", "hashserver", "--project", "SEAMLESS_CACHE")
    assert result.status == 1
    assert "requires an existing launcher JSON with workdir, or SEAMLESS_CACHE to be set" in result.err


def test_the_cache_belongs_to_no_cluster(place: Place, command: Command) -> None:
    result = command("resolve", "--service", "hashserver", "--project", "SEAMLESS_CACHE", "--cluster", "ws")
    assert result.status == 2
    assert "--cluster ws" in result.err
