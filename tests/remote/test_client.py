"""What all clients do: second attempts, connections that are used again, errors that say which service it was."""

from __future__ import annotations

import logging
import os
import threading

import pytest

from seamless.checksum import Checksum
from seamless.errors import StoreFullError, StoreReadOnlyError
from seamless.remote.calls import Call
from seamless.remote.client import Client, close_all_clients
from seamless.remote.database_client import DatabaseClient
from seamless.remote.errors import RefusedError, RemoteError, RemoteUsageError, TransportError, UnauthorizedError
from seamless.session import session
from tests.remote.servers import FakeDatabase, answer, hang_up, says, scripted

TF, RESULT = Checksum.of(b"transformation"), Checksum.of(b"result")


def text_of(client: Client, target: str = "/x") -> str:
    """Make one request, to which any status is an answer."""
    return client.perform(Call("GET", target, lambda got: f"{got.status} {got.text}"))


# --- second attempts ------------------------------------------------------------------------------


def test_a_connection_that_was_cut_is_made_again(database: FakeDatabase) -> None:
    database.results[TF.hex()] = RESULT.hex()
    database.faults = [(0, {}, b""), (0, {}, b"")]
    assert DatabaseClient(database.url).get_result(TF) == RESULT


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_server_that_is_not_ready_is_asked_again(database: FakeDatabase, status: int) -> None:
    database.results[TF.hex()] = RESULT.hex()
    database.faults = [(status, {}, b"ERROR: busy")] * 2
    assert DatabaseClient(database.url).get_result(TF) == RESULT
    assert len(database.requests) == 3


@pytest.mark.parametrize("status", [400, 403, 404, 409, 413, 500, 501, 507])
def test_a_refusal_is_not_repeated(database: FakeDatabase, status: int) -> None:
    database.faults = [(status, {}, b"no")] * 2
    with pytest.raises(Exception, match=f"{status}: no"):
        DatabaseClient(database.url).get_result(TF)
    assert len(database.requests) == 1


def test_an_answer_that_is_cut_off_is_asked_for_again() -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\nabc"
    with scripted(says(cut), hang_up, says(answer(RESULT.hex().encode()))) as url:
        assert DatabaseClient(url).get_result(TF) == RESULT


