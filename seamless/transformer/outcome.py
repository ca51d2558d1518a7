"""Envelope and Outcome: what goes into `execute` beside the identity, and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from seamless.checksum import Checksum

# Called with each piece of output as it appears, in any thread.
OutputHandler = Callable[[Literal["stdout", "stderr"], bytes], None]

_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Envelope:
    """Everything about *how* a transformation is executed; never part of its identity."""

    meta: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)  # `__meta__`
    env: Mapping[str, Any] | None = None  # `__env__`, low-level form of Environment
    scratch: bool = False  # the result buffer is not kept in a store
    local: bool = False  # in the calling process, whatever the configuration says
    strict: bool = False  # refuse to latch on to a running submission with another envelope
    direct_print: bool = False  # show the output live
    allow_input_fingertip: bool = False  # recompute inputs that are gone
    record: bool = False  # note where it runs what a full record needs
    timeout: float | None = None  # seconds; None: no limit
    pins: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)  # orthogonal pins: META__NAME, __deps__, ...
    command: str | None = None  # what the user typed, for error messages
    name: str = "transformer"  # of the function, for tracebacks
    origin: tuple[str, int] | None = None  # (file, first line) of the code, for tracebacks


@dataclass
class Usage:
    """What one execution has used."""

    wall_time_seconds: float = 0.0
    cpu_time_user_seconds: float = 0.0
    cpu_time_system_seconds: float = 0.0
    memory_peak_bytes: int = 0
    gpu_memory_peak_bytes: int | None = None  # None: not known


@dataclass
class Outcome:
    """The end of one submission: `result` or `error`, never both."""

    transformation: Checksum
    result: Checksum | None = None
    cached: bool = False  # answered from a result store or the memory of this process
    error: str | None = None  # complete text, ends in a newline
    original: BaseException | None = None
    exit_status: int | None = None  # of a bash transformation that ran
    canceled: bool = False
    stdout: bytes = b""  # captured output (bounded: the first and last part)
    stderr: bytes = b""
    usage: Usage = field(default_factory=Usage)
    record: dict[str, Any] | None = None  # the full record, if it was executed here in record mode
    kept: list[Any] = field(default_factory=list)  # buffers that must outlive the execution: the result, its leaves
