"""The roles keep to the conventions, and agree with the package."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from seamless.launcher.grammar import HELPERS
from tests.ansible.conftest import ROOT
from tests.integration.place import SCRIPTS

ANSIBLE = ROOT / "ansible"
PLAYBOOK = Path(__file__).with_name("services.yml")
LAUNCHER = PLAYBOOK.with_name("launcher.yml")
ROLES = sorted(path.name for path in (ANSIBLE / "roles").iterdir())


def run(tools: Path, tmp_path: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command of Ansible in its directory."""
    environment = {
        "PATH": f"{tools}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        **more,
    }
    return subprocess.run(
        [tools / words[0], *words[1:]], cwd=ANSIBLE, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip


@pytest.mark.ansible
@pytest.mark.timeout(700)
def test_ansible_lint_has_nothing_to_say_at_the_production_profile(tools: Path, tmp_path: Path) -> None:
    done = run(tools, tmp_path, "ansible-lint", "--offline", "--profile", "production")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.ansible
@pytest.mark.timeout(700)
def test_the_example_inventory_is_understood(tools: Path, tmp_path: Path) -> None:
    done = run(tools, tmp_path, "ansible-playbook", "--syntax-check", "site.yml")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.ansible
@pytest.mark.timeout(700)
@pytest.mark.xdist_group("ansible")
def test_the_roles_pass_molecule_as_an_ordinary_installation(tools: Path, dist: Path, tmp_path: Path) -> None:
    done = run(tools, tmp_path, "molecule", "test", DIST=str(dist), SCRATCH=str(tmp_path / "scratch"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert os.listdir(tmp_path / "scratch") == []


@pytest.mark.ansible
@pytest.mark.timeout(700)
@pytest.mark.xdist_group("ansible")
def test_launched_stores_are_stopped_when_what_is_installed_has_changed_and_only_then(
    tools: Path, tmp_path: Path
) -> None:
    states = tmp_path / ".remote-http-launcher" / "server"
    states.mkdir(parents=True)
    for key in ("hashserver-hpc-rw-p", "database-hpc-rw-p", "jobserver-hpc-p"):
        (states / f"{key}.json").touch()
    stopped, stamp = tmp_path / "stopped", tmp_path / "stamp"
    program = tmp_path / "rhl-stop"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>{stopped}\n')
    program.chmod(0o755)
    names = {"home": tmp_path, "bin": tmp_path, "share": tmp_path / "share", "stamp": stamp}
    values = json.dumps({f"seamless_services_{name}": str(path) for name, path in names.items()})
    seen = []
    for version in ("old", "old", "new"):
        stamp.write_text(f"{version}\n")
        stopped.write_text("")
        done = run(tools, tmp_path, "ansible-playbook", "-i", "localhost,", "-e", values, str(PLAYBOOK))
        assert done.returncode == 0, done.stdout + done.stderr
        seen.append(("changed=0" not in done.stdout, sorted(stopped.read_text().split())))
    stores = ["database-hpc-rw-p", "hashserver-hpc-rw-p"]
    assert seen == [(True, stores), (False, []), (True, stores)]


@pytest.mark.ansible
@pytest.mark.timeout(700)
@pytest.mark.xdist_group("ansible")
def test_an_installation_that_failed_half_way_is_completed_by_the_next_run_and_one_of_before_comes_back(
    tools: Path, dist: Path, tmp_path: Path
) -> None:
    """Without any network: a wheel that is damaged, that wheel as it should be, and the same with an older Seamless."""
    wheel = next(dist.glob("seamless-*.whl"))
    lock, good, bad = tmp_path / "one.lock", tmp_path / "good.tar", tmp_path / "bad.tar"
    with tarfile.open(dist / "wheels.tar") as archive:
        name = next(name for name in archive.getnames() if "/tqdm-" in name)
        archive.extract(name, tmp_path / "wheels", filter="data")
    path = tmp_path / "wheels" / name
    version = path.name.split("-")[1]
    lock.write_text(f"tqdm=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n")
    for target, content in ((good, path.read_bytes()), (bad, path.read_bytes() + b"x")):
        path.write_bytes(content)
        with tarfile.open(target, "w") as archive:
            archive.add(path, f"./{path.name}")
    prefix, bin = tmp_path / "prefix", tmp_path / "bin"
    older = tmp_path / "older" / wheel.name
    older.parent.mkdir()
    shutil.copy(wheel, older)
    with zipfile.ZipFile(older, "a") as archive_:
        archive_.writestr("older.py", "")
    values = {"method": "venv", "prefix": prefix, "bin": bin, "lock": lock}
    seen = []
    for wheelhouse, seamless in ((bad, wheel), (good, wheel), (good, older)):
        given = {**values, "wheelhouse": wheelhouse, "wheel": seamless}
        words = json.dumps({f"remote_http_launcher_{name}": str(value) for name, value in given.items()})
        done = run(tools, tmp_path, "ansible-playbook", "-i", "localhost,", "-e", words, str(LAUNCHER))
        seen.append((done.returncode == 0, "changed=0" not in done.stdout, (bin / "rhl-guard").exists()))
        assert ".staging" not in os.listdir(prefix) or done.returncode != 0
    assert seen == [(False, True, False), (True, True, True), (True, True, True)]
    shown = subprocess.run([bin / "rhl-ps", "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert shown.stdout.startswith("rhl-ps (Seamless) ")


@pytest.fixture
def units(tools: Path, tmp_path: Path) -> Path:
    """Return the directory of the units of two servers as the role writes them, where no systemd is told of them."""
    unit = {"host": "127.0.0.1", "port": 0, "writable": True, "options": ["--log-format", "json"]}
    values = {
        "seamless_services_home": str(tmp_path),
        "seamless_services_bin": str(SCRIPTS),
        "seamless_services_share": str(tmp_path / "share"),
        "seamless_services_stamp": str(tmp_path / "stamp"),
        "seamless_services_systemd": {"stat": {"exists": False}},
        "seamless_services_units": [
            {**unit, "name": "buffers", "kind": "hashserver", "data": str(tmp_path / "data")},
            {**unit, "name": "results", "kind": "seamless-database", "data": str(tmp_path / "data" / "seamless.db")},
        ],
    }
    (tmp_path / "data").mkdir()
    done = run(tools, tmp_path, "ansible-playbook", "-i", "localhost,", "-e", json.dumps(values), str(PLAYBOOK))
    assert done.returncode == 0, done.stdout + done.stderr
    return tmp_path / ".config" / "systemd" / "user"


@pytest.mark.ansible
@pytest.mark.timeout(700)
@pytest.mark.xdist_group("ansible")
def test_systemd_has_nothing_to_say_about_the_units_and_their_commands_serve(
    units: Path, tmp_path: Path, require: Callable[[object, str], None]
) -> None:
    require("systemd-analyze", "systemd is missing")
    names = ("seamless-buffers.service", "seamless-results.service")
    place = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", "--man=no", *(units / name for name in names)],
        env=place, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for name in names:
        (line,) = re.findall(r"^ExecStart=(.*)$", (units / name).read_text(), re.MULTILINE)
        words = shlex.split(line.replace("%h", str(tmp_path)))
        server = subprocess.Popen(words, env=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            assert server.stdout is not None
            assert any("listening on http://127.0.0.1:" in said for said in server.stdout)
        finally:
            server.terminate()
            server.communicate(timeout=60)


@pytest.mark.ansible
@pytest.mark.timeout(700)
@pytest.mark.xdist_group("ansible")
def test_without_root_a_key_is_one_line_among_those_of_others(tools: Path, tmp_path: Path) -> None:
    others = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBQ9yBVqrFsKkVNTyBFYyGyWHDXRtdJcqEzYcAnwKkHv somebody@else\n"
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIMcyMF1QPlfAW2QGY23WaKTlmUnElWtbTPLGyuoSqVI me@here"
    lines = tmp_path / ".ssh" / "authorized_keys"
    lines.parent.mkdir()
    lines.write_text(others)
    values = {
        "rhl_guard_home": str(tmp_path),
        "rhl_guard_program": str(SCRIPTS / "rhl-guard"),
        "rhl_guard_data_roots": [str(tmp_path / "data")],
        "rhl_guard_options": ["--read-only"],
    }
    seen = []
    for state in ("present", "present", "absent"):
        values["rhl_guard_keys"] = [{"name": "me", "key": key, "state": state}]
        words = ["ansible-playbook", "-i", "localhost,", "-e", json.dumps(values)]
        done = run(tools, tmp_path, *words, str(PLAYBOOK.with_name("guard.yml")))
        assert done.returncode == 0, done.stdout + done.stderr
        seen.append(
            ("changed=0" not in done.stdout, lines.read_text().count("--read-only"), others in lines.read_text())
        )
    assert seen == [(True, 1, True), (False, 1, True), (True, 0, True)]


@pytest.mark.ansible
@pytest.mark.timeout(700)
@pytest.mark.xdist_group("ansible")
def test_the_units_may_do_little_beside_serving(
    units: Path, tmp_path: Path, require: Callable[[object, str], None]
) -> None:
    require("systemd-analyze", "systemd is missing")
    place = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path)}
    words = [
        "systemd-analyze",
        "security",
        "--user",
        "--offline=true",
        "--json=short",
        str(units / "seamless-buffers.service"),
    ]
    done = subprocess.run(words, env=place, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout, done.stderr
    closed = {fact["name"] for fact in json.loads(done.stdout) if fact["set"]}
    assert {
        "NoNewPrivileges=", "LockPersonality=", "RestrictRealtime=", "RestrictSUIDSGID=", "SystemCallArchitectures=",
        "RestrictNamespaces=~user", "RestrictNamespaces=~mnt", "RestrictAddressFamilies=~AF_PACKET",
        "SystemCallFilter=~@mount", "SystemCallFilter=~@module", "SystemCallFilter=~@debug",
    } <= closed  # fmt: skip


def test_what_sshd_must_not_accept_from_clients_is_told_from_what_it_usually_does() -> None:
    tasks = yaml.safe_load((ANSIBLE / "roles" / "rhl_guard" / "tasks" / "own_file.yml").read_text())
    (pattern,) = (task["vars"]["rhl_guard_pattern"] for task in tasks if "rhl_guard_pattern" in task.get("vars", {}))
    usual = ("LANG", "LANGUAGE", "LC_*", "LC_ALL", "COLORTERM", "NO_COLOR", "TERM", "XMODIFIERS", "GIT_PROTOCOL", "TZ")
    dangerous = ("*", "?*", "P*", "LD_*", "LD_PRELOAD", "BASH_ENV", "ENV", "PYTHON*", "PYTHONEXECUTABLE", "SHELLOPTS")
    dangerous += ("REMOTE_HTTP_LAUNCHER_DIR", "PS4", "GCONV_PATH", "HOME", "PATH")
    assert [name for name in (*usual, *dangerous) if re.match(pattern, name)] == list(dangerous)


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_of_a_role_is_described_and_has_its_prefix(role: str) -> None:
    directory = ANSIBLE / "roles" / role
    defaults = yaml.safe_load((directory / "defaults" / "main.yml").read_text())
    specified = yaml.safe_load((directory / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"][
        "options"
    ]
    assert set(defaults) == set(specified)
    assert all(name.startswith(f"{role}_") for name in defaults)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_uses_nothing_but_what_ansible_core_has(role: str) -> None:
    for path in (ANSIBLE / "roles" / role).rglob("*.yml"):
        text = path.read_text()
        assert "community." not in text and "ansible.posix" not in text, path


def test_the_helpers_that_are_linked_are_all_helpers() -> None:
    names = yaml.safe_load((ANSIBLE / "roles" / "remote_http_launcher" / "vars" / "main.yml").read_text())
    assert set(names["remote_http_launcher_helpers"]) == {*HELPERS, "rhl-guard"}
