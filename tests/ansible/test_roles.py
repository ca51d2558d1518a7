"""The roles keep to the conventions, and agree with the package."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from seamless.launcher.grammar import HELPERS
from tests.ansible.conftest import ROOT

ANSIBLE = ROOT / "ansible"
PLAYBOOK = Path(__file__).with_name("services.yml")
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
