"""The database server: from an HTTP request to the store and back. A request is a GET or a PUT, on any path."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

from seamless.services.common import ClientGoneError, Service, header, read_body, send_json, send_text
from seamless.services.common.asgi import content_length
from seamless.services.common.quick import LATER, TEXT_LINES, Deliver, Quick, QuickAnswer, header_lines
from seamless.services.database import answers, claims, requests
from seamless.services.database.presence import Presence
from seamless.services.database.reader import Reader
from seamless.services.database.requests import Request, parse_request
from seamless.services.database.sender import Sender
from seamless.services.database.served import KeptAnother, WritingDatabase
from seamless.services.database.writer import Writer
from seamless.services.database.writes import SetRecord, SetResult, Write, prepare

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seamless.services.common import Receive, Scope, Send
    from seamless.services.database.answers import Answer
    from seamless.services.database.served import Outcome

_log = logging.getLogger(__name__)

_LARGE = 1 << 18  # bytes; parsing more than this would hold up everybody else
_LARGEST_BATCH = 10_000  # requests
_SLOTS = 4  # large requests that are received at once
_SWITCH_INTERVAL = 0.0005  # seconds; by default the writer would wait up to ten times as long for the event loop
_HEADERS = {
    413: [(b"connection", b"close")],
    503: [(b"retry-after", b"1")],
}
_LINES = {status: TEXT_LINES + header_lines(headers) for status, headers in _HEADERS.items()}
_QUICK_WRITES = frozenset(("transformation", "metadata"))
_QUICK_BATCH = 500  # lookups in a batch that are answered in the event loop
FAILURE = "failure"  # the request about a step that has failed
DESCRIPTION_PATH = "/openapi.json"


class DatabaseService(Service):
    """Serves one database file. `strict`: a second, different result of a transformation is answered with 409."""

    def __init__(self, path: str, *, writable: bool, strict: bool, max_body: int):
        super().__init__()
        self.path, self.writable, self.strict, self.max_body = os.path.abspath(path), writable, strict, max_body
        self.hits = self.misses = self.writes = self.groups = self.conflicts = self.deletions = 0
        self.claims = claims.Claims()
        # Bounds the memory: few large bodies at once, and parsed (several times as large) one after the other.
        self._slots, self._parsing = asyncio.Semaphore(_SLOTS), asyncio.Lock()
        self._presence: Presence | None = None
        self._writer: Writer | None = None
        self._reader: Reader | None = None

    async def start(self) -> None:
        """Open the file, which is created if it may be written. Raises StoreError."""
        sys.setswitchinterval(_SWITCH_INTERVAL)
        if self.writable:
            database = WritingDatabase(self.path)
            self._presence = Presence(self.path)
            self._writer = Writer(database, observe=self._count_group)
        self._reader = Reader(self.path, beside_writer=self.writable)

    def stop(self) -> None:
        """Send away who waits for a claim."""
        self.claims.close()

    async def close(self) -> None:
        """Write what has been accepted, and close the file."""
        if self._reader is not None:
            await self._reader.close()
        if self._writer is not None:
            await self._writer.close()
        if self._presence is not None:
            self._presence.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            if _is_large(scope):
                async with self._slots:
                    body = await read_body(scope, receive, self.max_body)
            else:
                body = await read_body(scope, receive, self.max_body)
            if not body and scope["path"] == DESCRIPTION_PATH and scope["method"] == "GET":
                from seamless.services.database.openapi import description

                await send_json(send, 200, description(writable=self.writable))
                return
            status, text = await self._answer(scope, receive, body)
        except ClientGoneError:
            raise
        except Exception as exc:  # noqa: BLE001 - the HTTP boundary: the client is told, the log has the traceback
            status, text = answers.failure(exc)
        if status == 405:
            await send_text(send, status, text, [(b"allow", b"GET, PUT" if self.writable else b"GET")])
        else:
            await send_text(send, status, text, _HEADERS.get(status, ()))

    def quick(self, scope: Scope, body: bytes, deliver: Deliver) -> Quick:
        """Answer what takes microseconds, and what only waits for the writer."""
        if scope["path"] != "/" or len(body) > min(_LARGE, self.max_body):
            return None
        request: Request = {}
        try:
            if scope["method"] == "GET":
                request = parse_request(body)
                return self._quick_lookup(request)
            if scope["method"] != "PUT" or self._writer is None:
                return None
            request = parse_request(body)
            members = _members(request) if request["type"] == "batch" else [request]
            if all(member["type"] == "claim" for member in members):
                texts = claims.answer_now(self.claims, members, self._known_now)
                return None if texts is None else _quick_all(request, [(200, text) for text in texts])
            if not all(member["type"] in _QUICK_WRITES for member in members):
                return None
            sender = Sender(scope)
            writes = [prepare(member, sender) for member in members]
        except Exception as exc:  # noqa: BLE001 - the HTTP boundary: the client is told, the log has the traceback
            if request.get("type") == "batch":
                return None  # one member must not spoil the others
            return _quick(answers.failure(exc))
        self._quick_writes(request, writes, deliver)
        return LATER

    def _quick_lookup(self, request: Request) -> Quick:
        """Return the answer to a lookup, or to a batch of them, if all are quick."""
        if request["type"] != "batch":
            done, found = self._reading().quick(request)
            return _quick(self._found(found)) if done else None
        members = _members(request)
        if len(members) > _QUICK_BATCH or not all(member["type"] == "transformation" for member in members):
            return None
        looked = [self._reading().quick(member) for member in members]
        if not all(done for done, _ in looked):
            return None
        return _quick_all(request, [self._found(found) for _, found in looked])

    def _known_now(self, name: str) -> tuple[bool, str | None]:
        """Return (True, result of a transformation or None), or (False, None) if that may take long."""
        return self._reading().quick({"type": "transformation", "checksum": name})

    def _quick_writes(self, request: Request, writes: list[Write], deliver: Deliver) -> None:
        """Have the writes of a request written, and deliver the answer when the last one is."""
        assert self._writer is not None
        outcomes: list[Outcome] = []

        def done(outcome: Outcome) -> None:
            outcomes.append(outcome)
            if len(outcomes) == len(writes):
                deliver(self._quickly_written, request, writes, outcomes)

        for write in writes:  # the outcomes come in the same order
            self._writer.put(write, done)

    def _quickly_written(self, request: Request, writes: list[Write], outcomes: list[Outcome]) -> QuickAnswer:
        return _quick_all(request, [self._written(w, o) for w, o in zip(writes, outcomes, strict=True)])

    async def _answer(self, scope: Scope, receive: Receive, body: bytes) -> Answer:
        method = scope["method"]
        if method == "GET":
            request = await self._parse(body)
            if request["type"] == "batch":
                return 200, json.dumps([self._found(a) for a in await self._reading().read_all(_members(request))])
            return await self._read(request)
        if method != "PUT":
            return answers.NOT_ALLOWED
        if self._writer is None:
            return answers.READ_ONLY
        request = await self._parse(body)
        if request["type"] == FAILURE:
            return await asyncio.to_thread(self._note, requests.failure(request))
        if request["type"] in claims.KINDS:
            return 200, await claims.answer(self.claims, request, self._known, lambda: _gone(receive))
        sender = Sender(scope)
        if request["type"] == "batch":
            members = _members(request)
            coming = [self._claim(r) if r["type"] == "claim" else self._write(r, sender) for r in members]
            return 200, json.dumps(await asyncio.gather(*coming))
        return await self._write(request, sender)

    def _note(self, failed: requests.Failure) -> Answer:
        """Note a failure beside the database, for people to look at."""
        from seamless.stores.failures import note_failure

        name, *_ = failed
        said = {key: value for key, value in failed._asdict().items() if key != "transformation"}
        try:
            note_failure(os.path.dirname(self.path), name.hex(), **said)
        except OSError as exc:
            _log.warning("the failure of %s is not noted: %s", name, exc)
            return 507, f"ERROR: the failure cannot be noted: {exc.strerror}"
        return answers.OK

    async def _claim(self, request: Request) -> Answer:
        """Answer a claim in a batch, which does not wait."""
        try:
            return 200, await claims.answer(self.claims, {**request, "wait": 0}, self._known, _nobody_waits)
        except Exception as exc:  # noqa: BLE001 - one of a batch must not spoil the others
            return answers.failure(exc)

    async def _parse(self, body: bytes) -> Request:
        if len(body) < _LARGE:
            return parse_request(body)
        async with self._parsing:
            return await asyncio.to_thread(parse_request, body)

    async def _read(self, request: Request) -> Answer:
        reader = self._reading()
        done, answer = reader.quick(request)
        return self._found(answer if done else await reader.read(request))

    async def _known(self, name: str) -> str | None:
        """Return the result of a transformation, or None."""
        status, text = await self._read({"type": "transformation", "checksum": name})
        return text if status == 200 else None

    def _reading(self) -> Reader:
        assert self._reader is not None, "the service has not been started"
        return self._reader

    def _found(self, answer: str | Exception | None) -> Answer:
        """Count a lookup; return its answer."""
        if isinstance(answer, Exception):
            return answers.failure(answer)
        if answer is None:
            self.misses += 1
            return answers.NOT_FOUND
        self.hits += 1
        return 200, answer

    async def _write(self, request: Request, sender: Sender) -> Answer:
        assert self._writer is not None
        try:
            write = prepare(request, sender)
            outcome = await self._writer.submit(write)
        except Exception as exc:  # noqa: BLE001 - one of a batch must not spoil the others
            return answers.failure(exc)
        if outcome is None and request["type"] == "delete":
            self.deletions += 1
            _log.warning("%s has deleted the result of transformation %s", sender, request["checksum"].lower())
        return self._written(write, outcome)

    def _written(self, write: Write, outcome: Outcome) -> Answer:
        """Return the answer to a write, which every lookup from now on can see."""
        self._reading().end_round()
        if outcome is not None and not isinstance(outcome, KeptAnother):
            return answers.failure(outcome)
        if isinstance(write, SetResult):
            self.claims.end(write.transformation.hex())
            if outcome is not None:
                return self._conflict(write)
        if isinstance(write, SetRecord):
            self.claims.end(write.transformation.hex())
        if isinstance(write, (SetResult, SetRecord)) and write.told:
            return answers.KEPT
        return answers.OK

    def _conflict(self, write: SetResult) -> Answer:
        """Log a second, different result, of which the store has kept a note."""
        self.conflicts += 1
        _log.warning(
            "transformation %s has another result than %s, which %s sent; kept the first one",
            write.transformation.hex(),
            write.result.hex(),
            write.sender,
        )
        if self.strict:
            return answers.OTHER_RESULT
        return answers.KEPT_ANOTHER if write.told else answers.OK

    def _count_group(self, size: int) -> None:
        self.groups += 1
        self.writes += size

    def status(self) -> dict[str, Any]:
        """Return what `/status` shows of the database."""
        return {
            "database": self.path,
            "protocol": list(requests.PROTOCOL),
            "writable": self.writable,
            "strict": self.strict,
            "size_bytes": _size(self.path),
            "hits": self.hits,
            "misses": self.misses,
            "writes": self.writes,
            "transactions": self.groups,
            "conflicts": self.conflicts,
            "deletions": self.deletions,
            "claims": len(self.claims),
            "claims_awaited": self.claims.waiting,
            "running": self.claims.running(),
        }

    def metrics(self) -> Iterable[tuple[str, str, str, float]]:
        """Return the counts of the database."""
        yield "hits", "counter", "Lookups that found something.", self.hits
        yield "misses", "counter", "Lookups of unknown keys.", self.misses
        yield "writes", "counter", "Requests that asked for a write.", self.writes
        yield "transactions", "counter", "Transactions, each with one or more writes.", self.groups
        yield "conflicts", "counter", "Results that were refused because another one was stored.", self.conflicts
        yield "deletions", "counter", "Results that were deleted on request.", self.deletions
        yield "claims", "gauge", "Transformations that are being executed under a claim.", len(self.claims)
        yield "size_bytes", "gauge", "Size of the database with what is not yet merged into it.", _size(self.path)


async def _gone(receive: Receive) -> None:
    """Return when the client has closed the connection of a request that is complete."""
    while (await receive())["type"] != "http.disconnect":
        continue


async def _nobody_waits() -> None:
    """Return at once."""


def _quick_all(request: Request, given: list[Answer]) -> QuickAnswer:
    """Return the answer to a request, or to a batch of them."""
    return _quick((200, json.dumps(given)) if request["type"] == "batch" else given[0])


def _quick(answer: Answer) -> QuickAnswer:
    status, text = answer
    return QuickAnswer(status, _LINES[status] if status in _LINES else TEXT_LINES, text.encode())


def _is_large(scope: Scope) -> bool:
    """Tell whether the body is, or may be, a large one."""
    length = content_length(scope)
    return length > _LARGE if length is not None else header(scope, b"transfer-encoding") is not None


def _members(request: Request) -> list[Request]:
    """Return the requests in a batch. Raises RefusedError (400)."""
    members = request.get("requests")
    if not isinstance(members, list) or len(members) > _LARGEST_BATCH:
        raise requests.RefusedError(400, requests.MALFORMED)
    for member in members:
        if not isinstance(member, dict) or not isinstance(member.get("type"), str):
            raise requests.RefusedError(400, requests.MALFORMED)
    return members


def _size(path: str) -> int:
    """Return the size of the file and of its write-ahead log, in bytes."""
    total = 0
    for name in (path, f"{path}-wal"):
        try:
            total += os.stat(name).st_size
        except FileNotFoundError:
            continue
    return total
