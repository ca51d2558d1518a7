"""Processes that the system ends for want of memory: how it is noticed, and what is not tried again for it."""

import itertools
import re
import signal

import pytest

from seamless.errors import TransformationError, WorkerLostError
from seamless.transformer import delayed, worker
from seamless.transformer.execution import seam
from seamless.transformer.workers import oom
from seamless.transformer.workers.supervisor import Exit

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
    assert not oom.OutOfMemory().noticed(KILLED)


def test_a_process_was_ended_for_its_memory_if_the_count_has_grown_since_the_last_look(kernel):
    (kernel / "vmstat").write_text("nr_free_pages 1\noom_kill 7\n")
    seen = oom.OutOfMemory()
    assert not seen.noticed(KILLED)
    (kernel / "vmstat").write_text("nr_free_pages 1\noom_kill 8\n")
    assert not seen.noticed(Exit(-signal.SIGSEGV))
    assert [seen.noticed(KILLED), seen.noticed(KILLED)] == [True, False]
    assert seen.text(KILLED, True) == (
        "The system has run out of memory meanwhile, and ends processes then. It had used up to 5 MB.\n"
    )


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
