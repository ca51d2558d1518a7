"""Durations, walltimes and amounts of memory, as they are written in the configuration."""

from __future__ import annotations

_SECONDS = {
    "": 1.0, "ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0,
    "m": 60.0, "min": 60.0, "minute": 60.0, "minutes": 60.0, "h": 3600.0, "hr": 3600.0, "hour": 3600.0,
    "hours": 3600.0, "d": 86400.0, "day": 86400.0, "days": 86400.0, "w": 604800.0, "week": 604800.0, "weeks": 604800.0,
}  # fmt: skip

_BYTES = {"": 1, "b": 1}
for _i, _prefix in enumerate("kmgtp", start=1):
    _BYTES |= {_prefix: 1000**_i, f"{_prefix}b": 1000**_i, f"{_prefix}i": 1024**_i, f"{_prefix}ib": 1024**_i}


def _number_and_unit(text: str) -> tuple[float, str]:
    stripped = text.strip()
    digits = len(stripped) - len(stripped.lstrip("0123456789."))
    number, unit = stripped[:digits], stripped[digits:].strip().lower()
    if not number.strip(".") or number.count(".") > 1:
        raise ValueError(text)
    return float(number), unit


def seconds(text: str) -> float:
    """Return the length of a duration. Raises ValueError.

    >>> seconds("10m"), seconds("1.5 hours"), seconds("90")
    (600.0, 5400.0, 90.0)
    """
    number, unit = _number_and_unit(text)
    if unit not in _SECONDS:
        raise ValueError(text)
    return number * _SECONDS[unit]


def walltime_seconds(text: str) -> int:
    """Return the length of a walltime `HH:MM:SS`, `D-HH:MM:SS` or a duration with its unit. Raises ValueError.

    A number alone is refused: it means seconds in one place, and minutes in another.

    >>> walltime_seconds("01:30:00"), walltime_seconds("2-00:00:10"), walltime_seconds("90m")
    (5400, 172810, 5400)
    """
    if ":" not in text and text.strip()[-1:].isalpha():
        return int(seconds(text))
    days, dash, rest = text.strip().rpartition("-")
    parts = rest.split(":")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(text)
    if dash and not (days.isascii() and days.isdigit()):
        raise ValueError(text)
    hours, minutes, second = map(int, parts)
    if minutes > 59 or second > 59 or (dash and hours > 23):
        raise ValueError(text)
    return (int(days or 0) * 24 + hours) * 3600 + minutes * 60 + second


def without_days(walltime: str) -> str:
    """Return a walltime as `HH:MM:SS`, for batch systems that know no days, or no units.

    >>> without_days("2-01:00:00"), without_days("01:00:00"), without_days("10m")
    ('49:00:00', '01:00:00', '00:10:00')
    """
    if "-" not in walltime and ":" in walltime:
        return walltime
    total = walltime_seconds(walltime)
    return f"{total // 3600:02d}:{total // 60 % 60:02d}:{total % 60:02d}"


def bytes_of(text: str) -> int:
    """Return an amount of memory in bytes: kB, MB, GB are powers of 1000, KiB, MiB, GiB of 1024. Raises ValueError.

    >>> bytes_of("32000MB"), bytes_of("64GiB")
    (32000000000, 68719476736)
    """
    number, unit = _number_and_unit(text)
    if unit not in _BYTES:
        raise ValueError(text)
    return int(number * _BYTES[unit])
