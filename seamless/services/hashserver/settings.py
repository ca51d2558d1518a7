"""What can be set about a hashserver, from its command line or from `HASHSERVER_*` variables."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seamless.compression_utils import MOST_RATIO
from seamless.errors import UsageError
from seamless.stores.verify import NewHash

LAYOUTS = ("prefix", "flat")
ALGORITHMS: dict[str, NewHash] = {"sha-256": hashlib.sha256, "sha3-256": hashlib.sha3_256}
DURABILITIES = ("none", "file", "full")
LOCK_TIMEOUT = 120.0  # seconds
MAX_BATCH = 1_000_000
MAX_RATIO = MOST_RATIO  # bytes that one compressed byte may become


@dataclass(frozen=True)
class Settings:
    """The settings of one server; sizes in bytes, times in seconds. Raises UsageError for what cannot be."""

    directory: str
    writable: bool = False
    extra_directories: tuple[str, ...] = ()
    layout: str | None = None  # None: as it is found, prefix for a new directory
    algorithm: str = "sha-256"
    lock_timeout: float = LOCK_TIMEOUT
    durability: str = "file"
    max_body: int | None = None
    max_batch: int = MAX_BATCH
    quota: int | None = None
    max_ratio: float = MAX_RATIO

    def __post_init__(self) -> None:
        if self.layout is not None:
            _one_of("layout", self.layout, LAYOUTS)
        _one_of("hash algorithm", self.algorithm, ALGORITHMS)
        _one_of("durability", self.durability, DURABILITIES)
        if not 0 < self.lock_timeout < float("inf"):
            raise UsageError(f"the lock timeout must be a number of seconds greater than 0, not {self.lock_timeout:g}")
        if not self.max_ratio >= 1:
            raise UsageError(f"the ratio of decompression must be a number of at least 1, not {self.max_ratio:g}")
        if self.max_batch < 1:
            raise UsageError(f"at least one checksum must be allowed in a request, not {self.max_batch}")


def from_options(options: Any) -> Settings:
    """Return the settings of a parsed command line."""
    extra = options.extra_dirs if options.extra_dirs is not None else os.environ.get("HASHSERVER_EXTRA_DIRS", "")
    return Settings(
        directory=options.directory,
        writable=options.writable,
        extra_directories=_directories(extra),
        layout=options.layout,
        algorithm=options.hash_algorithm,
        lock_timeout=options.lock_timeout,
        durability=options.durability,
        max_body=options.max_body,
        max_batch=options.max_batch,
        quota=options.quota,
        max_ratio=options.max_ratio,
    )


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Return the settings in `HASHSERVER_*` variables. Raises UsageError, naming the variable."""
    directory = environment.get("HASHSERVER_DIRECTORY", "")
    if not directory:
        raise UsageError("HASHSERVER_DIRECTORY is not set: it names the directory of the buffers")
    writable = environment.get("HASHSERVER_WRITABLE", "").strip().lower()
    if writable not in ("", "0", "1", "true", "false"):
        raise UsageError(f"HASHSERVER_WRITABLE={writable!r}: expected 1, 0, true or false")
    timeout = environment.get("HASHSERVER_LOCK_TIMEOUT", "") or LOCK_TIMEOUT
    try:
        lock_timeout = float(timeout)
    except ValueError:
        raise UsageError(f"HASHSERVER_LOCK_TIMEOUT={timeout!r}: expected a number of seconds") from None
    return Settings(
        directory=directory,
        writable=writable in ("1", "true"),
        extra_directories=_directories(environment.get("HASHSERVER_EXTRA_DIRS", "")),
        layout=environment.get("HASHSERVER_LAYOUT") or None,
        algorithm=environment.get("HASHSERVER_HASH_ALGORITHM") or "sha-256",
        lock_timeout=lock_timeout,
    )


def _directories(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())


def _one_of(what: str, value: str, allowed: Any) -> None:
    if value not in allowed:
        raise UsageError(f"{what} {value!r} is not known; expected one of {', '.join(allowed)}")
