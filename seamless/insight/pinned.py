"""What was decided about a store: its pinned roots and its size limit, in small text files beside the database."""

from __future__ import annotations

import os

from seamless.errors import UsageError
from seamless.insight.definition import is_hex
from seamless.insight.place import Place
from seamless.stores.embedded import SIZE_LIMIT as LIMIT
from seamless.util.files import write_atomically

PINNED = ".seamless-pinned"  # one checksum a line; anything after it is a comment


def pinned_roots(place: Place) -> dict[str, str]:
    """Return the pinned checksums (hex), each with its comment. Raises UsageError for a line that holds none."""
    path = place.file(PINNED)
    try:
        with open(path, encoding="utf-8") as f:
            lines = f.read().splitlines()
    except FileNotFoundError:
        return {}
    found = {}
    for number, line in enumerate(lines, 1):
        name, _, comment = line.strip().partition(" ")
        if not name or name.startswith("#"):
            continue
        if not is_hex(name):
            # To go on would be to remove what somebody wanted to keep.
            raise UsageError(f"{path}:{number}: {name[:70]!r} is no checksum; 64 hexadecimal digits are expected")
        found[name] = comment.strip()
    return found


def write_pinned(place: Place, roots: dict[str, str]) -> None:
    """Write the pinned checksums with their comments."""
    text = "".join(f"{name} {comment}".rstrip() + "\n" for name, comment in roots.items())
    write_atomically(place.file(PINNED), text.encode())


def size_limit(place: Place) -> int | None:
    """Return the bytes that the buffers of the store may take; None without a limit. Raises UsageError."""
    path = place.file(LIMIT)
    try:
        with open(path, encoding="utf-8") as f:
            text = f.read().strip()
    except FileNotFoundError:
        return None
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"{path}: {text[:70]!r} is no number of bytes; set it with seamless-gc --set-limit")
    return int(text)


def set_size_limit(place: Place, limit: int | None) -> None:
    """Set the size limit, or take it away."""
    path = place.file(LIMIT)
    if limit is not None:
        write_atomically(path, b"%d\n" % limit)
    elif os.path.exists(path):
        os.unlink(path)
