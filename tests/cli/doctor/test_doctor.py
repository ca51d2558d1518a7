"""`seamless-doctor`: the configuration, the services and the cache directory, and how it says what it has found."""

from __future__ import annotations

import importlib.util
import json
import sqlite3
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cli.doctor.conftest import Clinic

HERE = "[{hashserver: {bufferdir: ~/b}, database: {database_dir: ~/d}}]"
KEY = "hashserver-far-rw-p"


# --- how it answers -------------------------------------------------------------------------------


def test_the_table_has_a_fix_for_each_problem_and_status_1(clinic: Clinic) -> None:
    clinic.far()
    status, out, err = clinic.run()
    header, *lines = out.splitlines()
    assert (status, err) == (1, "")
    assert header.split() == ["CHECK", "PLACE", "RESULT", "FIX"]
    (line,) = [line for line in lines if line.startswith("ssh ")]
    assert "problem: cannot reach a.example" in line
    assert not line.endswith(" -")


def test_quiet_shows_problems_only(clinic: Clinic) -> None:
    clinic.far()
    assert len(clinic.run("-q")[1].splitlines()) == 2
    clinic.configure(HERE)
    assert clinic.run("-q") == (0, "", "")


def test_a_json_line_has_all_fields(clinic: Clinic) -> None:
    rows = clinic.examine().findings
    assert {frozenset(row) for row in rows} == {frozenset(("check", "place", "status", "result", "fix"))}


@pytest.mark.parametrize("arguments", [["--timeout", "0"], ["--cluster", "far", "--all-clusters"], ["--nonsense"]])
def test_a_mistake_in_the_arguments_is_status_2(clinic: Clinic, arguments: list[str]) -> None:
    assert clinic.run(*arguments)[0] == 2


@pytest.mark.parametrize("text", ["- clutser: x\n", "- cluster: nope\n", "nonsense"])
def test_a_mistake_in_the_configuration_is_status_2(clinic: Clinic, text: str) -> None:
    (clinic.work / "seamless.yaml").write_text(text)
    status, out, err = clinic.run()
    assert (status, out) == (2, "")
    assert "Traceback" not in err


def test_a_cluster_can_be_looked_at_without_a_project(clinic: Clinic) -> None:
    clinic.ssh.add("a.example")
    clinic.far()
    text = (clinic.work / "seamless.yaml").read_text()
    (clinic.work / "seamless.yaml").write_text(text.replace("- project: p\n- cluster: far\n", ""))
    report = clinic.examine("--cluster", "far")
    assert (report.status, report.one("ssh")["place"]) == (0, "a.example")


def test_with_all_clusters_a_wrong_definition_is_a_finding(clinic: Clinic, isolation: Path) -> None:
    clinic.configure(HERE)
    (isolation / ".seamless").mkdir()
    text = "odd: {frontends: [{hostname: b.example, hashserver: {}}]}\n"
    (isolation / ".seamless" / "clusters.yaml").write_text(text)
    report = clinic.examine("--all-clusters")
    assert report.problems == [("config", "odd")]


def test_warnings_of_the_configuration_are_notes_with_their_place(clinic: Clinic) -> None:
    clinic.far("bufferdir: ~/b, network_interface: 0.0.0.0")
    notes = [row for row in clinic.examine().of("config") if row["status"] == "note"]
    assert any(row["place"].startswith("seamless.yaml:") for row in notes)


# --- the cache directory --------------------------------------------------------------------------


def test_without_a_cluster_the_cache_directory_is_checked(clinic: Clinic, isolation: Path) -> None:
    report = clinic.examine()
    assert report.status == 0
    assert "made at need" in report.one("store")["result"]
    assert not (isolation / ".cache").exists()


