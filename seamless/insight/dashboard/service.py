"""The dashboard as a FastAPI application: a page, a JSON API, events. Only GET, and nothing that changes anything.

The token comes in the header, as with all services, or once as `?token=`, which becomes a cookie.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import threading
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

from seamless.errors import SeamlessError
from seamless.insight.dashboard.health import hit_rate, services
from seamless.insight.dashboard.overview import View
from seamless.insight.dashboard.provenance import picture, provenance
from seamless.insight.definition import is_hex
from seamless.insight.explanation import explain
from seamless.insight.place import Place
from seamless.insight.sidecar import Sidecar
from seamless.services.common.asgi import Message, Receive, Scope, Send, header
from seamless.services.common.service import Service
from seamless.services.common.token import Guard
from seamless.stores.failures import failures

_STATIC = os.path.join(os.path.dirname(__file__), "static")
_TICK = 1.0  # seconds between two looks at the store
_QUIET = 15  # ticks after which a silent stream says that it is alive
_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
_FILES = {
    "/": ("index.html", "text/html"),
    "/app.js": ("app.js", "text/javascript"),
    "/style.css": ("style.css", "text/css"),
}


class DashboardService(Service):
    """Serves the page of one store."""

    def __init__(self, place: Place):
        self.view = View(place)
        self.stopping = asyncio.Event()
        super().__init__(make_app(self))

    async def start(self) -> None:
        """Read the definitions in a large store now, so that nobody waits for it who opens a first page."""
        threading.Thread(target=_read_ahead, args=(self.view,), name="seamless-dashboard-read", daemon=True).start()

    def stop(self) -> None:
        """End the streams of events."""
        self.stopping.set()

    def admits(self, scope: Scope, guard: Guard) -> bool:
        """Tell whether a request carries the token: in the header, in our cookie, or in the address of the page."""
        return any(_carries(guard, token) for token in (_cookie(scope), _asked(scope)) if token) or guard.admits(scope)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: the token in the address becomes a cookie, and every answer has our headers."""
        token = _asked(scope)
        if token:
            name = cookie_name(scope)
            cookie = b"%b=%b; Path=/; HttpOnly; SameSite=Strict" % (name.encode(), token.encode())
            headers = [(b"location", b"/"), (b"set-cookie", cookie), (b"content-length", b"0"), *_HEADERS]
            await send({"type": "http.response.start", "status": 303, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        await super().__call__(scope, receive, with_headers)


def _read_ahead(view: View) -> None:
    try:
        with Sidecar(view.place) as sidecar:
            sidecar.update()
    except SeamlessError as exc:  # whoever opens a page is told
        logging.getLogger(__name__).warning("%s", exc)


def cookie_name(scope: Scope) -> str:
    """Return the name of our cookie: cookies know no ports, so the name does."""
    port = (scope.get("server") or ("", 0))[1]
    return f"seamless-dashboard-{port}"


def _carries(guard: Guard, token: str) -> bool:
    return guard.admits({"headers": [(b"authorization", b"Bearer " + token.encode())]})


def _asked(scope: Scope) -> str | None:
    """Return the token in the address of the page; of no other path."""
    if scope["path"] != "/" or scope["method"] != "GET":
        return None
    token = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
    return token if token.isascii() and token.isprintable() and not set(token) & set(' ;,"\\') else None


def _cookie(scope: Scope) -> str | None:
    name = cookie_name(scope)
    for pair in (header(scope, b"cookie") or b"").decode("latin-1").split(";"):
        key, _, value = pair.strip().partition("=")
        if key == name and value.isascii():
            return value
    return None


def make_app(service: DashboardService) -> Any:
    """Return the application. Raises MissingDependencyError."""
    try:
        from fastapi import FastAPI, HTTPException
        from starlette.responses import FileResponse, Response, StreamingResponse
    except ImportError:
        from seamless.errors import MissingDependencyError

        raise MissingDependencyError("fastapi", extra="services", purpose="the dashboard") from None
    app = FastAPI(title="Seamless dashboard", openapi_url=None, docs_url=None, redoc_url=None)
    view = service.view

    def checked(name: str) -> str:
        if not is_hex(name):
            raise HTTPException(404, "a checksum of 64 hexadecimal digits is expected")
        return name

    def add_file(path: str, name: str, kind: str) -> None:
        @app.get(path)
        def file() -> Response:
            return FileResponse(os.path.join(_STATIC, name), media_type=kind)

    for path, (name, kind) in _FILES.items():
        add_file(path, name, kind)

    @app.get("/api/overview")
    def overview() -> Response:
        return Response(json.dumps(view.overview()), media_type="application/json")

    @app.get("/api/services")
    def api_services() -> Response:
        found = services()
        return Response(json.dumps({"services": found, "hit_rate": hit_rate(found)}), media_type="application/json")

    @app.get("/api/step/{name}")
    def step(name: str) -> Response:
        return Response(json.dumps(step_page(view, checked(name))), media_type="application/json")

    @app.get("/api/provenance/{name}")
    def graph(name: str) -> Response:
        return Response(picture(provenance(view, checked(name))), media_type="image/svg+xml")

    @app.get("/events")
    def events() -> Response:
        return StreamingResponse(_events(service), media_type="text/event-stream")

    return app


def step_page(view: View, name: str) -> dict[str, Any]:
    """Return what is known of a step: its failures, and its explanation if it is stored. Blocks."""
    page: dict[str, Any] = {"tf_checksum": name, "title": view.title(name), "explanation": None}
    page["failures"] = [entry for entry in failures(view.place.results) if entry["tf_checksum"] == name]
    definition = view.definition(name)
    if definition is not None:
        try:
            with Sidecar(view.place) as sidecar:
                sidecar.update()
                page["explanation"] = explain(sidecar, name, definition, limit=2).as_dict()
        except SeamlessError as exc:
            page["problem"] = str(exc)
    return page


async def _events(service: DashboardService) -> AsyncIterator[str]:
    """Yield an event whenever the store has changed, and a comment now and then."""
    last, quiet = "", 0
    while not service.stopping.is_set():
        signature = await asyncio.to_thread(service.view.signature)
        digest = hashlib.sha256(repr(signature).encode()).hexdigest()[:16]
        if digest != last:
            last, quiet = digest, 0
            yield f"event: change\ndata: {digest}\n\n"
        elif (quiet := quiet + 1) % _QUIET == 0:
            yield ": alive\n\n"
        try:
            await asyncio.wait_for(service.stopping.wait(), _TICK)
        except asyncio.TimeoutError:
            continue
