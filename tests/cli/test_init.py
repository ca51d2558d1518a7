"""`seamless-init`: services are started, found, checked, or it is said why not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.service.conftest import command as command
from tests.cli.service.conftest import hosts as hosts
from tests.cli.service.conftest import place as place

if TYPE_CHECKING:
    from tests.cli.service.conftest import Command, Hosts, Place

KEYS = ["hashserver-ws-rw-thesis", "database-ws-rw-thesis"]


def test_a_launch_is_announced_only_if_there_is_one(place: Place, command: Command) -> None:
    first = command("init")
    assert (first.status, first.err) == (0, "Launch hashserver...\nLaunch database server...\n")
    lines = [line.split() for line in first.out.splitlines()]
    assert lines[0] == ["SERVICE", "HOST", "PORT", "STATUS"]
    assert [(line[0], line[3]) for line in lines[1:]] == [("hashserver", "running"), ("database", "running")]
    again = command("init")
    assert again == (0, first.out, "")
    rows = command("init", "--json").rows
    assert [(row["key"], row["status"], row["launched"]) for row in rows] == [(key, "running", False) for key in KEYS]
    assert command("init", "--check") == (0, first.out, "")


def test_a_check_starts_nothing(place: Place, command: Command) -> None:
    result = command("init", "--check", "--json")
    assert result.status == 3
    assert [(row["key"], row["status"]) for row in result.rows] == [(key, "absent") for key in KEYS]
    assert not place.base.exists()
    assert not place.buffers.exists()


def test_a_check_shows_what_is_wrong(place: Place, command: Command) -> None:
    place.record(KEYS[0], status="running", pid=2**30, port=1)
    place.record_alive(KEYS[1], workdir="/w", network_interface="localhost")
    result = command("init", "--check", "--json")
    assert result.status == 3
    assert [row["status"] for row in result.rows] == ["stale", "unhealthy"]
    assert "does not answer" in result.err


def test_a_service_with_other_settings_is_told_of(place: Place, command: Command) -> None:
    assert command("init", "-q").status == 0
    path = place.work / "seamless.yaml"
    path.write_text(
        path.read_text()
        + f"""
- clusters:
    ws:
      type: local
      frontends:
        - hashserver: {{bufferdir: {place.buffers}, network_interface: 127.0.0.1}}
          database: {{database_dir: {place.databases}}}
