"""Claims: who may execute, for how long, and who gets to know that the result is there."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from seamless.services.database.claims import Claims, Standing
from seamless.services.database.requests import RefusedError

if TYPE_CHECKING:
    from .conftest import Answer, Server

ANNA, BEN = {"id": "anna", "pid": 1}, {"id": "ben", "pid": 2}
HELD, NOT_HELD = Standing(True, None, None), Standing(False, None, ANNA)
UNKNOWN, MALFORMED = (404, "ERROR: Unknown key"), (400, "ERROR: Malformed claim request")


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


TF, A, B = sha("tf"), sha("a"), sha("b")


class Table:
    """Results as a server knows them, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.results: dict[str, str] = {}
        self.time = 0.0
        self.claims = Claims(now=lambda: self.time)

    async def claim(self, holder: dict[str, Any], **more: Any) -> Standing:
        async def lookup() -> str | None:
            return self.results.get("tf")

        return await self.claims.claim("tf", holder, lookup, **{"seconds": 10.0, **more})


@pytest.fixture
def table() -> Table:
    return Table()


async def waiting(table: Table, **more: Any) -> asyncio.Task[Standing]:
    """Return the task of one who waits for a claim, which it does already."""
    before = table.claims.waiting
    task = asyncio.ensure_future(table.claim(BEN, wait=1000.0, **more))
    while table.claims.waiting == before:
        await asyncio.sleep(0)
    return task


# --- the rules ------------------------------------------------------------------------------------


async def test_the_first_one_gets_the_claim_and_the_second_one_hears_who_has_it(table: Table) -> None:
    assert [await table.claim(ANNA), await table.claim(BEN)] == [HELD, NOT_HELD]


async def test_to_claim_again_prolongs_the_claim(table: Table) -> None:
    await table.claim(ANNA)
    table.time = 9.0
    assert await table.claim(ANNA) == HELD
    table.time = 18.0
    assert await table.claim(BEN) == NOT_HELD


async def test_a_claim_that_nobody_prolongs_is_free_when_its_time_is_over(table: Table) -> None:
    await table.claim(ANNA)
    table.time = 10.5
    assert len(table.claims) == 0
    assert await table.claim(BEN) == HELD


async def test_a_known_result_is_told_instead_of_a_claim(table: Table) -> None:
    table.results["tf"] = "result"
    assert await table.claim(ANNA) == Standing(False, "result", None)
    assert len(table.claims) == 0


async def test_a_known_result_may_be_claimed_despite_it(table: Table) -> None:
    table.results["tf"] = "result"
    assert await table.claim(ANNA, despite=True) == Standing(True, "result", None)
    assert await table.claim(BEN, despite=True) == Standing(False, "result", ANNA)


async def test_renewal_prolongs_what_is_held_and_never_makes_a_claim(table: Table) -> None:
    await table.claim(ANNA)
    table.time = 9.0
    assert table.claims.renew(["tf", "other"], ANNA, seconds=10.0) == [True, False]
    assert table.claims.renew(["tf"], BEN, seconds=10.0) == [False]
    table.time = 18.0
    assert await table.claim(BEN) == NOT_HELD


async def test_only_its_holder_gives_a_claim_back(table: Table) -> None:
    await table.claim(ANNA)
    table.claims.release("tf", BEN)
    assert await table.claim(BEN) == NOT_HELD
    table.claims.release("tf", ANNA)
    assert await table.claim(BEN) == HELD


async def test_one_who_waits_gets_a_claim_that_is_given_back(table: Table) -> None:
    await table.claim(ANNA)
    task = await waiting(table)
    table.claims.release("tf", ANNA)
    assert await task == HELD


async def test_one_who_waits_gets_the_result_that_ends_the_claim(table: Table) -> None:
    await table.claim(ANNA)
    task = await waiting(table)
    table.results["tf"] = "result"
    table.claims.end("tf")
    assert await task == Standing(False, "result", None)


async def test_waiting_ends_when_its_time_is_over() -> None:
    table = Table()
    table.claims = Claims()
    await table.claim(ANNA, seconds=100.0)
    assert await table.claim(BEN, wait=0.01) == NOT_HELD


async def test_a_claim_that_expires_goes_to_one_who_waits() -> None:
    table = Table()
    table.claims = Claims()
    await table.claim(ANNA, seconds=0.01)
    assert await table.claim(BEN, wait=100.0) == HELD


