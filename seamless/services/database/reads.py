"""GET: from a request to the text of the answer, or None for an unknown key."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from seamless.services.database import requests
from seamless.services.database.requests import RefusedError, Request
from seamless.stores.database import ResultDatabase
from seamless.stores.errors import MalformedValueError

if TYPE_CHECKING:
    from seamless.checksum import Checksum

# Answered in microseconds from an index, so not worth a change of thread.
QUICK = frozenset({"protocol", "transformation", "expression", "bucket_probe", "buffer_info"})

_PROTOCOL_TEXT = json.dumps(requests.PROTOCOL)


def read(results: ResultDatabase, request: Request) -> str | None:
    """Return the text of the answer; None for an unknown key. Raises RefusedError, StoreError."""
    reader = READS.get(request["type"])
    if reader is None:
        raise RefusedError(400, requests.MALFORMED)
    return reader(results, request)


def _protocol(results: ResultDatabase, request: Request) -> str:
    return _PROTOCOL_TEXT


def _transformation(results: ResultDatabase, request: Request) -> str | None:
    found = results.get_result(requests.checksum(request))
    return None if found is None else found.hex()


def _rev_transformations(results: ResultDatabase, request: Request) -> str | None:
    return _checksums(results.get_transformations(requests.checksum(request)))


def _metadata(results: ResultDatabase, request: Request) -> str | None:
    record = results.get_record(requests.checksum(request))
    return None if record is None else json.dumps(record)


def _irreproducible(results: ResultDatabase, request: Request) -> str | None:
    name = requests.checksum(request)
    result = None if request.get("result") is None else requests.checksum(request, "result")
    found = results.get_irreproducible(name, result)
    return json.dumps(found) if found else None


def _buffer_info(results: ResultDatabase, request: Request) -> str | None:
    info = results.get_buffer_info(requests.checksum(request))
    return None if info is None else json.dumps(info)


def _semantic_to_syntactic(results: ResultDatabase, request: Request) -> str | None:
    celltypes = requests.string(request, "celltype"), requests.string(request, "subcelltype")
    return _checksums(results.get_semantic_to_syntactic(requests.checksum(request), *celltypes))


def _syntactic_to_semantic(results: ResultDatabase, request: Request) -> str | None:
    celltypes = requests.string(request, "celltype"), requests.string(request, "subcelltype")
    return _checksums(results.get_syntactic_to_semantic(requests.checksum(request), *celltypes))


def _expression(results: ResultDatabase, request: Request) -> str | None:
    key = requests.expression_key(request)
    try:
        found = results.get_expression(*key)
    except MalformedValueError:
        raise RefusedError(400, requests.MALFORMED_EXPRESSION) from None
    return None if found is None else found.hex()


def _rev_expression(results: ResultDatabase, request: Request) -> str | None:
    found = results.get_rev_expressions(requests.checksum(request))
    return json.dumps(found) if found else None


def _bucket_probe(results: ResultDatabase, request: Request) -> str | None:
    probe = results.get_bucket_probe(*requests.probe_key(request))
    return None if probe is None else json.dumps(probe)


def _checksums(found: Iterable[Checksum]) -> str | None:
    names = [checksum.hex() for checksum in found]
    return json.dumps(names) if names else None


READS: dict[str, Callable[[ResultDatabase, Request], str | None]] = {
    "protocol": _protocol,
    "transformation": _transformation,
    "rev_transformations": _rev_transformations,
    "metadata": _metadata,
    "irreproducible": _irreproducible,
    "buffer_info": _buffer_info,
    "semantic_to_syntactic": _semantic_to_syntactic,
    "syntactic_to_semantic": _syntactic_to_semantic,
    "expression": _expression,
    "rev_expression": _rev_expression,
    "bucket_probe": _bucket_probe,
}
