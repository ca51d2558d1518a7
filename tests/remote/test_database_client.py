"""The client of a database: the interface of the store in a file, over HTTP."""

from __future__ import annotations

import threading

import pytest

from seamless.cache.protocols import ResultStore
from seamless.checksum import Checksum
from seamless.errors import StoreError
from seamless.remote.database_client import DatabaseClient
from seamless.remote.errors import ReadOnlyClientError, RemoteError
from seamless.stores.errors import ConflictError, MalformedValueError, UnknownResultError
from seamless.stores.records import OTHER_RESULT
from tests.remote.servers import FakeDatabase

TF, RESULT, OTHER = (Checksum.of(data) for data in (b"transformation", b"result", b"other"))
RECORD = {"schema_version": 1, "tf_checksum": TF.hex(), "result_checksum": RESULT.hex(), "wall_time_seconds": 0.5}


@pytest.fixture
def client(database: FakeDatabase) -> DatabaseClient:
    return DatabaseClient(database.url, readonly=False)


def test_the_client_is_a_store_of_results(client: DatabaseClient) -> None:
    assert isinstance(client, ResultStore) and client.writable


def test_a_result_is_kept(client: DatabaseClient) -> None:
    assert client.get_result(TF) is None
    assert client.set_result(TF, RESULT) is True
    assert client.get_result(TF) == RESULT


def test_a_second_different_result_is_reported_although_the_server_says_ok(client: DatabaseClient) -> None:
    client.set_result(TF, RESULT)
    assert client.set_result(TF, OTHER) is False
    assert client.get_result(TF) == RESULT


def test_a_second_different_result_is_reported_where_the_server_refuses_it(
    client: DatabaseClient, database: FakeDatabase
) -> None:
    client.set_result(TF, RESULT)
    database.faults = [(409, {}, b"ERROR: Transformation already has another result")]
    assert client.set_result(TF, OTHER) is False


@pytest.mark.parametrize("batches", [True, False], ids=["ours", "reference"])
def test_many_results_are_asked_of_either_kind_of_server(database: FakeDatabase, batches: bool) -> None:
    database.batches = batches
    client = DatabaseClient(database.url, readonly=False)
    pairs = [(Checksum.of(b"%d" % i), RESULT) for i in range(20)]
    assert client.set_results(pairs) == [True] * 20
    assert client.get_results([*(t for t, _ in pairs), TF]) == [RESULT] * 20 + [None]
    assert len(database.requests) == (3 if batches else 1 + 20 + 20 + 21)


def test_result_and_record_are_kept_in_one_request(client: DatabaseClient, database: FakeDatabase) -> None:
    assert client.keep(TF, RESULT, RECORD) is True
    assert len(database.requests) == 1
    assert client.get_record(TF) == RECORD


def test_a_result_is_not_kept_with_its_record_where_there_is_another_one(client: DatabaseClient) -> None:
    client.keep(TF, RESULT, RECORD)
    assert client.keep(TF, RESULT, {**RECORD, "wall_time_seconds": 1.0}) is False


def test_a_record_of_something_else_is_kept_with_nothing(client: DatabaseClient, database: FakeDatabase) -> None:
    with pytest.raises(MalformedValueError):
        client.keep(TF, OTHER, RECORD)
    assert database.requests == []


def test_nothing_is_asked_about_no_transformations(client: DatabaseClient, database: FakeDatabase) -> None:
    assert client.get_results([]) == []
    assert database.requests == []


def test_each_transformation_of_a_result_is_given_once(client: DatabaseClient) -> None:
    client.set_result(TF, RESULT)
    assert client.get_transformations(RESULT) == [TF]
    assert client.get_transformations(OTHER) == []


def test_a_result_is_withdrawn(client: DatabaseClient) -> None:
    client.set_result(TF, RESULT)
    assert client.delete_result(TF) is True
    assert client.get_result(TF) is None
    assert client.delete_result(TF) is False


def test_only_the_stored_result_can_be_contested(client: DatabaseClient) -> None:
    client.set_result(TF, RESULT)
    with pytest.raises(UnknownResultError, match="does not have the irreproducible result"):
        client.contest(TF, OTHER)
    client.contest(TF, RESULT)
    assert client.get_result(TF) is None


def test_a_record_is_kept(client: DatabaseClient) -> None:
    assert client.get_record(TF) is None
    assert client.set_record(TF, RESULT, RECORD) is True
    assert client.get_record(TF) == RECORD
    assert client.set_record(TF, RESULT, RECORD) is True


