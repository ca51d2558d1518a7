"""Services of other machines: every command goes there by ssh, and says what went wrong where."""

from __future__ import annotations

import json
import os
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from seamless.launcher.ssh.command import remote_command

if TYPE_CHECKING:
    from tests.cli.service.conftest import Command, Hosts, Place

HOST = "hpc-login"
KEY = "hashserver-hpc-rw-thesis--STAGE-far"
FAR = ("--service", "hashserver", "--stage", "far")


def meta(service: str = "hashserver", **fields: Any) -> dict[str, Any]:
    scope = {"cluster": "hpc", "mode": "rw", "project": "thesis", "subproject": None, "stage": None, "substage": None}
    return {"service": service, **scope, "queue": None, **fields}


@pytest.fixture
def far(place: Place, hosts: Hosts) -> Place:
    """Return the machine of the cluster `hpc`, with its data below its own home."""
    far = hosts.place(HOST)
    clusters = place.base.parent / ".seamless" / "clusters.yaml"
    text = clusters.read_text().replace("/scratch/buf", "~/buffers").replace("/scratch/db", "~/databases")
    clusters.write_text(text)
    return far


def alive(place: Place, key: str = KEY, **fields: Any) -> None:
    place.record_alive(key, **{"meta": meta(stage="far"), **fields})


# --- where, and how -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "helper"),
    [
        (["stop", *FAR], ["rhl-stop", KEY]),
        (["clear", *FAR], ["rhl-clear", "~/buffers/thesis/STAGE-far"]),
        (["clear", *FAR, "--force"], ["rhl-clear", "--force", "~/buffers/thesis/STAGE-far"]),
        (["rm", *FAR, "--server"], ["rhl-rm", "--server", KEY]),
    ],
)
def test_a_dry_run_prints_the_line_of_ssh_and_contacts_nobody(
    far: Place, hosts: Hosts, command: Command, arguments: list[str], helper: list[str]
) -> None:
    result = command(*arguments, "--dry-run")
    assert (result.status, result.err) == (0, "")
    words = shlex.split(result.out)
    assert words[0] == os.environ["SEAMLESS_SSH"]
    assert {"BatchMode=yes", "ConnectTimeout=10"} <= set(words)
    assert words[-3:] == ["--", HOST, remote_command(helper)]
    assert hosts.calls == []
    (row,) = command(*arguments, "--dry-run", "--json").rows
    assert row == {"command": helper, "dry_run": True, "host": HOST}


def test_without_ssh_hostname_the_target_is_the_hostname(place: Place, hosts: Hosts, command: Command) -> None:
    (place.work / "seamless.yaml").write_text(
        "- project: p\n- cluster: far\n"
        "- clusters: {far: {frontends: [{hostname: far.example, hashserver: {bufferdir: /d}}]}}\n"
    )
    hosts.add("far.example")
    assert command("stop", "--service", "hashserver") == (0, "hashserver-far-rw-p: missing state\n", "")
    assert hosts.calls[-1].rstrip().endswith("-- far.example " + remote_command(["rhl-stop", "hashserver-far-rw-p"]))


@pytest.mark.parametrize("name", ["inspect", "logs", "stop", "rm", "clear"])
def test_a_machine_out_of_reach_is_status_255(place: Place, hosts: Hosts, command: Command, name: str) -> None:
    result = command(name, *FAR)
    assert (result.status, result.out) == (255, "")
    assert HOST in result.err
    assert "No route to host" in result.err
    assert "what to do:" in result.err


@pytest.mark.parametrize("name", ["inspect", "logs", "stop", "rm", "clear"])
def test_a_machine_without_helpers_and_python_is_status_127(
    far: Place, hosts: Hosts, command: Command, name: str
) -> None:
    bare = far.root / "bin"
    bare.mkdir()
    (bare / "sh").symlink_to("/bin/sh")
    hosts.set_path(HOST, bare)
    result = command(name, *FAR)
    assert (result.status, result.out) == (127, "")
    assert f"{HOST} has no command rhl-" in result.err
    assert "miniforge3" in result.err


@pytest.mark.parametrize("name", ["inspect", "logs"])
def test_what_the_helper_says_and_its_status_are_passed_on(far: Place, command: Command, name: str) -> None:
    result = command(name, *FAR)
    assert result.status == 1
    assert result.err.startswith(f"rhl-{name}: no ")
    assert f"'{KEY}'" in result.err


# --- inspect, logs --------------------------------------------------------------------------------


def test_the_state_there_is_printed_without_its_token(far: Place, command: Command) -> None:
    alive(far, token="secret")
    result = command("inspect", *FAR)
    assert (result.status, result.err) == (0, "")
    state = far.state(KEY)
    assert state is not None
    assert json.loads(result.out) == {name: value for name, value in state.items() if name != "token"}
    assert json.loads(command("inspect", *FAR, "--show-token").out)["token"] == "secret"


