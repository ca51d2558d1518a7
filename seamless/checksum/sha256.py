"""SHA-256 for a program that has just begun: the module `hashlib` loads OpenSSL, which takes longer than most commands.

So the first few kilobytes are hashed by the interpreter's own code, as `random` does it; then OpenSSL takes over.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # that of `typing`, which takes long to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from io import FileIO
    from typing import Any

_PIECE = 1 << 20
_MOST, _MOST_CALLS = 1 << 14, 100  # bytes, and pieces of data, that are hashed without OpenSSL


def new_hash(data: Any = b"") -> Any:
    """Return a SHA-256 object of `hashlib`, with some data: for large data, and in pieces."""
    from hashlib import sha256

    return sha256(data)


def _first_hash(data: Any) -> Any:
    """Do the same for little data; after that, or if it is loaded anyway, with `hashlib` for ever."""
    _begun.append(memoryview(data).nbytes)
    if sum(_begun) <= _MOST and len(_begun) <= _MOST_CALLS and "hashlib" not in sys.modules and (own := _own()):
        return own(data)
    from hashlib import sha256

    _begun.clear()
    quick[0] = sha256
    return sha256(data)


def file_digest(file: FileIO) -> bytes:
    """Return the SHA-256 of what is left in a file, which is read in pieces."""
    piece, following = file.read(_PIECE), file.read(_PIECE)
    if not following:
        return quick[0](piece).digest()  # type: ignore[no-any-return]
    hasher = new_hash(piece)
    while following:
        hasher.update(following)
        following = file.read(_PIECE)
    return hasher.digest()  # type: ignore[no-any-return]


_begun: list[int] = []  # the lengths of what was hashed so far
quick: list[Callable[[Any], Any]] = [_first_hash]  # the function to use; in a list because it is another one later


def _own() -> Callable[[Any], Any] | None:
    """Return the function of the interpreter; None in one without it."""
    try:
        if sys.version_info >= (3, 12):
            from _sha2 import sha256
        else:
            from _sha256 import sha256  # type: ignore[import-not-found]
    except ImportError:
        return None
    return sha256  # type: ignore[no-any-return]
