"""Several callers want the same service at the same time: one process, and everybody has it."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seamless.launcher import StartFailed, run
from seamless.launcher.processes import wait_until
from tests.launcher.support import starts

if TYPE_CHECKING:
    from tests.launcher.conftest import LaunchDict

PROGRAM = """
import json, sys
from seamless.launcher import run
config = json.load(sys.stdin)
open(sys.argv[1], "w").close()
print(json.dumps(run(config)))
"""


def test_processes_that_launch_together_get_one_service(launch_dict: LaunchDict, workdir: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    config = json.dumps(launch_dict("gated", str(gate))).encode()
    callers = []
    for i in range(4):
        caller = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path / f"ready{i}")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert caller.stdin is not None
        caller.stdin.write(config)
        caller.stdin.close()
        caller.stdin = None
        callers.append(caller)
    try:
        assert wait_until(lambda: len(list(tmp_path.glob("ready*"))) == 4 and starts(workdir) != [], 60)
        gate.touch()
        answers = [caller.communicate(timeout=60)[0] for caller in callers]
    finally:
        for caller in callers:
            caller.kill()
            caller.wait()
    assert len(starts(workdir)) == 1
    assert len({json.loads(answer)["port"] for answer in answers}) == 1


def test_threads_that_launch_together_get_one_service(launch_dict: LaunchDict, workdir: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        payloads = list(threads.map(lambda _: run(launch_dict()), range(8)))
    assert len(starts(workdir)) == 1
    assert all(payload == payloads[0] for payload in payloads)


def test_those_who_wait_for_a_start_that_fails_get_the_error_too(launch_dict: LaunchDict, workdir: Path) -> None:
    def attempt(_: int) -> str:
        with pytest.raises(StartFailed) as caught:
            run(launch_dict("never", start_timeout=0.5))
        return caught.value.message

    with ThreadPoolExecutor(3) as threads:
        messages = list(threads.map(attempt, range(3)))
    assert all("did not start" in message for message in messages)