def test_a_process_there_that_is_gone_is_said_to_be(far: Place, command: Command) -> None:
    far.record(KEY, status="running", pid=2**30)
    assert f"{KEY} is stale" in command("inspect", *FAR).err


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        ([], "line 0\nline 1\nline 2\n"),
        (["--tail", "2"], "line 1\nline 2\n"),
        (["--grep", "[02]$"], "line 0\nline 2\n"),
        (["--grep", "line", "--tail", "1"], "line 2\n"),
        (["--follow", "--tail", "1"], "line 2\n"),
    ],
)
def test_lines_of_a_log_there_are_printed(far: Place, command: Command, arguments: list[str], printed: str) -> None:
    far.record(KEY)
    (far.base / "server" / f"{KEY}.log").write_text("line 0\nline 1\nline 2\n")
    assert command("logs", *FAR, *arguments) == (0, printed, "")


def test_a_log_there_is_followed_until_the_service_ends(
    far: Place, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seamless.cli.service import logs

    alive(far)
    log = far.base / "server" / f"{KEY}.log"
    log.write_text("".join(f"{i}\n" for i in range(10)))
    added = ["10\n11", "".join(f"\n{i}" for i in range(12, 60)) + "\nlast"]

    def go_on(_: float) -> None:
        with log.open("a") as file:
            file.write(added.pop(0))
        if not added:
            far.record(KEY, status="running", pid=2**30)

    monkeypatch.setattr(logs, "_REMOTE_LINES", 5)
    monkeypatch.setattr(logs.time, "sleep", go_on)
    assert command("logs", *FAR, "--follow") == (0, "".join(f"{i}\n" for i in range(60)) + "last", "")


# --- stop, rm -------------------------------------------------------------------------------------


def test_the_connection_of_a_service_stopped_there_is_stale(place: Place, far: Place, command: Command) -> None:
    far.record(KEY, status="running", pid=2**30)
    place.record(KEY, "client", hostname="login.hpc.example", port=1)
    assert command("stop", *FAR) == (0, f"{KEY}: already gone\n", "")
    assert [place.state(KEY, "client")["status"], far.state(KEY)["status"]] == ["stale", "stale"]  # type: ignore[index]


def test_services_of_a_cluster_there_are_found_and_narrowed(far: Place, command: Command) -> None:
    for name, scope in ((KEY, meta(stage="far")), ("database-hpc-rw-p", meta("database", project="p"))):
        far.record(name, status="running", pid=2**30, meta=scope)
    far.record("database-other-rw-p", status="running", pid=2**30, meta=meta("database", cluster="other"))
    result = command("stop", "--cluster", "hpc", "--json")
    assert [(row["key"], row["outcome"], row["host"]) for row in result.rows] == [
        ("database-hpc-rw-p", "already gone", HOST),
        (KEY, "already gone", HOST),
    ]
    assert command("stop", "--cluster", "hpc", "--project", "p").out == "database-hpc-rw-p: already gone\n"
    assert command("stop", "--cluster", "hpc", "--project", "q").out == ""


def test_a_machine_out_of_reach_does_not_keep_the_others_from_being_stopped(
    place: Place, hosts: Hosts, command: Command
) -> None:
    (place.work / "seamless.yaml").write_text(
        "- clusters: {two: {frontends: [{hostname: a.example, hashserver: {bufferdir: /d}}, "
        "{hostname: b.example, database: {database_dir: /d}}]}}\n"
    )
    hosts.place("b.example").record("database-two-rw-p", status="running", pid=2**30)
    result = command("stop", "--cluster", "two")
    assert (result.status, result.out) == (255, "database-two-rw-p: already gone\n")
    assert "a.example" in result.err


def test_both_records_are_removed_each_where_it_is(place: Place, far: Place, command: Command) -> None:
    far.record(KEY, status="running", pid=2**30)
    place.record(KEY, "client", hostname="login.hpc.example", port=1)
    result = command("rm", *FAR)
    assert result.status == 0
    assert result.out.splitlines() == [
        f"removed {far.base}/server/{KEY}.json",
        f"removed {place.base}/client/{KEY}.json",
    ]
    assert command("rm", *FAR).out == f"{KEY}: not found\n"


def test_the_record_of_a_service_that_runs_there_stays_unless_forced(far: Place, command: Command) -> None:
    alive(far)
    result = command("rm", *FAR)
    assert result.status == 1
    assert f"runs on {HOST}" in result.err
    assert far.state(KEY) is not None
    assert command("rm", *FAR, "--force").status == 0
    assert far.state(KEY) is None


# --- clear ----------------------------------------------------------------------------------------


def test_data_there_are_deleted(far: Place, command: Command) -> None:
    directory = far.buffer("thesis/STAGE-far")
    result = command("clear", *FAR)
    assert result.status == 0
    assert result.out.startswith("removed 1 item(s) from ")
    assert os.listdir(directory) == [".HASHSERVER_PREFIX"]


def test_what_else_the_helper_would_delete_is_refused_unless_it_was_asked_for(far: Place, command: Command) -> None:
    far.buffer("thesis")
    stage = far.buffer("thesis/STAGE-far")
    where = ("--service", "hashserver", "--cluster", "hpc", "--stage", "")
    result = command("clear", *where)
    assert (result.status, result.out) == (1, "")
    assert "STAGE-far" in result.err and "--recursive" in result.err
    assert command("clear", *where, "--recursive").status == 0
    assert not stage.exists()


def test_the_data_of_the_other_service_are_not_deleted_by_the_way(far: Place, command: Command) -> None:
    directory = far.buffer("thesis/STAGE-far")
    (directory / "seamless.db").write_text("x")
    result = command("clear", *FAR)
    assert result.status == 1
    assert "the data of a database" in result.err
    assert (directory / "seamless.db").exists()


def test_a_directory_that_a_service_there_uses_is_refused(far: Place, command: Command) -> None:
    directory = far.buffer("thesis/STAGE-far")
    alive(far, workdir="~/buffers/thesis/STAGE-far")
    result = command("clear", *FAR)
    assert result.status == 1
    assert f"{KEY} is running" in result.err
    assert len(os.listdir(directory)) == 2
    assert command("clear", *FAR, "--force").status == 0


def test_a_directory_that_is_absent_there_is_an_error_of_the_helper(far: Place, command: Command) -> None:
    result = command("clear", *FAR)
    assert result.status == 1
    assert result.err.startswith("rhl-clear: path does not exist: ")


# --- ps -------------------------------------------------------------------------------------------


def test_processes_and_data_there_are_rows(far: Place, command: Command) -> None:
    alive(far)
    far.buffer("thesis/STAGE-far", b"x" * 1000)
    far.buffer("thesis", b"y" * 10)
    far.database("p/sub")
    result = command("ps", "--cluster", "hpc", "--json")
    assert (result.status, result.err) == (0, "")
    names = ("service", "project", "subproject", "stage", "process", "persistent")
    assert [tuple(row[name] for name in names) for row in result.rows] == [
        ("hashserver", "thesis", None, "far", "running", "populated"),
        ("hashserver", "thesis", None, None, None, "populated"),
        ("database", "p", "sub", None, None, "populated"),
    ]
    sizes = [row["size"] for row in result.rows]
    assert sizes[2] == 100
    assert 0 < sizes[1] < 100


def test_without_cluster_the_data_of_the_project_there_are_shown(far: Place, command: Command) -> None:
    far.database("thesis/STAGE-far")
    result = command("ps", "--persistent", "--stage", "far", "--json")
    assert result.status == 0
    assert [(row["service"], row["persistent"]) for row in result.rows] == [
        ("hashserver", "absent"),
        ("database", "populated"),
    ]


def test_the_processes_of_a_cluster_out_of_reach_are_status_255(place: Place, hosts: Hosts, command: Command) -> None:
    result = command("ps", "--cluster", "hpc")
    assert result.status == 255
    assert result.err.count("cannot reach hpc-login") == 1
    assert result.out.startswith("SERVICE ")


def test_all_clusters_are_shown_and_one_out_of_reach_is_named(place: Place, hosts: Hosts, command: Command) -> None:
    place.record_alive("database-ws-rw-p", meta=meta("database", cluster="ws", project="p"))
    result = command("ps", "--all-clusters", "--json")
    assert result.status == 1
    assert "cluster 'hpc': cannot reach hpc-login" in result.err
    assert [row["cluster"] for row in result.rows] == ["ws"]


def test_a_machine_of_two_clusters_is_asked_once_for_its_processes(
    place: Place, hosts: Hosts, command: Command
) -> None:
    (place.base.parent / ".seamless" / "clusters.yaml").unlink()
    one = "{frontends: [{hostname: a.example, hashserver: {bufferdir: /d}}]}"
    (place.work / "seamless.yaml").write_text(f"- clusters: {{one: {one}, two: {one}}}\n")
    hosts.place("a.example").record("hashserver-two-rw-p", status="running", pid=2**30, workdir="/d/p")
    result = command("ps", "--all-clusters", "--status", "stale", "--json")
    assert [row["cluster"] for row in result.rows] == ["two"]
    assert len([call for call in hosts.calls if "rhl-ps --json" in call]) == 1


def test_what_is_not_json_is_an_error_that_names_the_machine(far: Place, hosts: Hosts, command: Command) -> None:
    bare = far.root / "bin"
    bare.mkdir()
    (bare / "rhl-ps").write_text("#!/bin/sh\necho welcome\n")
    (bare / "rhl-ps").chmod(0o755)
    hosts.set_path(HOST, bare, "/usr/bin", "/bin")
    result = command("ps", "--server", "--cluster", "hpc")
    assert result.status == 1
    assert HOST in result.err and "welcome" in result.err
