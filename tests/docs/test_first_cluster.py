"""The page about another machine does what it says, with a real sshd as that machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.sshd import Sshd
from tests.helpers.sshd import make_sshd as make_sshd

pytestmark = pytest.mark.ssh

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "first-cluster.md"
SCRIPTS = Path(sys.executable).parent

# Reads the configuration of the page; only where the machine is, and its key, are those of the test.
SSH = """#!/bin/sh
exec /usr/bin/ssh -F "$HOME/.ssh/config" -o LogLevel=ERROR -o HostName={address} -o Port={port} -o User=root \\
  -o IdentitiesOnly=yes -o IdentityFile={root}/id_plain -o UserKnownHostsFile={root}/known_hosts \\
  -o StrictHostKeyChecking=accept-new "$@"
"""

# What the registry would install is linked from the installation that is tested.
PIP = """#!/bin/sh
[ "$*" = 'install -q seamless[services]' ] || exit 2
for command in hashserver seamless-database {scripts}/rhl-*; do
  ln -s "{scripts}/$(basename "$command")" ~/miniforge3/bin/
done
"""


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def machine(make_sshd: Callable[..., Sshd], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sshd:
    """Return the machine of the page: no Seamless on its PATH, but a Miniforge in the home."""
    server = make_sshd(path=())
    monkeypatch.delenv("SEAMLESS_SSH")
    executable(tmp_path / "bin" / "ssh", SSH.format(address=server.address, port=server.port, root=server.root))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    executable(server.home / "miniforge3" / "bin" / "pip", PIP.format(scripts=SCRIPTS))
    return server


def test_from_a_key_to_a_result_of_another_machine(run_page: Callable[[str], list[str]], machine: Sshd) -> None:
    problems = run_page(PAGE.read_text(encoding="utf-8"))
    assert problems == [], "\n\n".join(problems)
    assert (machine.home / "seamless" / "results" / "fruit" / "seamless.db").exists()


def test_eight_commands_are_enough() -> None:
    commands = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("$ ")]
    hit = [i for i, command in enumerate(commands) if command.startswith("$ seamless-run")][1]
    assert hit < 8
    assert len(commands) <= 8
