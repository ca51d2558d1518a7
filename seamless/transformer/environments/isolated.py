"""Python and compiled steps in an environment that is not that of this process: executed there by `child`.

The step and its inputs are written to a private directory, and the answer is read from there; nested steps are
executed in the child, without a store.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from seamless.checksum import Checksum
from seamless.transformer.environments.errors import UnavailableError, refuse
from seamless.transformer.environments.resolved import Resolved
from seamless.transformer.outcome import Envelope, OutputHandler

if TYPE_CHECKING:
    from seamless.cache.access import Buffers
    from seamless.transformer.bash.process import Finished
    from seamless.transformer.execute import Execution

CHILD = os.path.join("seamless", "transformer", "environments", "child.py")
REQUEST, ANSWER, INPUTS, RESULTS = "request.json", "answer.json", "inputs", "results"
_KEYS_WITH_BUFFERS = ("__schema__", "__header__", "__compilation__")
_BIN_PYTHON = "/bin/python"


def needs_process(environment: Mapping[str, Any] | None) -> bool:
    """Tell whether a Python or compiled step with this environment is executed in a process started for it."""
    if not environment:
        return False
    return bool(environment.get("docker")) or _other_conda(environment)


def _other_conda(environment: Mapping[str, Any]) -> bool:
    """Tell whether it asks for a conda environment other than that of this process."""
    if not (environment.get("conda_environment") or environment.get("conda")):
        return False
    from seamless.transformer.environments.conda import prefix_of, wanted_name

    try:
        name = wanted_name(environment)
    except UnavailableError:
        return False  # who resolves it says so
    prefix = prefix_of(name) if name else None
    return prefix is None or os.path.realpath(prefix) != os.path.realpath(sys.prefix)


def execute_isolated(
    transformation: Mapping[str, Any],
    envelope: Envelope,
    buffers: Buffers,
    resolved: Resolved,
    *,
    on_output: OutputHandler | None = None,
    canceled: threading.Event | None = None,
) -> Execution:
    """Execute a step in its environment; block until it has ended. Raises StepError, and what `buffers` raises."""
    from seamless.transformer.bash.process import StartError, run_process
    from seamless.transformer.bash.workspace import Workspace

    deadline = None if envelope.timeout is None else time.monotonic() + envelope.timeout
    with Workspace() as workspace:
        directory = workspace.directory
        _write_request(directory, transformation, envelope, buffers)
        argv = _command(directory, transformation, resolved)
        try:
            done = run_process(argv, cwd=directory, on_output=on_output, deadline=deadline, canceled=canceled)
        except StartError as exc:
            refuse(str(exc))
        return _execution(directory, done, envelope, buffers, resolved)


# --- the request --------------------------------------------------------------------------------


def _write_request(directory: str, transformation: Mapping[str, Any], envelope: Envelope, buffers: Buffers) -> None:
    for name in (INPUTS, RESULTS, "site", "tmp"):
        os.mkdir(os.path.join(directory, name))
    pins = {key: value for key, value in envelope.pins.items() if key.startswith("__") or key == "META__origins"}
    for checksum in _needed(transformation, pins, buffers):
        path = os.path.join(directory, INPUTS, checksum.hex())
        if not os.path.exists(path):
            buffers.copy_to(checksum, path)
    request = {
        "transformation": dict(transformation),
        "meta": dict(envelope.meta),
        "pins": pins,
        "name": envelope.name,
        "origin": envelope.origin,
        "which": list((envelope.env or {}).get("which") or ()),
        "record": envelope.record,
    }
    with open(os.path.join(directory, REQUEST), "w", encoding="utf-8") as f:
        json.dump(request, f, default=str)


def _needed(transformation: Mapping[str, Any], pins: Mapping[str, Any], buffers: Buffers) -> Iterator[Checksum]:
    """Yield the buffers that the step reads."""
    from seamless.celltypes import parse
    from seamless.checksum.calculate_checksum import TRIVIAL_CHECKSUMS

    for key, entry in {**pins, **transformation}.items():
        if key in _KEYS_WITH_BUFFERS:
            found: Any = entry
            celltype = ""
        elif key.startswith(("__", "META__")):
            continue
        else:
            celltype, _, found = entry
        if not isinstance(found, str) or found in TRIVIAL_CHECKSUMS:
            continue
        yield Checksum(found)
        if celltype == "folder":
            yield from map(Checksum, parse(buffers.view(Checksum(found)), "plain").values())


def _command(directory: str, transformation: Mapping[str, Any], resolved: Resolved) -> list[str]:
    """Return the argument list. The package is linked, or bound, into a directory that holds nothing else."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    link = os.path.join(directory, "site", "seamless")
    child = os.path.join(directory, "site", CHILD)
    if resolved.image is not None:
        from seamless.transformer.environments.container import inside

        os.mkdir(link)
        return inside(resolved.image, ["python3", child], directory, binds=[f"{package}:{link}:ro"])
    from seamless.transformer.environments import conda

    os.symlink(package, link)
    assert resolved.prefix is not None and resolved.name is not None
    # Compiled code is built and called with what the environment has, by this Python.
    python = resolved.prefix + _BIN_PYTHON if transformation.get("__language__") == "python" else sys.executable
    if not os.access(python, os.X_OK):
        refuse(
            f"the step needs Python in the conda environment '{resolved.name}', and {python} does not exist. "
            f"Install it: conda install -n {resolved.name} python"
        )
    return conda.inside(resolved.prefix, resolved.name, [python, child])


# --- the answer ---------------------------------------------------------------------------------


def _execution(directory: str, done: Finished, envelope: Envelope, buffers: Buffers, resolved: Resolved) -> Execution:
    from seamless.transformer.execute import Execution, StepError

    answer = _answer(directory)
    if done.stopped or answer is None or answer.get("error"):
        text = _failure(done, envelope, resolved) if done.stopped or answer is None else answer["error"]
        if text.startswith("MissingDependencyError"):
            text = f"{text.rstrip()} (in {_where(resolved)})\n"
        raise StepError(text, stdout=done.stdout, stderr=done.stderr)
    for name in sorted(os.listdir(os.path.join(directory, RESULTS))):
        with open(os.path.join(directory, RESULTS, name), "rb") as f:
            added = buffers.add(f.read())
        if added.hex() != name:
            refuse(f"a result buffer of the step {envelope.name} has changed on its way")
    execution = Execution(Checksum(answer["result"]), done.stdout, done.stderr, done.usage, answer.get("compilation"))
    execution.site = answer.get("site")
    return execution


def _answer(directory: str) -> dict[str, Any] | None:
    try:
        with open(os.path.join(directory, ANSWER), encoding="utf-8") as f:
            found: dict[str, Any] = json.load(f)
    except FileNotFoundError:
        return None
    return found


def _failure(done: Finished, envelope: Envelope, resolved: Resolved) -> str:
    """Return the text for a process that has not answered."""
    if done.stopped == "timeout":
        return f"Timeout: not finished after {envelope.timeout:g} s\n"
    if done.stopped == "canceled":
        return "Transformation was canceled"
    where = _where(resolved)
    ended = f"killed by signal {done.exit_status - 128}" if done.exit_status > 128 else f"status {done.exit_status}"
    tail = done.stderr.decode(errors="replace").strip().splitlines()[-10:]
    shown = "".join(f"\n  {line}" for line in tail)
    return f"the process of the step {envelope.name} in {where} has ended without an answer: {ended}{shown}\n"


def _where(resolved: Resolved) -> str:
    if resolved.image is not None:
        return f"the container image '{resolved.image.name}'"
    return f"conda environment '{resolved.name}'"
