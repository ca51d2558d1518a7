"""The commands: `remote-http-launcher` and the helpers `rhl-*`."""

from __future__ import annotations

import importlib
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from seamless.launcher import run
from seamless.launcher.commands import service_environment
from seamless.launcher.processes import read_stat, wait_until
from tests.launcher.support import KEY, change, starts

if TYPE_CHECKING:
    from tests.launcher.conftest import LaunchDict

Result = tuple[int, str, str]
Command = Callable[..., Result]


@pytest.fixture
def command(capfdbinary: pytest.CaptureFixture[bytes]) -> Command:
    """Return command(name, *arguments): exit status, stdout and stderr of a command, run in this process."""

    def call(name: str, *arguments: str) -> Result:
        module = importlib.import_module(f"seamless.cli.{name}")
        capfdbinary.readouterr()
        status = module.main(list(arguments))
        printed = capfdbinary.readouterr()
        return status, printed.out.decode(), printed.err.decode()

    return call


@pytest.fixture
def yaml_file(launch_dict: LaunchDict, tmp_path: Path) -> Path:
    path = tmp_path / "service.yaml"
    path.write_text(yaml.safe_dump(launch_dict()))
    return path


# --- remote-http-launcher -----------------------------------------------------------------------------


def test_the_launcher_prints_the_connection_only_when_asked(
    command: Command, yaml_file: Path, connection_file: Path
) -> None:
    assert command("launcher", str(yaml_file)) == (0, "", "")
    status, out, _ = command("launcher", str(yaml_file), "--json")
    assert (status, json.loads(out)) == (0, json.loads(connection_file.read_text()))


def test_a_failure_is_shown_once(command: Command, launch_dict: LaunchDict, tmp_path: Path) -> None:
    path = tmp_path / "service.yaml"
    for level in ("minimal", "basic"):
        path.write_text(yaml.safe_dump(launch_dict("dies", log_level=level)))
        status, out, err = command("launcher", str(path))
        assert (status, out, err.count("did not start")) == (1, "", 1)


@pytest.mark.parametrize("text", [None, "[1, 2]", "key: [", "key: a/b\nworkdir: /x\ncommand: x"])
def test_a_bad_configuration_is_one_line(command: Command, tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "service.yaml"
    if text is not None:
        path.write_text(text)
    status, out, err = command("launcher", str(path))
    assert (status, out, len(err.splitlines())) == (1, "", 1)
    assert str(path) in err


def test_a_dry_run_prints_the_command_and_does_nothing(command: Command, yaml_file: Path, base: Path) -> None:
    status, out, err = command("launcher", "--dry-run", str(yaml_file))
    assert (status, err) == (0, "")
    assert out.endswith(f"--status-file {base}/server/{KEY}.json\n")
    assert not base.exists()


def test_a_dry_run_works_for_another_machine(command: Command, launch_dict: LaunchDict, tmp_path: Path) -> None:
    path = tmp_path / "service.yaml"
    path.write_text(yaml.safe_dump(launch_dict(hostname="login.hpc.example")))
    assert command("launcher", "--dry-run", str(path))[1].endswith(f" ~/.remote-http-launcher/server/{KEY}.json\n")


# --- helpers --------------------------------------------------------------------------------------------


def test_ps_lists_services_with_their_derived_status(command: Command, launch_dict: LaunchDict, workdir: Path) -> None:
    port = run(launch_dict())["port"]
    assert command("rhl.ps")[1].split() == ["KEY", "STATUS", "PORT", KEY, "running", str(port)]
    pid = starts(workdir)[0]
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: getattr(read_stat(pid), "state", "Z") == "Z", 10)
    row = json.loads(command("rhl.ps", "--json")[1])
    assert (row["key"], row["status"], row["json_status"], row["live"]) == (KEY, "stale", "running", False)
    row = json.loads(command("rhl.ps", "--json", "--no-status")[1])
    assert (row["status"], row["live"]) == ("running", None)
    assert command("rhl.ps", "--status", "running", "--key")[1] == ""
    assert command("rhl.ps", "--status", "stale", "--key")[1] == f"{KEY}\n"


def test_ps_shows_a_damaged_file_as_failed(command: Command, base: Path, launch_dict: LaunchDict) -> None:
    run(launch_dict())
    (base / "server" / "broken.json").write_text("{")
    status, out, err = command("rhl.ps", "--json")
    assert status == 0
    assert {row["key"]: row["status"] for row in map(json.loads, out.splitlines())} == {
        "broken": "failed",
        KEY: "running",
    }
    assert "malformed JSON" in err


def test_ps_shows_no_token(command: Command, launch_dict: LaunchDict) -> None:
    token = run(launch_dict())["token"]
    assert token not in command("rhl.ps", "--json")[1]
    assert token not in command("rhl.ps", "--json", "--client")[1]


def test_ps_of_the_client_shows_the_connections(command: Command, launch_dict: LaunchDict) -> None:
    port = run(launch_dict())["port"]
    words = command("rhl.ps", "--client")[1].split()
    assert words == ["KEY", "SSH-HOST", "HOST", "PORT", KEY, "127.0.0.1", "127.0.0.1", str(port)]
    assert command("rhl.ps", "--client", "--host", "elsewhere", "--key")[1] == ""


def test_ps_with_nothing_to_list_is_no_error(command: Command, base: Path) -> None:
    assert command("rhl.ps", "--json") == (0, "", "")


def test_inspect_prints_the_state(command: Command, launch_dict: LaunchDict, state_file: Path) -> None:
    run(launch_dict())
    state = json.loads(state_file.read_text())
    out = command("rhl.inspect", KEY)[1]
    assert json.loads(out) == state
    assert list(json.loads(out)) == sorted(state)
    timed = json.loads(command("rhl.inspect", KEY, "--with-mtime")[1])
    assert timed == {"mtime": state_file.stat().st_mtime, "data": state}


