"""The configuration of this process: what the program has selected, what was evaluated, and what is active.

The one state of this storey. Values are replaced, never changed in place, so that readers need no lock.
"""

from __future__ import annotations

import os
import sys
import threading

from seamless.config.activation import Activation
from seamless.config.resolved import MANUAL, ResolvedConfig, Value
from seamless.session import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType
    from typing import Any

    from seamless.config.errors import SeamlessConfigWarning


class Context:
    """See the module. `config` is None until the files were evaluated; `initialised`: its backends are active.

    `forwarded`: the clients were handed down by another process, and no file is read.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()  # around evaluation and activation
        self.activation = Activation()
        self.clear()

    def clear(self) -> None:
        """Bring everything back to what it is before the first use."""
        self.manual: dict[str, Any] = {}
        self.overrides: dict[str, Any] = {}
        self.config: ResolvedConfig | None = None
        self.initialised = self.forwarded = False
        self.workdir: str | None = None  # None: the current directory at each load, or if not `workdir_known`, inferred
        self.workdir_known = False
        self.activation.forget()

    def renew_lock(self) -> None:
        """Take a new lock: in a forked child nobody is left to release the old one."""
        self.lock = threading.RLock()

    def current(self) -> ResolvedConfig:
        """Return the current configuration: what was evaluated, or before that what the program has selected."""
        config = self.config
        if config is not None:
            return config
        values = {name: Value(value, MANUAL) for name, value in self.manual.items()}
        return ResolvedConfig(values, {}, workdir=self.working_directory())

    def working_directory(self) -> str:
        """Return the directory of the project files."""
        return os.getcwd() if self.workdir is None else self.workdir

    def accept(self, config: ResolvedConfig) -> None:
        """Make `config` the current one."""
        self.config = config
        session.nparallel = config.nparallel


context = Context()
session.on_reset(context.clear)
session.on_fork(context.renew_lock)


def user_frame() -> FrameType | None:
    """Return the nearest frame outside of this package, None if there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name != "seamless" and not name.startswith(("seamless.", "seamless_config")):
            return frame
        frame = frame.f_back
    return None


def calling_directory() -> str:
    """Return the directory of the file that has called this package; without a file the current directory."""
    frame = user_frame()
    file = frame.f_globals.get("__file__") if frame is not None else None
    return os.path.dirname(os.path.abspath(file)) if file else os.getcwd()


def warn(warnings_: Iterable[SeamlessConfigWarning]) -> None:
    """Issue warnings as of the line that has called this package."""
    import warnings

    frame = user_frame()
    for warning in warnings_:
        if frame is None:
            warnings.warn(warning, stacklevel=2)
            continue
        registry = frame.f_globals.setdefault("__warningregistry__", {})
        module = frame.f_globals.get("__name__") or "__main__"
        warnings.warn_explicit(
            warning, type(warning), frame.f_code.co_filename, frame.f_lineno, module=module, registry=registry
        )
