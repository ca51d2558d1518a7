"""Probes of a Dask cluster: once on each machine that has workers, since a step may be executed on any of them.

The first machine is the one that a step would get. What belongs to no single machine is not made anew by the others.
"""

from __future__ import annotations

import dataclasses
import logging
import pickle
from typing import TYPE_CHECKING, Any

from seamless.buffer import Buffer
from seamless.celltypes import parse
from seamless.errors import TransformationError
from seamless.transformer.recording.mode import PROBE
from seamless.transformer.workers.step import pack_step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from seamless.transformer.execution import ExecutionAnswer, ExecutionRequest
    from seamless.transformer.recording.mode import RecordMode
    from seamless.transformer.workers.step import Packed

Told = dict[str, Any]


def probe_others(
    client: Any,
    request: ExecutionRequest,
    first: ExecutionAnswer,
    answer: Callable[[Any, ExecutionRequest, Told], ExecutionAnswer],
    *,
    mode: RecordMode | None,
    along: Sequence[bytes],
) -> ExecutionAnswer:
    """Have the other machines of a cluster probed, too; return the answer with the reports of all.

    `client`: a `distributed.Client`; `first`: what one machine has answered; `answer` makes such an answer of what a
    worker tells, and raises its error. Blocks.
    """
    report = _report(request, first)
    done = {one["label"] for one in report if one["kind"] == "node"}
    others = [workers for name, workers in machines(client).items() if name not in done]
    if not others:
        return first
    wanted = request.envelope.pins[PROBE]
    pins = {**request.envelope.pins, PROBE: {**(wanted if isinstance(wanted, dict) else {}), "shared_is_new": True}}
    step = pack_step(request.transformation, request.tf, dataclasses.replace(request.envelope, pins=pins))
    told: Mapping[str, Any] = client.run(
        probe_here, step, mode, pickle.dumps(list(along), 5), workers=[each[0] for each in others], on_error="return"
    )
    for worker, one in told.items():
        if isinstance(one, OSError):
            logging.getLogger(__name__).warning("%s has left the cluster while it was probed: %s", worker, one)
            continue
        if isinstance(one, Exception):
            raise TransformationError(f"the machine of the Dask worker at {worker} could not be probed: {one}\n")
        known = {(bucket["kind"], bucket["label"]) for bucket in report}
        further = _report(request, answer(client, request, one))
        report += [bucket for bucket in further if (bucket["kind"], bucket["label"]) not in known]
    buffer = Buffer(report, "plain")
    first.result = buffer.get_checksum()
    request.buffers.added = {first.result: buffer}
    return first


def machines(client: Any) -> dict[str, list[str]]:
    """Return the addresses of workers by the name of their machine; those that end meanwhile are left out."""
    from seamless.transformer.buckets.machine import hostname

    found: dict[str, list[str]] = {}
    for address, name in sorted(client.run(hostname, on_error="ignore").items()):
        found.setdefault(name, []).append(address)
    return found


async def probe_here(step: Packed, mode: RecordMode | None, along: bytes) -> Told:
    """Do what `run_step` does for a probe. Called on workers, beside the steps that they execute."""
    import asyncio

    from seamless.transformer.dask_step import run_step

    return await asyncio.to_thread(run_step, step, False, 0, mode, None, along)


def _report(request: ExecutionRequest, answer: ExecutionAnswer) -> list[dict[str, Any]]:
    report: list[dict[str, Any]] = parse(request.buffers.added[answer.result].content, "plain")
    return report
