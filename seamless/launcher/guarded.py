"""What `rhl-guard` tells the helper that it becomes: the first argument `--guarded JSON`, which no grammar accepts.

A helper that gets it works under the guard: only whitelisted services, and only the very directories named here.
It takes rights away and gives none, so a call by hand gains nothing by it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

OPTION = "--guarded"


class Resolved(NamedTuple):
    """A path without links, and the directory that identifies it: itself, or if it is not there the nearest above."""

    path: str
    anchor: str
    device: int
    inode: int


class Guarded(NamedTuple):
    """What the guard has decided.

    `paths`: one for each word of rhl-clear and rhl-ps-persistent, in order; of rhl-launch-service and rhl-ensure that
    of the work directory. The arguments name the same paths. To be opened with `safe_open.open_resolved`.
    `markers`: if there are any, rhl-clear goes on only if the opened directory has one of these
    (`safe_open.has_marker`), and keeps them. `max_services`: how many services may live at once (0: any number), the
    one to be started included.
    """

    paths: tuple[Resolved, ...] = ()
    markers: tuple[str, ...] = ()
    max_services: int = 0

    def text(self) -> str:
        """Return the value of the option."""
        return json.dumps([self.paths, self.markers, self.max_services], separators=(",", ":"))


def take_guarded(argv: Sequence[str]) -> tuple[Guarded | None, list[str]]:
    """Return what the guard has said, if `argv` (without the helper's name) begins with it, and the other arguments.

    >>> take_guarded(["--guarded", Guarded(markers=("a",)).text(), "/x"])
    (Guarded(paths=(), markers=('a',), max_services=0), ['/x'])
    >>> take_guarded(["/x"])
    (None, ['/x'])
    """
    if not argv or argv[0] != OPTION:
        return None, list(argv)
    paths, markers, max_services = json.loads(argv[1])
    return Guarded(tuple(Resolved(*path) for path in paths), tuple(markers), max_services), list(argv[2:])
