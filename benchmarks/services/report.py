"""What a benchmark of the services tells: lines with a value, a rival's value and goals; as a table or as JSON."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.measure import aligned, machine, write_json

LESS_IS_BETTER = frozenset({"ms", "MB", "logins"})
KILOBYTE, MEGABYTE = 1000, 1_000_000


@dataclass
class Line:
    """One comparison. A rate must reach its goals; a time (ms), memory (MB) or logins must not exceed them."""

    subject: str
    value: float
    unit: str
    rival: str = ""
    rival_value: float | None = None
    ratio_goal: float | None = None
    goal: float | None = None
    either: bool = False  # whether one of the two goals is enough

    @property
    def ratio(self) -> float | None:
        """Return the value as a multiple of the rival's; None without a rival."""
        return None if self.rival_value is None else self.value / self.rival_value

    @property
    def ok(self) -> bool | None:
        """Tell whether the goals are met; None if there are none that could be checked."""
        verdicts = [
            value <= goal if self.unit in LESS_IS_BETTER else value >= goal
            for value, goal in ((self.ratio, self.ratio_goal), (self.value, self.goal))
            if value is not None and goal is not None
        ]
        met = any(verdicts) if self.either else all(verdicts)
        return met if verdicts else None

    def goals(self) -> str:
        """Return the goals as text."""
        sign = "<=" if self.unit in LESS_IS_BETTER else ">="
        parts = [] if self.ratio_goal is None else [f"{sign} {self.ratio_goal:g}x"]
        if self.goal is not None:
            parts.append(f"{sign} {self.goal:,g} {self.unit}")
        return (" or " if self.either else ", ").join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Return all fields, ratio and verdict, for JSON."""
        return {**dataclasses.asdict(self), "ratio": self.ratio, "ok": self.ok}


def number(value: float) -> str:
    """Return a number with at least three digits.

    >>> number(12345.6), number(45.67), number(0.12345)
    ('12,346', '45.7', '0.123')
    """
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3f}"


def table(lines: list[Line]) -> str:
    """Return the lines as aligned text under a heading."""
    cells = [("what", "value", "", "compared with", "its value", "ratio", "goal", "")]
    for line in lines:
        theirs = "" if line.rival_value is None else number(line.rival_value)
        ratio = "" if line.ratio is None else f"{number(line.ratio)}x"
        verdict = {True: "ok", False: "MISSED", None: ""}[line.ok]
        cells.append((line.subject, number(line.value), line.unit, line.rival, theirs, ratio, line.goals(), verdict))
    return aligned(cells, {1, 4, 5})


def publish(lines: list[Line], json_file: str | None, missing: list[str] | None = None) -> None:
    """Print the table, and what could not be measured; also write all of it as JSON, into a file or ("-") instead."""
    if json_file != "-":
        print(table(lines))
        print("".join(f"{each}\n" for each in missing or []), end="")
    found = {} if missing is None else {"missing": missing}
    write_json({"machine": machine(), **found, "lines": [line.as_dict() for line in lines]}, json_file)


def medians(rivals: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Let the rivals measure themselves one after the other, `rounds` times; return the median of each."""
    values: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(rounds):
        for name, measure in rivals.items():
            values[name].append(measure())
    return {name: statistics.median(measured) for name, measured in values.items()}
