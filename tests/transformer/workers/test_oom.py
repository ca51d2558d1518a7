"""Processes that the system ends for want of memory: how it is noticed, and what is not tried again for it."""

import contextlib
import itertools
import os
import re
import signal
from pathlib import Path

import pytest

from seamless.errors import TransformationError, WorkerLostError
from seamless.transformer import delayed, worker
from seamless.transformer.execution import seam
from seamless.transformer.workers import oom
from seamless.transformer.workers.supervisor import Exit
from tests.transformer.workers import support

KILLED = Exit(-signal.SIGKILL, 5_000_000)


@pytest.fixture
def kernel(monkeypatch, tmp_path):
    """Return a directory with what a kernel tells; every file is for the test to write."""
    monkeypatch.setattr(oom, "_GROUPS", str(tmp_path / "cgroup"))
    monkeypatch.setattr(oom, "_MACHINE", str(tmp_path / "vmstat"))
    monkeypatch.setattr(oom, "_ALL", str(tmp_path / "memory.events"))
    return tmp_path


def test_without_any_counter_nothing_is_known(kernel):
    assert oom.kills() is None
    seen = oom.OutOfMemory()
    assert not seen.noticed(seen.begin())


def test_something_was_ended_for_its_memory_if_the_count_has_grown_since_it_began(kernel):
    (kernel / "vmstat").write_text("nr_free_pages 1\noom_kill 7\n")
    seen = oom.OutOfMemory()
    begun = seen.begin()
    assert not seen.noticed(begun)
    (kernel / "vmstat").write_text("nr_free_pages 1\noom_kill 8\n")
    assert [seen.noticed(begun), seen.noticed(begun)] == [True, False]  # one end is not the reason of two


def test_what_was_ended_before_something_began_is_not_why_that_ended(kernel, monkeypatch):
    monkeypatch.setattr(oom, "_LOOK_SECONDS", 0)
    (kernel / "vmstat").write_text("oom_kill 7\n")
    seen = oom.OutOfMemory()
    early = seen.begin()
    (kernel / "vmstat").write_text("oom_kill 8\n")
    late = seen.begin()
    assert [seen.noticed(late), seen.noticed(early)] == [False, True]


def test_a_look_serves_all_that_begin_within_some_seconds(kernel, monkeypatch):
    looks = []
    monkeypatch.setattr(oom, "kills", lambda: looks.append(1) or 3)
    seen = oom.OutOfMemory()
    for _ in range(100):
        seen.begin()
    assert len(looks) == 1


def test_only_so_many_changes_are_remembered(kernel, monkeypatch):
    count = itertools.count()
    monkeypatch.setattr(oom, "kills", lambda: next(count))
    monkeypatch.setattr(oom, "_LOOK_SECONDS", -1)
    seen = oom.OutOfMemory()
    for _ in range(1000):
        seen.begin()
    assert len(seen._counts) == oom._REMEMBERED
    assert seen.noticed(seen.begin())


@pytest.mark.parametrize(
    ("how", "noticed", "text"),
    [
        (
            KILLED,
            True,
            "The system has run out of memory meanwhile, and ends processes then. It had used up to 5 MB.\n",
        ),
        (KILLED, False, "The system does that when memory runs out; or somebody did. It had used up to 5 MB.\n"),
        (Exit(-signal.SIGSEGV, 5), False, ""),
    ],
)
def test_what_there_is_to_say_about_a_process_that_was_killed(how, noticed, text):
    assert oom.OutOfMemory.text(how, noticed) == text


@pytest.mark.parametrize(
    ("line", "files"),
    [
        ("4:memory:/slurm/job_1", ["/sys/fs/cgroup/memory/slurm/job_1/memory.oom_control"]),
        (
            "0::/slurm/job_1",
            ["/sys/fs/cgroup/slurm/job_1/memory.events", "/sys/fs/cgroup/unified/slurm/job_1/memory.events"],
        ),
        ("3:cpuset:/slurm/job_1", []),
        ("4:memory:/", []),
    ],
)
def test_the_counters_of_a_job_are_those_of_its_group(kernel, line, files):
    (kernel / "cgroup").write_text(f"{line}\n")
    assert oom._own_counters() == files


def dies(trace):
    import os
    import signal

    with open(trace, "a") as file:
        file.write("x")
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(("retry_starved", "tries"), [(True, "xx"), (False, "x")])
def test_what_has_run_out_of_memory_is_tried_again_here_only_if_nobody_else_has_more(
    pool, tmp_path, monkeypatch, retry_starved, tries
):
    count = itertools.count()
    monkeypatch.setattr(oom, "kills", lambda: next(count))
    monkeypatch.setattr(seam, "executor", worker.WorkerPoolExecutor(1))
    monkeypatch.setattr(seam.executor, "_workers", pool(1, retry_starved=retry_starved))
    handle = delayed(dies)(str(tmp_path / "trace"))
    with pytest.raises(TransformationError) as caught:
        handle.run()
    assert isinstance(caught.value.__cause__, WorkerLostError) and caught.value.__cause__.out_of_memory
    assert (tmp_path / "trace").read_text() == tries


def test_the_process_that_was_lost_is_named(workers, tmp_path):
    for i in range(8):
        handle = delayed(dies)(str(tmp_path / str(i)))
        assert handle.compute() is None
        assert re.search(r"the worker process \d+ was killed by signal 9", handle.exception), handle.exception


# --- commands ------------------------------------------------------------------------------------


def test_a_command_whose_process_was_killed_by_hand_hears_what_may_be_the_reason(kernel):
    handle = delayed("bash -c 'kill -9 $$'", "bash")()
    assert handle.compute() is None
    assert "Something killed the process with SIGKILL: most often" in handle.exception


@pytest.fixture
def small_group(require, tmp_path):
    """Return the list of the members of a group of processes that get 300 MB; the system ends one if they need more."""
    name = f"seamless-test-{os.getpid()}"
    for group, limit in ((f"memory/{name}", "memory.limit_in_bytes"), (name, "memory.max")):
        directory = Path("/sys/fs/cgroup", group)
        with contextlib.suppress(OSError):
            directory.mkdir()
            if (directory / limit).exists():
                (directory / limit).write_text(str(300_000_000))
                yield directory / "cgroup.procs"
                support.eventually(lambda: not (directory / "cgroup.procs").read_text())  # noqa: B023
                directory.rmdir()
                return
            directory.rmdir()
    require(False, "no group of processes with a limit of memory can be made here")


HUNGRY = """
import os, sys
with open(sys.argv[1], "w") as group:
    group.write(str(os.getpid()))
from seamless.transformer import delayed, spawn
if sys.argv[2] == "spawned":
    spawn(1)
handle = delayed("python3 -c 'print(len(bytes(range(100)) * 9_000_000))' > RESULT", "bash")()
handle.compute()
print(handle.exception)
"""


@pytest.mark.xdist_group("slurm")  # whose tests must not take these ends for those of their own processes
@pytest.mark.parametrize("where", ["spawned", "here"])
def test_a_command_that_the_system_has_ended_for_its_memory_hears_so(small_group, tmp_path, where):
    (tmp_path / "program.py").write_text(HUNGRY)
    out, _ = support.run_program(tmp_path / "program.py", small_group, where, SEAMLESS_CACHE=str(tmp_path / "cache"))
    assert "Return code 137 (killed by SIGKILL)" in out
    assert "The system has run out of memory meanwhile, and ends processes then. It had used up to 2" in out
