"""`execute`: from a frozen transformation and its envelope to the result, wherever it is called.

Knows nothing about caching: it reads its inputs, runs the step, adds the result, or raises.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Mapping
from typing import Any

from seamless.cache.access import Buffers
from seamless.checksum import Checksum
from seamless.errors import TransformationError
from seamless.transformer.outcome import Envelope, OutputHandler, Usage
from seamless.transformer.records import UsageMeter

GPU_DRIVER = "/proc/driver/nvidia/version"


class Execution:
    """What `execute` returns. For the record: `compilation`, how the code of a compiled step was made, and `site`."""

    __slots__ = ("compilation", "result", "site", "stderr", "stdout", "usage")

    def __init__(
        self, result: Checksum, stdout: bytes, stderr: bytes, usage: Usage, compilation: dict[str, Any] | None = None
    ) -> None:
        self.result, self.stdout, self.stderr, self.usage = result, stdout, stderr, usage
        self.compilation = compilation
        self.site: dict[str, Any] | None = None  # what was noted where it was executed, if that was wanted


class StepError(TransformationError):
    """The step itself has failed: the text is complete; output and exit status are attached."""

    def __init__(self, text: str, *, stdout: bytes = b"", stderr: bytes = b"", exit_status: int | None = None):
        super().__init__(text, exit_status=exit_status)
        self.stdout, self.stderr = stdout, stderr


def execute(
    transformation: Mapping[str, Any],
    tf: Checksum,
    envelope: Envelope,
    buffers: Buffers,
    *,
    on_output: OutputHandler | None = None,
    canceled: threading.Event | None = None,
    measured: bool = False,
) -> Execution:
    """Run one transformation, here or in a process started for it. Raises StepError, CacheMissError, StoreError.

    `measured`: the caller measures what this process uses; the usage is that of steps with one of their own only.
    """
    if not envelope.record and not _is_there(GPU_DRIVER):
        return _execute(transformation, tf, envelope, buffers, on_output, canceled, measured)
    from seamless.transformer.recording.gpu import GpuMeter
    from seamless.transformer.recording.site import Site

    site, meter = Site(), GpuMeter() if _is_there(GPU_DRIVER) else None
    try:
        done = _execute(transformation, tf, envelope, buffers, on_output, canceled, measured)
    finally:
        peak = meter.stop() if meter is not None else None
    done.usage.gpu_memory_peak_bytes = peak
    if envelope.record and done.site is None:
        done.site = site.noted()
    return done


@functools.lru_cache
def _is_there(driver: str) -> bool:
    """Tell whether there is a driver; looked at once, for /proc is slow."""
    return os.path.exists(driver)


def _execute(
    transformation: Mapping[str, Any],
    tf: Checksum,
    envelope: Envelope,
    buffers: Buffers,
    on_output: OutputHandler | None,
    canceled: threading.Event | None,
    measured: bool,
) -> Execution:
    language = transformation.get("__language__")
    if envelope.meta.get("write_remote_job"):
        from seamless.transformer.remote_job import write_instead_of_executing

        write_instead_of_executing(transformation, envelope, buffers)
    if envelope.env and language != "bash":
        from seamless.transformer.environments.isolated import execute_isolated, needs_process
        from seamless.transformer.environments.resolved import resolve

        resolved = resolve(envelope.env)
        if needs_process(envelope.env):
            return execute_isolated(transformation, envelope, buffers, resolved, on_output=on_output, canceled=canceled)
    if language == "python":
        return _execute_python(transformation, tf, envelope, buffers, on_output, measured)
    if language == "bash":
        from seamless.transformer.bash.run import run_bash

        done = run_bash(transformation, envelope, buffers, on_output=on_output, canceled=canceled)
        return Execution(done.result, done.stdout, done.stderr, done.usage)
    if "__schema__" in transformation or _is_compiled(language):
        return _execute_compiled(transformation, envelope, buffers, on_output, canceled)
    raise StepError(
        f"cannot execute a transformation in language {language!r}: it is neither 'python' nor 'bash' nor one of the "
        "compiled languages\n"
    )


def _is_compiled(language: Any) -> bool:
    from seamless.transformer.languages import is_compiled_language

    return is_compiled_language(language)


def _execute_compiled(
    transformation: Mapping[str, Any],
    envelope: Envelope,
    buffers: Buffers,
    on_output: OutputHandler | None,
    canceled: threading.Event | None,
) -> Execution:
    from seamless.transformer.compiled.run import CompiledFailure, run_compiled

    try:
        done = run_compiled(transformation, envelope, buffers, on_output=on_output, canceled=canceled)
    except CompiledFailure as exc:
        text = f"{type(exc.__cause__).__name__}: {exc.__cause__}\n"
        raise StepError(text, stdout=exc.answer.stdout, stderr=exc.answer.stderr) from exc.__cause__
    except (TypeError, ValueError, OverflowError, KeyError) as exc:
        raise StepError(f"{type(exc).__name__}: {exc}\n") from exc
    return Execution(done.result, done.stdout, done.stderr, done.usage, done.compilation)


def _execute_python(
    transformation: Mapping[str, Any],
    tf: Checksum,
    envelope: Envelope,
    buffers: Buffers,
    on_output: OutputHandler | None,
    measured: bool,
) -> Execution:
    from seamless.transformer.capture import capture
    from seamless.transformer.deliver import input_values, result_buffer
    from seamless.transformer.python_run import format_user_error, run_python

    code_checksum = Checksum(transformation["code"][2])
    code = buffers.read(code_checksum).decode()
    pins, modules = input_values(transformation, buffers)
    celltype = transformation["__output__"][1]
    name = envelope.name
    meter = None if measured else UsageMeter()
    with capture(on_output=on_output) as output:
        try:
            value = run_python(
                code,
                pins=pins,
                modules=modules,
                output_celltype=celltype,
                name=name,
                code_checksum=code_checksum.hex(),
            )
        except Exception as exc:
            text = format_user_error(exc, name=name, origin=envelope.origin)
            raise StepError(text, stdout=output.stdout, stderr=output.stderr) from exc
    usage = Usage() if meter is None else meter.stop()
    try:
        result = result_buffer(value, celltype, buffers)
    except (TypeError, ValueError, OverflowError) as exc:
        from seamless.transformer.pins import described

        text = (
            f"{type(exc).__name__}: the result of {name}, {described(value)}, "
            f"cannot be stored with celltype {celltype!r}: {exc}\n"
        )
        raise StepError(text, stdout=output.stdout, stderr=output.stderr) from exc
    return Execution(result, output.stdout, output.stderr, usage)