"""
    )
    assert "runs with other settings than configured" in command("init", "--check").err
    result = command("init", "--json")
    assert "runs with other settings than configured" in result.err
    assert [row["launched"] for row in result.rows] == [False, False]
    result = command("init", "--json", "--on-mismatch", "restart")
    assert [row["launched"] for row in result.rows] == [True, False]


def test_a_service_that_cannot_start_is_shown_with_its_last_words(place: Place, command: Command) -> None:
    place.databases.parent.mkdir(exist_ok=True)
    (place.databases / "thesis" / "seamless.db").mkdir(parents=True)
    result = command("init", "--json")
    assert result.status == 3
    assert [row["status"] for row in result.rows] == ["running", "failed"]
    assert result.rows[1]["log"] == f"{place.base}/server/{KEYS[1]}.log"
    assert "last log lines" in result.err
    assert result.err.count(f"{KEYS[1]} did not start") == 1
    assert "Traceback" not in result.err


def test_a_service_that_takes_too_long_is_given_up(place: Place, command: Command) -> None:
    result = command("init", "--timeout", "0.001")
    assert result.status == 3
    assert "was not ready within 0.001 s" in result.err
    state = place.state(KEYS[0])
    assert state is not None and state["status"] == "failed"


def test_a_machine_out_of_reach_is_named_with_what_to_do(place: Place, hosts: Hosts, command: Command) -> None:
    (place.work / "seamless.yaml").write_text("- project: p\n- cluster: hpc\n- execution: process\n")
    for options in ([], ["--check"]):
        result = command("init", *options)
        assert result.status == 3
        assert "cannot reach hpc-login over SSH" in result.err
        assert "what to do:" in result.err


@pytest.mark.parametrize(
    ("text", "mention"),
    [
        ("- project: p\n- execution: process\n- persistent: false\n", "no cluster is selected"),
        ("- cluster: ws\n- execution: process\n- persistent: false\n", "without persistence"),
    ],
)
def test_nothing_to_start_is_no_failure(place: Place, command: Command, text: str, mention: str) -> None:
    (place.work / "seamless.yaml").write_text(text)
    result = command("init")
    assert (result.status, result.out) == (0, "")
    assert mention in result.err


def test_doubts_about_the_configuration_are_plain_warnings(place: Place, command: Command) -> None:
    (place.work / "seamless.yaml").unlink()
    result = command("init")
    assert result.status == 0
    assert "seamless-init: warning: no cluster; running without persistence" in result.err
    assert command("init", "-q") == (0, "", "")


def test_a_cache_directory_needs_no_service(place: Place, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = place.root / "cache"
    monkeypatch.setenv("SEAMLESS_CACHE", str(cache))
    assert command("init", "--check").status == 0
    assert not cache.exists()
    result = command("init")
    assert (result.status, result.out) == (0, "")
    assert "there is nothing to start" in result.err
    assert (cache / "__TOPLEVEL__" / "seamless.db").exists()


def test_a_cache_directory_that_cannot_be_used_is_an_error(
    place: Place, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place.root / "file").write_text("")
    monkeypatch.setenv("SEAMLESS_CACHE", str(place.root / "file"))
    result = command("init")
    assert result.status == 1
    assert "Traceback" not in result.err


def test_with_clients_handed_down_there_is_nothing_to_do(
    place: Place, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAMLESS_REMOTE_CLIENTS", "")
    assert command("init", "--stage", "far") == (0, "", "")
    assert command("init", "--foo").status == 2


def test_what_may_not_be_launched_is_not(place: Place, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAMLESS_NO_LAUNCH", "1")
    result = command("init")
    assert result.status == 0
    assert "SEAMLESS_NO_LAUNCH" in result.err
    assert not place.base.exists()


@pytest.mark.parametrize(
    ("arguments", "mention"),
    [
        (["--stage", ""], "expected STAGE[:SUBSTAGE]"),
        (["--stage", ":gpu"], "expected STAGE[:SUBSTAGE]"),
        (["--stage", "a/b"], "cannot contain '/'"),
        (["--stage", "a:b:c"], "':'"),
        (["--timeout", "0"], "greater than 0"),
        (["--stage", "far"], "process"),
    ],
)
def test_a_mistake_is_one_message_and_status_2(
    place: Place, command: Command, arguments: list[str], mention: str
) -> None:
    if arguments[1] == "far":
        (place.work / "seamless.yaml").write_text(
            "- project: p\n- cluster: only\n- execution: remote\n- clusters:\n    only:\n      frontends:\n"
            "        - hashserver: {bufferdir: /b}\n          database: {database_dir: /d}\n"
        )
    result = command("init", *arguments)
    assert (result.status, result.out) == (2, "")
    assert mention in result.err
    assert "Traceback" not in result.err


def test_an_error_of_the_files_has_its_place(place: Place, command: Command) -> None:
    (place.work / "seamless.yaml").write_text("- project: p\n- clutser: ws\n")
    result = command("init")
    assert result.status == 2
    assert "seamless.yaml:2:3" in result.err


def test_stage_and_substage_are_split_at_the_first_colon(
    place: Place, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for options in (["--stage", "s:gpu"], ["--stage", "s:"]):
        rows = command("init", "--check", "--json", *options).rows
        assert {row["stage"] for row in rows} == {"s"}
    monkeypatch.setenv("SEAMLESS_STAGE", "s:gpu")
    assert {row["stage"] for row in command("init", "--check", "--json").rows} == {"s"}
    assert json.dumps(rows, sort_keys=True) == json.dumps(rows)


def test_what_to_do_about_other_settings_is_said_with_the_command_for_users(place: Place, command: Command) -> None:
    assert command("init", "-q", "--stage", "s").status == 0
    (place.work / "seamless.yaml").write_text(
        f"""
- project: thesis
- cluster: ws
- execution: process
- clusters:
    ws:
      type: local
      frontends:
        - hashserver: {{bufferdir: {place.buffers}, port_start: 55100, port_end: 55199}}
          database: {{database_dir: {place.databases}}}
"""
    )
    result = command("init", "--stage", "s")
    assert result.status == 0
    assert "stop it: seamless-service-stop --service hashserver --stage s\n" in result.err
