"""Two YAML files decide: the same commands and programs keep their data in services, with hits for everyone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(sys.executable).parent

CLUSTERS = """
ws:
  type: local
  frontends:
    - hashserver: {{bufferdir: {store}}}
      database: {{database_dir: {store}}}
"""

PROGRAM = """
import sys
import seamless.config
seamless.config.init()
from seamless.transformer import direct

@direct
def step(x, counter):
    with open(counter, "a") as f:
        f.write("ran\\n")
    return x * 2

print(step(21, sys.argv[1]))
import seamless
seamless.close()
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Return a project directory whose files name a cluster of this machine; stop its services afterwards."""
    work, home = tmp_path / "work", tmp_path / "home"
    (home / ".seamless").mkdir(parents=True)
    work.mkdir()
    (home / ".seamless" / "clusters.yaml").write_text(CLUSTERS.format(store=tmp_path / "store"))
    (work / "seamless.yaml").write_text("- project: fruit\n")
    (work / "seamless.profile.yaml").write_text("- cluster: ws\n- execution: process\n- persistent: true\n")
    (work / "a.txt").write_text("b\na\n")
    (work / "program.py").write_text(PROGRAM)
    yield work
    for pid in pids(tmp_path):
        os.kill(pid, signal.SIGKILL)


def pids(tmp_path: Path) -> list[int]:
    """Return the processes of the services that are running."""
    found = []
    for state in (tmp_path / "home" / ".remote-http-launcher" / "server").glob("*.json"):
        pid = json.loads(state.read_text()).get("pid")
        stat = Path(f"/proc/{pid}/stat")
        if pid and stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
            found.append(pid)
    return found


@pytest.fixture
def run(place: Path) -> Run:
    def run(*command: Any, **more: str) -> subprocess.CompletedProcess[str]:
        env = {"HOME": str(place.parent / "home"), "PATH": f"{SCRIPTS}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", **more}
        done = subprocess.run(
            [str(c) for c in command], cwd=place, env=env, capture_output=True, text=True, timeout=100
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run


def test_a_command_keeps_its_data_in_services_and_is_found_there(run: Run, place: Path) -> None:
    count = place.parent / "count"
    line = f"echo ran >> {count}; sort a.txt"
    for _ in range(3):
        assert run("seamless-run", "-i", "a.txt", "-c", line).stdout == "a\nb\n"
    assert count.read_text() == "ran\n"
    assert (place.parent / "store" / "fruit" / "seamless.db").exists()
    assert len(pids(place.parent)) == 2


def test_a_python_program_and_a_stage_use_services_of_their_own(run: Run, place: Path) -> None:
    count = place.parent / "count"
    for _ in range(2):
        assert run("python", "program.py", count).stdout == "42\n"
    assert count.read_text() == "ran\n"
    assert run("seamless-run", "--stage", "prod", "sort a.txt").stdout == "a\nb\n"
    assert (place.parent / "store" / "fruit" / "STAGE-prod" / "seamless.db").exists()


def test_services_that_were_killed_are_started_again_and_nothing_is_lost(run: Run, place: Path) -> None:
    count = place.parent / "count"
    line = f"echo ran >> {count}; sort a.txt"
    assert run("seamless-run", "-i", "a.txt", "-c", line).stdout == "a\nb\n"
    for pid in pids(place.parent):
        os.kill(pid, signal.SIGKILL)
    assert run("seamless-run", "-i", "a.txt", "-c", line).stdout == "a\nb\n"
    assert count.read_text() == "ran\n"


def test_what_services_have_kept_is_an_embedded_cache_too(run: Run, place: Path) -> None:
    count = place.parent / "count"
    line = f"echo ran >> {count}; sort a.txt"
    run("seamless-run", "-i", "a.txt", "-c", line)
    cache = str(place.parent / "store")
    done = run("seamless-run", "--project", "fruit", "-i", "a.txt", "-c", line, SEAMLESS_CACHE=cache)
    assert done.stdout == "a\nb\n"
    assert count.read_text() == "ran\n"


def test_a_second_user_without_the_token_is_refused(run: Run, place: Path) -> None:
    import urllib.error
    import urllib.request

    run("seamless-run", "sort a.txt")
    (state,) = (place.parent / "home" / ".remote-http-launcher" / "server").glob("hashserver-*.json")
    assert state.stat().st_mode & 0o077 == 0
    found = json.loads(state.read_text())
    url = f"http://127.0.0.1:{found['port']}/" + "0" * 64
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url, timeout=10)
    refused.value.close()
    assert refused.value.code == 401
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {found['token']}"})
    with pytest.raises(urllib.error.HTTPError) as absent:
        urllib.request.urlopen(request, timeout=10)
    absent.value.close()
    assert absent.value.code == 404


def test_upload_and_download_go_through_the_services(run: Run, place: Path) -> None:
    assert run("seamless-upload", "-y", "a.txt").returncode == 0
    (place / "a.txt").unlink()
    assert run("seamless-run", "-c", "tac a.txt").stdout == "a\nb\n"
    assert run("seamless-download", "a.txt").returncode == 0
    assert (place / "a.txt").read_text() == "b\na\n"


def test_execution_that_this_version_does_not_have_is_refused_with_the_place_and_the_remedy(
    run: Run, place: Path
) -> None:
    (place / "seamless.profile.yaml").write_text("- cluster: ws\n- execution: remote\n")
    done = run("seamless-run", "sort a.txt")
    assert done.returncode == 2
    assert "seamless.profile.yaml:2" in done.stderr and "process" in done.stderr
    assert run("seamless-run", "--local", "sort a.txt").stdout == "a\nb\n"
