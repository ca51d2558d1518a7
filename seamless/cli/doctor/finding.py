"""What the checks return: one `Finding` each, and how findings are shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from seamless.cli.service.output import print_json, print_table

OK, NOTE, PROBLEM, SKIPPED = "ok", "note", "problem", "not checked"
HERE = "here"


class Finding(NamedTuple):
    """The outcome of one check of one place. `status`: ok, note, problem, or not checked; `fix`: what helps."""

    check: str
    place: str
    status: str
    result: str = ""
    fix: str = ""

    @property
    def shown(self) -> str:
        """The status with what was found, for a table."""
        if not self.result:
            return self.status
        return self.result if self.status == OK else f"{self.status}: {self.result}"


def good(check: str, place: str, result: str = "") -> Finding:
    """Return the finding that all is well."""
    return Finding(check, place, OK, result)


def note(check: str, place: str, result: str, fix: str = "") -> Finding:
    """Return something worth knowing that does no harm now."""
    return Finding(check, place, NOTE, result, fix)


def problem(check: str, place: str, result: str, fix: str) -> Finding:
    """Return something that is wrong, with what to do about it."""
    return Finding(check, place, PROBLEM, result, fix)


def skipped(check: str, place: str, reason: str, fix: str = "") -> Finding:
    """Return what could not be looked at."""
    return Finding(check, place, SKIPPED, reason, fix)


def print_findings(findings: Iterable[Finding], *, as_json: bool) -> None:
    """Print a table, or one JSON object a line."""
    if as_json:
        for finding in findings:
            print_json({name: value or None for name, value in finding._asdict().items()})
    else:
        rows = ((finding.check, finding.place, one_line(finding.shown), one_line(finding.fix)) for finding in findings)
        print_table(("CHECK", "PLACE", "RESULT", "FIX"), rows)


def one_line(text: str) -> str:
    """Return a message without its line breaks.

    >>> one_line("cannot reach it\\n  what to do: wait")
    'cannot reach it; what to do: wait'
    """
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())
