"""Reading a file that another program may have put into non-blocking mode, as standard input often is."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def read_into(file: Any, view: bytearray | memoryview) -> int:
    """Do what `file.readinto` does, but wait while there is nothing to read yet; 0 is the end. Blocks."""
    while (n := file.readinto(view)) is None:
        import select

        select.select([file], [], [])
    return int(n)
