"""The requests to a jobserver and what its answers mean, for those of this project and those of the reference."""

from __future__ import annotations

from urllib.parse import quote

from seamless.errors import TransformationError
from seamless.remote.calls import JSON, Call, json_body
from seamless.remote.errors import RefusedError, RemoteError, RemoteUsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from seamless.checksum import Checksum
    from seamless.remote.calls import Answer

CANCELED = "Transformation was canceled"
_STATES = frozenset({200, 202, 410, 422, 500})  # answers with the state of a job


class QueueFullError(RefusedError):
    """The jobserver has enough to do; `pause`: come back after so many seconds."""

    def __init__(self, text: str, pause: float, **more: Any):
        super().__init__(text, **more)
        self.pause, self.retry = pause, False


class JobLostError(RemoteError):
    """The jobserver knows nothing about the transformation: it has been started again since."""


class JobFailedError(TransformationError):
    """A transformation has failed at a jobserver; the text is complete.

    `kind`: step, missing, damaged, lost, store or canceled; `error`: what the jobserver says, for a caller who
    knows more kinds of errors. `stdout` and `stderr`: what was printed.
    """

    def __init__(self, text: str, *, kind: str = "step", error: dict[str, Any] | None = None):
        self.error = error or {}
        super().__init__(text, original_type=self.error.get("type"), exit_status=self.error.get("exit_status"))
        self.kind, self.stdout, self.stderr = kind, b"", b""


class JobCanceledError(JobFailedError):
    """A transformation was canceled at a jobserver."""

    def __init__(self) -> None:
        super().__init__(CANCELED, kind="canceled")


def kind() -> Call:
    """What the server is: the dict of `/status`, or None for one that has no such thing, as the reference."""

    def answer(got: Answer) -> dict[str, Any] | None:
        if got.status in (404, 405):
            return None
        if got.status != 200:
            raise got.refused()
        status = got.json()
        if not isinstance(status, dict) or status.get("service") != "seamless-jobserver":
            raise got.unexpected("the status of a jobserver")
        return status

    return Call("GET", "/status", answer)


def submit(request: dict[str, Any]) -> Call:
    """Submit a transformation to a jobserver of this project; the state of the job."""
    return Call("POST", "/transformations", _state, json_body(request), JSON, waits=True)


def watch(tf: Checksum, request: str, *, wait: float, after: int) -> Call:
    """Wait for something new about a transformation; the state of the job. JobLostError."""
    target = f"/transformations/{tf.hex()}?wait={wait:g}&after={after}&request={quote(request, safe='')}"
    return Call("GET", target, _state, waits=True)


def leave(tf: Checksum, request: str) -> Call:
    """Take a request back; True if it stood."""

    def answer(got: Answer) -> bool:
        if got.status != 200:
            raise got.refused()
        return bool(got.json()["left"])

    return Call("DELETE", f"/transformations/{tf.hex()}?request={quote(request, safe='')}", answer)


def run(request: dict[str, Any]) -> Call:
    """Execute at a jobserver of any kind; the dict of a success. Raises JobFailedError, JobCanceledError."""

    def answer(got: Answer) -> dict[str, Any]:
        text = got.text
        if got.status in (500, 409) and text != CANCELED:
            _raise_for_mismatch(got)
            raise JobFailedError(text + "\n")
        if text == CANCELED:
            raise JobCanceledError
        if got.status == 503:
            raise _full(got)
        if got.status != 200:
            raise got.refused()
        if len(text) == 64:  # of an older server
            return {"result_checksum": text}
        value = got.json()
        if not isinstance(value, dict) or not {"result_checksum", "remote_job_written"} & set(value):
            raise got.unexpected("the result of a transformation")
        return value

    return Call("GET", "/run-transformation", answer, json_body(request), JSON, waits=True)


def cancel(tf: Checksum) -> Call:
    """End a transformation, whoever wants it; True if it was under way."""

    def answer(got: Answer) -> bool:
        if got.status != 200:
            raise got.refused()
        return bool(got.json().get("canceled"))

    return Call("POST", f"/cancel-transformation/{tf.hex()}", answer)


def status(tf: Checksum) -> Call:
    """What is known about a transformation: running, canceled, failed, done or not-running."""

    def answer(got: Answer) -> str:
        if got.status != 200:
            raise got.refused()
        return str(got.json()["status"])

    return Call("GET", f"/transformation-status/{tf.hex()}", answer)


def buffer(checksum: Checksum, most: int | None) -> Call:
    """The bytes of a buffer in the memory of the jobserver, or None, also if there are more than `most`."""

    def answer(got: Answer) -> bytes | None:
        if got.status in (404, 413):
            return None
        if got.status != 200:
            raise got.refused()
        return got.body

    limit = "" if most is None else f"?most={most}"
    return Call("GET", f"/buffers/{checksum.hex()}{limit}", answer)


def use_stores(clients: dict[str, Any]) -> Call:
    """Tell the jobserver where its stores are now."""

    def answer(got: Answer) -> None:
        if got.status != 200:
            raise got.refused()

    return Call("PUT", "/stores", answer, json_body(clients), JSON)


def _state(got: Answer) -> dict[str, Any]:
    if got.status == 429:
        raise _full(got)
    if got.status == 404:
        raise JobLostError(
            f"the jobserver {got.url} does not know the transformation", service=got.service, url=got.url
        )
    if got.status == 409:
        _raise_for_mismatch(got)
    if got.status not in _STATES or (got.status == 500 and not got.body.startswith(b"{")):
        raise got.refused()
    value = got.json()
    if not isinstance(value, dict) or not isinstance(value.get("status"), str):
        raise got.unexpected("the state of a transformation")
    return value


def _raise_for_mismatch(got: Answer) -> None:
    if got.status == 409:
        raise RemoteUsageError(f"the jobserver {got.url}: {got.text}")


def _full(got: Answer) -> QueueFullError:
    try:
        pause = min(max(float(got.headers.get("retry-after", "1")), 0.1), 60.0)
    except ValueError:
        pause = 1.0
    return QueueFullError(
        f"the jobserver {got.url} has no room: {got.text}", pause, status=got.status, service=got.service, url=got.url
    )
