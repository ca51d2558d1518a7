"""What a wrapper is told in its status file (`parameters`), checked. Nothing is imported from Dask here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from seamless.config.units import bytes_of, seconds, walltime_seconds
from seamless.errors import UsageError

_TRUE = frozenset(("1", "true", "yes", "y", "on", "t"))
_FALSE = frozenset(("0", "false", "no", "n", "off", "f", ""))
_MARGIN = 60.0  # seconds between the end of a worker's life and that of its job
THROTTLE = 3  # threads of a Dask worker for each step that it may execute at once


@dataclass(frozen=True)
class Parameters:
    """The settings of one wrapper. Times in seconds; `walltime` and `memory` also as they were written."""

    memory: str
    cores: int | None = None
    job_cores: int | None = None
    walltime: str | None = None
    tmpdir: str = "/tmp"
    partition: str | None = None
    project: str | None = None
    job_extra_directives: tuple[str, ...] = ()
    job_script_prologue: tuple[str, ...] = ()
    resource_spec: str | None = None
    memory_per_core_property_name: str | None = None
    exclusive: bool = False
    processes: int | None = None
    worker_threads: int | None = None
    throttle: int = THROTTLE
    unknown_task_duration: str = "1m"
    target_duration: str = "10m"
    lifetime_stagger: str = "4m"
    lifetime: float | None = None  # None: a worker lives as long as its job
    internal_ports: tuple[int, int] | None = None
    dask_resources: Mapping[str, float] = field(default_factory=dict)
    extra_dask_config: Mapping[str, str] = field(default_factory=dict)
    interactive: bool = False
    maximum_jobs: int = 1
    pure: bool = False
    record: bool = False
    image: Mapping[str, Any] | None = None

    @property
    def steps(self) -> int:
        """How many steps one Dask worker executes at once."""
        return 1 if self.exclusive else self.cores or 1

    @property
    def threads(self) -> int:
        """The threads of one Dask worker."""
        if self.exclusive:
            return 1
        if self.worker_threads is not None:
            return self.worker_threads
        return 2 if self.pure else self.steps * self.throttle

    @property
    def processes_per_job(self) -> int:
        """The Dask workers of one job."""
        if self.exclusive:
            return 1
        return self.processes or (self.cores or 1 if self.pure else 1)

    @property
    def resources(self) -> dict[str, float]:
        """The resources of one Dask worker: `S` is for steps that no other step waits for."""
        resources = {name: float(value) for name, value in self.dask_resources.items()}
        if not self.pure:
            resources.setdefault("S", float(self.steps))
        return resources

    def with_limits(self, *, memory: str | None = None, walltime: str | None = None) -> Parameters:
        """Return a copy for jobs that get more memory, or live longer."""
        changed = replace(self, memory=memory or self.memory, walltime=walltime or self.walltime)
        if walltime is not None and self.lifetime is not None and self.walltime is not None:
            longer = walltime_in_seconds(walltime) - walltime_in_seconds(self.walltime)
            changed = replace(changed, lifetime=self.lifetime + longer)
        return changed


def walltime_in_seconds(text: str) -> float:
    """Return the length of a walltime: `HH:MM:SS`, `D-HH:MM:SS`, `MM:SS`, or a duration. Raises ValueError.

    >>> walltime_in_seconds("01:00:00"), walltime_in_seconds("30:00"), walltime_in_seconds("90m")
    (3600.0, 1800.0, 5400.0)
    """
    if text.count(":") == 1:
        minutes, second = text.split(":")
        return float(walltime_seconds("00:" + minutes + ":" + second)) if int(minutes) < 60 else _minutes(text)
    return float(walltime_seconds(text)) if ":" in text else seconds(text)


def _minutes(text: str) -> float:
    minutes, second = text.split(":")
    if int(second) > 59:
        raise ValueError(text)
    return 60.0 * int(minutes) + int(second)


def parse_parameters(given: Any, *, ports: tuple[int, int] | None = None, system: str | None = None) -> Parameters:
    """Check the parameters of a status file. Raises UsageError, which names the one that is wrong.

    `ports`: where the ports of workers are taken from unless the parameters say. `system`: slurm or oar, None without.
    """
    if not isinstance(given, dict) or not given:
        raise UsageError("the status file has no parameters: a Dask wrapper needs at least memory and cores")
    read = _Reader(given)
    exclusive, pure = read.flag("exclusive"), read.flag("pure_dask")
    cores, maximum = read.count("cores"), read.count("maximum_jobs") or 1
    if cores is None and not exclusive:
        raise UsageError("parameters: 'cores' is required when 'exclusive' is not set")
    job_cores = read.count("job_cores")
    if job_cores is not None and exclusive:
        raise UsageError("parameters: 'job_cores' must not be set in exclusive mode")
    memory = read.text("memory")
    if memory is None:
        raise UsageError("parameters: 'memory' is required")
    read.check("memory", memory, bytes_of, "an amount of memory, for example 4GB")
    if system == "oar" and read.text("memory_per_core_property_name") is None:
        raise UsageError(
            "parameters: 'memory_per_core_property_name' is required on OAR: the property of a core that tells its "
            "memory, or 'not_applicable'"
        )
    stagger = read.text("lifetime-stagger") or "4m"
    found = Parameters(
        memory=memory,
        cores=cores,
        job_cores=job_cores,
        walltime=read.text("walltime"),
        tmpdir=read.text("tmpdir") or "/tmp",
        partition=read.text("partition"),
        project=read.text("project"),
        job_extra_directives=read.texts("job_extra_directives"),
        job_script_prologue=read.texts("job_script_prologue"),
        resource_spec=read.text("resource_spec"),
        memory_per_core_property_name=read.text("memory_per_core_property_name"),
        exclusive=exclusive,
        processes=read.count("processes"),
        worker_threads=read.count("worker_threads"),
        throttle=read.count("transformation_throttle") or THROTTLE,
        unknown_task_duration=read.duration("unknown-task-duration") or "1m",
        target_duration=read.duration("target-duration") or "10m",
        lifetime_stagger=read.duration("lifetime-stagger") or "4m",
        lifetime=_lifetime(read, stagger, maximum),
        internal_ports=_ports(given.get("internal-port-range")) or ports,
        dask_resources=read.mapping("dask-resources", (int, float), "numbers"),
        extra_dask_config=read.mapping("extra_dask_config", (str,), "strings"),
        interactive=read.flag("interactive"),
        maximum_jobs=maximum,
        pure=pure,
        record=read.flag("record"),
        image=given.get("image") if isinstance(given.get("image"), dict) else None,
    )
    if not pure and not exclusive and found.threads < found.steps:
        raise UsageError(f"parameters: worker_threads is {found.threads}, expected at least 'cores' ({found.steps})")
    return found


def _lifetime(read: _Reader, stagger: str, maximum: int) -> float | None:
    """Return how long a worker lives; a single one is not replaced, so it lives as long as its job."""
    text, walltime = read.duration("lifetime"), read.text("walltime")
    end = None
    if walltime is not None:
        end = read.check("walltime", walltime, walltime_in_seconds, "a time, for example 01:00:00")
    staggering = read.check("lifetime-stagger", stagger, seconds, "a duration, for example 4m")
    if text is not None:
        lifetime = seconds(text)
    elif end is None:
        return None
    else:
        lifetime = end - staggering - _MARGIN
    if maximum == 1:
        return None
    if lifetime <= 0:
        raise UsageError(
            f"parameters: the lifetime of workers is {lifetime:g} s: walltime ({walltime}) must be longer than "
            f"lifetime-stagger ({stagger}) and one minute more, or set 'lifetime'"
        )
    return lifetime


def _ports(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    parts = value.split(":") if isinstance(value, str) else value
    try:
        start, end = (int(part) for part in parts)
    except (TypeError, ValueError):
        start, end = 1, 0
    if not 1 <= start <= end <= 65535:
        raise UsageError(f"parameters: internal-port-range is {value!r}, expected [first, last] or 'first:last'")
    return start, end


class _Reader:
    """Typed access to the given values."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given

    def _get(self, name: str) -> Any:
        value = self._given.get(name)
        return self._given.get(name.replace("-", "_")) if value is None else value

    def flag(self, name: str) -> bool:
        value = self._get(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        text = str(value).strip().lower()
        if text not in _TRUE | _FALSE:
            raise UsageError(f"parameters: {name} is {value!r}, expected true or false")
        return text in _TRUE

    def count(self, name: str) -> int | None:
        value = self._get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError(f"parameters: {name} is {value!r}, expected an integer that is at least 1")
        return value

    def text(self, name: str) -> str | None:
        value = self._get(name)
        if value is not None and not isinstance(value, str):
            raise UsageError(f"parameters: {name} is {value!r}, expected a string")
        if value is not None and ("\n" in value or "\0" in value):
            raise UsageError(f"parameters: {name} has more than one line")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._get(name)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise UsageError(f"parameters: {name} is {value!r}, expected a list of strings")
        return tuple(value)

    def mapping(self, name: str, kinds: tuple[type, ...], what: str) -> dict[str, Any]:
        value = self._get(name)
        if value is None:
            return {}
        if not isinstance(value, dict) or not all(
            isinstance(key, str) and isinstance(item, kinds) and not isinstance(item, bool)
            for key, item in value.items()
        ):
            raise UsageError(f"parameters: {name} is {value!r}, expected a mapping from strings to {what}")
        return value

    def duration(self, name: str) -> str | None:
        value = self.text(name)
        if value is not None:
            self.check(name, value, seconds, "a duration, for example 10m")
        return value

    def check(self, name: str, value: str, parse: Any, expected: str) -> Any:
        try:
            return parse(value)
        except ValueError:
            raise UsageError(f"parameters: {name} is {value!r}, expected {expected}") from None
