"""What a request may look like: its JSON, its fields, and the exact texts of the refusals.

Clients compare these texts. Nothing here touches the database.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple, NoReturn

from seamless.checksum import Checksum
from seamless.stores.facts import PROBE_KINDS

PROTOCOL = ("seamless", "database", "2.2")

MALFORMED = "Malformed request"
UNKNOWN_TYPE = "Unknown request type"
UNKNOWN_KEY = "Unknown key"
READ_ONLY = "Database server is read-only"
MALFORMED_RESULT = "Malformed PUT transformation result request: value must be a checksum"
MALFORMED_RECORD = "Malformed PUT metadata request"
MALFORMED_BUFFER_INFO = "Malformed PUT buffer info request"
MALFORMED_EXPRESSION = "Malformed expression request (constraint violation)"
MALFORMED_PROBE = "Malformed PUT bucket_probe request"
MALFORMED_CLAIM = "Malformed claim request"
MALFORMED_FAILURE = "Malformed failure request"
SHUTTING_DOWN = "the server is shutting down"

_LONGEST_ID = 200  # characters
_LONGEST_HOLDER = 2000
_LONGEST_TIME = 1e6  # seconds

Request = dict[str, Any]


class Failure(NamedTuple):
    """A step that has failed on `host`, in process `pid`."""

    transformation: Checksum
    error: str
    stderr: bytes
    command: str
    exit_status: int | None
    host: str
    pid: int | None


class RefusedError(Exception):
    """The answer is not a success: an HTTP status with a text for the client."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status, self.text = status, text


def _no_constant(name: str) -> NoReturn:
    """Refuse NaN and the infinities: they are not JSON, and the answer that repeats them would not be either."""
    raise ValueError(name)


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def parse_request(body: bytes | bytearray) -> Request:
    """Return the JSON object in `body`, which has a `type` that is text. Raises RefusedError (400)."""
    try:
        text = body.decode()
        # Most requests begin and end without blanks: then this is all that `decode` would do.
        request, end = _DECODER.raw_decode(text) if text.startswith("{") else (None, -1)
        if end != len(text):
            request = _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise RefusedError(400, MALFORMED) from None
    if not isinstance(request, dict) or not isinstance(request.get("type"), str):
        raise RefusedError(400, MALFORMED)
    return request


def checksum(request: Request, field: str = "checksum", text: str = MALFORMED) -> Checksum:
    """Return the checksum in a field. Raises RefusedError (400, `text`)."""
    return as_checksum(request.get(field), text)


def as_checksum(value: Any, text: str = MALFORMED) -> Checksum:
    """Return 64 hexadecimal digits as a checksum. Raises RefusedError (400, `text`)."""
    if isinstance(value, str) and len(value) == 64:
        try:
            return Checksum(value)
        except ValueError:
            pass  # refused below
    raise RefusedError(400, text)


def string(request: Request, field: str, text: str = MALFORMED) -> str:
    """Return the string in a field, which can be stored. Raises RefusedError (400, `text`)."""
    value = request.get(field)
    if not isinstance(value, str) or not _is_unicode(value):
        raise RefusedError(400, text)
    return value


def record(request: Request) -> dict[str, Any]:
    """Return the record in `value`, which may be JSON text. Raises RefusedError (400). The store checks its fields."""
    value = request.get("value")
    if isinstance(value, str):
        try:
            value = _DECODER.decode(value)
        except (ValueError, RecursionError):
            raise RefusedError(400, MALFORMED_RECORD) from None
    if not isinstance(value, dict):
        raise RefusedError(400, MALFORMED_RECORD)
    return value


def json_object(request: Request, field: str, text: str) -> dict[str, Any]:
    """Return the JSON object in a field. Raises RefusedError (400, `text`)."""
    value = request.get(field)
    if not isinstance(value, dict) or not _is_json(value):
        raise RefusedError(400, text)
    return value


def holder(request: Request) -> dict[str, Any]:
    """Return who claims: the object in `value`, which has an `id`. Raises RefusedError (400)."""
    value = json_object(request, "value", MALFORMED_CLAIM)
    name = value.get("id")
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_ID or len(json.dumps(value)) > _LONGEST_HOLDER:
        raise RefusedError(400, MALFORMED_CLAIM)
    return value


def failure(request: Request) -> Failure:
    """Return what a client says of a step that has failed. Raises RefusedError (400)."""
    value = json_object(request, "value", MALFORMED_FAILURE)
    texts = [value.get(name, "") for name in ("error", "stderr", "command", "host")]
    numbers = [value.get(name) for name in ("exit_status", "pid")]
    if not all(isinstance(text, str) and _is_unicode(text) for text in texts):
        raise RefusedError(400, MALFORMED_FAILURE)
    if not all(number is None or type(number) is int for number in numbers):
        raise RefusedError(400, MALFORMED_FAILURE)
    error, stderr, command, host = texts
    return Failure(checksum(request), error, stderr.encode(), command, numbers[0], host[:_LONGEST_ID], numbers[1])


def seconds(request: Request, field: str) -> float:
    """Return a length of time, 0 if it is not given. Raises RefusedError (400)."""
    value = request.get(field, 0)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < _LONGEST_TIME:
        raise RefusedError(400, MALFORMED_CLAIM)
    return float(value)


def expression_key(request: Request) -> tuple[Checksum, list[Any], str, str]:
    """Return input checksum, path, celltype and target celltype. Raises RefusedError (400)."""
    path = request.get("path")
    if not isinstance(path, list) or not _is_json(path):
        raise RefusedError(400, MALFORMED_EXPRESSION)
    celltype = string(request, "celltype", MALFORMED_EXPRESSION)
    target = string(request, "target_celltype", MALFORMED_EXPRESSION)
    return checksum(request), path, celltype, target


def probe_key(request: Request, text: str = MALFORMED) -> tuple[str, str]:
    """Return bucket kind and label. Raises RefusedError (400, `text`)."""
    kind, label = string(request, "bucket_kind", text), string(request, "label", text)
    if kind not in PROBE_KINDS or not label:
        raise RefusedError(400, text)
    return kind, label


def _is_unicode(value: str) -> bool:
    """Tell whether a string has a UTF-8 form: JSON can hold halves of surrogate pairs."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_json(value: Any) -> bool:
    """Tell whether a parsed value can be written again: 1e999 has become infinite, and depth is limited twice."""
    try:
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return False
    return True
