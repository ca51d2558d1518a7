"""Start a service unless it runs: under the lock of its key, with its state written before its process begins.

Does not wait until it answers.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from seamless.launcher.commands import Prepared, prepare
from seamless.launcher.configuration import Configuration
from seamless.launcher.errors import LauncherError
from seamless.launcher.locking import key_lock
from seamless.launcher.observers import Observer, Phase
from seamless.launcher.paths import log_path, make_private, server_directory, state_path
from seamless.launcher.processes import INTERRUPT_SECONDS, boot_id, host_name, recorded_process
from seamless.launcher.spawn import spawn_waiting
from seamless.launcher.statefile import MalformedStateError, State, read_state, write_state
from seamless.launcher.stopping import refuse_elsewhere, stop_recorded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from seamless.launcher.guarded import Resolved

_ALL = ".all"  # no key begins with a dot: the lock of whoever may start a limited number


class Terms(NamedTuple):
    """What a start is subject to beside its launch dict.

    `inherited`: the variables that the service may get (None: those of this process). `workdir`: the work directory as
    it was judged. `max_services`: how many services may live at once, the new one included (0: any number).
    """

    inherited: Mapping[str, str] | None = None
    workdir: Resolved | None = None
    max_services: int = 0


class Found(NamedTuple):
    """The state of a service that starts or runs, and whether this call has started it."""

    state: State
    started: bool


def start_if_none_runs(
    config: Configuration, observer: Observer, terms: Terms, *, patience: float = INTERRUPT_SECONDS
) -> Found:
    """Start the service, or return the state of the one that starts or runs already. Raises LauncherError.

    `patience`: seconds for a failed one to obey a signal.
    """
    living = _living(read_usable(config.key, observer), config.key)
    if living is not None:
        return Found(living, False)
    make_private(server_directory())
    prepared = prepare(config, observer, terms.inherited, terms.workdir)
    with _room_for_one_more(config.key, terms.max_services), key_lock(config.key):
        present = read_usable(config.key, observer)
        living = _living(present, config.key)
        if living is not None:
            return Found(living, False)
        if present is not None:
            if recorded_process(present) is not None:  # failed or marked stale, but not gone
                stop_recorded(config.key, present, patience=patience)
            observer.phase(Phase.STALE_CLEANUP, "remove")
        return Found(_start(config, prepared, observer), True)


@contextlib.contextmanager
def _room_for_one_more(key: str, most: int) -> Iterator[None]:
    """Let nobody else who is limited start a service, after it has been seen that there is room for one."""
    if not most:
        yield
        return
    from seamless.launcher.listing import server_rows

    with key_lock(_ALL):
        others = [row["key"] for row in server_rows() if row["live"] and row["key"] != key]
        if len(others) >= most:
            raise LauncherError(
                f"cannot start {key}: {len(others)} services run already, and no more than {most} may",
                phase=Phase.LAUNCH,
                key=key,
                hint=f"stop one of them: {', '.join(others[:20])}",
            )
        yield


def read_usable(key: str, observer: Observer) -> State | None:
    """Return the state; one that cannot be read counts as one of a dead service."""
    try:
        return read_state(state_path(key))
    except MalformedStateError as exc:
        observer.detail(exc.message)
        return {}


def _living(state: State | None, key: str) -> State | None:
    """Return the state if it is that of a service that starts or runs. Raises ElsewhereError."""
    if state is None:
        return None
    refuse_elsewhere(key, state)
    alive = state.get("status") in ("starting", "running") and recorded_process(state) is not None
    return state if alive else None


def _start(config: Configuration, prepared: Prepared, observer: Observer) -> State:
    """Start the process, write its state, let it begin. The lock must be held."""
    log = log_path(config.key)
    observer.command("LocalExecutor", prepared.argv)
    waiting = spawn_waiting(prepared.argv, workdir=prepared.workdir, environment=prepared.environment, log=log)
    state: State = {
        "workdir": config.workdir,
        "log": log,
        "command": shlex.join(prepared.inner),
        "uid": os.getuid(),
        "pid": waiting.pid,
        "status": "starting",
        "network_interface": config.network_interface,
        "start_time": waiting.start_time,
        "boot_id": boot_id(),
        "host": host_name(),
        "launch_id": os.urandom(16).hex(),
        "started_at": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
    }
    optional = {
        "parameters": config.file_parameters,
        "meta": config.meta,
        "conda": config.conda,
        "image": dict(config.image) if config.image is not None else None,
    }
    state |= {name: value for name, value in optional.items() if value is not None}
    try:
        write_state(state_path(config.key), state)
    except BaseException:
        waiting.abandon()
        raise
    waiting.release()
    observer.phase(Phase.LAUNCH, "started")
    return state
