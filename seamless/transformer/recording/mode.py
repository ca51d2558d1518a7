"""Whether full records are written, and what the configuration says of where steps are executed. Set from above."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from seamless.errors import UsageError
from seamless.session import session

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

PROBE = "__record_probe__"  # among the orthogonal pins: have the buckets made anew, instead of executing


class RecordBucketError(UsageError, RuntimeError):
    """Full records are wanted, and what they need is not there: a database, or a probe that is up to date."""


@dataclass(frozen=True)
class RecordMode:
    """What the configuration says. `remote_target` of a server that executes for others: jobserver or daskserver."""

    record: bool = False
    cluster: str | None = None
    queue: str | None = None
    node: str | None = None
    remote_target: str | None = None
    queue_configuration: Mapping[str, Any] | None = None


class Recording:
    """The mode of this process."""

    def __init__(self) -> None:
        self.mode = RecordMode()

    def clear(self) -> None:
        """Write minimal records from now on."""
        self.mode = RecordMode()


recording = Recording()
session.on_reset(recording.clear)
