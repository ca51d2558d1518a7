"""The size limit of a store is kept: after commands that store, by servers, and never at the cost of what is unique."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from seamless.checksum import Checksum
from seamless.insight.enforcement import STAMP, Keeper, enforce, enforce_quietly
from seamless.insight.pinned import set_size_limit
from seamless.insight.place import checked_place

BIG = b"x" * 200_000


def test_a_store_above_its_limit_loses_what_can_be_computed_again(lab) -> None:
    step = lab.step(BIG)
    given = lab.put(b"y" * 100_000)
    set_size_limit(lab.place, 150_000)
    done = enforce(lab.place)
    assert done is not None
    assert done.removed == 1
    assert lab.has(given)
    assert lab.has(step)


def test_what_cannot_be_computed_again_stays_above_the_limit(lab) -> None:
    given = lab.put(BIG)
    set_size_limit(lab.place, 1000)
    assert enforce(lab.place) is None
    assert lab.has(given)


def test_without_a_limit_nothing_is_written(lab) -> None:
    lab.step(BIG)
    assert enforce(lab.place) is None
    assert not os.path.exists(lab.place.file(STAMP))


def test_it_is_looked_at_once_in_a_while(lab) -> None:
    set_size_limit(lab.place, 1000)
    assert enforce(lab.place) is None
    lab.step(BIG)
    assert enforce(lab.place) is None
    assert enforce(lab.place, every=0) is not None


def test_of_processes_that_look_at_once_one_collects(lab) -> None:
    lab.step(BIG)
    set_size_limit(lab.place, 1000)
    done = []
    threads = [threading.Thread(target=lambda: done.append(enforce(lab.place, every=0))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one.removed for one in done if one is not None) == 1


def test_what_was_just_used_stays(lab) -> None:
    step = lab.step(BIG)
    result = lab.results.get_result(Checksum(step)).hex()
    os.utime(lab.path(result))
    set_size_limit(lab.place, 150_000)
    assert enforce(lab.place) is None
    assert lab.has(result)


def test_a_limit_that_is_none_hinders_nobody(lab, caplog) -> None:
    Path(lab.place.file(".seamless-limit")).write_text("much\n")
    enforce_quietly(lab.store.directory)
    assert "much" in caplog.text


def test_a_server_keeps_its_store_to_the_limit(lab) -> None:
    lab.step(BIG)
    set_size_limit(lab.place, 1000)
    deadline = time.monotonic() + 30
    with Keeper(lab.store.directory, every=0.01):
        while lab.store.buffers.stats()["bytes"] > 1000 and time.monotonic() < deadline:
            threading.Event().wait(0.01)
    assert lab.store.buffers.stats()["bytes"] < 1000


def test_a_command_that_stores_keeps_the_limit(lab, run_cli, tmp_path) -> None:
    root = tmp_path / "cache"
    first = run_cli(["seamless-run", "-q", "echo", "first"], env={"SEAMLESS_CACHE": str(root)})
    assert first.returncode == 0, first.stderr
    store = root / "__TOPLEVEL__"
    (store / ".seamless-limit").write_text("1\n")
    second = run_cli(["seamless-run", "-q", "echo", "second"], env={"SEAMLESS_CACHE": str(root)})
    assert (second.returncode, second.stdout) == (0, b"second\n"), second.stderr
    assert (store / STAMP).exists()
    (store / STAMP).unlink()
    again = run_cli(["seamless-run", "-q", "echo", "second"], env={"SEAMLESS_CACHE": str(root)})
    assert again.stdout == b"second\n"
    assert not (store / STAMP).exists(), "a command that has stored nothing does not look"


PROGRAM = """
import sys
import seamless.config
from seamless.transformer import direct

@direct
def step(x, size):
    return str(x) * size

if sys.argv[2] == "staged":
    seamless.config.set_stage("one", workdir=".")
print(len(step(int(sys.argv[1]), 50_000)))
"""


@pytest.mark.parametrize("how", ["plain", "staged"])
def test_a_program_that_stores_keeps_the_limit(how: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "seamless.yaml").write_text("- project: fruit\n")

    def run(number: int) -> None:
        done = subprocess.run(
            [sys.executable, "program.py", str(number), how],
            cwd=tmp_path,
            env={**os.environ, "SEAMLESS_CACHE": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "50000\n", "")

    run(1)
    store = tmp_path / "cache" / "__TOPLEVEL__" / ("" if how == "plain" else "STAGE-one")
    for path in store.glob("??/*"):
        os.utime(path, (time.time() - 86400,) * 2)
    set_size_limit(checked_place(str(store)), 60_000)
    run(2)
    large = [path for path in store.glob("??/*") if path.stat().st_size > 50_000]
    assert len(large) == 1, "the result of the first program has gone, that of the second has just been used"
    assert (store / STAMP).exists()
    run(1)
