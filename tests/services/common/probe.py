"""A server for the tests: it answers what it was sent, and can be told to be slow or to fail at its start."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

for package in os.environ.get("PROBE_WITHOUT", "").split():
    sys.modules[package] = None  # type: ignore[assignment]

from seamless.cli.common import run_main  # noqa: E402
from seamless.errors import StoreError  # noqa: E402
from seamless.services.common import (  # noqa: E402
    Receive,
    Scope,
    Send,
    Service,
    add_server_options,
    parse_server_options,
    read_body,
    send_text,
    serve,
)
from seamless.services.common.quick import LATER, Deliver, Quick, QuickAnswer, quick_text  # noqa: E402


class Probe(Service):
    async def start(self) -> None:
        if os.environ.get("PROBE_FAILS") == "start":
            raise StoreError("no such directory: /nowhere")
        if os.environ.get("PROBE_FAILS") == "taken":
            os.unlink(os.environ["PROBE_STATUS"])

    def quick(self, scope: Scope, body: bytes, deliver: Deliver) -> Quick:
        if scope["path"] == "/quick":
            return quick_text(200, f"quick {body.decode()}")
        if scope["path"] == "/quick-bug":
            raise RuntimeError("a bug")
        if scope["path"] == "/quick-gate":  # answered when the file named in the body appears
            asyncio.get_running_loop().create_task(self._later(body, deliver))
            return LATER
        return None

    async def _later(self, path: bytes, deliver: Deliver) -> None:
        while not os.path.exists(path):
            await asyncio.sleep(0.01)
        deliver(self._delivered, path)

    def _delivered(self, path: bytes) -> QuickAnswer:
        with open(path) as file:
            if text := file.read():
                raise RuntimeError(text)
        return quick_text(200, "at last")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(scope, receive, 1000)
        if scope["path"] == "/gate":  # answered when the file named in the body appears
            while not os.path.exists(body):
                await asyncio.sleep(0.01)
        if scope["path"] == "/bug":
            raise RuntimeError("a bug")
        await send_text(send, 200, f"{scope['method']} {len(body)}")


def make() -> Service:
    if os.environ.get("PROBE_FAILS") == "make":
        raise StoreError("no such directory: /nowhere")
    return Probe()


def run() -> int:
    parser = argparse.ArgumentParser()
    add_server_options(parser)
    return serve(make, parse_server_options(parser, None), name="probe", welcome="OK")


if __name__ == "__main__":
    sys.exit(run_main("probe", run))
