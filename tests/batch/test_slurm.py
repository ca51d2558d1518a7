"""The scripts for SLURM in real jobs, also when these are ended and queued again."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.batch.support import ROOT, Steps
from tests.helpers.sshd import wait_for
from tests.integration.place import SCRIPTS

pytestmark = [pytest.mark.slurm, pytest.mark.xdist_group("slurm"), pytest.mark.timeout(300)]

SLURM = ROOT / "slurm"
DEADLINE = 200.0


def run(*words: object) -> str:
    """Run a command of SLURM, which must succeed; return its output."""
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def submit(*words: object) -> str:
    """Submit a script; return the number of the job."""
    return run("sbatch", "--parsable", *words).strip()


def finish(job: str, over: str = "CD") -> None:
    """Wait until all of a job has the state `over`; what is queued again waits a few seconds only for its turn.

    Not none: slurmd refuses a second turn in the second in which the first was ended ("credential revoked").
    """
    hurried = set()

    def done() -> bool:
        rows = run("squeue", "--noheader", "--array", "--states=all", "--job", job, "--format", "%i %t").split()
        for name, state in zip(rows[::2], rows[1::2], strict=True):
            if state == "PD" and name not in hurried:
                words = ["scontrol", "update", f"job={name}", "StartTime=now+3"]
                if subprocess.run(words, capture_output=True, check=False).returncode == 0:
                    hurried.add(name)
        return bool(rows) and set(rows[1::2]) == {over}

    try:
        wait_for(done, f"job {job} does not end", DEADLINE)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{run('scontrol', 'show', 'job', job)}") from None


def test_a_step_is_executed_by_the_first_job_and_found_by_the_second(slurm: Path) -> None:
    note = ["--metavar", f"NOTE={slurm / 'ran'}"]
    for name in ("first", "second"):
        submit("--wait", f"--output={name}", SLURM / "step.sh", *note, "-c", '(echo 1 >> "$NOTE"); date +%N')
    assert (slurm / "first").read_text() == (slurm / "second").read_text() != ""
    assert (slurm / "ran").read_text() == "1\n"


@pytest.mark.parametrize("script", ["step.sh", "array.sh", "pilot.sh"])
def test_a_script_without_words_says_how_it_is_used(slurm: Path, script: str) -> None:
    done = subprocess.run([SLURM / script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: sbatch ")


def test_an_array_that_is_requeued_half_way_executes_nothing_again_that_had_finished(slurm: Path) -> None:
    steps = Steps(slurm, 50, 0.2, free=25)
    job = submit("--array=1-50", SLURM / "array.sh", "commands.txt", *steps.options)
    output = f"seamless-array-{job}_*.out"
    wait_for(lambda: len(steps.delivered(output)) >= 20, "the steps are not executed", DEADLINE)
    finished = steps.delivered(output)
    subprocess.run(["scontrol", "requeue", job], capture_output=True, check=False)  # some wait for their turn still
    steps.open_gate()
    finish(job)
    steps.check(output, finished)
    assert len(list(slurm.glob(output))) == 50


def test_arrays_and_pilots_with_the_same_steps_share_one_cache_and_execute_each_step_once(slurm: Path) -> None:
    steps = Steps(slurm, 12, 0.2)
    jobs = [submit("--array=1-12", SLURM / "array.sh", "commands.txt", *steps.options) for _ in range(2)]
    pilot = ["--cpus-per-task=2", "--output=pilot-%j", SLURM / "pilot.sh", "commands.txt", *steps.options]
    jobs += [submit(*pilot) for _ in range(2)]
    for job in jobs:
        finish(job)
    everything = set(range(1, 13))
    for pattern in (*(f"seamless-array-{job}_*.out" for job in jobs[:2]), *(f"pilot-{job}" for job in jobs[2:])):
        assert steps.delivered(pattern) == everything
    assert steps.executed == dict.fromkeys(everything, 1)


def test_a_pilot_whose_time_is_over_goes_on_in_a_second_turn(slurm: Path) -> None:
    steps = Steps(slurm, 12, 0.1, free=6)
    job = submit("--cpus-per-task=2", "--output=out", SLURM / "pilot.sh", "commands.txt", *steps.options)
    wait_for(lambda: len(steps.delivered("out")) >= 4, "the steps are not executed", DEADLINE)
    finished = steps.delivered("out")
    run("scancel", "--batch", "--signal=USR1", job)
    wait_for(lambda: "Restarts=1" in run("scontrol", "show", "job", job), "the pilot is not queued again", DEADLINE)
    steps.open_gate()
    finish(job)
    steps.check("out", finished)


def test_a_failing_step_fails_the_pilot_after_the_others_were_executed(slurm: Path) -> None:
    (slurm / "commands.txt").write_text("echo result 1\nexit 7\necho result 2\n")
    job = submit("--output=out", SLURM / "pilot.sh", "commands.txt")
    finish(job, over="F")
    assert "ExitCode=1:0" in run("scontrol", "show", "job", job)
    text = (slurm / "out").read_text()
    assert "result 1\n" in text and "result 2\n" in text
    assert "pilot: a step has ended with status 7\n" in text


def test_jobs_use_the_services_that_the_front_end_has_started(slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEAMLESS_CACHE")
    home = Path(os.environ["HOME"])
    (home / ".seamless").mkdir()
    data = slurm.parent / "data"
    (home / ".seamless" / "clusters.yaml").write_text(
        f"ws:\n  frontends:\n    - hashserver: {{bufferdir: {data}}}\n      database: {{database_dir: {data}}}\n"
    )
    (slurm / "seamless.yaml").write_text("- project: fruit\n")
    (slurm / "seamless.profile.yaml").write_text("- cluster: ws\n- execution: process\n")
    try:
        run(SLURM / "services.sh")
        written = slurm / ".seamless-clients.json"
        assert written.stat().st_mode & 0o777 == 0o600
        submit("--wait", "--output=out", "--export=PATH,SLURM_CONF", SLURM / "step.sh", "-c", "echo $((6 * 7))")
        assert (slurm / "out").read_text() == "42\n"
        assert "cached" in explained("echo $((6 * 7))")
    finally:
        subprocess.run([SCRIPTS / "seamless-service-stop", "--cluster", "ws"], capture_output=True, check=False)


def explained(line: str) -> str:
    """Return what seamless-run says here about where the result of a line is from."""
    done = subprocess.run(
        [SCRIPTS / "seamless-run", "--explain", "-c", line], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stderr
