"""`--dry`: show what would run, write a job directory, store the inputs; never execute."""

from __future__ import annotations

import os

from seamless.cli.common import OK, format_size, write_stdout
from seamless.errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from seamless.cli.running.run_state import Run


def dry_run(run: Run) -> int:
    """Do everything short of executing; return the exit status. Without further options nothing is printed."""
    options = run.options
    shown = options.dry == "show" or options.verbosity >= 1
    if shown or options.json or options.explain:
        run.result = cached_result(run)
        run.cached = run.result is not None
    if options.explain:
        from seamless.cli.running.explain import explain

        for line in explain(run):
            run.messages.message(-1, line)
    if options.upload or options.remote_job is not None:
        from seamless.cli.running.execution import store_everything

        store_everything(run)
    if options.job is not None:
        write_job(run, options.job)
    if options.remote_job is not None:
        _write_remote_job(run, os.path.abspath(options.remote_job))
    prints_checksum = options.upload or options.job is not None
    if shown and not options.json:
        text = "\n".join(describe(run))
        if prints_checksum:
            for line in text.split("\n"):
                run.messages.message(-1, line)
        else:
            write_stdout(text.encode("utf-8", "surrogateescape") + b"\n")
    if prints_checksum and not options.json:
        write_stdout(run.checksum.hex().encode() + b"\n")
    return OK


def cached_result(run: Run) -> Any:
    """Return the result that the cache has for this transformation, or None. Creates no cache directory."""
    if not os.path.isdir(os.path.dirname(run.journal_path)):
        return None
    try:
        return run.store.results.get_result(run.checksum)
    except StoreError as exc:
        run.messages.message(0, f"whether it is cached cannot be told: {exc}")
        return None


def describe(run: Run) -> list[str]:
    """Return the lines that `--dry=show` prints."""
    lines = [f"transformation  {run.checksum}"]
    lines.append(f"cached          {'no' if run.result is None else f'yes, result {run.result}'}")
    lines.append(f"command         {run.plan.command}")
    for entry in run.inputs:
        size = "?" if entry.size is None else format_size(entry.size)
        lines.append(f"input           {entry.name}  ({entry.kind}, {size})  {entry.checksum}")
    for name, (celltype, value) in run.plan.variables.items():
        lines.append(f"variable        {name} = {value!r}  ({celltype})")
    for name, value in run.plan.metavars.items():
        lines.append(f"metavar         {name} = {value!r}  (not part of the identity)")
    for target in run.plan.targets:
        local = f" -> {target.local}" if target.local and target.local != target.name else ""
        lines.append(f"target          {target.name}{local}")
    if not run.plan.targets:
        lines.append("target          stdout")
    for key, value in run.plan.environment.items():
        if value:
            lines.append(f"environment     {key} = {value}")
    lines.append("code")
    lines += [f"  {line}" for line in run.description.code.decode().splitlines()]
    return lines


def write_job(run: Run, directory: str) -> None:
    """Write the job directory; it appears complete or not at all.

    With --upload it holds `transformation.json.CHECKSUM` (64 bytes, no newline), for everything else is stored.
    """
    from seamless.celltypes import canonical_json

    description = run.description
    dunder = dunder_of(run)
    files: dict[str, bytes] = {}
    if run.options.upload:
        files["transformation.json.CHECKSUM"] = run.checksum.hex().encode()
    else:
        files["transformation.json"] = description.identity
        files["command.txt"] = description.code
        if description.environment:
            files["env.json"] = canonical_json(description.environment)
    if dunder:
        files["dunder.json"] = canonical_json(dunder)
    path = os.path.abspath(directory)
    temporary = f"{path}.{os.getpid()}-{os.urandom(4).hex()}.tmp"
    os.makedirs(temporary)
    try:
        for name, data in files.items():
            with open(os.path.join(temporary, name), "xb") as f:
                f.write(data)
        os.rename(temporary, path)
    except BaseException:
        for name in os.listdir(temporary):
            os.unlink(os.path.join(temporary, name))
        os.rmdir(temporary)
        raise


def _write_remote_job(run: Run, directory: str) -> None:
    """Have the job directory written where the transformation would be executed; say so when it is there."""
    from seamless.transformer.remote_job import write_remote_job

    write_remote_job(run.description.transformation, run.checksum, run.envelope, directory)
    if not run.options.json:
        write_stdout(b"Transformation submitted to remote server\n")


def dunder_of(run: Run) -> dict[str, Any]:
    """Return what is not in the identity, but needed to run it: `__meta__`, `META__N` pins.

    `__env__` is there for an uploaded job only; otherwise `env.json` tells the environment.
    """
    from seamless.cli.running.execution import meta_of

    dunder: dict[str, Any] = {**run.description.pins}
    if meta := meta_of(run):
        dunder["__meta__"] = meta
    if run.options.upload and (environment := run.description.environment_pin()) is not None:
        dunder["__env__"] = environment
    return dunder
