"""The client of a jobserver: has transformations executed there, also by a jobserver of the reference."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field

from seamless.checksum import Checksum
from seamless.remote import jobserver_calls as calls
from seamless.remote.client import Client
from seamless.remote.errors import RemoteError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from seamless.remote.address import Address

_WAIT = 20.0  # seconds that one request waits for the end of a transformation
_PATIENCE = 5.0  # seconds for a request that may as well fail
_UNDER_WAY = ("queued", "running")


@dataclass
class JobOrder:
    """One transformation to be executed. Its inputs must be where the jobserver finds them.

    `more`: what else a jobserver of this project is told: timeout, refresh, command, name, origin.
    """

    transformation: Mapping[str, Any]
    tf: Checksum
    tf_dunder: Mapping[str, Any] = field(default_factory=dict)
    scratch: bool = False
    strict: bool = False
    record: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)
    on_output: Callable[[Any, bytes], None] | None = None
    canceled: threading.Event = field(default_factory=threading.Event)
    name: str = field(default_factory=lambda: os.urandom(12).hex())  # of this request

    def body(self) -> dict[str, Any]:
        """Return what every jobserver is told."""
        return {
            "transformation_dict": dict(self.transformation),
            "tf_checksum": self.tf.hex(),
            "tf_dunder": dict(self.tf_dunder),
            "scratch": self.scratch,
            "strict_dunder": self.strict,
            "record": self.record,
        }


class JobserverClient(Client):
    """Has transformations executed. Methods block and raise RemoteError, and what they name."""

    service = "jobserver"

    def __init__(self, url: str | None = None, **more: Any):
        more.setdefault("readonly", False)
        super().__init__(url, **more)
        self._known: tuple[Address, dict[str, Any] | None] | None = None

    def description(self) -> dict[str, Any] | None:
        """Return what the server says of itself; None for one that says nothing, as the reference."""
        address = self.located().address
        if self._known is None or self._known[0] != address:
            described = self.perform(calls.kind())
            self._known = (self.located().address, described)
        return self._known[1]

    def keeps_results(self) -> bool:
        """Tell whether the server itself looks up, executes once and writes results to its database."""
        described = self.description()
        return described is not None and bool(described.get("results_kept"))

    def takes_buffers(self) -> bool:
        """Tell whether the inputs of a transformation may come along with it, and are stored with the result."""
        described = self.description()
        return described is not None and bool(described.get("takes_buffers"))

    # --- executing ----------------------------------------------------------------------------

    def run_transformation(
        self,
        transformation_dict: Mapping[str, Any],
        *,
        tf_checksum: Checksum | str,
        tf_dunder: Mapping[str, Any] | None = None,
        scratch: bool = False,
        strict_dunder: bool = False,
        record: bool = False,
    ) -> dict[str, Any]:
        """Have a transformation executed; return its result_checksum and what was measured. Blocks.

        Or `remote_job_written`, the directory in which it was prepared. Raises JobFailedError, JobCanceledError.
        """
        return self.execute(
            JobOrder(transformation_dict, Checksum(tf_checksum), tf_dunder or {}, scratch, strict_dunder, record)
        )

    def execute(self, order: JobOrder) -> dict[str, Any]:
        """Have a transformation executed and return the answer, in the form of the server. Blocks as long as it takes.

        After `order.canceled` it returns when `leave` has been called, or soon. Raises JobFailedError,
        JobCanceledError, RemoteUsageError.
        """
        if self.description() is None:
            return self._when_there_is_room(order, lambda: self.perform(calls.run(order.body())))
        finished = False
        try:
            answer = self._follow(order)
            finished = True
            return answer
        except (calls.JobFailedError, RemoteError):
            finished = True
            raise
        finally:
            if not finished:  # Ctrl-C
                self.leave(order)

    def _follow(self, order: JobOrder) -> dict[str, Any]:
        state = self._submit(order)
        while state["status"] in _UNDER_WAY:
            after = _show(state, order)
            if order.canceled.is_set():
                self.leave(order)
                raise calls.JobCanceledError
            try:
                state = self.perform(calls.watch(order.tf, order.name, wait=self._wait(), after=after))
            except calls.JobLostError:
                state = self._submit(order)
        _show(state, order)
        return _finished(state)

    def _submit(self, order: JobOrder) -> dict[str, Any]:
        request = {
            **order.body(),
            **{key: value for key, value in order.more.items() if value is not None},
            "request": order.name,
            "live": order.on_output is not None,
            "wait": self._wait(),
        }
        state: dict[str, Any] = self._when_there_is_room(order, lambda: self.perform(calls.submit(request)))
        return state

    def _when_there_is_room(self, order: JobOrder, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Ask, and ask again later while the queue of the server is full."""
        while True:
            try:
                return ask()
            except calls.QueueFullError as exc:
                from random import uniform

                if order.canceled.wait(uniform(exc.pause / 2, exc.pause)):
                    raise calls.JobCanceledError from None

    def _wait(self) -> float:
        limits = (self.timeouts.read, self.timeouts.total)
        return min([_WAIT, *(limit / 2 for limit in limits if limit is not None)])

    # --- canceling ----------------------------------------------------------------------------

    def leave(self, order: JobOrder) -> None:
        """Say that the transformation is not wanted any more; if that fails, it goes on. Does not block for long."""
        known = self._known
        call = calls.cancel(order.tf) if known is None or known[1] is None else calls.leave(order.tf, order.name)
        try:
            self.perform_once(call, _PATIENCE)
        except RemoteError as exc:
            import logging

            logging.getLogger(__name__).warning("%s goes on at the jobserver: %s", order.tf, exc)

    def cancel_transformation(self, tf_checksum: Checksum | str) -> bool:
        """End a transformation, whoever wants it; True if it was under way."""
        return bool(self.perform(calls.cancel(Checksum(tf_checksum))))

    def transformation_status(self, tf_checksum: Checksum | str) -> str:
        """Return running, canceled, failed, done or not-running."""
        return str(self.perform(calls.status(Checksum(tf_checksum))))

    # --- buffers and stores -------------------------------------------------------------------

    def get_buffer(self, checksum: Checksum, most: int | None = None) -> bytes | None:
        """Return a buffer that is in the memory of the server, as a scratch result is; None if it is not there.

        Or if it has more than `most` bytes.
        """
        if self.description() is None:
            return None
        content: bytes | None = self.perform(calls.buffer(checksum, most))
        return content if content is not None and Checksum.of(content) == checksum else None

    def use_stores(self, clients: dict[str, Any]) -> None:
        """Tell the server where the stores are that it is to use, as entries of `collect`."""
        self.perform(calls.use_stores(clients))


def _show(state: dict[str, Any], order: JobOrder) -> int:
    """Hand on what was printed; return the number of the next piece."""
    import base64

    output = state.get("output") or {}
    if order.on_output is not None:
        for stream, text in output.get("pieces", ()):
            order.on_output(stream, base64.b64decode(text))
    return int(output.get("next", 0))


def _finished(state: dict[str, Any]) -> dict[str, Any]:
    """Return the answer of a job that has ended. Raises JobFailedError, JobCanceledError."""
    import base64

    if state["status"] == "canceled":
        raise calls.JobCanceledError
    for stream in ("stdout", "stderr"):
        state[stream] = base64.b64decode(state.get(stream) or "")
    if state["status"] == "failed":
        error = state.get("error") or {}
        failure = calls.JobFailedError(str(error.get("text")), kind=str(error.get("kind")), error=error)
        failure.stdout, failure.stderr = state["stdout"], state["stderr"]
        raise failure
    return state
