"""The start of a server process: status file, options, socket, token; and what becomes of a failure."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from seamless.errors import MissingDependencyError
from seamless.services.common.options import check_options

if TYPE_CHECKING:
    from seamless.services.common.service import Service
    from seamless.services.common.status import StatusFile


def serve(make_service: Callable[[], Service], options: Any, *, name: str, welcome: str | None = None) -> int:
    """Serve until a signal or the idle timeout ends it; return the exit status 0.

    `options` come from `add_server_options`. `make_service` is called once, after the status file was found: what
    it raises is a failed start. `welcome` is printed on stdout when requests are accepted; `{url}` in it becomes the
    address. Every failure to start becomes `failed` in the status file, then is raised: SeamlessError, UsageError (a
    mistake in the options), OSError.
    """
    from seamless.services.common.logs import configure_logging
    from seamless.services.common.status import StatusFile

    configure_logging(options.log_format)
    status = None
    if options.status_file:
        status = StatusFile(options.status_file)
        status.read()
    try:
        return _serve(make_service, options, status, name, welcome)
    except BaseException as exc:
        if status is not None and not status.is_running:
            status.failed(str(exc) or type(exc).__name__)
        raise


def _serve(
    make_service: Callable[[], Service], options: Any, status: StatusFile | None, name: str, welcome: str | None
) -> int:
    check_options(options)
    try:
        from seamless.services.common.engine import Engine
    except ImportError as exc:
        raise MissingDependencyError("uvicorn", extra="services", purpose=name) from exc
    from seamless.services.common.frame import Frame
    from seamless.services.common.idle import IdleClock
    from seamless.services.common.ports import is_loopback, listen
    from seamless.services.common.token import choose_token

    service = make_service()
    with contextlib.closing(listen(options.host, options.port, options.port_range)) as listener:
        token = choose_token(options, status, loopback=is_loopback(listener))
        if token is None and not options.insecure:
            print(f"{name}: no token is asked for; every user of this machine has access", file=sys.stderr)
        clock = IdleClock(options.timeout)
        frame = Frame(
            service,
            name=name,
            clock=clock,
            token=token,
            access_log=options.access_log,
            launch_id=(status.fields or {}).get("launch_id") if status is not None else None,
        )

        def announce() -> None:
            host, port = listener.getsockname()[:2]
            if status is not None:
                status.running(port=port, **({} if token is None else {"token": token}))
            where = f"[{host}]" if ":" in host else host
            print(f"{name}: listening on http://{where}:{port}", file=sys.stderr, flush=True)
            if welcome is not None:
                print(welcome.replace("{url}", f"http://{where}:{port}"), flush=True)

        engine = Engine(service, frame, clock=clock, listener=listener, announce=announce, origins=options.cors)
        reason = engine.run()
    if status is not None:
        status.ended(reason)
    return 0