def test_what_is_no_http_is_a_clear_error() -> None:
    with scripted(says(b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n")) as url:
        with pytest.raises(TransportError, match=f"the database {url} cannot be used: its answer is not HTTP"):
            DatabaseClient(url).get_result(TF)


def test_each_new_attempt_is_logged(database: FakeDatabase, caplog: pytest.LogCaptureFixture) -> None:
    database.faults = [(503, {}, b"ERROR: busy")]
    with caplog.at_level(logging.WARNING):
        DatabaseClient(database.url).get_result(TF)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert database.url in caplog.text


def test_attempts_end_with_an_error_that_names_service_url_and_reason(unused_port: int) -> None:
    url = f"http://127.0.0.1:{unused_port}"
    with pytest.raises(TransportError) as caught:
        DatabaseClient(url).get_result(TF)
    text = str(caught.value)
    assert f"the database {url} cannot be used: Connection refused" in text
    assert "attempts" in text and "check that it runs" in text
    assert (caught.value.service, caught.value.url) == ("database", url)


def test_a_host_that_does_not_exist_is_not_looked_up_again_and_again() -> None:
    with pytest.raises(TransportError, match=r"the database http://nowhere\.invalid .*looked up") as caught:
        DatabaseClient("http://nowhere.invalid").get_result(TF)
    assert "attempts" not in str(caught.value)


def test_a_service_that_is_down_costs_one_attempt_from_then_on(unused_port: int) -> None:
    client = DatabaseClient(f"http://127.0.0.1:{unused_port}")
    with pytest.raises(TransportError, match="attempts"):
        client.get_result(TF)
    with pytest.raises(TransportError) as caught:
        client.get_result(TF)
    assert "attempts" not in str(caught.value)


def test_a_service_that_comes_back_is_used_again(unused_port: int) -> None:
    client = DatabaseClient(f"http://127.0.0.1:{unused_port}")
    with pytest.raises(TransportError):
        client.get_result(TF)
    database = FakeDatabase(unused_port)
    try:
        assert client.get_result(TF) is None
        assert not client._down
    finally:
        database.stop()


def test_a_service_that_is_started_meanwhile_is_reached(unused_port: int) -> None:
    client = DatabaseClient(f"http://127.0.0.1:{unused_port}")
    client.retry_seconds = 20.0
    found: list[Checksum | None] = []
    thread = threading.Thread(target=lambda: found.append(client.get_result(TF)))
    thread.start()
    database = FakeDatabase(unused_port)
    try:
        thread.join(20)
        assert found == [None]
    finally:
        database.stop()


# --- connections ----------------------------------------------------------------------------------


def test_a_connection_is_used_for_many_requests(database: FakeDatabase) -> None:
    client = DatabaseClient(database.url)
    for _ in range(5):
        client.get_result(TF)
    assert len(database._connections) == 1


def test_connections_that_the_server_has_closed_are_replaced_without_a_new_attempt(
    database: FakeDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    client = DatabaseClient(database.url)
    client.get_result(TF)
    database.hang_up_all()
    client.get_result(TF)
    assert caplog.text == ""


def test_any_number_of_threads_may_use_one_client(database: FakeDatabase) -> None:
    client = DatabaseClient(database.url, readonly=False)
    checksums = [Checksum.of(b"%d" % i) for i in range(40)]
    failures: list[BaseException] = []

    def work(part: list[Checksum]) -> None:
        try:
            for checksum in part:
                assert client.set_result(checksum, checksum)
                assert client.get_result(checksum) == checksum
        except BaseException as exc:  # noqa: BLE001  the main loop of a thread; asserted on below
            failures.append(exc)

    threads = [threading.Thread(target=work, args=(checksums[i::8],)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == [] and len(database.results) == 40


def test_a_forked_child_has_connections_of_its_own(database: FakeDatabase) -> None:
    database.results[TF.hex()] = RESULT.hex()
    client = DatabaseClient(database.url)
    client.get_result(TF)
    client._location_lock.acquire()  # as a thread of the parent may at that moment
    child = os.fork()
    if not child:
        status = 1
        try:
            assert client._location_lock.acquire(timeout=5)
            status = 0 if client.get_result(TF) == RESULT else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    client._location_lock.release()
    assert client.get_result(TF) == RESULT
    assert len(database._connections) == 2


def test_closing_gives_up_the_connections_but_not_the_client(database: FakeDatabase) -> None:
    client = DatabaseClient(database.url)
    client.get_result(TF)
    close_all_clients()
    client.get_result(TF)
    assert len(database._connections) == 2


def test_the_requests_under_way_at_a_database_are_limited(
    database: FakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAMLESS_DATABASE_MAX_INFLIGHT", "1")
    client = DatabaseClient(database.url)
    threads = [threading.Thread(target=client.get_record, args=(TF,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (len(database.requests), len(database._connections)) == (6, 1)


# --- refusals -------------------------------------------------------------------------------------


def test_the_token_opens_the_service(database: FakeDatabase) -> None:
    database.token = "s3cret"
    assert DatabaseClient(database.url, token="s3cret").get_result(TF) is None


@pytest.mark.parametrize(("token", "complaint"), [("other", "does not accept the token"), (None, "wants a token")])
def test_a_wrong_or_missing_token_is_a_clear_error(database: FakeDatabase, token: str | None, complaint: str) -> None:
    database.token = "s3cret"
    with pytest.raises(UnauthorizedError, match=complaint) as caught:
        DatabaseClient(database.url, token=token).get_result(TF)
    assert caught.value.status == 401 and "other" not in str(caught.value)
    assert len(database.requests) == 1


@pytest.mark.parametrize(
    ("status", "kind", "complaint"),
    [
        (405, StoreReadOnlyError, "--writable"),
        (413, RefusedError, "--max-body"),
        (500, RefusedError, "look into its log"),
        (507, StoreFullError, "free some"),
    ],
)
def test_a_refusal_says_what_to_do(database: FakeDatabase, status: int, kind: type, complaint: str) -> None:
    database.faults = [(status, {}, b"why")]
    with pytest.raises(kind, match=complaint):
        DatabaseClient(database.url).get_result(TF)


def test_a_long_answer_is_shortened_in_the_message(database: FakeDatabase) -> None:
    database.faults = [(500, {}, b"x" * 10_000)]
    with pytest.raises(RefusedError) as caught:
        DatabaseClient(database.url).get_result(TF)
    assert len(str(caught.value)) < 600


def test_another_service_at_the_url_is_not_taken_for_a_database(hashserver) -> None:
    with pytest.raises(RemoteError, match="is there a database at this address"):
        DatabaseClient(hashserver.url).get_result(TF)


# --- the client itself ----------------------------------------------------------------------------


def test_the_health_of_a_service_can_be_asked_for(database: FakeDatabase) -> None:
    DatabaseClient(database.url).healthcheck()
    database.faults = [(500, {}, b"ill")]
    with pytest.raises(RefusedError, match="ill"):
        DatabaseClient(database.url).healthcheck()


def test_a_url_that_is_none_is_refused_when_the_client_is_made() -> None:
    with pytest.raises(RemoteUsageError, match="localhost"):
        DatabaseClient("localhost:5000")


def test_a_worker_process_has_no_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "is_worker", True)
    with pytest.raises(RuntimeError, match="SEAMLESS_ALLOW_REMOTE_CLIENTS_IN_WORKER"):
        DatabaseClient("http://host")


def test_a_worker_process_may_be_permitted_to_have_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "is_worker", True)
    monkeypatch.setenv("SEAMLESS_ALLOW_REMOTE_CLIENTS_IN_WORKER", "yes")
    assert DatabaseClient("http://host").url == "http://host"


def test_debugging_shows_requests_and_answers(
    database: FakeDatabase, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SEAMLESS_CLIENT_DEBUG", "1")
    DatabaseClient(database.url, token="s3cret").get_result(TF)
    shown = capsys.readouterr().err
    assert f"GET {database.url}/" in shown and "404" in shown and "s3cret" not in shown


def test_a_path_before_the_service_is_kept(database: FakeDatabase) -> None:
    text_of(Client(database.url + "/behind/a/proxy"), "/x")
    assert database.requests == [("GET", "/behind/a/proxy/x")]
