"""Claims at a database server: one execution, whoever wants it at the same time, and what becomes of a holder."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from seamless.checksum import Checksum
from seamless.errors import StoreError
from seamless.remote import claims
from seamless.remote.database_client import DatabaseClient
from tests.remote.servers import FakeDatabase
from tests.remote.test_with_real_servers import Server, eventually, start

__all__ = ["start"]  # a fixture

TF, RESULT, OTHER = (Checksum.of(data) for data in (b"transformation", b"result", b"other"))


@pytest.fixture
def url(start: Callable[..., Server]) -> str:
    return start("database").url


def new_client(url: str) -> DatabaseClient:
    return DatabaseClient(url, readonly=False)


def everything(checksum: Checksum) -> bool:
    return True


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of the requests that all clients make, as text."""
    made: list[str] = []
    attempt = DatabaseClient._attempt

    def counted(self: DatabaseClient, pool: Any, method: str, target: str, use: Any, **more: Any) -> Any:
        if method == "PUT" or more.get("body"):
            made.append(f"{method} {more['body'].decode().split(chr(34))[3]}")
        return attempt(self, pool, method, target, use, **more)

    monkeypatch.setattr(DatabaseClient, "_attempt", counted)
    return made


class Waiter(threading.Thread):
    """Claims with a client of its own, as another process would."""

    def __init__(self, url: str, accepts: Callable[[Checksum], bool] = everything):
        super().__init__(daemon=True)
        self.client, self.accepts = new_client(url), accepts
        self.found: list[Checksum | None] = []
        self.start()

    def run(self) -> None:
        with self.client.claim_unless_known(TF, self.accepts) as result:
            self.found.append(result)


def somebody_waits(client: DatabaseClient) -> bool:
    from seamless.remote.calls import Call

    return bool(client.perform(Call("GET", "/status", lambda answer: answer.json()))["claims_awaited"])


# --- between clients ------------------------------------------------------------------------------


def test_a_claim_costs_one_request_and_its_result_ends_it(url: str, requests: list[str]) -> None:
    client = new_client(url)
    with client.claim_unless_known(TF, everything) as result:
        assert (result, requests) == (None, ["PUT claim"])
        client.set_result(TF, RESULT)
    assert "PUT release" not in requests and requests.count("PUT claim") == 1


def test_a_known_result_costs_one_request_and_nothing_is_claimed(url: str, requests: list[str]) -> None:
    client = new_client(url)
    client.set_result(TF, RESULT)
    requests.clear()
    with client.claim_unless_known(TF, everything) as result:
        assert result == RESULT
    assert requests == ["PUT claim"]


def test_one_who_waits_gets_the_result(url: str) -> None:
    client = new_client(url)
    with client.claim_unless_known(TF, everything):
        waiter = Waiter(url)
        eventually(lambda: somebody_waits(client))
        client.set_result(TF, RESULT)
        waiter.join(20)
    assert waiter.found == [RESULT]


def test_after_a_failed_execution_one_who_waits_has_the_claim(url: str) -> None:
    client = new_client(url)
    with pytest.raises(ZeroDivisionError), client.claim_unless_known(TF, everything):
        waiter = Waiter(url)
        eventually(lambda: somebody_waits(client))
        raise ZeroDivisionError
    waiter.join(20)
    assert waiter.found == [None]


def test_a_result_that_is_not_accepted_is_computed_by_one_at_a_time(url: str) -> None:
    client = new_client(url)
    client.set_result(TF, RESULT)
    lost = [RESULT]
    with client.claim_unless_known(TF, lambda result: result not in lost) as result:
        assert result is None
        waiter = Waiter(url, lambda result: result not in lost)
        eventually(lambda: somebody_waits(client))
        lost.clear()
        client.set_result(TF, RESULT)
        waiter.join(20)
    assert waiter.found == [RESULT]


def test_the_thread_that_holds_a_claim_may_claim_it_again(url: str, requests: list[str]) -> None:
    client = new_client(url)
    with client.claim(TF), client.claim(TF), client.claim_unless_known(TF, everything) as result:
        assert result is None
    assert requests == ["PUT claim", "PUT release"]


def test_threads_of_one_client_exclude_one_another(url: str) -> None:
    client, entered = new_client(url), threading.Event()

    def other() -> None:
        with client.claim(TF):
            entered.set()

    with client.claim(TF):
        thread = threading.Thread(target=other)
        thread.start()
        assert not entered.wait(0.05)
    thread.join(20)
    assert entered.is_set()


def test_a_claim_that_is_held_for_long_is_prolonged(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "LEASE", 0.3)
    client, prolonged = new_client(url), []
    renew = claims.RemoteClaims.renew

    def counted(self: claims.RemoteClaims) -> bool:
        prolonged.append(time.monotonic())
        return renew(self)

    monkeypatch.setattr(claims.RemoteClaims, "renew", counted)
    with client.claim(TF):
        waiter = Waiter(url)
        eventually(lambda: len(prolonged) > 6)
        assert waiter.found == []
        client.set_result(TF, RESULT)
        waiter.join(20)
    assert waiter.found == [RESULT]
    held = client._claims
    assert held is not None
    eventually(lambda: held._renewer is None)


