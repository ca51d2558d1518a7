"""Live output of steps on Dask workers: pieces as events of the scheduler, and what is left with the answer."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seamless.transformer.execution import ExecutionRequest
    from seamless.transformer.outcome import OutputHandler

_PIECE = 1 << 14  # bytes of one event: the scheduler remembers the last ones of a topic
_MOST = 1 << 20  # bytes of a step that are sent as they come; the rest is with the answer


class LiveOutput:
    """The output of one step, for the handler of its request. Close it.

    The pieces arrive on the connection on which the scheduler then says that the step has ended, so before that.
    """

    def __init__(self, client: Any, request: ExecutionRequest) -> None:
        self._client, self._handler = client, request.on_output
        self._shown = {"stdout": 0, "stderr": 0}
        self.topic: str | None = None
        if self._handler is not None and request.envelope.direct_print:
            self.topic = f"seamless-output-{uuid.uuid4().hex}"
            client.subscribe_topic(self.topic, self._take)

    def _take(self, event: tuple[float, Any]) -> None:
        stream, data = event[1]
        if self._handler is not None:
            self._shown[stream] += len(data)
            self._handler(stream, data)

    def complete(self, stdout: bytes, stderr: bytes) -> None:
        """Give the handler what it has not had yet: all, if somebody else had the step executed."""
        if self._handler is not None:
            for stream, data in (("stdout", stdout), ("stderr", stderr)):
                left = data[self._shown[stream] :]
                if left:
                    self._handler(stream, left)  # type: ignore[arg-type]

    def close(self) -> None:
        """Take no more pieces."""
        topic, self.topic = self.topic, None
        if topic is not None and self._client.status == "running":
            self._client.unsubscribe_topic(topic)


def sender(worker: Any, topic: str | None) -> OutputHandler | None:
    """Return a handler that sends pieces from a Dask worker to whoever has subscribed; None without a topic."""
    if topic is None:
        return None
    sent = 0

    def send(stream: str, data: bytes) -> None:
        nonlocal sent
        data = data[: max(0, _MOST - sent)]
        sent += len(data)
        for start in range(0, len(data), _PIECE):
            worker.log_event(topic, (stream, data[start : start + _PIECE]))

    return send
