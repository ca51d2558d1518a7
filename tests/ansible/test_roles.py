"""The roles keep to the conventions, and agree with the package."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from seamless.launcher.grammar import HELPERS
from tests.ansible.conftest import ROOT

ANSIBLE = ROOT / "ansible"
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
