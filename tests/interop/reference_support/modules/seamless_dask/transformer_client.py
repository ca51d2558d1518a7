"""Which client executes steps."""

from __future__ import annotations

from typing import Any

from seamless_dask.dummy_scheduler import Active


def set_seamless_dask_client(client: Any) -> None:
    """Have steps executed by this client, which already holds; or forget the configuration."""
    from seamless.session import session

    if client is None:
        if Active.tasks is not None:
            Active.tasks.forget()
            Active.tasks = None
        session.reset()
