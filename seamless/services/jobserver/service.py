"""The jobserver: from an HTTP request to the jobs and back. Knows every path and method."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from seamless.errors import SeamlessError
from seamless.services.common import (
    BodyTooLargeError,
    Receive,
    Scope,
    Send,
    Service,
    read_body,
    send_json,
    send_text,
)
from seamless.services.common.asgi import JSON, Headers, json_text, send_bytes
from seamless.services.common.quick import LATER, Deliver, Quick, QuickAnswer, quick_json, quick_text
from seamless.services.jobserver import answers, execution
from seamless.services.jobserver.jobs import Job, Jobs
from seamless.services.jobserver.requests import JobRequest, RefusedError, checksum_in, parse_request
from seamless.transformer.outcome import Envelope
from seamless.transformer.remote_job import META_KEY, RemoteJobWritten, write_remote_job

_log = logging.getLogger(__name__)

_LONGEST_WAIT = 60.0  # seconds that one request of a client of ours may wait
_GRACE = 4.0  # seconds for steps to end with the server
_MISMATCH = (
    "Jobserver record mode mismatch: client requested record={client}, but jobserver started with record={server}. "
    "Restart the jobserver after changing record mode."
)
_ENDING = "the server is shutting down"
_LISTED = 1000  # jobs that one answer names
_Handler = Callable[[Scope, Receive, Send, str], Awaitable[None]]


class JobserverService(Service):
    """Executes transformations with so many workers; `queue`: how many more may wait."""

    def __init__(self, *, workers: int, queue: int, max_body: int, parameters: dict[str, Any]):
        super().__init__()
        self.workers, self.queue, self.max_body, self.parameters = workers, queue, max_body, parameters
        self.record: bool = parameters.get("record", False)
        self.jobs = Jobs(workers + queue)
        self._executor: execution.JobExecutor | None = None
        self._keeps = self._stopping = False
        # (method, first part of the path, whether one more part follows) -> who answers
        self._routes: dict[tuple[str, str, bool], _Handler] = {
            ("GET", "", False): self._welcome,
            ("GET", "run-transformation", False): self._run,
            ("GET", "transformation-status", True): self._status_in_the_form_of_the_reference,
            ("POST", "cancel-transformation", True): self._cancel,
            ("POST", "transformations", False): self._submit,
            ("GET", "transformations", True): self._watch,
            ("DELETE", "transformations", True): self._leave,
            ("GET", "buffers", True): self._buffer,
            ("PUT", "stores", False): self._use_stores,
            ("GET", "queue", False): self._list,
            ("GET", "openapi.json", False): self._describe,
        }

    # --- life --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the workers, then find the stores. Raises SeamlessError."""
        self._executor = execution.start_workers(self.workers)
        await asyncio.to_thread(execution.activate_stores, self.parameters)
        self._keeps = execution.keeps_results()

    def stop(self) -> None:
        """Take no more, and send away who waits: a client of ours comes back to the next server."""
        self._stopping = True
        self.jobs.notify()

    async def close(self) -> None:
        """End what is being executed, and the workers."""
        submissions = [job.submission for job in self.jobs.unfinished()]
        self.jobs.cancel_all()
        await asyncio.to_thread(_wait_until_idle, submissions)
        if self._executor is not None:
            await asyncio.to_thread(self._executor.close, True)
        from seamless.shutdown import close

        await asyncio.to_thread(close)

    def busy(self) -> bool:
        """Whether something is being executed, or waits for it."""
        return len(self.jobs) > 0

    # --- requests ----------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            first, _, rest = scope["path"][1:].partition("/")
            handler = self._routes.get((scope["method"], first, bool(rest)))
            if handler is None:
                allowed = [m for m, name, more in self._routes if (name, more) == (first, bool(rest))]
                if not allowed:
                    raise RefusedError(404, "Not Found")
                await send_text(send, 405, "Method Not Allowed", [(b"allow", ", ".join(allowed).encode())])
                return
            if self._stopping:
                raise RefusedError(503, _ENDING, retry_after=1)
            await handler(scope, receive, send, rest)
        except RefusedError as exc:
            headers = [] if exc.retry_after is None else [(b"retry-after", b"%d" % exc.retry_after)]
            await send_text(send, exc.status, exc.text, headers)
        except BodyTooLargeError as exc:
            await send_text(send, 413, f"Request too large: {exc}", [(b"connection", b"close")])

    def quick(self, scope: Scope, body: bytes, deliver: Deliver) -> Quick:
        """Take a plain transformation without a task of its own for who waits."""
        if scope["path"] != "/transformations" or scope["method"] != "POST" or len(body) > self.max_body:
            return None
        try:
            if self._stopping:
                raise RefusedError(503, _ENDING, retry_after=1)
            request = self._checked(body)
            if not request.is_plain:
                return None
            job = self.jobs.answered(request) or self.jobs.submit(request, self._envelope(request))
        except RefusedError as exc:
            return _quick_refusal(exc)
        if self._has_news(job, request.request, 0) or not request.wait:
            return self._quick_state(job, request.request)
        self._deliver_news(job, request, deliver)
        return LATER

    def _deliver_news(self, job: Job, request: JobRequest, deliver: Deliver) -> None:
        """Deliver the state of a job when there is something new, or the client has waited long enough."""

        def look(*, late: bool = False) -> None:
            if late or self._stopping or self._has_news(job, request.request, 0):
                end()
                deliver(self._quick_state, job, request.request)

        end = job.watch(look, min(request.wait, _LONGEST_WAIT))

    def _quick_state(self, job: Job, name: str | None) -> QuickAnswer:
        if self._stopping and not self._has_news(job, name, 0):
            return _quick_refusal(RefusedError(503, _ENDING, retry_after=1))
        return quick_json(*self._state(job, name, 0))

    async def _welcome(self, scope: Scope, receive: Receive, send: Send, rest: str) -> None:
        await send_text(send, 200, "Seamless jobserver is running")

    async def _accept(self, scope: Scope, receive: Receive) -> JobRequest:
        """Return the request in a body. Raises RefusedError."""
        return self._checked(await read_body(scope, receive, self.max_body))

    def _checked(self, body: bytes) -> JobRequest:
        """Return the request in a body. Raises RefusedError."""
        request = parse_request(body)
        if request.record != self.record:
            raise RefusedError(409, _MISMATCH.format(client=request.record, server=self.record))
        return request

    async def _job(self, request: JobRequest) -> Job:
        """Return the job of a request. Raises RefusedError."""
        job = self.jobs.answered(request)
        if job is not None:
            return job
        envelope = self._envelope(request) if request.is_plain else await asyncio.to_thread(self._envelope, request)
        if self._stopping:
            raise RefusedError(503, _ENDING, retry_after=1)
        return self.jobs.submit(request, envelope)

    def _envelope(self, request: JobRequest) -> Envelope:
        """Return how a step is to be executed; blocks unless the request is plain. Raises RefusedError."""
        try:
            return request.envelope()
        except (SeamlessError, ValueError, TypeError) as exc:
            raise RefusedError(500, f"{type(exc).__name__}: the environment cannot be read: {exc}") from exc

    # --- the protocol of the reference --------------------------------------------------------

    async def _run(self, scope: Scope, receive: Receive, send: Send, rest: str) -> None:
        """Execute, and answer at the end. If the client goes, the job goes on."""
        request = await self._accept(scope, receive)
        if META_KEY in (request.orthogonal.get("__meta__") or {}):
            await send_json(send, 200, {"remote_job_written": await self._written(request)})
            return
        try:
            job = await self._job(request)
        except RefusedError as exc:
            if exc.status == 429:
                raise RefusedError(503, exc.text, retry_after=exc.retry_after) from None
            raise
        while not job.done:
            if self._stopping:
                raise RefusedError(503, _ENDING, retry_after=1)
            await job.changed(_LONGEST_WAIT)
        outcome = job.outcome
        assert outcome is not None
        if outcome.canceled:
            await send_text(send, 200, answers.CANCELED)
        elif outcome.result is None:
            await send_text(send, 500, outcome.error or "")
        else:
            value = answers.in_the_form_of_the_reference(outcome, job.created, job.finished, self.record)
            await send_bytes(send, 200, json.dumps(value).encode(), b"text/plain; charset=utf-8")

    async def _status_in_the_form_of_the_reference(self, scope: Scope, receive: Receive, send: Send, rest: str) -> None:
        await send_json(send, 200, {"status": _status_word(self.jobs.get(checksum_in(rest)))})

    async def _cancel(self, scope: Scope, receive: Receive, send: Send, rest: str) -> None:
        job = self.jobs.get(checksum_in(rest))
        canceled = job is not None and self.jobs.cancel(job)
        await send_json(send, 200, {"canceled": canceled, "status": "canceled" if canceled else _status_word(job)})

    # --- the protocol of ours -----------------------------------------------------------------

    async def _submit(self, scope: Scope, receive: Receive, send: Send, rest: str) -> None:
        """Take a transformation; answer when it has ended, or when the client has waited long enough."""
        request = await self._accept(scope, receive)
        if META_KEY in (request.orthogonal.get("__meta__") or {}):
            directory = await self._written(request)
            await send_json(send, 200, {"status": "done", "remote_job_written": directory})
            return
        job = await self._job(request)
        await self._show(send, job, request.request, wait=request.wait, start=0)

    async def _watch(self, scope: Scope, receive: Receive, send: Send, rest: str) -> None:
        """Tell what becomes of a transformation; also to somebody who has not submitted it."""
        tf, _, _ = rest.partition("/")
        checksum = checksum_in(tf)
        job = self.jobs.get(checksum)
        if job is None:
            raise RefusedError(404, f"nothing is known about transformation {checksum}")
        query = _query(scope)
        await self._show(
            send, job, query.get("request"), wait=_number(query, "wait"), start=int(_number(query, "after"))
        )

    async def _show(self, send: Send, job: Job, name: str | None, *, wait: float, start: int) -> None:
        """Answer with the state of a job, as soon as there is something new."""
        deadline = time.monotonic() + min(wait, _LONGEST_WAIT)
        while not self._has_news(job, name, start):
            left = deadline - time.monotonic()
            if self._stopping:
                raise RefusedError(503, _ENDING, retry_after=1)
            if left <= 0:
                break
            await job.changed(left)
        code, state, headers = self._state(job, name, start)
        await _send_json(send, code, state, headers)

    @staticmethod
    def _has_news(job: Job, name: str | None, start: int) -> bool:
        """Tell whether there is something to be said of a job to this request."""
        return job.done or not job.wanted_by(name) or job.has_output(start)

    def _state(self, job: Job, name: str | None, start: int) -> tuple[int, dict[str, Any], Headers]:
        """Return status, JSON and headers of the answer that tells the state of a job."""
        pieces, first = job.output(start)
        state: dict[str, Any] = {"transformation": job.tf.hex(), "status": job.status}
        state["output"] = answers.output_of(pieces, first)
        code, headers = 202, [(b"location", f"/transformations/{job.tf.hex()}".encode())]
        if not job.wanted_by(name):
            code, state["status"] = 410, "canceled"
        elif job.outcome is not None:
            code, outcome = answers.described(job.outcome, kept=self._keeps)
            state |= outcome
        return code, state, headers

    async def _leave(self, scope: Scope, receive: Receive, send: Send, rest: str) -> None:
        """Take a request back. Without its name: end the transformation, whoever wants it."""
        job, name = self.jobs.get(checksum_in(rest)), _query(scope).get("request")
        left = job is not None and (self.jobs.cancel(job) if name is None else self.jobs.leave(job, name))
        await send_json(send, 200, {"left": left, "status": "not-running" if job is None else job.status})

    async def _buffer(self, scope: Scope, receive: Receive, send: Send, rest: str) -> None:
        """Give a buffer that is in memory: a scratch result is nowhere else."""
        from seamless.cache.buffer_cache import get_buffer_cache

        buffer = get_buffer_cache().get(checksum_in(rest))
        if buffer is None:
            raise RefusedError(404, "Not found")
        query = _query(scope)
        if "most" in query and len(buffer) > _number(query, "most"):
            raise RefusedError(413, f"the buffer has {len(buffer)} bytes")
        await send_bytes(send, 200, buffer.content, b"application/octet-stream")

    async def _use_stores(self, scope: Scope, receive: Receive, send: Send, rest: str) -> None:
        """Work with other services from now on: those of before have been launched again elsewhere."""
        try:
            clients = json.loads(await read_body(scope, receive, self.max_body))
            parameters = execution.read_parameters({"parameters": clients})
            await asyncio.to_thread(execution.activate_stores, parameters)
        except RecursionError:
            raise RefusedError(400, "Invalid payload: it is nested too deeply") from None
        except (ValueError, SeamlessError) as exc:
            raise RefusedError(400, f"Invalid payload: {exc}") from exc
        self._keeps = execution.keeps_results()
        _log.info("a client has named other stores")
        await send_json(send, 200, {"results_kept": self._keeps})

    async def _list(self, scope: Scope, receive: Receive, send: Send, rest: str) -> None:
        """Name the jobs that run or wait."""
        now = time.time()
        jobs = [
            {
                "transformation": job.tf.hex(),
                "status": job.status,
                "command": job.command,
                "seconds": round(now - job.created, 3),
                "clients": len(job.clients),
            }
            for job in self.jobs.unfinished()[:_LISTED]
        ]
        await send_json(send, 200, {"unfinished": len(self.jobs), "most": self.jobs.most, "jobs": jobs})

    async def _describe(self, scope: Scope, receive: Receive, send: Send, rest: str) -> None:
        from seamless.services.jobserver.openapi import description

        await send_json(send, 200, description())

    async def _written(self, request: JobRequest) -> str:
        """Return the directory in which a job was written instead of executed. Raises RefusedError."""
        try:
            envelope = await asyncio.to_thread(request.envelope)
            directory = str(envelope.meta[META_KEY])
            return await asyncio.to_thread(
                functools.partial(write_remote_job, request.transformation, request.tf, envelope, directory)
            )
        except RemoteJobWritten as written:
            return written.directory
        except (SeamlessError, OSError, ValueError, TypeError) as exc:
            raise RefusedError(500, f"{type(exc).__name__}: {exc}") from exc

    # --- what others may know ----------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """Return what `/status` shows of the jobserver."""
        states = [job.status for job in self.jobs.unfinished()]
        return {
            "workers": self.workers,
            "results_kept": self._keeps,
            "takes_buffers": self._keeps,
            "record": self.record,
            "queue": self.queue,
            "running": states.count("running"),
            "queued": states.count("queued"),
            **self._counts(),
        }

    def _counts(self) -> dict[str, int]:
        jobs = self.jobs
        return {
            "executed": jobs.executed, "cached": jobs.cached, "failed": jobs.failed, "canceled": jobs.canceled,
            "joined": jobs.joined, "refused": jobs.refused,
        }  # fmt: skip

    def metrics(self) -> Iterable[tuple[str, str, str, float]]:
        """Return the counts of the jobserver."""
        states = [job.status for job in self.jobs.unfinished()]
        yield "workers", "gauge", "Worker processes.", self.workers
        yield "running", "gauge", "Transformations that are being executed.", states.count("running")
        yield "queued", "gauge", "Transformations that wait for a worker.", states.count("queued")
        texts = {
            "executed": "Transformations that were executed.",
            "cached": "Transformations whose result was known.",
            "failed": "Transformations that have failed.",
            "canceled": "Transformations that were canceled.",
            "joined": "Requests for a transformation that was under way.",
            "refused": "Requests that were refused because the queue was full.",
        }
        for name, value in self._counts().items():
            yield name, "counter", texts[name], value


def _quick_refusal(exc: RefusedError) -> QuickAnswer:
    answer = quick_text(exc.status, exc.text)
    if exc.retry_after is None:
        return answer
    return answer._replace(headers=answer.headers + b"retry-after: %d\r\n" % exc.retry_after)


def _status_word(job: Job | None) -> str:
    """Return the status in the words of the reference."""
    if job is None:
        return "not-running"
    return "running" if job.status == "queued" else job.status


def _query(scope: Scope) -> dict[str, str]:
    parsed = parse_qs(scope.get("query_string", b"").decode("ascii", "replace"))
    return {name: values[-1] for name, values in parsed.items()}


def _number(query: dict[str, str], name: str) -> float:
    try:
        value = float(query.get(name, "0"))
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise RefusedError(400, f"{name}: expected a number that is not negative, not {query[name][:100]!r}")
    return value


async def _send_json(send: Send, status: int, value: Any, headers: Headers) -> None:
    await send_bytes(send, status, json_text(value), JSON, headers)


def _wait_until_idle(submissions: list[Any]) -> None:
    deadline = time.monotonic() + _GRACE
    for submission in submissions:
        submission.idle.wait(max(0.0, deadline - time.monotonic()))
