"""`--explain` and `--show-stderr`: which run answered, why a step has to run, what it wrote to stderr."""

from __future__ import annotations

import time

from seamless.checksum import Checksum
from seamless.cli.running.journal import entries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from seamless.cli.running.run_state import Run

_SHORT = 12  # digits of a checksum in a message
_CODE_SHOWN = 200


def explain(run: Run) -> list[str]:
    """Return one or more lines: where the cached result is from, or what has changed since the last run."""
    if run.result is not None:
        return [_explain_hit(run, run.result)]
    return _explain_miss(run)


def _explain_hit(run: Run, result: Checksum) -> str:
    text = f"cached: result {result} of transformation {run.checksum}"
    entry = _own_entry(run)
    if entry is not None:
        text += f", computed {_when(entry)} on {entry.get('host')} in {entry.get('cwd')}"
    record = run.store.results.get_record(run.checksum)
    seconds = (record or {}).get("wall_time_seconds", (entry or {}).get("wall_s"))
    if seconds is not None:
        text += f", took {seconds:.3g} s"
    return text


def _explain_miss(run: Run) -> list[str]:
    own = _own_entry(run)
    if own is not None:
        if own.get("exit_status"):
            return [
                f"it has to run: {_when(own)} the same step failed with exit status {own['exit_status']}, "
                "and failures are not kept"
            ]
        return [f"it has to run: it was computed {_when(own)}, but its result is no longer in the cache"]
    earlier = _nearest(run)
    if earlier is None:
        return [f"it has to run: never run here (nothing like it in {run.journal_path})"]
    changes = _changes(run, earlier)
    head = f"it has to run: compared with the run of {_when(earlier)}"
    return [head + ", " + (changes[0] if len(changes) == 1 else f"{len(changes)} things changed:")] + (
        [f"  {change}" for change in changes] if len(changes) > 1 else []
    )


def _own_entry(run: Run) -> dict[str, Any] | None:
    hex_ = run.checksum.hex()
    return next((e for e in entries(run.journal_path, hex_) if e["tf_checksum"] == hex_), None)


def _nearest(run: Run) -> dict[str, Any] | None:
    """Return the latest run of the same code, else that of the same targets, else that of the same command."""
    code = run.description.code_checksum
    targets = [target.local or target.name for target in run.plan.targets]
    same_targets = same_command = None
    for entry in entries(run.journal_path, code, run.plan.command, *targets):
        if entry.get("code") == code:
            return entry
        if targets and entry.get("targets") == targets:
            same_targets = same_targets or entry
        if entry.get("command") == run.plan.command:
            same_command = same_command or entry
    return same_targets or same_command


def _changes(run: Run, earlier: dict[str, Any]) -> list[str]:
    changes = []
    if earlier.get("code") != run.description.code_checksum:
        changes.append(_code_change(run, earlier))
    now = {entry.name: entry.checksum for entry in run.inputs}
    before = earlier.get("inputs") or {}
    for name in sorted(set(before) | set(now)):
        old, new = before.get(name), now.get(name)
        if old is None:
            changes.append(f"input {name} is new ({_short(new)})")
        elif new is None:
            changes.append(f"input {name} is no longer an input ({_short(old)})")
        elif old != new:
            changes.append(f"input {name} changed {_short(old)} -> {_short(new)}")
    values = {name: value for name, (_, value) in run.plan.variables.items()}
    before = earlier.get("variables") or {}
    for name in sorted(set(before) | set(values)):
        if before.get(name) != values.get(name):
            changes.append(f"variable {name} changed {before.get(name)!r} -> {values.get(name)!r}")
    return changes or ["the kind of result or input changed"]


def _code_change(run: Run, earlier: dict[str, Any]) -> str:
    old, new = str(earlier.get("command")), run.plan.command
    if old == new:
        return f"code changed: {_short(earlier.get('code'))} -> {_short(run.description.code_checksum)}"
    return f"code changed: {old[:_CODE_SHOWN]!r} -> {new[:_CODE_SHOWN]!r}"


def _short(checksum: str | None) -> str:
    return f"{(checksum or '?')[:_SHORT]}.."


def _when(entry: dict[str, Any]) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.get("time", 0)))


def recorded_stderr(run: Run) -> bytes | None:
    """Return what the command wrote to stderr when the cached result was computed; None if that is not known."""
    entry = _own_entry(run)
    if entry is None:
        return None
    if "stderr" not in entry:
        return b""
    data: bytes | None = run.store.buffers.get(Checksum(entry["stderr"]))
    return data