def test_a_different_record_of_the_same_result_is_no_error(client: DatabaseClient) -> None:
    client.set_record(TF, RESULT, RECORD)
    assert client.set_record(TF, RESULT, {**RECORD, "wall_time_seconds": 0.7}) is False


def test_any_other_conflict_of_a_record_is_an_error_with_its_reason(
    client: DatabaseClient, database: FakeDatabase
) -> None:
    database.faults = [(409, {}, b"ERROR: " + OTHER_RESULT.encode())]
    with pytest.raises(ConflictError) as caught:
        client.set_record(TF, RESULT, RECORD)
    assert caught.value.reason == OTHER_RESULT


def test_a_record_of_something_else_is_refused_before_it_is_sent(
    client: DatabaseClient, database: FakeDatabase
) -> None:
    with pytest.raises(MalformedValueError, match="tf_checksum"):
        client.set_record(OTHER, RESULT, RECORD)
    with pytest.raises(MalformedValueError, match="JSON"):
        client.set_record(TF, RESULT, {**RECORD, "when": object()})
    assert database.requests == []


def test_what_the_database_calls_malformed_is_a_wrong_value(client: DatabaseClient) -> None:
    with pytest.raises(MalformedValueError, match="Malformed request"):
        client.set_buffer_info(TF, {"length": 1})


@pytest.mark.parametrize("body", [b"", b"abc", b"<html>", RESULT.hex()[:-1].encode()])
def test_an_answer_that_is_no_checksum_is_an_error(client: DatabaseClient, database: FakeDatabase, body: bytes) -> None:
    database.faults = [(200, {}, body)]
    with pytest.raises(RemoteError, match="a checksum was expected"):
        client.get_result(TF)


@pytest.mark.parametrize("body", [b"[]", b'[[200, "x"]]', b'[[200], [200, "x"]]', b'{"a": 1}'])
def test_a_malformed_answer_to_a_batch_is_an_error(client: DatabaseClient, database: FakeDatabase, body: bytes) -> None:
    database.faults = [(200, {}, body)]
    with pytest.raises(RemoteError, match="was expected"):
        client.get_results([TF, OTHER])


def test_a_missing_page_is_not_taken_for_an_unknown_result(client: DatabaseClient, database: FakeDatabase) -> None:
    database.faults = [(404, {}, b"<html>no such page</html>")]
    with pytest.raises(RemoteError, match="is there a database"):
        client.get_result(TF)


def test_validation_accepts_a_database_and_nothing_else(client: DatabaseClient, database: FakeDatabase) -> None:
    client.validate()
    database.faults = [(200, {}, b'["other", "thing", "1"]')]
    with pytest.raises(RemoteError, match="not a Seamless database"):
        client.validate()


def test_a_client_that_only_reads_does_not_write(database: FakeDatabase) -> None:
    client = DatabaseClient(database.url)
    for write in (
        lambda: client.set_result(TF, RESULT),
        lambda: client.delete_result(TF),
        lambda: client.set_record(TF, RESULT, RECORD),
        lambda: client.contest(TF, RESULT),
        lambda: client.set_buffer_info(TF, {}),
        lambda: client.set_expression(TF, [], "mixed", "plain", RESULT),
        lambda: client.set_semantic_to_syntactic(TF, "python", "transformer", []),
        lambda: client.set_bucket_probe("node", "x", TF, "now", {}),
    ):
        with pytest.raises(ReadOnlyClientError):
            write()
    assert database.requests == []


def test_writing_through_a_client_that_only_reads_is_also_an_attribute_error(database: FakeDatabase) -> None:
    with pytest.raises(AttributeError):
        DatabaseClient(database.url).set_result(TF, RESULT)
    with pytest.raises(StoreError):
        DatabaseClient(database.url).set_result(TF, RESULT)


def test_a_claim_excludes_the_other_threads_of_this_process(client: DatabaseClient) -> None:
    order: list[str] = []
    waiting = threading.Event()

    def other() -> None:
        waiting.set()
        with client.claim(TF):
            order.append("other")

    with client.claim(TF), client.claim(TF):
        thread = threading.Thread(target=other)
        thread.start()
        waiting.wait(5)
        order.append("first")
    thread.join(5)
    assert order == ["first", "other"]