def test_logs_prints_the_bytes_as_they_are_without_a_state(
    base: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    from seamless.cli.rhl.logs import main

    (base / "server").mkdir(parents=True)
    (base / "server" / "k.log").write_bytes(b"one\ntwo\nthree\xff\n")
    main(["k"])
    assert capfdbinary.readouterr().out == b"one\ntwo\nthree\xff\n"
    main(["k", "--tail", "2"])
    assert capfdbinary.readouterr().out == b"two\nthree\xff\n"
    main(["k", "--tail", "0"])
    assert capfdbinary.readouterr().out == b""


def test_stop_reports_each_key(command: Command, launch_dict: LaunchDict, state_file: Path) -> None:
    run(launch_dict())
    assert command("rhl.stop", KEY, "nothing") == (0, f"{KEY}: stopped\nnothing: missing state\n", "")
    assert command("rhl.stop", KEY) == (0, f"{KEY}: already gone\n", "")
    change(state_file, pid=-1)
    status, _, err = command("rhl.stop", KEY)
    assert status == 1 and "invalid PID" in err


def test_rm_removes_records_and_keeps_the_log(
    command: Command, launch_dict: LaunchDict, state_file: Path, connection_file: Path, base: Path
) -> None:
    run(launch_dict())
    command("rhl.stop", KEY)
    assert command("rhl.rm", KEY, "--client") == (0, f"removed {connection_file}\n", "")
    assert command("rhl.rm", KEY) == (0, f"removed {state_file}\n", "")
    assert command("rhl.rm", KEY) == (0, f"{KEY}: not found\n", "")
    assert (base / "server" / f"{KEY}.log").exists()


def test_rm_warns_of_a_service_that_runs(command: Command, launch_dict: LaunchDict) -> None:
    run(launch_dict())
    assert "still runs" in command("rhl.rm", "--server", KEY)[2]


def test_clear_says_how_much_is_gone(command: Command, base: Path, tmp_path: Path) -> None:
    (tmp_path / "data" / "x").mkdir(parents=True)
    (tmp_path / "data" / "y").write_text("")
    path = str(tmp_path / "data")
    assert command("rhl.clear", path) == (0, f"removed 2 item(s) from {path}\n", "")


def test_ps_persistent_prints_a_table_or_json(command: Command, tmp_path: Path) -> None:
    missing = str(tmp_path / "x")
    table = command("rhl.ps_persistent", missing)[1]
    assert table.split() == ["PATH", "STATE", "SIZE", "MODIFIED", missing, "absent", "-", "-"]
    row = {"path": missing, "state": "absent", "size": None, "modified": None}
    assert json.loads(command("rhl.ps_persistent", "--json", missing)[1]) == row


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("rhl.ps", ["--host", "x"], "rhl-ps: --host requires --client"),
        ("rhl.ps", ["--key", "--json"], "rhl-ps: --key and --json are mutually exclusive"),
        ("rhl.ps", ["--bogus"], "rhl-ps: unknown argument: --bogus"),
        ("rhl.ps", ["--cli"], "rhl-ps: unknown argument: --cli"),
        ("rhl.inspect", ["nothing"], "rhl-inspect: no state file for 'nothing'"),
        ("rhl.inspect", ["a/b"], "rhl: invalid key 'a/b' (only letters, digits, . _ - allowed)"),
        ("rhl.logs", ["nothing"], "rhl-logs: no log file for 'nothing'"),
        ("rhl.logs", ["k", "--tail", "x"], "rhl: --tail requires an integer"),
        ("rhl.logs", ["k", "--tail=-1"], "rhl-logs: --tail must be >= 0"),
        ("rhl.stop", ["../x"], "rhl: invalid key '../x' (only letters, digits, . _ - allowed)"),
        ("rhl.clear", [], "rhl-clear: exactly one path is required"),
        ("rhl.clear", ["/a", "/b"], "rhl-clear: exactly one path is required"),
        ("rhl.clear", ["relative"], "rhl-clear: path must be absolute: relative"),
        ("rhl.ps_persistent", ["--level", "x", "/"], "rhl-ps-persistent: --level must be >= 0"),
        ("rhl.ps_persistent", ["--marker", "a/b", "/"], "rhl-ps-persistent: --marker requires a simple filename"),
        ("rhl.ps_persistent", ["/etc/hostname"], "rhl-ps-persistent: not a directory: /etc/hostname"),
    ],
)
def test_a_mistake_is_one_line_and_status_1(
    command: Command, base: Path, name: str, arguments: list[str], text: str
) -> None:
    assert command(name, *arguments) == (1, "", text + "\n")


@pytest.mark.parametrize("name", ["ps", "inspect", "logs", "stop", "rm", "clear", "ps_persistent"])
def test_every_helper_explains_itself(command: Command, name: str) -> None:
    status, out, _ = command(f"rhl.{name}", "--help")
    assert status == 0
    assert out.startswith(f"usage: rhl-{name.replace('_', '-')} ")
    assert all(len(line) <= 80 for line in out.splitlines())


# --- the environment of a service -------------------------------------------------------------------------


def test_a_service_does_not_inherit_what_makes_it_another_one() -> None:
    inherited = {"SEAMLESS_TOKEN": "x", "SEAMLESS_REMOTE_CLIENTS": "x", "BASH_ENV": "x", "ENV": "x", "PATH": "/bin"}
    assert service_environment(inherited) == {"PATH": "/bin"}
