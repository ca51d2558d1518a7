"""Conda environments: found, cached, entered; with a stand-in for conda."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seamless.launcher import LauncherError, run
from seamless.launcher.conda import CondaSetup, activation, cached_setup, refresh_cache
from tests.launcher.support import CONDA_SH

if TYPE_CHECKING:
    from tests.launcher.conftest import LaunchDict


def run_it(argv: list[str]) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout


def test_an_installation_in_the_home_directory_is_found_and_cached(miniforge: Path, base: Path) -> None:
    setup = refresh_cache()
    assert setup.source == str(miniforge / "etc" / "profile.d" / "conda.sh")
    assert cached_setup() == setup
    assert json.loads((base / "conda-setup.json").read_text()) == {
        "conda_source": setup.source,
        "conda_base": str(miniforge),
        "envs": [str(miniforge), str(miniforge / "envs" / "tools")],
    }


def test_the_block_in_bashrc_is_believed(miniforge: Path, isolation: Path) -> None:
    elsewhere = isolation / "elsewhere"
    miniforge.rename(elsewhere)
    script = elsewhere / "etc" / "profile.d" / "conda.sh"
    script.write_text(CONDA_SH.replace("BASE", str(elsewhere)))
    block = f'# >>> conda initialize >>>\n. "{script}"\n# <<< conda initialize <<<\n'
    (isolation / ".bashrc").write_text(block)
    assert refresh_cache().source == str(script)


def test_a_command_runs_in_the_environment(miniforge: Path) -> None:
    argv = activation("tools", ["sh", "-c", 'echo "$CONDA_PREFIX" "$1"', "sh", "a b; $HOME 'c'"])
    assert run_it(argv) == f"{miniforge}/envs/tools a b; $HOME 'c'\n"


def test_an_environment_made_since_the_search_is_found(miniforge: Path) -> None:
    refresh_cache()
    script = miniforge / "etc" / "profile.d" / "conda.sh"
    script.write_text(script.read_text().replace('"]}', f'", "{miniforge}/envs/new"]}}'))
    (miniforge / "envs" / "new").mkdir()
    assert run_it(activation("new", ["sh", "-c", "echo $CONDA_PREFIX"])) == f"{miniforge}/envs/new\n"


def test_an_unknown_environment_is_named_with_those_that_there_are(miniforge: Path) -> None:
    with pytest.raises(LauncherError, match="Conda environment 'nope' is not listed") as caught:
        activation("nope", ["true"])
    assert "tools" in caught.value.hint


def test_without_conda_the_error_says_so(isolation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr("seamless.launcher.conda._SYSTEM", ())
    with pytest.raises(LauncherError, match="conda activate is not initialized and no usable conda.sh was found"):
        activation("tools", ["true"])


def test_base_and_listed_prefixes_are_environments() -> None:
    setup = CondaSetup(None, "/base", ("/base/envs/a", "/elsewhere/b"))
    assert setup.find("base") == "/base"
    assert setup.find("a") == "/base/envs/a"
    assert setup.find("/elsewhere/b/") == "/elsewhere/b"
    assert setup.find("/tmp/evil") is None
    assert setup.find("vs/a") is None


def test_the_service_of_a_launch_runs_in_the_environment(
    miniforge: Path, launch_dict: LaunchDict, base: Path, state_file: Path
) -> None:
    os.symlink(sys.executable, miniforge / "envs" / "tools" / "bin" / "only-there")
    command = launch_dict()["command"].replace(sys.executable, "only-there")
    assert run(launch_dict(command=command, conda="tools"))["port"] > 0
    state = json.loads(state_file.read_text())
    assert state["command"].startswith("only-there ")
    assert state["conda"] == "tools"
