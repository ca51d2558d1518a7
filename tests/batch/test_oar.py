"""The scripts for OAR in real jobs, also when these are ended and submitted again."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess

import pytest

from tests.batch.conftest import Oar
from tests.batch.support import ROOT, Steps
from tests.helpers.sshd import wait_for

pytestmark = [pytest.mark.oar, pytest.mark.xdist_group("oar"), pytest.mark.timeout(600)]

OVER = {"Terminated", "Error"}
DEADLINE = 280.0


def finish(oar: Oar, jobs: list[str]) -> None:
    """Wait until jobs are over."""
    wait_for(lambda: set(oar.states(jobs).values()) <= OVER, f"the jobs {jobs} do not end", DEADLINE)


@pytest.mark.parametrize("script", ["step.sh", "array.sh", "pilot.sh"])
def test_a_script_without_words_says_how_it_is_used(script: str) -> None:
    done = subprocess.run(
        [ROOT / "oar" / script, "SEAMLESS_CACHE=/nowhere"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("usage: oarsub ")


def test_a_step_is_executed_by_a_job_with_the_variables_that_it_is_given(oar: Oar) -> None:
    step = oar.shared("step.sh")
    jobs = oar.submit("-O", "out", "-S", f"{step} {oar.words} echo one two")
    finish(oar, jobs)
    assert (oar.work / "out").read_text() == "one two\n"
    assert list(oar.cache.glob("*/seamless.db"))


def test_an_array_that_is_ended_half_way_executes_nothing_again_that_had_finished(oar: Oar) -> None:
    steps = Steps(oar.work, 50, 0.1, free=25)
    array = oar.shared("array.sh")
    words = [
        "--array",
        steps.number,
        "-O",
        "out.%jobid%",
        "-E",
        "err.%jobid%",
        "-S",
        f"{array} {oar.words} commands.txt {shlex.join(steps.options)}",
    ]
    jobs = oar.submit(*words)
    assert len(jobs) == steps.number
    wait_for(lambda: len(steps.delivered("out.*")) >= 20, "the steps are not executed", DEADLINE)
    oar.run("oardel", *jobs)
    finish(oar, jobs)
    finished = steps.delivered("out.*")
    steps.open_gate()
    finish(oar, oar.submit(*words))
    steps.check("out.*", finished)


def test_two_arrays_with_the_same_steps_share_one_cache_and_execute_each_step_once(oar: Oar) -> None:
    steps = Steps(oar.work, 4, 0.5)
    line = f"{oar.shared('array.sh')} {oar.words} commands.txt {shlex.join(steps.options)}"
    arrays = [
        oar.submit("--array", steps.number, "-O", f"{name}.%jobid%", "-E", "err.%jobid%", "-S", line)
        for name in ("one", "two")
    ]
    finish(oar, [job for jobs in arrays for job in jobs])
    everything = set(range(1, steps.number + 1))
    assert steps.delivered("one.*") == steps.delivered("two.*") == everything
    assert steps.executed == dict.fromkeys(everything, 1)


def test_a_pilot_works_through_a_file_and_leaves_when_it_is_told(oar: Oar) -> None:
    steps = Steps(oar.work, 8, 0.1, free=4)
    pilot = oar.shared("pilot.sh")
    words = [
        "-O",
        "out.%jobid%",
        "-E",
        "err.%jobid%",
        "-l",
        "/core=2,walltime=0:10:00",
        "-S",
        f"{pilot} {oar.words} commands.txt {shlex.join(steps.options)}",
    ]
    jobs = oar.submit(*words)
    wait_for(lambda: len(steps.delivered("out.*")) >= 2, "the steps are not executed", DEADLINE)
    oar.run("oardel", "-s", "USR1", *jobs)
    finish(oar, jobs)
    finished = steps.delivered("out.*")
    assert len(finished) < 8
    steps.open_gate()
    finish(oar, oar.submit(*words))
    steps.check("out.*", finished)


def test_the_jobs_of_the_page_about_oar_end_well(oar: Oar) -> None:
    shutil.copytree(ROOT / "oar", oar.work / "oar")
    (oar.work / "words.txt").write_text("pear\nfig\n")
    (oar.work / "commands.txt").write_text("sort words.txt > sorted.txt\nsort -r words.txt > reversed.txt\n")
    text = (ROOT / "docs" / "howto" / "oar.md").read_text(encoding="utf-8")
    here = {"$PATH": f"{oar.venv}/bin:/usr/bin:/bin", "/scratch/me/cache": str(oar.cache), "core=16": "core=2"}
    for shown, own in here.items():
        text = text.replace(shown, own)
    lines = re.findall(r"^oarsub .*$", text, re.MULTILINE)
    assert len(lines) == 3
    for line in lines:
        jobs = re.findall(r"^OAR_JOB_ID=(\d+)$", oar.run("sh", "-c", line), re.MULTILINE)
        finish(oar, jobs)
        assert set(oar.states(jobs).values()) == {"Terminated"}
    assert (oar.work / "sorted.txt").read_text() == "fig\npear\n"
    assert (oar.work / "reversed.txt").read_text() == "pear\nfig\n"
