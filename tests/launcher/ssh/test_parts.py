"""The parts that need no other machine: quoting, sockets, command lines, what connection files say, advice."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamless.launcher import Configuration, Observer, connect
from seamless.launcher.grammar import parse
from seamless.launcher.ssh import sharing
from seamless.launcher.ssh.arguments import differences, ensure_data, ensure_words, json_object, launch_words
from seamless.launcher.ssh.command import options, remote_command, ssh_program
from seamless.launcher.ssh.connection import connection_error
from seamless.launcher.ssh.executor import SSHExecutor
from seamless.launcher.ssh.reach import local_ports, monitor_of, state_of, tunnelled_payload

FIELDS = {
    "key": "k",
    "workdir": "~/data",
    "command": "hashserver --status-file {status_file} ~/data",
    "hostname": "login.example",
    "ssh_hostname": "login",
    "tunnel": True,
}


def configuration(**fields: Any) -> Configuration:
    return Configuration.from_mapping({**FIELDS, **fields})


# --- command lines ------------------------------------------------------------------------------


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_a_shell_reads_the_words_that_were_sent(words: list[str]) -> None:
    assert shlex.split(remote_command(["helper", *words], prefix_path=False)) == ["helper", *words]


def test_the_path_is_extended_on_the_other_machine() -> None:
    assert remote_command(["rhl-ps"]) == "PATH=$HOME/miniforge3/bin:$HOME/miniconda3/bin:$PATH rhl-ps"


def test_ssh_is_a_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ssh_program() == ["ssh"]
    monkeypatch.setenv("SEAMLESS_SSH", "'/my tools/ssh' -F x")
    assert ssh_program() == ["/my tools/ssh", "-F", "x"]
    monkeypatch.setenv("SEAMLESS_SSH", "'")
    with pytest.raises(ValueError, match="SEAMLESS_SSH is no command line"):
        ssh_program()


def test_nothing_is_asked_of_a_person() -> None:
    assert {"BatchMode=yes", "ConnectTimeout=10", "ServerAliveCountMax=3"} <= set(options())


def test_the_helpers_accept_what_they_are_sent() -> None:
    config = configuration(
        meta={"a": "é\n"},
        file_parameters={"x": [1]},
        handshake={"path": "health", "parameters": {"q": 1}, "port_name": "dashboard_port"},
        conda="steps",
        start_timeout=2.5,
    )
    for words in (ensure_words(config, "restart"), launch_words(config)):
        invocation = parse(words[0], words[1:])
        assert invocation.service == (
            "hashserver", "--status-file", "~/.remote-http-launcher/server/k.json", "~/data",
        )  # fmt: skip
        assert (invocation.options["key"], invocation.options["conda-env"]) == ("k", "steps")
        assert json.loads(str(invocation.options["meta"])) == {"a": "é\n"}
    assert invocation.helper == "rhl-launch-service"
    assert json.loads(str(invocation.options["parameters"])) == {"x": [1]}
    ensured = parse("rhl-ensure", ensure_words(config, "restart")[1:]).options
    assert (ensured["start-timeout"], ensured["on-mismatch"]) == (2.5, "restart")
    assert json.loads(str(ensured["handshake"])) == {
        "path": "health", "parameters": {"q": "1"}, "port_name": "dashboard_port",
    }  # fmt: skip


def test_parameters_travel_on_standard_input_and_in_no_argument() -> None:
    config = configuration(file_parameters={"token": "open sesame"})
    words = ensure_words(config, "warn")
    assert parse(words[0], words[1:]).options["parameters-stdin"] is True
    assert "sesame" not in " ".join(words)
    assert json.loads(ensure_data(config) or b"") == {"token": "open sesame"}
    assert ensure_data(configuration()) is None
    assert "--parameters-stdin" not in ensure_words(configuration(), "warn")


def test_what_a_login_shell_says_is_no_answer() -> None:
    assert [json_object(text) for text in ("Welcome", "{welcome", "[1]", "{}", '{"a": 1}')] == [
        None, None, None, {}, {"a": 1},
    ]  # fmt: skip


# --- the same service or another one ------------------------------------------------------------


def state(**fields: Any) -> dict[str, Any]:
    home = "/somewhere/u"
    command = f"hashserver --status-file {home}/.remote-http-launcher/server/k.json {home}/data"
    return {"workdir": "~/data", "command": command, "port": 5, **fields}


def test_the_home_directory_of_the_other_machine_makes_no_difference() -> None:
    assert differences(configuration(), state()) == []
    assert differences(configuration(), state(workdir="/somewhere/u/data")) == []
    assert (
        differences(configuration(), state(command=state()["command"].replace("/u/.remote-http-launcher", "/b"))) == []
    )


@pytest.mark.parametrize("fields", [{"workdir": "/else"}, {"command": "hashserver x"}, {"command": "'"}])
def test_other_directories_and_commands_are_named(fields: dict[str, str]) -> None:
    (name,) = fields
    (line,) = differences(configuration(), state(**fields))
    assert line.startswith(f"{name}: ")


def test_fingerprints_decide_where_both_have_one() -> None:
    config = configuration(meta={"fingerprint": "one"})
    assert differences(config, state(meta={"fingerprint": "one"}, command="x")) == []
    assert differences(config, state(meta={"fingerprint": "two"})) == ["other settings (the fingerprint differs)"]
    assert differences(config, state(meta={})) == []


# --- connection files -----------------------------------------------------------------------------


def test_a_connection_file_tells_the_state_that_it_was_made_of() -> None:
    made_of = {
        "port": 5, "dashboard_port": 6, "network_interface": "10.0.0.1", "token": "t", "launch_id": "l",
        "meta": {"a": 1}, "parameters": {"b": 2},
    }  # fmt: skip
    payload = tunnelled_payload(configuration(), made_of, {"port": 7, "dashboard_port": 8}, 99)
    assert state_of(payload) == made_of
    assert local_ports(payload) == {"port": 7, "dashboard_port": 8}
    assert (payload["tunneled-host"], payload["tunnel_pid"]) == ("login", 99)


@pytest.mark.parametrize("payload", [{}, {"port": "x"}, {"tunneled-host": "login", "port": 5}, {"x_port": 5}])
def test_an_incomplete_connection_file_tells_nothing(payload: dict[str, Any]) -> None:
    assert state_of(payload) is None


@pytest.mark.parametrize("pid", [None, True, 0, 1, -1, "5", 1 << 40, "own"])
def test_a_process_that_holds_no_tunnel_is_not_taken_for_one(pid: object, tmp_path: Path) -> None:
    assert monitor_of({"tunnel_pid": os.getpid() if pid == "own" else pid}, str(tmp_path / "k.json")) is None


def test_a_fresh_connection_file_without_its_tunnel_is_not_believed(
    isolation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAMLESS_SSH", "sh -c 'exit 255'")
    payload = tunnelled_payload(configuration(), {"port": 5}, {"port": 7}, os.getpid())
    path = isolation / ".remote-http-launcher" / "client" / "k.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(payload))
    with pytest.raises(Exception, match="the SSH connection to login was lost"):
        connect(configuration(), observer=Observer())


# --- shared connections ------------------------------------------------------------------------------


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_each_host_and_each_program_has_a_socket_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    first, other = sharing.control_path("a"), sharing.control_path("b")
    monkeypatch.setenv("SEAMLESS_SSH", "other-ssh")
    assert None not in (first, other)
    assert len({first, other, sharing.control_path("a")}) == 3
    assert all(path is not None and len(path) < 100 for path in (first, other))
    assert first is not None and Path(first).parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("make", [lambda path: path.mkdir(mode=0o755), lambda path: path.symlink_to("/"), Path.touch])
def test_a_directory_that_others_can_reach_is_not_used(runtime: Path, make: Any) -> None:
    make(runtime / "seamless-ssh")
    assert sharing.control_path("a") is None
    assert sharing.sharing_options(None) == ["ControlMaster=no", "ControlPath=none"]


def test_a_path_that_is_too_long_for_a_socket_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    assert sharing.control_path("a") is None


# --- advice --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("u@h: Permission denied (publickey).", "authorized_keys"),
        ("Host key verification failed.", "ssh login"),
        ("ssh: Could not resolve hostname x: Name or service not known", "ssh_hostname"),
        ("ssh: connect to host x port 22: Connection refused", "port"),
        ("ssh: connect to host x port 22: No route to host", "VPN"),
        ("something new", "`ssh login` works"),
    ],
)
def test_what_to_do_follows_from_what_ssh_says(said: str, advice: str) -> None:
    error = connection_error("login", f"mux_client_hello: nothing\nWarning: x\n{said}\n")
    assert said in str(error)
    assert advice in error.hint


def test_an_executor_is_named_after_its_host() -> None:
    assert SSHExecutor("login").name == "SSHExecutor[login]"