def test_those_who_wait_do_not_keep_others_from_asking(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAMLESS_DATABASE_MAX_INFLIGHT", "1")
    holder, client = new_client(url), new_client(url)
    with holder.claim(TF):
        thread = threading.Thread(target=lambda: client.claim(TF).__enter__())
        thread.start()
        eventually(lambda: somebody_waits(holder))
        assert client.get_result(OTHER) is None
    thread.join(20)


def test_a_process_that_is_about_to_end_gives_everything_back(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "LEASE", 300.0)
    client = new_client(url)
    with client.claim(TF):
        other = Waiter(url)
        eventually(lambda: somebody_waits(client))
        claims.give_all_back(60)
        other.join(60)
        assert other.found == [None]


def test_a_forked_child_does_not_give_back_the_claim_of_its_parent(url: str) -> None:
    client = new_client(url)
    with client.claim(TF):
        held = client._claims
        assert held is not None
        pid = os.fork()
        if pid == 0:
            try:
                held._release(client, TF)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        standing = new_client(url).perform(claims.calls.claim(TF, {"id": "another"}, seconds=1.0))
    assert standing == (False, None)


# --- servers without claims, and without answers ----------------------------------------------------


def test_where_the_server_has_no_claims_it_is_asked_for_the_result(database: FakeDatabase) -> None:
    client = new_client(database.url)
    with client.claim_unless_known(TF, everything) as result:
        assert result is None
        client.set_result(TF, RESULT)
    with client.claim_unless_known(TF, everything) as result:
        assert result == RESULT
    with client.claim_unless_known(TF, lambda result: False) as result:
        assert result is None
    assert [request["type"] for request in database.asked].count("claim") == 1


def test_a_claim_that_cannot_be_given_back_is_left_to_its_end(database: FakeDatabase) -> None:
    database.faults = [(200, {}, b'{"claimed": true, "result": null, "holder": null}'), (500, {}, b"broken")]
    with new_client(database.url).claim(TF):
        assert len(database.requests) == 1
    assert len(database.requests) == 2


@pytest.mark.parametrize("body", [b"[]", b'{"claimed": true, "result": "zz"}', b"nothing"], ids=str)
def test_an_answer_that_is_none_is_reported(database: FakeDatabase, body: bytes) -> None:
    database.faults = [(200, {}, body)]
    with pytest.raises(StoreError, match="is there a database at this address"), new_client(database.url).claim(TF):
        pytest.fail("nothing was claimed")


# --- between processes ------------------------------------------------------------------------------

PROGRAM = """
import os, sys, time
from seamless.remote import buffer_remote, claims, database_remote
from seamless.session import session
from seamless.transformer import direct

claims.LEASE = 0.5
database, buffers, directory = sys.argv[1:]
database_remote.define_extern_client("d", "database", url=database, readonly=False)
buffer_remote.define_extern_client("b", "hashserver", url=buffers, readonly=False)
database_remote.activate(no_main=True, extern_clients=["d"])
buffer_remote.activate(no_main=True, extern_clients=["b"])

@direct
def step(a, directory):
    import os, time
    with open(directory + "/ran", "a") as f:
        f.write(str(os.getpid()) + "\\n")
    while not os.path.exists(directory + "/go"):
        time.sleep(0.005)
    return a * 2

print(step(21, directory))
"""


@pytest.fixture
def run(tmp_path: Path, start: Callable[..., Server]) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Return run(): start a process that wants the step, which goes on when there is the file `go`."""
    urls = [start("database").url, start("hashserver").url]
    script = tmp_path / "script.py"
    script.write_text(PROGRAM)
    processes: list[subprocess.Popen[str]] = []

    def started() -> subprocess.Popen[str]:
        command = [sys.executable, str(script), *urls, str(tmp_path)]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    yield started
    for process in processes:
        process.kill()
        process.communicate()


def executions(tmp_path: Path) -> list[str]:
    path = tmp_path / "ran"
    return path.read_text().split() if path.exists() else []


def finished(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    return out


def test_processes_that_want_the_same_step_at_once_execute_it_once(
    run: Callable[[], subprocess.Popen[str]], tmp_path: Path, start: Callable[..., Server]
) -> None:
    processes = [run() for _ in range(3)]
    eventually(lambda: executions(tmp_path))
    (tmp_path / "go").touch()
    assert [finished(process) for process in processes] == ["42\n"] * 3
    assert len(executions(tmp_path)) == 1


def test_when_the_one_that_executes_is_killed_another_takes_over(
    run: Callable[[], subprocess.Popen[str]], tmp_path: Path
) -> None:
    first = run()
    eventually(lambda: executions(tmp_path))
    second = run()
    first.kill()
    assert eventually(lambda: executions(tmp_path)[1:]) == [str(second.pid)]
    (tmp_path / "go").touch()
    assert finished(second) == "42\n"
