"""rhl-launch-service: starts what does not run, and says nothing."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seamless.launcher.guarded import OPTION, Guarded
from seamless.launcher.helpers.main import main
from seamless.launcher.processes import wait_until
from seamless.launcher.safe_open import resolve
from tests.launcher.helpers.support import launch, service
from tests.launcher.support import KEY, starts

if TYPE_CHECKING:
    from tests.launcher.helpers.conftest import Helper


def running(state_file: Path) -> dict[str, object]:
    """Wait until the service has reported that it runs; return its state."""
    assert wait_until(lambda: json.loads(state_file.read_text())["status"] == "running", 30)
    found: dict[str, object] = json.loads(state_file.read_text())
    return found


def test_a_service_is_started_silently_with_its_state(
    helper: Helper, base: Path, workdir: Path, state_file: Path
) -> None:
    options = ("--parameters", '{"a": [1]}', "--meta", '{"service": "s"}', "--network-interface", "127.0.0.1")
    assert helper("launch-service", *launch(workdir, None, *options)) == (0, "", "")
    state = running(state_file)
    assert state["parameters"] == {"a": [1]}
    assert state["meta"] == {"service": "s"}
    assert (state["network_interface"], state["uid"], state["workdir"]) == ("127.0.0.1", os.getuid(), str(workdir))
    modes = {path.name: path.stat().st_mode & 0o777 for path in (base, state_file.parent, Path(str(state["log"])))}
    assert modes == {base.name: 0o700, "server": 0o700, f"{KEY}.log": 0o600}
    assert starts(workdir) == [state["pid"]]


def test_a_service_that_runs_with_the_same_command_is_left_alone(
    helper: Helper, base: Path, workdir: Path, state_file: Path
) -> None:
    helper("launch-service", *launch(workdir))
    running(state_file)
    before = state_file.read_bytes()
    assert helper("launch-service", *launch(workdir)) == (0, "", "")
    assert state_file.read_bytes() == before
    assert len(starts(workdir)) == 1


def test_a_service_that_runs_with_another_command_is_status_3(
    helper: Helper, base: Path, workdir: Path, state_file: Path
) -> None:
    helper("launch-service", *launch(workdir))
    state = running(state_file)
    before = state_file.read_bytes()
    status, out, err = helper("launch-service", *launch(workdir, service("header")))
    assert (status, out, err) == (3, "", f"rhl-launch-service: already running: {KEY} pid {state['pid']}\n")
    assert state_file.read_bytes() == before


def test_a_dead_service_is_started_again_and_its_log_is_kept(
    helper: Helper, base: Path, workdir: Path, state_file: Path
) -> None:
    helper("launch-service", *launch(workdir))
    running(state_file)
    helper("stop", KEY)
    assert helper("launch-service", *launch(workdir, service("header"))).status == 0
    running(state_file)
    assert (base / "server" / f"{KEY}.log.1").read_text().startswith("hello from ok\n")
    assert (base / "server" / f"{KEY}.log").read_text().startswith("hello from header\n")


def test_where_the_directory_is_elsewhere_the_default_status_file_means_the_one_there(
    helper: Helper, base: Path, workdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMOTE_HTTP_LAUNCHER_DIR", str(tmp_path / "here"))
    for words in (service(), service(status_file="x")[:-2] + [f"--status-file=~/{base.name}/server/{KEY}.json"]):
        monkeypatch.setattr("seamless.launcher.starting.spawn_waiting", refuse_to_spawn)
        with pytest.raises(Spawned) as caught:
            main(["rhl-launch-service", *launch(workdir, words)])
        assert f"{tmp_path}/here/server/{KEY}.json" in caught.value.args[0][-1]
    assert not base.exists()


class Spawned(Exception):
    """What would have been started."""


def refuse_to_spawn(argv: list[str], **more: object) -> None:
    raise Spawned(argv)


def test_a_service_gets_a_reduced_environment(
    helper: Helper, base: Path, workdir: Path, state_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAKED", "1")
    helper("launch-service", *launch(workdir))
    pid = running(state_file)["pid"]
    names = {entry.partition(b"=")[0] for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")}
    assert b"LEAKED" not in names
    assert {b"HOME", b"PATH", b"LC_ALL"} <= names


def test_launches_at_the_same_time_start_one_process(base: Path, workdir: Path, state_file: Path) -> None:
    arguments = ["rhl-launch-service", *launch(workdir)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda _: main(arguments), range(8))) == [0] * 8
    running(state_file)
    assert len(starts(workdir)) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("state.json", "--status-file must be absolute"),
        (f"/elsewhere/{KEY}.json", "--status-file must live under the launcher server directory"),
        ("~/.remote-http-launcher/server/other.json", "--status-file must be the state file of this key"),
        (f"~/.remote-http-launcher/server/../server/x/{KEY}.json", "--status-file must live under"),
    ],
)
def test_a_service_cannot_be_given_a_status_file_that_is_not_its_own(
    helper: Helper, base: Path, workdir: Path, value: str, text: str
) -> None:
    status, out, err = helper("launch-service", *launch(workdir, service(status_file=value)))
    assert (status, out) == (1, "")
    assert err.startswith(f"rhl-launch-service: {text}")
    assert not (base / "server").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--key", "k", "--workdir", "/w"], "service binary is required after --"),
        (["--workdir", "/w", "--", "x"], "the following arguments are required: --key"),
        (["--key", "k", "--work", "/w", "--", "x"], "unknown argument: --work"),
        (["--key", "k", "--key", "k", "--workdir", "/w", "--", "x"], "--key is given more than once"),
        (["--key", "k", "--workdir", "/w", "--parameters", "[1]", "--", "x"], "--parameters must be a JSON object"),
        (["--key", "k", "--workdir", "/w", "--meta", "{", "--", "x"], "--meta must be valid JSON: "),
    ],
)
def test_a_mistake_in_the_arguments_is_status_2(helper: Helper, base: Path, arguments: list[str], text: str) -> None:
    status, out, err = helper("launch-service", *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"rhl-launch-service: {text}")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--key", "../k", "--workdir", "/w", "--", "x"], "rhl: invalid key '../k'"),
        (["--key", "k", "--workdir", "w", "--", "x"], "rhl-launch-service: workdir must be"),
        (["--key", "k", "--workdir", "/tmp/../etc", "--", "x"], "rhl-launch-service: workdir must not contain '..'"),
        (["--key", "k", "--workdir", "/etc", "--", "x"], "rhl-launch-service: refusing to use a system directory"),
        (["--key", "k", "--workdir", "/w", "--", "x", "--status-file"], "rhl-launch-service: --status-file requires"),
        (["--key", "k", "--workdir", "/w", "--", "no-such"], "rhl-launch-service: cannot start k: there is no command"),
        (
            ["--key", "k", "--workdir", "/w", "--whitelist", "--", "sh"],
            "rhl-launch-service: service binary is not whitelisted: 'sh'",
        ),
        (
            ["--key", "k", "--workdir", "/w", "--whitelist", "--", "/opt/hashserver"],
            "rhl-launch-service: service binary is not whitelisted: '/opt/hashserver'",
        ),
    ],
)
def test_what_cannot_be_started_is_status_1(helper: Helper, base: Path, arguments: list[str], text: str) -> None:
    status, out, err = helper("launch-service", *arguments)
    assert (status, out) == (1, "")
    assert err.startswith(text)


def test_a_table_of_tools_can_name_the_services(
    helper: Helper, base: Path, workdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "tools.yaml"
    table.write_text("one:\n  command_template: 'true {config}'\n")
    monkeypatch.setenv("RHL_TOOLS_YAML", str(table))
    assert helper("launch-service", *launch(workdir, ["true"], "--whitelist")).status == 0
    assert "not whitelisted" in helper("launch-service", *launch(workdir, ["hashserver"], "--whitelist")).err


# --- what the guard has said ------------------------------------------------------------------------------


def guarded(workdir: Path, **more: int) -> list[str]:
    return [OPTION, Guarded((resolve(str(workdir)),), **more).text()]


def test_under_the_guard_only_services_of_seamless_are_started(helper: Helper, base: Path, workdir: Path) -> None:
    err = helper("launch-service", *guarded(workdir), *launch(workdir, ["sh"])).err
    assert err == "rhl-launch-service: service binary is not whitelisted: 'sh'\n"


@pytest.fixture
def hashserver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the words of a stand-in for a service of Seamless."""
    program = tmp_path / "bin" / "hashserver"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n" + 'exec "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return ["hashserver"]


def test_a_work_directory_that_has_become_a_link_is_not_made(
    helper: Helper, base: Path, workdir: Path, tmp_path: Path, hashserver: list[str]
) -> None:
    arguments = guarded(workdir)
    (tmp_path / "outside").mkdir()
    workdir.symlink_to(tmp_path / "outside")
    status, _, err = helper("launch-service", *arguments, *launch(workdir, hashserver + service()))
    assert status == 1 and "without following links" in err
    assert not (base / "server" / f"{KEY}.json").exists()


def test_no_more_services_are_started_than_may_live_at_once(
    helper: Helper, base: Path, workdir: Path, state_file: Path, hashserver: list[str]
) -> None:
    limited = guarded(workdir, max_services=1)
    assert helper("launch-service", *limited, *launch(workdir, hashserver + service())).status == 0
    running(state_file)
    other = service(status_file="~/.remote-http-launcher/server/other.json")
    status, _, err = helper("launch-service", *limited, *launch(workdir, hashserver + other, key="other"))
    assert status == 1 and "cannot start other: 1 services run already, and no more than 1 may" in err
    helper("stop", KEY)
    assert helper("launch-service", *limited, *launch(workdir, hashserver + other, key="other")).status == 0
    assert helper("stop", "other").status == 0
