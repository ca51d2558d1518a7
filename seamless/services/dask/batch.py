"""What a batch system says of our jobs, in one query for all, and what follows from how a job has ended."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from seamless.config.units import bytes_of, walltime_seconds
from seamless.services.dask.parameters import Parameters, walltime_in_seconds

State = Literal["pending", "running", "done", "failed", "memory", "walltime", "node", "canceled", "unknown"]
Run = Callable[[Sequence[str]], str]  # a command to its output; raises BatchError

_SECONDS = 30  # for a query
_SLURM: dict[str, State] = {
    "PENDING": "pending",
    "CONFIGURING": "pending",
    "REQUEUED": "pending",
    "REQUEUE_HOLD": "pending",
    "SUSPENDED": "running",
    "RUNNING": "running",
    "COMPLETING": "running",
    "STAGE_OUT": "running",
    "COMPLETED": "done",
    "FAILED": "failed",
    "OUT_OF_MEMORY": "memory",
    "TIMEOUT": "walltime",
    "DEADLINE": "walltime",
    "NODE_FAIL": "node",
    "BOOT_FAIL": "node",
    "PREEMPTED": "node",
    "REVOKED": "node",
    "CANCELLED": "canceled",
}
_OAR: dict[str, State] = {
    "Waiting": "pending",
    "Hold": "pending",
    "toLaunch": "pending",
    "Launching": "pending",
    "toAckReservation": "pending",
    "Running": "running",
    "Resuming": "running",
    "Suspended": "running",
    "Finishing": "running",
    "Terminated": "done",
    "Error": "failed",
    "toError": "failed",
}
ENDED = frozenset(("done", "failed", "memory", "walltime", "node", "canceled", "unknown"))


class BatchError(Exception):
    """A command of the batch system has failed."""


@dataclass(frozen=True)
class Limits:
    """The most that a job may ask for; None: not known."""

    memory: int | None = None  # bytes
    walltime: int | None = None  # seconds


def run_command(words: Sequence[str]) -> str:
    """Return the output of a command. Raises BatchError."""
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise BatchError(f"{words[0]}: {exc}") from exc
    if done.returncode != 0:
        raise BatchError(f"{' '.join(words)}: {done.stderr.strip() or f'status {done.returncode}'}")
    return done.stdout


def slurm_states(output: str) -> dict[str, State]:
    """Return the states by job in the output of squeue with `%i|%T`.

    >>> slurm_states("12|RUNNING\\n13|OUT_OF_MEMORY\\n14|SPECIAL_EXIT\\n")
    {'12': 'running', '13': 'memory', '14': 'failed'}
    """
    found: dict[str, State] = {}
    for line in output.splitlines():
        job, separator, state = line.strip().partition("|")
        if separator:
            found[job] = _SLURM.get(state.strip().upper(), "failed")
    return found


def oar_states(output: str) -> dict[str, State]:
    """Return the states by job in the output of oarstat -J: by number, or a list.

    >>> oar_states('{"7": {"state": "Running"}, "8": {"state": "Waiting"}}')
    {'7': 'running', '8': 'pending'}
    """
    data: Any = json.loads(output) if output.strip() else {}
    items = data.items() if isinstance(data, dict) else ((str(job.get("Job_Id")), job) for job in data)
    return {str(number): _oar_state(job) for number, job in items if isinstance(job, dict)}


def _oar_state(job: dict[str, Any]) -> State:
    state = _OAR.get(str(job.get("state")), "failed")
    said = f"{job.get('message', '')} {job.get('events', '')}".upper()
    if state == "failed" and "WALLTIME" in said:
        return "walltime"
    return "node" if state == "failed" and ("SUSPECTED" in said or "NODE" in said and "ERROR" in said) else state


class Slurm:
    """SLURM, as far as the commands of a user tell."""

    def __init__(self, partition: str | None = None, run: Run = run_command):
        self._partition, self._run = partition, run

    def states(self, jobs: Sequence[str], user: str) -> dict[str, State]:
        """Return the states of jobs; one that is not known any more is `unknown`. Raises BatchError."""
        output = self._run(["squeue", "--noheader", "--states=all", "--format=%i|%T", f"--user={user}"])
        found = slurm_states(output)
        return {job: found.get(job, "unknown") for job in jobs}

    def limits(self) -> Limits:
        """Return the limits of the partition. Raises BatchError."""
        words = ["sinfo", "--noheader", "--format=%l|%m"]
        lines = self._run([*words, f"--partition={self._partition}"] if self._partition else words).splitlines()
        memory = [int(text) << 20 for text in (_field(line, 1).rstrip("+") for line in lines) if text.isdigit()]
        times = [seconds for line in lines if (seconds := slurm_seconds(_field(line, 0))) is not None]
        unlimited = any(_field(line, 0) in ("infinite", "n/a") for line in lines)
        return Limits(max(memory, default=None), None if unlimited else max(times, default=None))


class Oar:
    """OAR, as far as the commands of a user tell."""

    def __init__(self, run: Run = run_command):
        self._run = run

    def states(self, jobs: Sequence[str], user: str) -> dict[str, State]:
        """Return the states of jobs; only of those that are not listed any more it asks again. Raises BatchError."""
        found = oar_states(self._run(["oarstat", "-J", "-u", user]))
        missing = [word for job in jobs if job not in found for word in ("-j", job)]
        if missing:
            found |= oar_states(self._run(["oarstat", "-J", *missing]))
        return {job: found.get(job, "unknown") for job in jobs}

    def limits(self) -> Limits:
        """Return what is known of the limits: nothing."""
        return Limits()


def _field(line: str, number: int) -> str:
    return (line.strip().split("|") + [""] * 2)[number].strip()


def slurm_seconds(text: str) -> int | None:
    """Return a time as SLURM writes it in seconds; None for none.

    >>> slurm_seconds("1-00:00:00"), slurm_seconds("30:00"), slurm_seconds("1:00"), slurm_seconds("infinite")
    (86400, 1800, 60, None)
    """
    days, _, rest = text.rpartition("-")
    parts = rest.split(":")
    if not all(part.isdigit() for part in parts) or not 2 <= len(parts) <= 3:
        return None
    return walltime_seconds((f"{days}-" if days else "") + ":".join(["00"] * (3 - len(parts)) + parts))


def next_limits(parameters: Parameters, ended: State, limits: Limits) -> tuple[Parameters, str]:
    """Return the parameters of the next jobs after one has ended in that way, and what is to be said of it.

    More memory after too little, a longer life after too short a one, as far as the queue allows; else the same.
    """
    if ended == "memory":
        had = bytes_of(parameters.memory)
        new = min(2 * had, limits.memory or 2 * had) >> 20 << 20
        if new <= had:
            return parameters, f"a job ran out of memory ({parameters.memory}); the queue allows no more"
        changed = parameters.with_limits(memory=f"{new >> 20}MiB")
        return changed, f"a job ran out of memory ({parameters.memory}); the next ones get {changed.memory}"
    if ended == "walltime" and parameters.walltime is not None:
        had = int(walltime_in_seconds(parameters.walltime))
        new = min(2 * had, limits.walltime or 2 * had)
        if new <= had:
            return parameters, f"a job came to its end ({parameters.walltime}); the queue allows no more"
        changed = parameters.with_limits(walltime=f"{new // 3600:02d}:{new // 60 % 60:02d}:{new % 60:02d}")
        return changed, f"a job came to its end ({parameters.walltime}); the next ones get {changed.walltime}"
    if ended == "node":
        return parameters, "a job has lost its node; another one takes over"
    return parameters, ""
