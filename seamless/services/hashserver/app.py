"""The hashserver as an ASGI application for another server: `uvicorn seamless.services.hashserver.app:app`.

Configured by `HASHSERVER_*` variables, and `SEAMLESS_TOKEN` for the token that clients must send.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from seamless.services.common import IdleClock, Receive, Scope, Send
from seamless.services.hashserver.service import HashserverService
from seamless.services.hashserver.settings import from_environment

if TYPE_CHECKING:
    from seamless.services.common import App

NAME = "hashserver"


def create_app(environment: Mapping[str, str] | None = None) -> App:
    """Return the application that the variables describe. Raises UsageError, StoreError."""
    from seamless.services.common.frame import Frame
    from seamless.services.common.token import token_from_environment

    variables = os.environ if environment is None else environment
    service = HashserverService(from_environment(variables))
    frame = Frame(service, name=NAME, clock=IdleClock(), token=token_from_environment(variables))

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(service, receive, send)
        else:
            await frame(scope, receive, send)

    return application


async def _live(service: HashserverService, receive: Receive, send: Send) -> None:
    """Follow the life of the server that runs this application."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await service.start()
            await send({"type": "lifespan.startup.complete"})
        else:
            service.stop()
            await service.close()
            await send({"type": "lifespan.shutdown.complete"})
            return


def __getattr__(name: str) -> Any:
    if name == "app":  # made when a server asks for it, not when this module is imported
        globals()["app"] = app = create_app()
        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
