"""`seamless-service-ps`: what rows there are in each view, and what they say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from seamless.cli.service.rows import scope_of

if TYPE_CHECKING:
    from tests.cli.service.conftest import Command, Hosts, Place

DEAD = {"status": "running", "pid": 2**30, "port": 5577}


def meta(service: str, **fields: Any) -> dict[str, Any]:
    names = ("cluster", "mode", "project", "subproject", "stage", "substage", "queue")
    return {"service": service, **dict.fromkeys(names), "cluster": "ws", "mode": "rw", "project": "p", **fields}


def rows(command: Command, *arguments: str) -> list[dict[str, Any]]:
    result = command("ps", *arguments, "--json")
    assert (result.status, result.err) == (0, "")
    return result.rows


# --- views ----------------------------------------------------------------------------------------


def test_by_default_connections_are_shown_whatever_the_project(place: Place, command: Command) -> None:
    place.record("database-ws-rw-p", "client", hostname="localhost", port=4711, meta=meta("database"))
    place.record("x", "client", hostname="h", port=1, status="stale", meta=meta("hashserver", cluster="y"))
    assert command("ps").out.splitlines() == [
        "SERVICE    PROJECT STAGE PROCESS PORT PERSISTENT SIZE",
        "database   p       -     client  4711 -          -",
        "hashserver p       -     stale   1    -          -",
    ]


def test_without_services_there_is_only_the_header(place: Place, command: Command) -> None:
    assert command("ps").out == "SERVICE PROJECT STAGE PROCESS PORT PERSISTENT SIZE\n"
    assert command("ps", "--json").out == ""


def test_the_default_view_needs_no_configuration(place: Place, command: Command) -> None:
    (place.work / "seamless.yaml").write_text("nonsense")
    assert command("ps").status == 0


def test_a_process_that_is_gone_is_stale(place: Place, command: Command) -> None:
    place.record("hashserver-ws-rw-p", **DEAD, meta=meta("hashserver"))
    place.record_alive("database-ws-rw-p", meta=meta("database"))
    found = {row["key"]: row["process"] for row in rows(command, "--server", "--cluster", "ws")}
    assert found == {"hashserver-ws-rw-p": "stale", "database-ws-rw-p": "running"}


def test_a_row_has_all_fields(place: Place, command: Command) -> None:
    place.record_alive("jobserver-ws-rw-p--STAGE-s", meta=meta("jobserver", stage="s", substage="gpu"))
    (row,) = rows(command, "--server", "--cluster", "ws")
    assert set(row) == {
        "service", "cluster", "project", "stage", "process", "port", "persistent", "size", "key",
        "subproject", "substage", "queue", "host", "pid", "meta", "mode",
    }  # fmt: skip
    assert (row["service"], row["stage"], row["substage"], row["port"]) == ("jobserver", "s", "gpu", 4711)
    assert (row["persistent"], row["size"]) == ("n/a", None)


def test_a_token_is_never_shown(place: Place, command: Command) -> None:
    place.record_alive("database-ws-rw-p", token="secret", meta=meta("database"))
    place.record("database-ws-rw-p", "client", hostname="localhost", port=1, token="secret", meta=meta("database"))
    for view in ([], ["--server", "--cluster", "ws"]):
        assert "secret" not in command("ps", *view, "--json").out


def test_a_service_of_another_cluster_is_not_shown(place: Place, command: Command) -> None:
    place.record_alive("hashserver-ws-rw-p", meta=meta("hashserver", cluster="other"))
    assert rows(command, "--server", "--cluster", "ws") == []


def test_the_cluster_of_the_project_files_is_used(place: Place, command: Command) -> None:
    place.record_alive("database-ws-rw-p", meta=meta("database"))
    assert [row["key"] for row in rows(command, "--server")] == ["database-ws-rw-p"]


def test_the_server_view_needs_a_cluster(place: Place, command: Command) -> None:
    (place.work / "seamless.yaml").unlink()
    result = command("ps", "--server")
    assert result.status == 2
    assert "--server requires --cluster" in result.err


def test_a_cluster_that_nobody_knows_is_a_mistake(place: Place, command: Command) -> None:
    result = command("ps", "--cluster", "nope")
    assert result.status == 2
    assert "clusters: hpc, ws" in result.err


def test_a_cluster_that_is_no_longer_defined_is_shown_if_it_has_services(place: Place, command: Command) -> None:
    place.record_alive("database-old-rw-p", meta=meta("database", cluster="old"))
    assert [row["process"] for row in rows(command, "--cluster", "old")] == ["running"]


def test_a_cluster_that_cannot_be_looked_at_does_not_hide_the_others(
    place: Place, hosts: Hosts, command: Command
) -> None:
    (place.work / "seamless.yaml").write_text(
        "- clusters: {odd: {frontends: [{database: {database_dir: '${NOT_SET}/x'}}]}}\n"
    )
    place.database("p")
    result = command("ps", "--all-clusters", "--json")
    assert result.status == 1
    assert "NOT_SET" in result.err
    assert [(row["cluster"], row["project"]) for row in result.rows] == [("ws", "p")]


def test_the_loopback_interface_is_this_machine(place: Place, command: Command) -> None:
    (place.work / "seamless.yaml").write_text(
        f"- clusters: {{lo: {{frontends: [{{hostname: localhost, database: {{database_dir: {place.databases}}}}}]}}}}\n"
    )
    place.database("p")
    assert [row["project"] for row in rows(command, "--cluster", "lo")] == ["p"]


def test_views_exclude_each_other(place: Place, command: Command) -> None:
    assert command("ps", "--client", "--server").status == 2
    assert command("ps", "--all-clusters", "--cluster", "ws").status == 2


# --- filters --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([], ["a", "b", "c"]),
        (["--service", "database"], ["a"]),
        (["--project", "q"], ["c"]),
        (["--stage", "s"], ["b"]),
        (["--stage", ""], ["a", "c"]),
        (["--subproject", "x/y"], ["c"]),
        (["--status", "stale"], ["b"]),
        (["--mode", "ro"], ["c"]),
        (["--service", "database", "--stage", "s"], []),
    ],
)
def test_options_of_the_selection_leave_out_rows(
    place: Place, command: Command, arguments: list[str], found: list[str]
) -> None:
    place.record("a", "client", port=1, meta=meta("database"))
    place.record("b", "client", port=1, status="stale", meta=meta("hashserver", stage="s"))
    place.record("c", "client", port=1, meta=meta("hashserver", project="q", subproject="x/y", mode="ro"))
    assert [row["key"] for row in rows(command, *arguments)] == found


# --- states without meta --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("hashserver-ws-rw-p", {"service": "hashserver", "mode": "rw", "project": "p"}),
        ("database-ws-ro-p--a--b--STAGE-x", {"mode": "ro", "project": "p", "subproject": "a/b", "stage": "x"}),
        ("daskserver-ws-rw-p--STAGE-xSUBSTAGE-y", {"project": "p", "stage": "x", "substage": "y"}),
        ("pure-daskserver-ws-high", {"service": "pure-daskserver", "queue": "high", "mode": "rw"}),
        ("something", {"service": None}),
    ],
)
def test_a_key_tells_what_a_service_is_for(key: str, expected: dict[str, str | None]) -> None:
    scope = scope_of(key, {}, "ws")
    assert {name: scope[name] for name in expected} == expected


def test_the_cluster_decides_how_an_ambiguous_key_is_read() -> None:
    key = "hashserver-a-rw-b-rw-p"
    assert scope_of(key, {}, "a")["project"] == "b-rw-p"
    assert scope_of(key, {}, "a-rw-b")["project"] == "p"


def test_a_state_without_meta_is_found_by_its_key(place: Place, command: Command) -> None:
    place.record("hashserver-ws-rw-p", **DEAD)
    place.record("hashserver-wsx-rw-p", **DEAD)
    assert [row["key"] for row in rows(command, "--server", "--cluster", "ws")] == ["hashserver-ws-rw-p"]


def test_a_damaged_state_is_a_failed_service(place: Place, command: Command) -> None:
    place.record("hashserver-ws-rw-p")
    (place.base / "server" / "hashserver-ws-rw-p.json").write_text("{")
    assert [row["process"] for row in rows(command, "--server", "--cluster", "ws")] == ["failed"]


# --- data -----------------------------------------------------------------------------------------


def test_data_without_a_service_is_shown_with_its_size(place: Place, command: Command) -> None:
    place.buffer("p", b"x" * 1000)
    place.buffer("p/sub/STAGE-s", b"y" * 500)
    place.database("p")
    found = [
        (row["service"], row["project"], row["subproject"], row["stage"], row["persistent"], row["path"])
        for row in rows(command, "--cluster", "ws")
    ]
    assert found == [
        ("hashserver", "p", None, None, "populated", f"{place.buffers}/p"),
        ("hashserver", "p", "sub", "s", "populated", f"{place.buffers}/p/sub/STAGE-s"),
        ("database", "p", None, None, "populated", f"{place.databases}/p"),
    ]
    sizes = {(row["service"], row["subproject"]): row["size"] for row in rows(command, "--cluster", "ws")}
    files = [path for path in (place.buffers / "p" / "sub").rglob("*") if len(path.name) >= 64]
    assert sizes[("hashserver", "sub")] == sum(path.stat().st_size for path in files) > 0
    assert sizes[("database", None)] == 100


def test_the_size_of_a_project_is_without_that_of_its_stages(place: Place, command: Command) -> None:
    place.buffer("p", b"x")
    place.buffer("p/STAGE-s", b"y" * 5000)
    sizes = {row["stage"]: row["size"] for row in rows(command, "--cluster", "ws")}
    assert sizes[None] < 100 < sizes["s"]


def test_a_database_counts_with_its_write_ahead_log(place: Place, command: Command) -> None:
    directory = place.database("p")
    (directory / "seamless.db-wal").write_bytes(bytes(50))
    assert [row["size"] for row in rows(command, "--cluster", "ws")] == [150]


def test_a_service_and_its_data_are_one_row(place: Place, command: Command) -> None:
    place.database("p")
    place.record_alive("database-ws-rw-p", meta=meta("database"))
    (row,) = rows(command, "--server", "--persistent", "--cluster", "ws")
    assert (row["process"], row["persistent"], row["size"]) == ("running", "populated", 100)


def test_without_cluster_the_data_of_the_project_are_shown_also_if_absent(place: Place, command: Command) -> None:
    place.buffer("other")
    (place.databases / "thesis").mkdir(parents=True)
    found = [(row["service"], row["project"], row["persistent"]) for row in rows(command, "--persistent")]
    assert found == [("hashserver", "thesis", "absent"), ("database", "thesis", "empty")]


def test_the_server_view_has_data_only_on_demand(place: Place, command: Command) -> None:
    place.database("thesis")
    assert rows(command, "--server") == []
    assert [row["persistent"] for row in rows(command, "--server", "--persistent")] == ["absent", "populated"]


def test_a_marker_alone_is_empty(place: Place, command: Command) -> None:
    directory = place.buffers / "p"
    directory.mkdir(parents=True)
    (directory / ".HASHSERVER_PREFIX").write_text("1\n")
    assert [(row["persistent"], row["size"]) for row in rows(command, "--cluster", "ws")] == [("empty", None)]


def test_links_are_not_followed(place: Place, command: Command) -> None:
    target = place.buffer("p", b"x" * 1000)
    (place.buffers / "again").symlink_to(target)
    (place.buffers / "p" / "STAGE-loop").symlink_to(place.buffers)
    assert [row["path"] for row in rows(command, "--cluster", "ws")] == [str(target)]


def test_the_cache_project_is_shown_by_its_name(
    place: Place, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAMLESS_CACHE", str(place.root / "cache"))
    (place.root / "cache" / "__TOPLEVEL__").mkdir(parents=True)
    assert {row["project"] for row in rows(command, "--persistent")} == {"SEAMLESS_CACHE"}


# --- the table ------------------------------------------------------------------------------------


def test_the_table_is_for_people(place: Place, command: Command) -> None:
    (place.database("p") / "seamless.db").write_bytes(bytes(42_000_000))
    place.buffer("p/sub")
    place.record_alive("jobserver-ws-rw-p", meta=meta("jobserver"))
    lines = command("ps", "--cluster", "ws").out.splitlines()
    assert lines[1] == "jobserver  p       -     running 4711 n/a        -"
    assert lines[2].startswith("hashserver p/sub   -     -       -    populated  ")
    assert lines[3] == "database   p       -     -       -    populated  42 MB"
    assert command("ps", "--cluster", "ws", "--bytes").out.splitlines()[3].endswith(" 42000000")


def test_the_wide_table_has_cluster_substage_and_key(place: Place, command: Command) -> None:
    place.record_alive("jobserver-ws-rw-p", meta=meta("jobserver", stage="s", substage="g"))
    header, line = command("ps", "--server", "--wide").out.splitlines()
    assert header.split() == [
        "SERVICE", "CLUSTER", "PROJECT", "STAGE", "SUBSTAGE", "PROCESS", "PORT", "PERSISTENT", "SIZE", "KEY",
    ]  # fmt: skip
    assert line.split() == ["jobserver", "ws", "p", "s", "g", "running", "4711", "n/a", "-", "jobserver-ws-rw-p"]


def test_a_json_line_has_sorted_keys(place: Place, command: Command) -> None:
    place.database("p")
    (line,) = command("ps", "--cluster", "ws", "--json").out.splitlines()
    assert line == json.dumps(json.loads(line), sort_keys=True)
