"""The command `remote-http-launcher`."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from seamless.launcher.commands import reduced_environment, service_environment
from tests.launcher.support import KEY

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


# --- the environment of a service -------------------------------------------------------------------------


def test_a_service_does_not_inherit_what_makes_it_another_one() -> None:
    inherited = {"SEAMLESS_TOKEN": "x", "SEAMLESS_REMOTE_CLIENTS": "x", "BASH_ENV": "x", "ENV": "x", "PATH": "/bin"}
    assert service_environment(inherited) == {"PATH": "/bin"}


def test_a_service_started_from_another_machine_gets_little_of_the_environment() -> None:
    kept = {"HOME": "/h", "PATH": "/bin", "LC_ALL": "C", "REMOTE_HTTP_LAUNCHER_DIR": "/r"}
    dropped = {"LD_PRELOAD": "x", "PYTHONPATH": "x", "RHL_TOOLS_YAML": "x", "SSH_ORIGINAL_COMMAND": "x"}
    assert reduced_environment(kept | dropped) == kept
