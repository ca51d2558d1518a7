"""When a blocking call is allowed: not inside a running event loop, unless that is a notebook's."""

from __future__ import annotations

import sys


def in_plain_loop() -> bool:
    """Tell whether the calling thread runs an event loop that a blocking call would stop.

    In a notebook that is what the user asks for: execution does not depend on the notebook's loop.
    """
    events = sys.modules.get("asyncio.events")
    loop = events._get_running_loop() if events is not None else None
    if loop is None or getattr(loop, "_nest_patched", False):
        return False
    return not in_notebook()


def in_notebook() -> bool:
    """Tell whether this is a Jupyter kernel or Pyodide."""
    if "pyodide" in sys.modules:
        return True
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    return type(shell).__name__ == "ZMQInteractiveShell"


def check(operation: str, replacement: str) -> None:
    """Raise RuntimeError if `operation` would block a running event loop; name what to use instead."""
    if in_plain_loop():
        raise RuntimeError(
            f"Cannot block on {operation} from within the running event loop. Use '{replacement}' instead."
        )
