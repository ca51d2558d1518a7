"""The OpenAPI description of the two operations, as data."""

from __future__ import annotations

from typing import Any

from seamless.services.database import requests
from seamless.stores.facts import PROBE_KINDS
from seamless.version import __version__

Schema = dict[str, Any]

_CHECKSUM: Schema = {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"}
_STRING: Schema = {"type": "string"}
_OBJECT: Schema = {"type": "object"}
_CELLTYPE: Schema = {"type": "string", "minLength": 1, "maxLength": 20}
_PATH: Schema = {"type": "array", "description": "at most 100 characters as JSON"}
_CELLTYPES = {"celltype": _STRING, "subcelltype": _STRING}
_EXPRESSION = {"celltype": _CELLTYPE, "path": _PATH, "target_celltype": _CELLTYPE}
_PROBE: Schema = {"bucket_kind": {"enum": list(PROBE_KINDS)}, "label": {"type": "string", "minLength": 1}}

# Who claims.
_HOLDER: Schema = {"type": "object", "properties": {"id": {"type": "string", "minLength": 1}}, "required": ["id"]}
_SECONDS: Schema = {"type": "number", "minimum": 0, "exclusiveMaximum": 1e6}

_FAILURE: Schema = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("error", "stderr", "command", "host"), _STRING),
        **{name: {"type": ["integer", "null"]} for name in ("exit_status", "pid")},
    },
}

# Fields beside `type` and `checksum`; all are required but those named in _OPTIONAL.
_GET: dict[str, dict[str, Schema]] = {
    "transformation": {},
    "rev_transformations": {},
    "metadata": {},
    "irreproducible": {"result": _CHECKSUM},
    "buffer_info": {},
    "semantic_to_syntactic": _CELLTYPES,
    "syntactic_to_semantic": _CELLTYPES,
    "expression": _EXPRESSION,
    "rev_expression": {},
}
_PUT: dict[str, dict[str, Schema]] = {
    "transformation": {"value": _CHECKSUM, "told": {"type": "boolean"}},
    "metadata": {"result": _CHECKSUM, "value": {"oneOf": [_OBJECT, _STRING]}},
    "irreproducible": {"result": _CHECKSUM},
    "buffer_info": {"value": _OBJECT},
    "semantic_to_syntactic": {**_CELLTYPES, "value": {"type": "array", "items": _CHECKSUM}},
    "expression": {**_EXPRESSION, "value": _CHECKSUM},
    "delete": {},
    "claim": {"value": _HOLDER, "seconds": _SECONDS, "wait": _SECONDS, "despite": {"type": "boolean"}},
    "release": {"value": _HOLDER},
    "failure": {"value": _FAILURE},
}
_RENEW = {"checksums": {"type": "array", "items": _CHECKSUM}, "value": _HOLDER, "seconds": _SECONDS}
_OPTIONAL = {
    ("get", "irreproducible"): {"result"},
    ("put", "transformation"): {"told"},
    ("put", "claim"): {"seconds", "wait", "despite"},
}
_PROBE_VALUE = {
    "bucket_checksum": _CHECKSUM,
    "captured_at": {"type": "string", "minLength": 1},
    "freshness_tokens": _OBJECT,
}

_GET_ANSWERS = {
    "200": "The answer: a checksum as hexadecimal digits, or JSON.",
    "400": f"`ERROR: {requests.MALFORMED}`, or a text that names the request.",
    "404": f"`ERROR: {requests.UNKNOWN_KEY}`",
}
_PUT_ANSWERS = {
    "200": "`OK`: the write is in the database. Of a claim or renewal: JSON.",
    "400": f"`ERROR: {requests.MALFORMED}`, or a text that names the request.",
    "404": f"`ERROR: Transformation does not have the irreproducible result`, `ERROR: {requests.UNKNOWN_KEY}`",
    "405": f"`ERROR: {requests.READ_ONLY}`",
    "409": "`ERROR: ` and what the write contradicts.",
    "507": "`ERROR: ` and the file system that is full.",
}
_COMMON_ANSWERS = {"401": "`ERROR: Unauthorized`", "413": "The body of the request is too large."}


def description(*, writable: bool) -> dict[str, Any]:
    """Return the OpenAPI description of this server."""
    get = [_request("get", kind, fields) for kind, fields in _GET.items()]
    get += [_object({"type": {"const": "protocol"}}), _object({"type": {"const": "bucket_probe"}, **_PROBE})]
    put = [_request("put", kind, fields) for kind, fields in _PUT.items()]
    put.append(_object({"type": {"const": "bucket_probe"}, **_PROBE, **_PROBE_VALUE}))
    put.append({**_object({"type": {"const": "renew"}, **_RENEW}), "required": ["type", "checksums", "value"]})
    operations = {"get": _operation("Read", [*get, _batch(get)], _GET_ANSWERS)}
    if writable:
        operations["put"] = _operation("Write", [*put, _batch(put)], _PUT_ANSWERS)
    health = {"responses": {"200": {"description": "`OK`", "content": {"text/plain": {"schema": _STRING}}}}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "seamless-database",
            "version": __version__,
            "description": "Results of transformations, with the records of their computation. Every path is alike.",
        },
        "paths": {"/": operations, "/healthcheck": {"get": {"summary": "Tell that the server is there.", **health}}},
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{}, {"token": []}],
    }


def _operation(summary: str, bodies: list[Schema], answers: dict[str, str]) -> dict[str, Any]:
    text = {"text/plain": {"schema": _STRING}}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"oneOf": bodies}}}},
        "responses": {
            status: {"description": meaning, "content": text} for status, meaning in (answers | _COMMON_ANSWERS).items()
        },
    }


def _request(method: str, kind: str, fields: dict[str, Schema]) -> Schema:
    found = _object({"type": {"const": kind}, "checksum": _CHECKSUM, **fields})
    optional = _OPTIONAL.get((method, kind), set())
    return {**found, "required": [name for name in found["required"] if name not in optional]}


def _object(fields: dict[str, Schema]) -> Schema:
    return {"type": "object", "properties": fields, "required": list(fields)}


def _batch(members: list[Schema]) -> Schema:
    items = {"type": "array", "items": {"oneOf": members}, "maxItems": 10_000}
    text = "The answer is a JSON list of `[status, text]`, one for each request."
    return {**_object({"type": {"const": "batch"}, "requests": items}), "description": text}