def test_a_database_of_the_cache_that_is_damaged_is_noticed(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SEAMLESS_CACHE", str(tmp_path / "cache"))
    directory = tmp_path / "cache" / "__TOPLEVEL__"
    directory.mkdir(parents=True)
    assert "no results yet" in clinic.examine().one("store")["result"]
    with sqlite3.connect(directory / "seamless.db") as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.executemany("INSERT INTO t VALUES (?)", [("x" * 100,)] * 1000)
    connection.close()
    with open(directory / "seamless.db", "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    assert clinic.examine().problems == [("store", "here")]


# --- services -------------------------------------------------------------------------------------


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        allowed = self.path == "/healthcheck" or self.headers["Authorization"] == "Bearer good"
        self.send_response(200 if allowed else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    """Return the port of a service whose token is `good`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def connect(isolation: Path, **payload: Any) -> Path:
    path = isolation / ".remote-http-launcher" / "client" / f"{KEY}.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"hostname": "127.0.0.1", **payload}))
    path.chmod(0o600)
    return path


def test_a_service_that_does_not_run_is_no_problem(clinic: Clinic) -> None:
    clinic.configure(HERE)
    report = clinic.examine()
    assert (report.status, report.problems) == (0, [])
    assert [row["place"] for row in report.of("service")] == ["hashserver", "database"]


def test_a_service_that_answers_and_knows_the_token_is_well(clinic: Clinic, isolation: Path, port: int) -> None:
    connect(isolation, port=port, token="good")
    clinic.configure(HERE)
    report = clinic.examine()
    assert report.problems == []
    assert f"answers at 127.0.0.1:{port}" in report.one("service", "hashserver")["result"]
    assert report.one("token")["result"] == "accepted"


def test_a_token_that_is_refused_or_that_others_can_read_is_a_problem(
    clinic: Clinic, isolation: Path, port: int
) -> None:
    connect(isolation, port=port, token="bad").chmod(0o644)
    clinic.configure(HERE)
    report = clinic.examine()
    assert [row["result"].partition(" (")[0].partition(" /")[0] for row in report.of("token")] == [
        "others can read",
        "the service does not accept it",
    ]


def test_a_service_that_is_recorded_but_does_not_answer_is_a_problem(clinic: Clinic, isolation: Path) -> None:
    connect(isolation, port=1, token="good", **{"tunneled-host": "a.example"})
    clinic.configure(HERE)
    report = clinic.examine()
    assert report.problems == [("service", "hashserver")]
    assert "tunnel to a.example" in report.one("service", "hashserver")["result"]


def test_a_stale_connection_is_none(clinic: Clinic, isolation: Path) -> None:
    connect(isolation, port=1, status="stale")
    clinic.configure(HERE)
    assert clinic.examine().problems == []


# --- workers, packages ----------------------------------------------------------------------------

JOBSERVER = "{network_interface: localhost, port_start: 55300, port_end: 55399}"


def stores(interface: str) -> str:
    where = f", network_interface: {interface}" if interface else ""
    return f"hashserver: {{bufferdir: ~/b{where}}}, database: {{database_dir: ~/d{where}}}"


@pytest.mark.parametrize(
    ("frontends", "problems"),
    [
        (f"[{{hostname: a.example, {stores('')}, jobserver: {JOBSERVER}}}]", []),
        (f"[{{hostname: a.example, {stores('')}}}, {{hostname: b.example, jobserver: {JOBSERVER}}}]", ["workers"] * 2),
        (f"[{{hostname: a.example, {stores('10.0.0.5')}}}, {{hostname: b.example, jobserver: {JOBSERVER}}}]", []),
    ],
)
def test_stores_on_the_loopback_interface_are_out_of_reach_for_workers_elsewhere(
    clinic: Clinic, frontends: str, problems: list[str]
) -> None:
    clinic.configure(frontends, execution="remote", cluster="      workers: 2\n")
    report = clinic.examine()
    assert [check for check, _ in report.problems if check == "workers"] == problems


def test_batch_workers_reach_no_loopback_interface(clinic: Clinic) -> None:
    clinic.configure(
        f"[{{hostname: a.example, {stores('')}, daskserver: {JOBSERVER}}}]",
        execution="remote",
        cluster="      type: slurm\n      default_queue: q\n"
        "      queues: {q: {conda: w, walltime: '01:00:00', cores: 1, memory: 1GB}}\n",
    )
    assert [check for check, _ in clinic.examine().problems].count("workers") == 2


def test_missing_packages_are_a_note_unless_they_are_needed(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    missing = ("numpy", "distributed")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in missing else real(name))
    report = clinic.examine()
    assert report.status == 0
    assert any("numpy missing" in row["result"] and "[arrays]" in row["fix"] for row in report.of("packages"))
    test_batch = "      type: local\n      default_queue: q\n      queues: {q: {cores: 1, memory: 1GB, conda: x}}\n"
    clinic.configure(
        f"[{{hostname: a.example, {stores('')}, daskserver: {JOBSERVER}}}]", execution="remote", cluster=test_batch
    )
    assert ("packages", "here") in clinic.examine().problems
