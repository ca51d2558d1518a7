"""The process that the guard becomes: its environment, its Python, its directory; and what is written to the log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from seamless.launcher.guard import audit
from seamless.launcher.guard.environment import clean_environment
from tests.conftest import SCRIPTS, RunCli, changed_environment
from tests.launcher.guard.conftest import Ask, Places

OPEN = "--permissive-paths"
HOSTILE = {
    "LD_PRELOAD": "/tmp/x.so",
    "LD_LIBRARY_PATH": "/tmp",
    "PYTHONPATH": "/tmp",
    "PYTHONSTARTUP": "/tmp/x",
    "PYTHONHOME": "/tmp",
    "RHL_TOOLS_YAML": "/tmp/x",
    "RHL_FALLBACK_CONDA_SOURCE": "/tmp/x",
    "BASH_ENV": "/tmp/x",
    "ENV": "/tmp/x",
    "CONDA_EXE": "/tmp/x",
    "HASHSERVER_EXTRA_DIRS": "/etc",
    "SEAMLESS_TOKEN": "x",
    "LC_ALL": "/tmp/locale",
    "LANG": "../x",
    "TZ": "../../x",
    "LOCPATH": "/tmp",
    "BASH_FUNC_x%%": "() { :; }",
}


def test_nothing_that_changes_code_reaches_the_helper() -> None:
    assert set(clean_environment({**HOSTILE, "PATH": "/bin"})) == {"PATH"}


def test_what_the_helpers_need_reaches_them() -> None:
    kept = {
        "HOME": "/home/u",
        "USER": "u",
        "LOGNAME": "u",
        "SHELL": "/bin/bash",
        "LANG": "en_US.UTF-8",
        "LC_ALL": "C.UTF-8",
        "LC_TIME": "de_DE@euro",
        "TZ": "Europe/Paris",
        "REMOTE_HTTP_LAUNCHER_DIR": "/srv/x",
        "PATH": "/usr/bin:/bin",
    }
    assert clean_environment(kept) == kept


@pytest.mark.parametrize("path", ["", ":", ".:bin", "/a:\x01:/b"])
def test_a_path_without_absolute_directories_is_replaced(path: str) -> None:
    assert all(
        part.startswith("/") and part.isprintable() for part in clean_environment({"PATH": path})["PATH"].split(":")
    )


def test_relative_directories_are_taken_out_of_the_path() -> None:
    assert clean_environment({"PATH": ".:/bin::bin:/usr/bin"})["PATH"] == "/bin:/usr/bin"


def test_the_helper_is_started_by_an_isolated_python_beside_the_guard(ask: Ask) -> None:
    answer = ask("rhl-ps", OPEN)
    assert answer.command[:5] == [sys.executable, "-I", "-X", "utf8", "-m"]


def guard(command: str, *flags: str, **variables: str | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SCRIPTS / "rhl-guard"), *flags],
        env=changed_environment({"SSH_ORIGINAL_COMMAND": command, **variables}),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_installed_command_becomes_the_helper(isolation: Path, write_state: object) -> None:
    write_state("K", status="stale")  # type: ignore[operator]
    done = guard("PATH=$HOME/miniforge3/bin:$PATH rhl-ps --key", OPEN)
    assert (done.returncode, done.stdout, done.stderr) == (0, "K\n", "")


def test_the_status_of_the_helper_is_that_of_the_guard() -> None:
    assert guard("rhl-inspect K", OPEN).stderr == "rhl-inspect: no state file for 'K'\n"
    assert guard("rhl-pid-alive 999999999", OPEN).returncode == 1
    assert guard(f"rhl-pid-alive {os.getpid()}", OPEN).returncode == 0


def test_python_variables_of_the_session_change_nothing(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    for name in ("seamless", "json", "shlex"):
        (tmp_path / f"{name}.py").write_text(f"open({str(trap)!r}, 'w').close()\n")
    done = guard("rhl-ps --key", OPEN, PYTHONPATH=str(tmp_path), PYTHONOPTIMIZE="2", PYTHONUTF8="0", LC_ALL="C")
    # The script itself began before it could protect itself; the line for authorized_keys starts Python with -I.
    python = [sys.executable, "-I", "-X", "utf8", str(SCRIPTS / "rhl-guard"), OPEN]
    trap.unlink(missing_ok=True)
    environment = changed_environment({"SSH_ORIGINAL_COMMAND": "rhl-ps --key", "PYTHONPATH": str(tmp_path)})
    done = subprocess.run(python, env=environment, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert not trap.exists()


def test_the_single_file_is_a_guard_too(tmp_path: Path, run_cli: RunCli, write_state: object) -> None:
    from seamless.launcher.single_file import build

    write_state("K", status="stale")  # type: ignore[operator]
    for name, words in (("launcher.pyz", ["rhl-guard"]), ("rhl-guard", [])):
        (tmp_path / name).write_bytes(build())
        done = subprocess.run(
            [sys.executable, "-S", str(tmp_path / name), *words, OPEN],
            env=changed_environment({"SSH_ORIGINAL_COMMAND": "rhl-ps --key", "PYTHONPATH": "/nonexistent"}),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "K\n", "")


# --- the log --------------------------------------------------------------------------------------


@pytest.fixture
def log(isolation: Path) -> Path:
    return isolation / ".remote-http-launcher" / "guard.log"


def test_what_was_accepted_and_refused_is_in_the_log(ask: Ask, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.7 51000 192.0.2.1 22")
    ask("rhl-ps --json", OPEN)
    ask("ls /", OPEN)
    ask("rhl-ps", "--bogus")
    accepted, rejected, wrong = log.read_text().splitlines()
    assert ' accepted key=- from=192.0.2.7 argv=["rhl-ps", "--json"]' in accepted
    assert ' rejected key=- from=192.0.2.7 argv=["ls", "/"] reason=' in rejected
    assert "not in whitelist" in rejected
    assert "configuration error" in wrong
    assert log.stat().st_mode & 0o777 == 0o600


def test_the_log_names_the_key(ask: Ask, log: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    blob = "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
    (tmp_path / "auth").write_text(f"publickey ssh-ed25519 {blob}\n")
    monkeypatch.setenv("SSH_USER_AUTH", str(tmp_path / "auth"))
    ask("rhl-ps", OPEN)
    assert f"key={audit.fingerprint(blob)} " in log.read_text()


def test_a_fingerprint_is_that_of_ssh_keygen(tmp_path: Path, require: object) -> None:
    require("ssh-keygen", "there is no ssh-keygen")  # type: ignore[operator]
    file = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True, timeout=60)
    shown = subprocess.run(["ssh-keygen", "-lf", f"{file}.pub"], capture_output=True, text=True, check=True, timeout=60)
    assert audit.fingerprint((tmp_path / "key.pub").read_text().split()[1]) == shown.stdout.split()[1]


def test_secrets_are_not_in_the_log(ask: Ask, log: Path, places: Places) -> None:
    secret = json.dumps({"token": "hunter2"})
    command = f"rhl-launch-service --key K --workdir {places.root} --parameters '{secret}' -- "
    ask(command + f"hashserver {places.root}", *places.flags)
    ask(command + "bash", *places.flags)
    assert len(log.read_text().splitlines()) == 2
    assert "hunter2" not in log.read_text()


def test_a_line_of_the_log_is_one_line_of_plain_text(ask: Ask, log: Path) -> None:
    ask("rhl-ps \n2026-01-01 accepted \x1b[2J \u2028 \u00e9", OPEN)
    (line,) = log.read_text().splitlines()
    assert line.isascii() and line.isprintable()


def test_a_long_log_is_moved_aside(ask: Ask, log: Path) -> None:
    log.parent.mkdir()
    log.write_bytes(b"x" * audit.MAX_BYTES)
    ask("rhl-ps", OPEN)
    assert len(log.read_text().splitlines()) == 1
    assert log.with_name("guard.log.1").stat().st_size == audit.MAX_BYTES


@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_the_log_is_not_written_through_a_link(ask: Ask, log: Path, kind: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.touch()
    log.parent.mkdir()
    if kind == "symbolic":
        log.symlink_to(victim)
    else:
        os.link(victim, log)
    answer = ask("rhl-ps", OPEN)
    assert victim.read_bytes() == b""
    assert "warning: guard.log cannot be written" in answer.error
