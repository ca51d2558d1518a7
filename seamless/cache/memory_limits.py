"""How much memory the buffer cache may use: sizes as text, and a default bounded by the machine's memory."""

from __future__ import annotations

import os

GIB = 1024**3
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": GIB, "T": 1024**4}


def parse_bytes(text: str) -> int:
    """Return the bytes meant by `512`, `200M`, `2 GiB`: suffixes are powers of 1024. Raises ValueError."""
    message = f"not a size: {text!r} (expected a number of bytes, or one with K, M, G, T)"
    value = text.strip().upper()
    digits = value.rstrip("KMGTIB ")
    unit = value[len(digits) :].strip().replace("IB", "").rstrip("B")
    if unit not in _UNITS:
        raise ValueError(message)
    try:
        return int(float(digits) * _UNITS[unit])
    except ValueError:
        raise ValueError(message) from None


def available_memory() -> int:
    """Return the physical memory of the machine, or the limit of the control group if that is lower (bytes)."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path) as f:
                limit = f.read().strip()
        except OSError:
            continue
        if limit.isdigit() and int(limit) > 0:
            total = min(total, int(limit))
    return total


def default_caps() -> tuple[int, int]:
    """Return (soft cap, hard cap) in bytes.

    `$SEAMLESS_BUFFER_CACHE_SOFT_CAP` and `..._HARD_CAP` win; the defaults are 5 and 50 GiB, at most a
    quarter and a half of the memory.
    """
    memory = available_memory()
    soft_text = os.environ.get("SEAMLESS_BUFFER_CACHE_SOFT_CAP", "").strip()
    hard_text = os.environ.get("SEAMLESS_BUFFER_CACHE_HARD_CAP", "").strip()
    soft = parse_bytes(soft_text) if soft_text else min(5 * GIB, memory // 4)
    hard = parse_bytes(hard_text) if hard_text else max(soft, min(50 * GIB, memory // 2))
    return soft, hard
