"""How much memory the buffer cache may use: sizes as text, and a default bounded by the machine's memory."""

from __future__ import annotations

import os

from seamless.errors import UsageError

GIB = 1024**3
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": GIB, "T": 1024**4}
_CGROUPS = "/sys/fs/cgroup"


def parse_bytes(text: str) -> int:
    """Return the bytes meant by `512`, `200M`, `2 GiB`: suffixes are powers of 1024. Raises ValueError."""
    value = text.strip().upper()
    digits = value.rstrip("KMGTIB ")
    unit = value[len(digits) :].strip().replace("IB", "").rstrip("B")
    try:
        size = float(digits) * _UNITS[unit]
        if size >= 0:
            return int(size)
    except (ValueError, KeyError, OverflowError):  # OverflowError: inf
        pass
    raise ValueError(f"not a size: {text!r} (expected a number of bytes, or one with K, M, G, T)")


def available_memory(cgroups: str = _CGROUPS, own_cgroup: str = "/proc/self/cgroup") -> int:
    """Return the physical memory of the machine, or the lowest limit of a control group around this process (bytes)."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _limit_files(cgroups, own_cgroup):
        try:
            with open(path) as f:
                limit = f.read().strip()
        except OSError:
            continue
        if limit.isdigit() and int(limit) > 0:
            total = min(total, int(limit))
    return total


def _limit_files(cgroups: str, own_cgroup: str) -> list[str]:
    """Return the files with the limits of the control groups of this process, versions 1 and 2, innermost first.

    Within a container the path in /proc may be that of the host; the root is then that of the container.
    """
    try:
        with open(own_cgroup) as f:
            lines = f.read().splitlines()
    except OSError:
        lines = []
    files = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "memory" not in controllers.split(","):
            continue
        root, name = (f"{cgroups}/memory", "memory.limit_in_bytes") if controllers else (cgroups, "memory.max")
        while path.strip("/"):
            files.append(f"{root}{path}/{name}")
            path = path.rpartition("/")[0]
    return [*files, f"{cgroups}/memory.max", f"{cgroups}/memory/memory.limit_in_bytes"]


def default_caps() -> tuple[int, int]:
    """Return (soft cap, hard cap) in bytes.

    `$SEAMLESS_BUFFER_CACHE_SOFT_CAP` and `..._HARD_CAP` win; the defaults are 5 and 50 GiB, at most a
    quarter and a half of the memory. Raises UsageError for a variable that is no size, or for a soft cap above the hard
    one.
    """
    soft, hard = _cap("SEAMLESS_BUFFER_CACHE_SOFT_CAP"), _cap("SEAMLESS_BUFFER_CACHE_HARD_CAP")
    if soft is not None and hard is not None and soft > hard:
        raise UsageError(
            f"$SEAMLESS_BUFFER_CACHE_SOFT_CAP ({soft} bytes) exceeds $SEAMLESS_BUFFER_CACHE_HARD_CAP ({hard} bytes)"
        )
    memory = available_memory()
    if soft is None:
        soft = min(5 * GIB, memory // 4)
        soft = soft if hard is None else min(soft, hard)
    return soft, hard if hard is not None else max(soft, min(50 * GIB, memory // 2))


def _cap(variable: str) -> int | None:
    text = os.environ.get(variable, "").strip()
    try:
        return parse_bytes(text) if text else None
    except ValueError as error:
        raise UsageError(f"${variable}: {error}") from None
