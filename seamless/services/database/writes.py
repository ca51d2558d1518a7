"""PUT: from a request to what is to be written. Checked here, on arrival; written later, with others, by the writer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from seamless.checksum import Checksum
from seamless.services.database import requests
from seamless.services.database.requests import RefusedError, Request
from seamless.stores.database import ResultDatabase
from seamless.stores.errors import ConflictError, MalformedValueError
from seamless.stores.records import EXISTS

READ_ONLY_TYPES = frozenset({"protocol", "rev_transformations", "syntactic_to_semantic", "rev_expression"})


class SetResult(NamedTuple):
    """Keep the result of a transformation. The text of `sender` is noted if another one is stored.

    `told`: the client wants to know which one is kept.
    """

    transformation: Checksum
    result: Checksum
    sender: object = ""
    told: bool = False


class SetRecord(NamedTuple):
    """Keep a record, and the result if it is not known. `told`: the client wants to know that its claim has ended."""

    transformation: Checksum
    result: Checksum
    record: dict[str, Any]
    told: bool = False

    def __call__(self, results: ResultDatabase) -> None:
        """Write it. Raises RefusedError, ConflictError."""
        try:
            if not results.set_record(self.transformation, self.result, self.record):
                raise ConflictError(EXISTS)
        except MalformedValueError:
            raise RefusedError(400, requests.MALFORMED_RECORD) from None


Write = SetResult | SetRecord | Callable[[ResultDatabase], Any]


def prepare(request: Request, sender: object = "") -> Write:
    """Return what a request asks to write; `sender` is who asks, as text. Raises RefusedError (400)."""
    kind = request["type"]
    if kind == "transformation":
        name = requests.checksum(request)
        result = requests.checksum(request, "value", requests.MALFORMED_RESULT)
        return SetResult(name, result, sender, request.get("told") is True)
    if kind == "delete":
        return _delete(requests.checksum(request), sender)
    preparer = WRITES.get(kind)
    if preparer is not None:
        return preparer(request)
    if kind not in READ_ONLY_TYPES:
        raise RefusedError(400, requests.MALFORMED)
    if kind != "protocol":
        requests.checksum(request)
    raise RefusedError(400, requests.UNKNOWN_TYPE)


def _delete(name: Checksum, sender: object) -> Write:
    def write(results: ResultDatabase) -> None:
        if not results.delete_result(name, client=str(sender)):
            raise RefusedError(404, requests.UNKNOWN_KEY)

    return write


def _metadata(request: Request) -> Write:
    name = requests.checksum(request)
    result = requests.checksum(request, "result", requests.MALFORMED_RECORD)
    return SetRecord(name, result, requests.record(request), request.get("told") is True)


def _irreproducible(request: Request) -> Write:
    name, result = requests.checksum(request), requests.checksum(request, "result")
    return lambda results: results.contest(name, result)


def _buffer_info(request: Request) -> Write:
    name, text = requests.checksum(request), requests.MALFORMED_BUFFER_INFO
    info = requests.json_object(request, "value", text)

    def write(results: ResultDatabase) -> None:
        try:
            results.set_buffer_info(name, info)
        except MalformedValueError:
            raise RefusedError(400, text) from None

    return write


def _semantic_to_syntactic(request: Request) -> Write:
    name = requests.checksum(request)
    celltypes = requests.string(request, "celltype"), requests.string(request, "subcelltype")
    value = request.get("value")
    if not isinstance(value, list):
        raise RefusedError(400, requests.MALFORMED)
    syntactic = [requests.as_checksum(item) for item in value]
    return lambda results: results.set_semantic_to_syntactic(name, *celltypes, syntactic)


def _expression(request: Request) -> Write:
    key, result = requests.expression_key(request), requests.checksum(request, "value")

    def write(results: ResultDatabase) -> None:
        try:
            results.set_expression(*key, result)
        except MalformedValueError:
            raise RefusedError(400, requests.MALFORMED_EXPRESSION) from None

    return write


def _bucket_probe(request: Request) -> Write:
    text = requests.MALFORMED_PROBE
    key = requests.probe_key(request, text)
    bucket = requests.checksum(request, "bucket_checksum", text)
    captured_at = requests.string(request, "captured_at", text)
    tokens = requests.json_object(request, "freshness_tokens", text)
    if not captured_at:
        raise RefusedError(400, text)
    return lambda results: results.set_bucket_probe(*key, bucket, captured_at, tokens)


WRITES: dict[str, Callable[[Request], Write]] = {
    "metadata": _metadata,
    "irreproducible": _irreproducible,
    "buffer_info": _buffer_info,
    "semantic_to_syntactic": _semantic_to_syntactic,
    "expression": _expression,
    "bucket_probe": _bucket_probe,
}
