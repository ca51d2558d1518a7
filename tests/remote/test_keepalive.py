"""The thread that asks after services in use, so that they do not end for lack of requests."""

from __future__ import annotations

import threading

import pytest

from seamless.checksum import Checksum
from seamless.remote.database_client import DatabaseClient
from seamless.remote.keepalive import KeepAlive, keepalive
from tests.remote.servers import FakeDatabase

TF = Checksum.of(b"transformation")


def test_a_service_is_asked_after_from_the_first_use_on(database: FakeDatabase) -> None:
    client = DatabaseClient(database.url)
    keepalive.round()
    assert database.requests == []
    client.get_result(TF)
    keepalive.round()
    assert database.requests == [("GET", "/"), ("GET", "/healthcheck")]


def test_a_service_is_asked_after_again_and_again(database: FakeDatabase) -> None:
    asked = threading.Event()

    class Counting(DatabaseClient):
        rounds = 0

        def ping(self) -> None:
            self.rounds += 1
            if self.rounds == 3:
                asked.set()

    client = Counting(database.url)
    keeper = KeepAlive(interval=0.001)
    keeper.add(client)
    try:
        assert asked.wait(10)
    finally:
        keeper.stop()


def test_a_closed_client_is_asked_after_no_more(database: FakeDatabase) -> None:
    client = DatabaseClient(database.url)
    client.get_result(TF)
    client.close()
    keepalive.round()
    assert database.requests == [("GET", "/")]


@pytest.mark.parametrize("fault", [(500, {}, b"ill"), (0, {}, b"")])
def test_a_service_that_does_not_answer_is_left_to_whoever_needs_it(database: FakeDatabase, fault: tuple) -> None:
    client = DatabaseClient(database.url)
    client.get_result(TF)
    database.faults = [fault]
    keepalive.round()
    assert client.get_result(TF) is None


def test_a_client_that_nobody_holds_is_forgotten(database: FakeDatabase) -> None:
    client = DatabaseClient(database.url)
    client.get_result(TF)
    del client
    keepalive.round()
    assert database.requests == [("GET", "/")]
