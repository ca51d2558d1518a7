"""The life of a configuration in a process: evaluate the files, then activate what they call for.

A failed call leaves the configuration that was in force, and everything that was active.
"""

from __future__ import annotations

import os

from seamless.config.context import calling_directory, context, warn
from seamless.config.evaluation import checked_stage, checked_values, evaluate
from seamless.config.extern_clients import VARIABLE as CLIENTS_VARIABLE
from seamless.config.extern_clients import set_remote_clients_from_env
from seamless.config.selection import get_stage
from seamless.session import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from seamless.config.resolved import ResolvedConfig


class _Omitted:
    def __repr__(self) -> str:
        return "<the directory of the calling file>"


_OMITTED: Any = _Omitted()


def init(
    *,
    workdir: str | os.PathLike[str] | None = _OMITTED,
    overrides: Mapping[str, Any] | None = None,
    on_mismatch: str | None = None,
) -> None:
    """Evaluate the project files and activate what they call for; does nothing the second time, or in a worker.

    `workdir`: the directory of the files, default that of the calling file. `overrides`: values stronger than
    the files. `on_mismatch`: what to do about a running service that was started with other settings: `warn`,
    `restart` it, or raise at its first use (`error`); default what $SEAMLESS_ON_MISMATCH says, or `warn`. Raises
    ConfigurationError; then another call may follow. May start services.
    """
    if on_mismatch is not None:
        _check_on_mismatch(on_mismatch)
    with context.lock:
        if session.is_worker or context.initialised or context.forwarded:
            return
        if CLIENTS_VARIABLE in os.environ and set_remote_clients_from_env():
            return  # what started this program has also told where its stores are
        before = context.overrides
        if overrides is not None:
            set_overrides(overrides)
        try:
            manual = context.manual
            _set_stage(manual.get("stage"), manual.get("substage"), workdir)
        except BaseException:
            context.overrides = before
            raise
        if on_mismatch is not None:
            from seamless.remote.wiring import wiring

            wiring.on_mismatch = on_mismatch


def _check_on_mismatch(value: str) -> None:
    from seamless.remote.settings import ON_MISMATCH

    if value not in ON_MISMATCH:
        raise ValueError(f"on_mismatch must be one of {', '.join(ON_MISMATCH)}; found {value!r}")


def set_stage(
    stage: str | None = None,
    substage: str | None = None,
    *,
    workdir: str | os.PathLike[str] | None = _OMITTED,
) -> None:
    """Evaluate the project files for a stage, and activate what they call for instead of what is active.

    Empty or None: no stage. Services go on running. Raises ConfigurationError, and RuntimeError after
    `set_remote_clients`.
    """
    with context.lock:
        _set_stage(stage, substage, workdir)


def set_substage(substage: str | None = None) -> None:
    """Change the substage of the current stage, as `set_stage` does."""
    with context.lock:
        _set_stage(get_stage(), substage, _OMITTED)


def _set_stage(stage: str | None, substage: str | None, workdir: Any) -> None:
    if context.forwarded:
        raise RuntimeError("the stage cannot be changed after set_remote_clients")
    stage, substage = checked_stage(stage, substage)
    chosen = _chosen_workdir(workdir)
    config = _evaluated(stage, substage, chosen)
    context.activation.switch(config)
    _accept(config, stage, substage, chosen)
    context.initialised = True


def _evaluated(stage: str | None, substage: str | None, chosen: str | None) -> ResolvedConfig:
    directory = os.getcwd() if chosen is None else chosen
    config = evaluate(directory, stage=stage, substage=substage, manual=context.manual, overrides=context.overrides)
    warn(config.warnings)
    return config


def _accept(config: ResolvedConfig, stage: str | None, substage: str | None, workdir: str | None) -> None:
    context.manual = {**context.manual, "stage": stage, "substage": substage}
    context.workdir, context.workdir_known = workdir, True
    context.accept(config)


def _chosen_workdir(workdir: Any) -> str | None:
    """Return the directory of the project files, None for the current one at each load."""
    if workdir is not _OMITTED:
        return None if workdir is None else os.path.abspath(os.fspath(workdir))
    return context.workdir if context.workdir_known else calling_directory()


def load(
    stage: str | None = None,
    substage: str | None = None,
    *,
    workdir: str | os.PathLike[str] | None = _OMITTED,
) -> ResolvedConfig:
    """Evaluate the project files as `set_stage` does, but activate nothing; that is left to `change_stage`."""
    with context.lock:
        if context.forwarded:
            raise RuntimeError("the stage cannot be changed after set_remote_clients")
        stage, substage = checked_stage(stage, substage)
        chosen = _chosen_workdir(workdir)
        config = _evaluated(stage, substage, chosen)
        _accept(config, stage, substage, chosen)
        return config


def change_stage() -> None:
    """Activate what the current values call for, for callers that have evaluated by `load` and adjusted them."""
    with context.lock:
        context.activation.switch(context.current())
        context.initialised = True


def set_workdir(workdir: str | os.PathLike[str] | None = _OMITTED) -> None:
    """Set the directory of the project files: default that of the calling file, None the current one at each load.

    Raises RuntimeError after `set_remote_clients`.
    """
    if context.forwarded:
        raise RuntimeError("the working directory cannot be changed after set_remote_clients")
    if workdir is _OMITTED:
        context.workdir = calling_directory()
    else:
        context.workdir = None if workdir is None else os.path.abspath(os.fspath(workdir))
    context.workdir_known = True


def get_workdir() -> str:
    """Return the directory of the project files."""
    return context.working_directory()


def set_overrides(overrides: Mapping[str, Any] | None = None) -> None:
    """Set the values that are stronger than the files (such as options of a command), for the next evaluations.

    None or nothing removes them. Raises ConfigurationError for an unknown name or a wrong value.
    """
    context.overrides = checked_values(overrides or {})


def get_seamless_cache() -> str | None:
    """Return the absolute cache directory named by `$SEAMLESS_CACHE`, or None if it is unset or blank."""
    from seamless.config.embedded import cache_from_environment

    return cache_from_environment()


def resolve(
    workdir: str | os.PathLike[str] | None = None,
    stage: str | None = None,
    substage: str | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> ResolvedConfig:
    """Return what is configured for a directory (default: the current one), without any effect on this process.

    Selections of the program count, as they would for `init`. Raises ConfigurationError.
    """
    directory = context.working_directory() if workdir is None else os.path.abspath(os.fspath(workdir))
    return evaluate(
        directory,
        stage=stage,
        substage=substage,
        manual=context.manual,
        overrides={**context.overrides, **(overrides or {})},
    )


def describe(*, services: bool = False) -> dict[str, Any]:
    """Return the current state, what is active, warnings, origins; with `services` also the launch dicts."""
    from seamless.config.description import describe_config

    config = context.current()
    return describe_config(config, active=context.activation.active, services=services)
