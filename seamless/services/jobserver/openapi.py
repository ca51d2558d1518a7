"""The OpenAPI description of the jobserver, as data."""

from __future__ import annotations

from typing import Any

from seamless.version import __version__

Schema = dict[str, Any]

_CHECKSUM: Schema = {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"}
_STRING: Schema = {"type": "string"}
_BOOLEAN: Schema = {"type": "boolean", "default": False}
_SECONDS: Schema = {"type": "number", "minimum": 0}
_OBJECT: Schema = {"type": "object"}
_STATUS: Schema = {"enum": ["queued", "running", "done", "failed", "canceled"]}
_WORD: Schema = {"enum": ["running", "canceled", "failed", "done", "not-running"]}

_REQUEST: dict[str, Schema] = {
    "transformation_dict": {"type": "object", "description": "pins as [celltype, subcelltype, checksum]"},
    "tf_checksum": _CHECKSUM,
    "tf_dunder": {"type": "object", "description": "keys that only say how it is executed"},
    "scratch": _BOOLEAN,
    "strict_dunder": _BOOLEAN,
    "record": _BOOLEAN,
}
_MORE: dict[str, Schema] = {
    "request": {"type": "string", "minLength": 1, "maxLength": 200, "description": "names this request"},
    "wait": {**_SECONDS, "description": "answer after so long, although it has not ended"},
    "timeout": {**_SECONDS, "description": "for the step"},
    "refresh": {**_BOOLEAN, "description": "execute also if the result is known"},
    "live": {**_BOOLEAN, "description": "the output is wanted while it appears"},
    "buffers": {
        "type": "object",
        "additionalProperties": _STRING,
        "description": "inputs that are not stored yet, as base64 by checksum; they are stored with the result",
    },
    "command": _STRING,
    "name": _STRING,
    "origin": {"type": "array", "prefixItems": [_STRING, {"type": "integer"}]},
}
_JOB: dict[str, Schema] = {
    "transformation": _CHECKSUM,
    "status": _STATUS,
    "output": {
        "type": "object",
        "properties": {
            "next": {"type": "integer"},
            "pieces": {"type": "array", "items": {"type": "array", "prefixItems": [_STRING, _STRING]}},
        },
        "description": "pieces of output as [stdout or stderr, base64]",
    },
    "result_checksum": _CHECKSUM,
    "cached": _BOOLEAN,
    "kept": {"type": "boolean", "description": "whether the result is in a database"},
    "usage": _OBJECT,
    "stdout": _STRING,
    "stderr": _STRING,
    "error": {
        "type": "object",
        "properties": {
            "kind": {"enum": ["step", "missing", "damaged", "lost", "store", "canceled"]},
            "text": _STRING,
            "type": _STRING,
            "exit_status": {"type": ["integer", "null"]},
        },
    },
}
_COMMON = {"401": "`ERROR: Unauthorized`", "503": "The server is shutting down."}
_ENDS = {
    "200": "It is done.",
    "202": "It waits or runs.",
    "410": "It was canceled.",
    "422": "The step has failed.",
    "500": "A worker has died, or a store cannot be used.",
}
_TF: Schema = {"name": "checksum", "in": "path", "required": True, "schema": _CHECKSUM}


def description() -> dict[str, Any]:
    """Return the OpenAPI description of this server."""
    job, word = _object(_JOB, ("transformation", "status")), {"schema": _object({"status": _WORD}, ("status",))}
    refused = {"400": "The request is not one; the text says why.", "409": "Another record mode, or another envelope."}
    submitted = {**_ENDS, **refused, "429": "The queue is full: come back after `Retry-After` seconds."}
    reference = {
        "200": "JSON with `result_checksum`, or `Transformation was canceled`.",
        **refused,
        "500": "The failure, as text.",
    }
    paths = {
        "/run-transformation": {"get": _operation("Execute; answer at the end", reference, body=_REQUEST)},
        "/transformation-status/{checksum}": {
            "parameters": [_TF], "get": _operation("Tell the status", {"200": "The status."}, json=word["schema"]),
        },
        "/cancel-transformation/{checksum}": {
            "parameters": [_TF], "post": _operation("End it, whoever wants it", {"200": "Whether it was ended."}),
        },
        "/transformations": {"post": _operation("Take it", submitted, body={**_REQUEST, **_MORE}, json=job)},
        "/transformations/{checksum}": {
            "parameters": [_TF],
            "get": _operation(
                "Tell what becomes of it", {**_ENDS, "404": "Nothing is known about it."}, json=job,
                query={"wait": _SECONDS, "after": {"type": "integer", "minimum": 0}, "request": _STRING},
            ),
            "delete": _operation("Take a request back", {"200": "Whether it stood."}, query={"request": _STRING}),
        },
        "/buffers/{checksum}": {
            "parameters": [_TF],
            "get": _operation("Give a buffer that is in memory", {"200": "Its bytes.", "404": "It is not there."}),
        },
        "/stores": {"put": _operation("Work with other stores", {"200": "Done."}, body={"database": {}, "buffer": {}})},
        "/queue": {"get": _operation("Name what waits and runs", {"200": "Unfinished transformations."})},
        "/healthcheck": {"get": _operation("Tell that the server is there; needs no token", {"200": "`OK`"})},
    }  # fmt: skip
    return {
        "openapi": "3.1.0",
        "info": {"title": "seamless-jobserver", "version": __version__, "description": "Executes transformations."},
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}],
        "paths": paths,
    }


def _object(properties: dict[str, Schema], required: tuple[str, ...] = ()) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


def _operation(
    summary: str,
    answers: dict[str, str],
    *,
    body: dict[str, Schema] | None = None,
    json: Schema | None = None,
    query: dict[str, Schema] | None = None,
) -> Schema:
    required = tuple(name for name in ("transformation_dict", "tf_checksum") if body and name in body)
    operation: Schema = {
        "summary": summary,
        "responses": {
            status: {
                "description": text,
                **(
                    {"content": {"application/json": {"schema": json}}} if json is not None and status[0] == "2" else {}
                ),
            }
            for status, text in {**answers, **_COMMON}.items()
        },
    }
    if body is not None:
        operation["requestBody"] = {
            "required": True, "content": {"application/json": {"schema": _object(body, required)}},
        }  # fmt: skip
    if query:
        operation["parameters"] = [{"name": name, "in": "query", "schema": schema} for name, schema in query.items()]
    return operation
