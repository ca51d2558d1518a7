"""What the stores refuse, as small named errors, and how errors of the system become errors of a store.

StoreError
  ConflictError           a write contradicts what is stored (HTTP 409); `.reason` is the exact text
  UnknownResultError      a contest of a result that is not the stored one (HTTP 404)
  MalformedValueError     (ValueError) a value that may not be stored (HTTP 400)
  NotAFileError           something that is not a regular file has the name of a buffer
"""

from __future__ import annotations

import errno
import os

from seamless.errors import StoreError, StoreFullError, StoreReadOnlyError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
ANOTHER = "use another cache directory: set SEAMLESS_CACHE to one that you may write"
READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


class ConflictError(StoreError):
    """The write contradicts what is stored. `reason` is the text that clients compare."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


class UnknownResultError(StoreError):
    """The transformation does not have the result that is contested."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


class MalformedValueError(StoreError, ValueError):
    """The value may not be stored: it lacks a field, or a field has another type or length."""


class NotAFileError(StoreError):
    """Something that is not a regular file has the name of a buffer."""


def store_error(exc: OSError, directory: str, *, needed: int | None = None) -> StoreError:
    """Return the StoreError that says what `exc` means for the store in `directory`.

    `needed`: bytes that were to be written, for the message about a full file system.
    """
    if exc.errno in FULL:
        what = f"{needed} bytes" if needed is not None else "more space"
        why = "the quota is exhausted" if exc.errno == errno.EDQUOT else f"the file system is full{_free(directory)}"
        return StoreFullError(f"cannot write to {directory}: {what} needed, but {why}; free some space and try again")
    if exc.errno in READ_ONLY:
        where = f" ({exc.filename})" if exc.filename not in (None, directory) else ""
        return StoreReadOnlyError(f"cannot write to {directory}{where}: {exc.strerror}; make it writable, or {ANOTHER}")
    where = f" ({exc.filename})" if exc.filename not in (None, directory) else ""
    return StoreError(f"cannot use {directory}{where}: {exc.strerror or exc}")


def _free(directory: str) -> str:
    """Return ` (N bytes free)`, or nothing where the file system does not tell."""
    try:
        status = os.statvfs(directory)
    except OSError:
        return ""
    return f" ({status.f_bavail * status.f_frsize} bytes free)"
