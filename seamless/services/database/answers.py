"""What went wrong as status and text: the exact texts that clients compare, and one clear sentence otherwise."""

from __future__ import annotations

import logging

from seamless.errors import StoreError, StoreFullError, StoreReadOnlyError
from seamless.services.common import BodyTooLargeError
from seamless.services.database import requests
from seamless.services.database.requests import RefusedError
from seamless.stores.errors import ConflictError, MalformedValueError, UnknownResultError

_log = logging.getLogger(__name__)

Answer = tuple[int, str]

OK: Answer = (200, "OK")
KEPT: Answer = (200, "KEPT")  # to a client that asked to be told
KEPT_ANOTHER: Answer = (200, "KEPT ANOTHER")
NOT_FOUND: Answer = (404, f"ERROR: {requests.UNKNOWN_KEY}")
NOT_ALLOWED: Answer = (405, "ERROR: Method not allowed")
READ_ONLY: Answer = (405, f"ERROR: {requests.READ_ONLY}")
OTHER_RESULT: Answer = (409, "ERROR: Transformation already has another result")


def failure(exc: BaseException) -> Answer:
    """Return the answer for an error; what is not the client's doing is logged."""
    match exc:
        case RefusedError():
            return exc.status, f"ERROR: {exc.text}"
        case ConflictError():
            return 409, f"ERROR: {exc.reason}"
        case UnknownResultError():
            return 404, f"ERROR: {exc.reason}"
        case MalformedValueError() | RecursionError():
            return 400, f"ERROR: {requests.MALFORMED}"
        case BodyTooLargeError():
            return 413, f"ERROR: Request too large: {exc}"
        case StoreReadOnlyError():
            return READ_ONLY
        case StoreFullError():
            status = 507
        case StoreError():
            # An OperationalError of SQLite is the file's surroundings (locks, disk): trying again may help.
            status = 503 if type(exc.__cause__).__name__ == "OperationalError" else 500
        case _:
            _log.error("internal error", exc_info=exc)
            return 500, "ERROR: Internal server error"
    _log.error("%s", exc)
    return status, f"ERROR: {exc}"
