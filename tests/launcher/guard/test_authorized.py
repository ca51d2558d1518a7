"""The line for authorized_keys: everything closed but what tunnels need, and a key that was looked at."""

from __future__ import annotations

import base64
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from seamless.launcher.guard.main import main
from tests.conftest import SCRIPTS, RunCli
from tests.launcher.guard.conftest import Places


@pytest.fixture
def key(tmp_path: Path, require: object) -> Path:
    require("ssh-keygen", "there is no ssh-keygen")  # type: ignore[operator]
    path = tmp_path / "id"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me at home", "-f", str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path.with_name("id.pub")


def test_the_line_closes_everything_but_tunnels(key: Path, places: Places, run_cli: RunCli) -> None:
    done = run_cli(["rhl-guard", *places.flags, "--read-only", "--print-authorized-key", str(key)])
    assert done.returncode == 0
    assert b"AllowStreamLocalForwarding no" in done.stderr
    line = done.stdout.decode()
    options, _, rest = line.partition(',command="')
    assert options == (
        'restrict,port-forwarding,permitopen="127.0.0.1:*",permitopen="localhost:*",permitlisten="localhost:1"'
    )
    command, _, given = rest.partition('" ')
    assert shlex.split(command) == (
        ["/usr/bin/env", "-u", "PYTHONEXECUTABLE", "-u", "REMOTE_HTTP_LAUNCHER_DIR"]
        + [sys.executable, "-I", "-X", "utf8", str(SCRIPTS / "rhl-guard"), *places.flags, "--read-only"]
    )
    assert given == key.read_text()


def test_where_states_are_is_settled_by_who_prints_the_line(
    key: Path, places: Places, tmp_path: Path, run_cli: RunCli
) -> None:
    words = ["rhl-guard", *places.flags, "--print-authorized-key", str(key)]
    line = run_cli(words, env={"REMOTE_HTTP_LAUNCHER_DIR": str(tmp_path / "base")}).stdout.decode()
    assert f"-u REMOTE_HTTP_LAUNCHER_DIR REMOTE_HTTP_LAUNCHER_DIR={tmp_path}/base " in line


def test_without_tunnels_the_line_closes_forwarding_too(key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--permissive-paths", "--without-tunnels", "--print-authorized-key", str(key))
    assert main(arguments, execute=lambda argv, environment: None) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith('restrict,command="') and "tunnels" not in shown.out
    assert shown.err == ""


@pytest.mark.parametrize(("address", "shown"), [("10.0.0.5", "10.0.0.5"), ("fd00::0:5", "[fd00::5]")])
def test_tunnels_lead_to_the_one_address_of_services_alone(
    key: Path, address: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--permissive-paths", "--bind-address", address, "--print-authorized-key", str(key))
    assert main(arguments, execute=lambda argv, environment: None) == 0
    line = capsys.readouterr().out
    assert line.startswith(f'restrict,port-forwarding,permitopen="{shown}:*",permitlisten="localhost:1",command="')
    assert f"--bind-address {address}" in line


def test_relative_paths_become_absolute(
    key: Path, places: Places, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(places.file.parent)
    arguments = ("--data-roots", places.file.name, "--print-authorized-key", str(key))
    assert main(arguments, execute=lambda argv, environment: None) == 0
    assert f"--data-roots {places.file}" in capsys.readouterr().out


def test_a_path_with_quotes_stays_one_word(key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a 'b' \"c\""
    file.write_text("/srv\n")
    file.chmod(0o600)
    main(("--data-roots", str(file), "--print-authorized-key", str(key)), execute=lambda argv, environment: None)
    line = capsys.readouterr().out
    inner = line.partition(',command="')[2].replace('\\"', "\0").partition('"')[0].replace("\0", '"')
    assert shlex.split(inner)[-1] == str(file)


def blob(*fields: bytes) -> str:
    return base64.b64encode(b"".join(len(field).to_bytes(4, "big") + field for field in fields)).decode()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "must hold exactly one public key; found 0 lines"),
        ("ssh-ed25519 A\nssh-ed25519 B\n", "must hold exactly one public key; found 2 lines"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\n", "is a private key"),
        ('command="sh" ssh-ed25519 AAAA', "does not begin with the type of a public key"),
        ("ssh-dss AAAA", "does not begin with the type of a public key"),
        ("ssh-ed25519 ====", "the key is damaged"),
        ("ssh-ed25519 AAAA", "the key is damaged"),
        (f"ssh-ed25519 {blob(b'ssh-rsa', b'x' * 32)}", "the key is damaged, or no ssh-ed25519 key"),
        (f"ssh-rsa {blob(b'ssh-rsa', b'3', b'x' * 128)}", "this RSA key is too short"),
    ],
)
def test_what_is_no_good_public_key_gives_no_line(
    content: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "key.pub"
    file.write_text(content)
    arguments = ("--permissive-paths", "--print-authorized-key", str(file))
    assert main(arguments, execute=lambda argv, environment: None) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert text in shown.err
