"""The command `rhl-ps-persistent`: list data directories and what is in them, whether or not a service runs."""

from __future__ import annotations

from collections.abc import Sequence

from seamless.launcher.helpers.frame import Call, print_json_lines, print_table, run_helper
from seamless.launcher.paths import expand_home
from seamless.launcher.persistent import persistent_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser

PROG = "rhl-ps-persistent"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run_helper(PROG, argv, _run)


def build_parser() -> ArgumentParser:
    """Return what documents the arguments."""
    from seamless.launcher.helpers.parsers import parser_for

    return parser_for(PROG)


def _run(call: Call) -> int:
    options = call.options
    file, marker = options.get("file"), options.get("marker")
    rows = persistent_rows(
        [expand_home(path) for path in call.words],
        level=int(options.get("level", 0)),
        file=None if file is None else str(file),
        marker=None if marker is None else str(marker),
        resolved=call.guarded.paths if call.guarded else (),
    )
    if options.get("json"):
        return print_json_lines(rows)
    cells = ([row[name] for name in ("path", "state", "size", "modified")] for row in rows)
    return print_table(("PATH", "STATE", "SIZE", "MODIFIED"), cells)
