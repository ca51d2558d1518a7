"""The description of the hashserver (OpenAPI, `/docs`): a FastAPI application that declares every operation.

It only describes: the service has answered every operation before this application is asked.
"""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import Body, FastAPI, Path, Response
from fastapi.responses import PlainTextResponse

from seamless.services.common import App
from seamless.version import __version__

Responses = dict[int | str, dict[str, Any]]

_SUMMARY = (
    "Buffers by their checksum (64 hexadecimal digits). A server that asks for a token wants it in the header "
    "`Authorization: Bearer TOKEN`; `/healthcheck` needs none."
)
_TEXT: dict[str, Any] = {"content": {"text/plain": {"schema": {"type": "string"}}}}
_BYTES: dict[str, Any] = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
_MESSAGE = {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]}
_JSON_MESSAGE: dict[str, Any] = {"content": {"application/json": {"schema": _MESSAGE}}}
_ANY_ERROR = {"content": {**_TEXT["content"], **_JSON_MESSAGE["content"]}}

_READING: Responses = {
    200: {"description": "The bytes, in a coding that the client accepts.", **_BYTES},
    206: {"description": "The range of bytes asked for.", **_BYTES},
    304: {"description": "The client has it already."},
    400: {"description": "Not a checksum, or the file is damaged.", **_JSON_MESSAGE},
    404: {"description": "Not found; after waiting, if the buffer was promised or is being uploaded.", **_TEXT},
    416: {"description": "The range begins behind the end.", **_TEXT},
    503: {"description": "The server is shutting down.", **_ANY_ERROR},
}
_WRITING: Responses = {
    200: {"description": "Verified and stored.", **_TEXT},
    201: {"description": "This form of the buffer was there already."},
    400: {"description": "Not a checksum, other bytes than it says, or damaged compressed data.", **_ANY_ERROR},
    413: {"description": "Larger than this server accepts.", **_JSON_MESSAGE},
    507: {"description": "The disk is full. Nothing was stored.", **_JSON_MESSAGE},
}
_LISTING: Responses = {
    400: {"description": "Not a JSON list of checksums.", **_JSON_MESSAGE},
    413: {"description": "More checksums than this server accepts at once.", **_JSON_MESSAGE},
}
_GROUP: Responses = {
    200: {"description": "For each the status that it would have been answered with alone."},
    400: {"description": "The body ends within a buffer.", **_JSON_MESSAGE},
    413: {"description": "Larger than this server accepts.", **_JSON_MESSAGE},
    507: {"description": "The disk is full.", **_JSON_MESSAGE},
}
_PROMISED: Responses = {
    202: {
        "description": "Readers of this checksum now wait for the buffer.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {"checksum": {"type": "string"}, "expires_in": {"type": "number"}},
                }
            }
        },
    },
    400: {"description": "Not a checksum.", **_JSON_MESSAGE},
}
_LISTS = (
    ("/has", list[bool], "Tell for each checksum whether it is stored, being uploaded, or promised."),
    ("/has-now", list[bool], "Tell for each checksum whether it is stored or being uploaded."),
    ("/buffer-length", list[int | bool], "Return uncompressed lengths: 0 if absent, true if promised."),
)


def description(*, writable: bool) -> App:
    """Return the application."""
    api = FastAPI(title="hashserver", version=__version__, description=_SUMMARY)
    _declare_common(api)
    _declare_lists(api)
    _declare_buffers(api, writable)
    document = api.openapi()
    document.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None)  # what FastAPI would answer: the service says 400
            if path != "/healthcheck":
                operation["security"] = [{"token": []}, {}]
                operation["responses"]["401"] = {"description": "The token is missing or wrong.", **_TEXT}
    return cast(App, api)


def _no_argument() -> None: ...


def _group(members: Annotated[bytes, Body(media_type="application/octet-stream")]) -> None: ...


def _one_checksum(checksum: Annotated[str, Path(pattern="^[0-9a-fA-F]{64}$")]) -> None: ...


def _many_checksums(checksums: Annotated[list[str], Body()]) -> None: ...


def _declare_common(api: FastAPI) -> None:
    texts = (("/healthcheck", "Answer OK."), ("/metrics", "Return the counts of this server for Prometheus."))
    for path, summary in texts:
        api.add_api_route(path, _no_argument, summary=summary, name=path[1:], response_class=PlainTextResponse)
    jsons = (("/status", "Describe this server."), ("/stats", "Count the buffers, files and bytes in the directory."))
    for path, summary in jsons:
        api.add_api_route(path, _no_argument, summary=summary, name=path[1:], response_model=dict[str, Any])


def _declare_lists(api: FastAPI) -> None:
    for path, model, summary in _LISTS:
        for method in ("GET", "POST"):
            api.add_api_route(
                path,
                _many_checksums,
                methods=[method],
                summary=summary,
                name=f"{path[1:]}-{method.lower()}",
                response_model=model,
                responses=_LISTING,
            )


def _declare_buffers(api: FastAPI, writable: bool) -> None:
    if writable:
        api.add_api_route(
            "/buffers",
            _group,
            methods=["PUT"],
            summary="Store small buffers: of each the 32 bytes of its checksum, its length in 8 bytes, and its bytes.",
            response_model=list[int],
            responses=_GROUP,
        )
        api.add_api_route(
            "/promise/{checksum}",
            _one_checksum,
            methods=["PUT"],
            status_code=202,
            summary="Announce a buffer.",
            name="promise",
            responses=_PROMISED,
        )
        api.add_api_route(
            "/{checksum}",
            _one_checksum,
            methods=["PUT"],
            summary="Store a buffer, plain or (Content-Encoding) as zstd or gzip.",
            name="put",
            response_class=Response,
            responses=_WRITING,
            openapi_extra={"requestBody": {"required": True, **_BYTES}},
        )
    for method in ("GET", "HEAD"):
        api.add_api_route(
            "/{checksum}",
            _one_checksum,
            methods=[method],
            summary="Return a buffer." if method == "GET" else "Return the headers that GET would give.",
            name=method.lower(),
            response_class=Response,
            responses=_READING,
        )
