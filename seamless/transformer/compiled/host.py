"""What a host of compiled code is asked, and what it answers: the seam between a step and the process it runs in."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from seamless.transformer.outcome import OutputHandler, Usage


@dataclass(frozen=True)
class NativeCall:
    """One call of a module. `offsets`: where in the shared memory each argument, or what it points to, lies."""

    path: str  # of the shared object
    memory: int  # descriptor of the shared memory
    size: int  # of it, in bytes
    offsets: tuple[int, ...]
    variables: Mapping[str, str] = field(default_factory=dict)  # of the environment, beside those of this process


@dataclass
class NativeAnswer:
    """How a call has ended: exactly one of `status`, `signal`, `exit_status`, `error`, `stopped` tells."""

    status: int | None = None  # what transform() has returned
    signal: int | None = None  # that has killed the process
    exit_status: int | None = None  # the code has ended its process
    error: str | None = None  # the module could not be loaded, or there is no process
    stopped: Literal["", "timeout", "canceled"] = ""
    stdout: bytes = b""
    stderr: bytes = b""
    usage: Usage = field(default_factory=Usage)


class Host(Protocol):
    """Makes calls in a process that a crash may end. Thread-safe."""

    def run(
        self,
        call: NativeCall,
        *,
        on_output: OutputHandler | None = None,
        deadline: float | None = None,
        canceled: threading.Event | None = None,
    ) -> NativeAnswer:
        """Make the call; blocks. `deadline` is in terms of time.monotonic()."""
