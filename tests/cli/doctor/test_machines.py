"""`seamless-doctor` about machines: reached or not, what they have, and room for the data."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from seamless.cli.doctor import machine, plan, probe
from seamless.cli.doctor.plan import Place, Service
from seamless.version import __version__

if TYPE_CHECKING:
    from tests.cli.doctor.conftest import Clinic

HOST = "a.example"
FACTS: dict[str, Any] = {
    "path": "/d",
    "exists": True,
    "nearest": "/d",
    "problem": "",
    "lock": "",
    "free": 10**12,
    "total": 10**13,
    "inodes_free": 10**6,
    "inodes": 10**7,
}


def script(directory: Path, name: str, text: str) -> None:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(f"#!/bin/sh\n{text}\n")
    (directory / name).chmod(0o755)


# --- reached or not -------------------------------------------------------------------------------


def test_a_machine_with_all_that_is_needed_has_no_problems(clinic: Clinic) -> None:
    clinic.ssh.add(HOST)
    clinic.far()
    report = clinic.examine()
    assert (report.status, report.problems) == (0, [])
    assert __version__ in report.one("helpers", HOST)["result"]
    assert report.one("clock", HOST)["status"] == "ok"
    assert {row["result"].partition(":")[0] for row in report.of("directory", HOST)} == {
        "~/.remote-http-launcher",
        "~/b",
        "~/d",
    }
    assert len(report.of("locks", HOST)) == 2
    assert len(report.of("program", HOST)) == 2
    assert os.listdir(clinic.ssh.hosts / HOST) == []


def test_one_login_is_enough_for_a_machine(clinic: Clinic) -> None:
    clinic.ssh.add(HOST)
    clinic.far()
    clinic.examine()
    assert len(clinic.ssh.calls) == 1


def test_a_machine_out_of_reach_is_one_finding_and_the_rest_goes_on(clinic: Clinic) -> None:
    clinic.ssh.add(HOST)
    clinic.configure(
        "[{hostname: a.example, hashserver: {bufferdir: ~/b}}, {hostname: b.example, database: {database_dir: /d}}]"
    )
    report = clinic.examine()
    assert (report.status, report.problems) == (1, [("ssh", "b.example")])
    finding = report.one("ssh", "b.example")
    assert "No route to host" in finding["result"]
    assert finding["fix"]
    assert report.one("ssh", HOST)["status"] == "ok"


def test_a_machine_without_python_is_said_to_have_none(clinic: Clinic, tmp_path: Path) -> None:
    clinic.ssh.add(HOST)
    clinic.ssh.set_path(HOST, tmp_path / "nothing")
    clinic.far()
    assert clinic.examine().problems == [("python", HOST)]


def test_a_machine_whose_python_cannot_run_the_probe_is_named(clinic: Clinic, tmp_path: Path) -> None:
    clinic.ssh.add(HOST)
    script(tmp_path / "bin", "python3", "echo 'SyntaxError: future feature annotations' >&2; exit 1")
    clinic.ssh.set_path(HOST, tmp_path / "bin", "/bin")
    clinic.far()
    report = clinic.examine()
    assert report.problems == [("python", HOST)]
    assert "SyntaxError" in report.one("python")["result"]


def test_under_a_guard_what_the_helpers_tell_is_used_and_the_rest_said_to_be_open(
    clinic: Clinic, tmp_path: Path
) -> None:
    clinic.ssh.add(HOST)
    script(tmp_path / "bin", "python3", "echo 'rhl-guard: rejected: command not in whitelist: python3' >&2; exit 1")
    script(tmp_path / "bin", "rhl-ps", "exit 0")
    script(tmp_path / "bin", "rhl-ps-persistent", "echo 'rhl-guard: rejected: path is outside' >&2; exit 1")
    clinic.ssh.set_path(HOST, tmp_path / "bin", "/bin")
    clinic.far()
    report = clinic.examine()
    assert report.problems == [("directory", HOST)] * 2
    assert "path is outside" in report.of("directory", HOST)[0]["result"]
    assert report.one("helpers", HOST)["status"] == "ok"
    assert [row["check"] for row in report.findings if row["status"] == "not checked"] == ["clock, disk, locks, ports"]


# --- what it has ----------------------------------------------------------------------------------


def test_helpers_that_are_missing_are_sent_along_but_the_programs_of_services_are_not(clinic: Clinic) -> None:
    clinic.ssh.add(HOST)
    clinic.ssh.set_path(HOST, "/usr/bin", "/bin")
    clinic.far()
    report = clinic.examine()
    assert (report.one("helpers")["status"], report.problems) == ("note", [("program", HOST)] * 2)
    assert "~/miniforge3/bin, ~/miniconda3/bin" in report.one("helpers")["result"]


@pytest.mark.parametrize("conda", ["miniforge3", "miniconda3"])
def test_helpers_in_a_conda_installation_are_found(clinic: Clinic, conda: str) -> None:
    home = clinic.ssh.add(HOST)
    clinic.ssh.set_path(HOST, "/usr/bin", "/bin")
    (home / conda).mkdir()
    for name in [*machine.HELPERS, *plan.PROGRAMS.values()]:
        script(home / conda / "bin", name, "echo 'rhl-ensure (Seamless) 0.0.1'")
    clinic.far()
    report = clinic.examine()
    assert (report.status, report.one("helpers")["status"]) == (0, "note")
    assert f"version 0.0.1 in {home / conda / 'bin'}" in report.one("helpers")["result"]


@pytest.mark.parametrize(
    ("missing", "status", "mention"),
    [(["rhl-ensure"], "note", "older"), (["rhl-ps"], "problem", "without rhl-ps")],
)
def test_an_incomplete_set_of_helpers_is_named(
    clinic: Clinic, tmp_path: Path, missing: list[str], status: str, mention: str
) -> None:
    clinic.ssh.add(HOST)
    for name in {*machine.HELPERS, *plan.PROGRAMS.values()} - {*missing}:
        script(tmp_path / "bin", name, "exit 0")
    clinic.ssh.set_path(HOST, tmp_path / "bin", "/usr/bin", "/bin")
    clinic.far()
    finding = clinic.examine().one("helpers")
    assert finding["status"] == status
    assert mention in finding["result"]


def test_a_service_from_conda_needs_no_program_on_the_path(clinic: Clinic) -> None:
    clinic.ssh.add(HOST)
    clinic.ssh.set_path(HOST, "/usr/bin", "/bin")
    clinic.far("bufferdir: ~/b, conda: x", "database_dir: ~/d, conda: x")
    assert clinic.examine().of("program") == []


# --- room -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        ({}, []),
        ({"free": 10**8}, ["disk"]),
        ({"inodes_free": 5}, ["disk"]),
        ({"inodes_free": 0, "inodes": 0}, []),  # a file system without a limit
        ({"lock": "flock locks do not work: No locks available"}, ["locks"]),
        ({"problem": "Read-only file system"}, ["directory"]),
        ({"lock": None}, []),
    ],
)
def test_facts_about_a_directory_are_judged(change: dict[str, Any], problems: list[str]) -> None:
    place = Place(None, [])
    findings = machine._resources(place, "here", {"directories": {"/d": {**FACTS, **change}}, "ports": {}})
    assert [finding.check for finding in findings if finding.status == "problem"] == problems
    assert all(finding.fix for finding in findings if finding.status == "problem")


@pytest.mark.parametrize(
    ("there", "took", "status"),
    [(100.1, 0.2, "ok"), (110.0, 0.2, "note"), (30.0, 0.2, "problem"), (190.0, 300.0, "ok")],
)
def test_clocks_differ_only_by_more_than_the_call_took(there: float, took: float, status: str) -> None:
    assert machine._clock(HOST, there, 100.0, took).status == status


def test_a_directory_that_cannot_be_written_is_named_with_the_reason(clinic: Clinic) -> None:
    (clinic.ssh.add(HOST) / "file").write_text("")
    clinic.far("bufferdir: ~/file/buffers")
    report = clinic.examine()
    assert report.problems == [("directory", HOST)]
    assert "Not a directory" in [row for row in report.of("directory") if row["status"] == "problem"][0]["result"]


def test_ports_in_use_and_interfaces_of_other_machines_are_noticed(clinic: Clinic) -> None:
    clinic.ssh.add(HOST)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        clinic.far(
            f"bufferdir: ~/b, port_start: {port}, port_end: {port}",
            "database_dir: ~/d, network_interface: 192.0.2.1, port_start: 50000, port_end: 50001",
        )
        report = clinic.examine()
    assert report.problems == [("ports", HOST), ("ports", HOST)]
    texts = [row["result"] for row in report.of("ports")]
    assert texts[0].endswith(": 0 free")
    assert "192.0.2.1" in texts[1]


# --- the probe ------------------------------------------------------------------------------------


def test_the_probe_runs_by_itself_and_leaves_nothing(tmp_path: Path) -> None:
    request = '{"programs": ["sh"], "places": [], "directories": ["%s/x"], "locks": ["%s/x"], "ports": {}}'
    request = request.replace("%s", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-", request],
        input=Path(probe.__file__).read_bytes(),
        capture_output=True,
        check=True,
    )
    assert b'"lock": ""' in done.stdout
    assert os.listdir(tmp_path) == []


def test_a_lock_that_keeps_nobody_out_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("")
    assert not probe.is_refused(str(path), lambda *_: None)


def test_locks_that_the_file_system_lacks_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    (tmp_path / "f").write_text("")
    monkeypatch.setattr(probe.fcntl, "flock", refuse)
    assert probe.locks(str(tmp_path / "f")) == "flock locks do not work: No locks available"


def test_what_a_place_is_asked_for_follows_from_its_services() -> None:
    ports = {"port_start": 1, "port_end": 9}
    services = [
        Service("c", "hashserver", {"bufferdir": "/b", "conda": "x"}),
        Service("c", "database", {"database_dir": "/d", **ports}),
    ]
    request = Place(HOST, services).request(["rhl-ps"], [])
    assert request["programs"] == ["rhl-ps", "seamless-database"]
    assert request["directories"] == ["~/.remote-http-launcher", "/b", "/d"]
    assert request["locks"] == ["~/.remote-http-launcher", "/d"]
    assert request["ports"] == {"database": ["localhost", 1, 9]}


@pytest.mark.parametrize(
    ("installed", "shown"),
    [
        (("gcc", "g++", "gfortran", "rustc", "go"), "gcc (c), g++ (cpp), gfortran (fortran), rustc (rust), go (go)"),
        (("gcc", "go"), "gcc (c), go (go); not there: g++ (cpp), gfortran (fortran), rustc (rust)"),
        ((), "none"),
    ],
)
def test_it_is_said_which_compilers_a_machine_has_and_none_is_no_problem(
    installed: tuple[str, ...], shown: str
) -> None:
    finding = machine.compilers(HOST, {"programs": {name: f"/usr/bin/{name}" for name in installed}})
    assert (finding.check, finding.status, finding.result) == ("compilers", "ok", shown)


def test_a_machine_is_asked_for_compilers_beside_its_python(clinic: Clinic) -> None:
    home = clinic.ssh.add(HOST)
    clinic.ssh.set_path(HOST, "/usr/bin", "/bin")
    (home / "miniforge3").mkdir()
    for name in [*machine.HELPERS, *plan.PROGRAMS.values(), "gfortran", "rustc"]:
        script(home / "miniforge3" / "bin", name, "exit 0")
    clinic.far()
    found = clinic.examine().one("compilers", HOST)["result"].partition("; not there: ")[0]
    assert "gfortran (fortran), rustc (rust)" in found
