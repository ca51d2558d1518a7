"""What every server shares: options, port, status file, token, idle timeout, signals, metrics, answers.

A server is a `Service` (an ASGI application with a few hooks) and one call of `serve`. Importing this is cheap;
uvicorn and prometheus_client are loaded when a server starts.
"""

from seamless.services.common.asgi import (
    App,
    BodyTooLargeError,
    ClientGoneError,
    Receive,
    Scope,
    Send,
    header,
    read_body,
    send_json,
    send_text,
)
from seamless.services.common.idle import IdleClock
from seamless.services.common.options import add_server_options, parse_server_options, size
from seamless.services.common.server import serve
from seamless.services.common.service import Service

__all__ = [
    "App",
    "BodyTooLargeError",
    "ClientGoneError",
    "IdleClock",
    "Receive",
    "Scope",
    "Send",
    "Service",
    "add_server_options",
    "header",
    "parse_server_options",
    "read_body",
    "send_json",
    "send_text",
    "serve",
    "size",
]
