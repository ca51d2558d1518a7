"""Minimal execution records: what one successful execution was and has used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seamless.checksum import Checksum
from seamless.transformer.outcome import Usage

if TYPE_CHECKING:
    from seamless.transformer.execution import ExecutionAnswer

SCHEMA_VERSION = 1


def minimal_record(tf: Checksum, done: ExecutionAnswer) -> dict[str, Any]:
    """Return the record of an execution; times in seconds, sizes in bytes."""
    usage = done.usage
    record = {
        "schema_version": SCHEMA_VERSION,
        "tf_checksum": tf.hex(),
        "result_checksum": done.result.hex(),
        "seamless_version": _version(),
        "execution_mode": done.mode,
        "remote_target": done.remote_target,
        "wall_time_seconds": round(usage.wall_time_seconds, 6),
        "cpu_time_user_seconds": round(usage.cpu_time_user_seconds, 6),
        "cpu_time_system_seconds": round(usage.cpu_time_system_seconds, 6),
        "memory_peak_bytes": usage.memory_peak_bytes,
        "gpu_memory_peak_bytes": usage.gpu_memory_peak_bytes,
    }
    if done.compilation is not None:
        record["compilation"] = done.compilation
    return record


def _version() -> str:
    from seamless.version import __version__

    return __version__


class UsageMeter:
    """Measures the calling thread: wall time, its own CPU time, and the peak memory of the process."""

    def __init__(self) -> None:
        import resource
        import time

        self._resource, self._clock = resource, time.perf_counter
        self._start = self._clock()
        self._cpu = resource.getrusage(resource.RUSAGE_THREAD)

    def stop(self) -> Usage:
        """Return what has been used since the meter was made."""
        cpu = self._resource.getrusage(self._resource.RUSAGE_THREAD)
        return Usage(
            wall_time_seconds=self._clock() - self._start,
            cpu_time_user_seconds=cpu.ru_utime - self._cpu.ru_utime,
            cpu_time_system_seconds=cpu.ru_stime - self._cpu.ru_stime,
            memory_peak_bytes=self._resource.getrusage(self._resource.RUSAGE_SELF).ru_maxrss * 1024,
        )