async def test_one_who_goes_while_waiting_gets_nothing(table: Table) -> None:
    await table.claim(ANNA)
    gone = asyncio.Event()

    async def leave() -> None:
        await gone.wait()

    task = await waiting(table, gone=leave())
    gone.set()
    assert await task == NOT_HELD
    table.claims.release("tf", ANNA)
    assert table.claims.holder("tf") is None


async def test_those_who_wait_are_sent_away_when_the_server_ends(table: Table) -> None:
    await table.claim(ANNA)
    task = await waiting(table)
    table.claims.close()
    with pytest.raises(RefusedError, match="shutting down"):
        await task
    with pytest.raises(RefusedError, match="shutting down"):
        await table.claim(BEN)


async def test_a_claim_is_not_kept_when_the_look_up_fails(table: Table) -> None:
    async def lookup() -> str | None:
        raise OSError

    with pytest.raises(OSError):
        await table.claims.claim("tf", ANNA, lookup, seconds=10.0)
    assert await table.claim(BEN) == HELD


async def test_many_claims_that_are_over_are_forgotten(table: Table) -> None:
    async def lookup() -> str | None:
        return None

    for i in range(1500):
        await table.claims.claim(str(i), ANNA, lookup, seconds=10.0)
        table.time += 1.0
    assert len(table.claims._claims) < 1100


# --- the requests ---------------------------------------------------------------------------------


def claim(server: Server, holder: dict[str, Any] = ANNA, **more: Any) -> Any:
    answer = server.put("claim", TF, **{"value": holder, "seconds": 100, **more})
    assert answer.status == 200, answer
    return answer.json()


def test_a_claim_is_had_released_and_had_by_another(server: Server) -> None:
    assert claim(server) == {"claimed": True, "result": None, "holder": None}
    assert claim(server, BEN) == {"claimed": False, "result": None, "holder": ANNA}
    assert server.put("renew", checksums=[TF, A], value=ANNA, seconds=100).json() == [True, False]
    assert server.put("release", TF, value=ANNA) == (200, "OK")
    assert claim(server, BEN)["claimed"] is True


def test_what_is_claimed_is_listed_without_what_would_end_the_claim(server: Server) -> None:
    assert server.request("GET", path="/status").json()["running"] == []
    server.put("claim", TF, value={**ANNA, "host": "node1"}, seconds=100)
    (listed,) = server.request("GET", path="/status").json()["running"]
    assert listed.pop("start") > 1e9
    assert listed == {"tf_checksum": TF, "host": "node1", "pid": 1}
    server.put("release", TF, value=ANNA)
    assert server.request("GET", path="/status").json()["running"] == []


def test_a_result_ends_the_claim(server: Server) -> None:
    claim(server)
    assert server.request("GET", path="/status").json()["claims"] == 1
    server.put("transformation", TF, value=A)
    assert server.request("GET", path="/status").json()["claims"] == 0
    assert claim(server, BEN) == {"claimed": False, "result": A, "holder": None}


def awaiting(server: Server, wait_for: Callable[..., Any]) -> tuple[threading.Thread, list[Answer], Any]:
    """Start to wait for the claim on another connection; return thread, list for the answer, and the connection."""
    from .conftest import Answer, request

    connection, answers = server.connect(), []

    def ask() -> None:
        try:
            connection.request("PUT", "/", request("claim", TF, value=BEN, seconds=100, wait=30))
            answers.append(Answer(connection.getresponse()))
        except OSError:  # hung up by the test
            return
        finally:
            connection.close()

    thread = threading.Thread(target=ask)
    thread.start()
    wait_for(lambda: server.request("GET", path="/status").json()["claims_awaited"] == 1, "somebody to wait")
    return thread, answers, connection


def test_one_who_waits_is_told_the_result_at_once(server: Server) -> None:
    from .conftest import until

    claim(server)
    thread, answers, _ = awaiting(server, until)
    server.put("transformation", TF, value=A)
    thread.join(20)
    assert answers[0].json() == {"claimed": False, "result": A, "holder": None}


def test_a_client_that_hangs_up_while_it_waits_does_not_get_the_claim(server: Server) -> None:
    import socket

    from .conftest import until

    claim(server)
    thread, _, connection = awaiting(server, until)
    connection.sock.shutdown(socket.SHUT_RDWR)
    thread.join(20)
    until(lambda: server.request("GET", path="/status").json()["claims_awaited"] == 0, "the server to notice")
    server.put("release", TF, value=ANNA)
    assert claim(server)["claimed"] is True


def test_a_server_ends_although_somebody_waits(server: Server) -> None:
    from .conftest import until

    claim(server)
    thread, answers, _ = awaiting(server, until)
    server.close()
    assert server.stop() == 0
    thread.join(20)
    assert [answer.status for answer in answers] in ([503], [])


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": None},
        {"value": {}},
        {"value": {"id": ""}},
        {"value": {"id": 1}},
        {"value": {"id": "x" * 201}},
        {"value": {"id": "x", "more": "x" * 3000}},
        {"seconds": "10"},
        {"seconds": -1},
        {"seconds": True},
        {"seconds": 1e300},
        {"wait": []},
    ],
    ids=str,
)
def test_a_malformed_claim_is_refused(server: Server, wrong: dict[str, Any]) -> None:
    assert server.put("claim", TF, **{"value": ANNA, "seconds": 10, **wrong}) == MALFORMED


def test_the_other_requests_are_checked_as_well(server: Server) -> None:
    assert server.put("claim", "zz", value=ANNA, seconds=1) == (400, "ERROR: Malformed request")
    assert server.put("renew", checksums="zz", value=ANNA) == MALFORMED
    assert server.put("renew", checksums=["zz"], value=ANNA) == MALFORMED
    assert server.put("release", TF) == MALFORMED


# --- deletion, and who has sent what --------------------------------------------------------------


def put(server: Server, agent: str, type: str, **fields: Any) -> Answer:
    from .conftest import request

    return server.request("PUT", request(type, TF, **fields), **{"User-Agent": agent})


def rows(server: Server, database: Any, query: str) -> list[Any]:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def test_a_result_is_deleted_with_its_record_and_it_is_noted_who_did_so(server: Server, database: Any) -> None:
    body = {"schema_version": 1, "tf_checksum": TF, "result_checksum": A}
    assert server.put("metadata", TF, result=A, value=body) == (200, "OK")
    assert put(server, "seamless/1.0 (anna@lab)", "delete") == (200, "OK")
    assert [server.get(kind, TF) for kind in ("transformation", "metadata", "irreproducible")] == [UNKNOWN] * 3
    query = "SELECT checksum, result, client FROM transformation_deletion"
    assert rows(server, database, query) == [(TF, A, "anna@lab (127.0.0.1)")]
    assert "anna@lab (127.0.0.1) has deleted the result of transformation " + TF in server.log.read_text()
    assert server.put("metadata", TF, result=B, value={**body, "result_checksum": B}) == (200, "OK")


def test_what_is_not_there_cannot_be_deleted(server: Server) -> None:
    assert server.put("delete", TF) == UNKNOWN


def test_a_server_that_only_reads_deletes_nothing(start: Any, server: Server, database: Any) -> None:
    server.put("transformation", TF, value=A)
    reader = start(database)
    assert reader.put("delete", TF) == (405, "ERROR: Database server is read-only")
    assert reader.put("claim", TF, value=ANNA, seconds=1).status == 405
    assert reader.get("transformation", TF) == (200, A)


@pytest.mark.parametrize(
    ("agent", "noted"),
    [
        ("seamless/1.0 (anna@lab)", "anna@lab (127.0.0.1)"),
        ("Python/3.11 aiohttp/3.9", "127.0.0.1"),
        ("curl/8 (anna@lab)", "127.0.0.1"),
        ("seamless/1.0 (anna (the boss)@lab)", "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
def test_the_sender_of_a_second_result_is_noted(server: Server, database: Any, agent: str, noted: str) -> None:
    put(server, agent, "transformation", value=A)
    put(server, agent, "transformation", value=B)
    assert rows(server, database, "SELECT result, client FROM transformation_conflict") == [(B, noted)]
    assert f"which {noted} sent" in server.log.read_text()


def test_the_sender_is_also_noted_in_a_batch(server: Server, database: Any) -> None:
    requests = [{"type": "transformation", "checksum": TF, "value": value} for value in (A, B)]
    body = json.dumps({"type": "batch", "requests": requests})
    assert server.request("PUT", body, **{"User-Agent": "seamless/1.0 (ben@lab)"}).status == 200
    assert rows(server, database, "SELECT result, client FROM transformation_conflict") == [(B, "ben@lab (127.0.0.1)")]
