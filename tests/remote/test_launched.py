"""Clients of launched services: the launcher is asked at the first need, and again when the service has gone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from seamless.checksum import Checksum
from seamless.launcher import LauncherError
from seamless.remote import launching
from seamless.remote.errors import RemoteError, RemoteUsageError, UnauthorizedError
from seamless.remote.launched import BufferLaunchedClient, DatabaseLaunchedClient
from seamless.remote.wiring import wiring
from tests.remote.servers import FakeDatabase, FakeHashserver

TF, RESULT = Checksum.of(b"transformation"), Checksum.of(b"result")
KEY = (False, "mycluster", "myproject", "", "")


class Launcher:
    """Stands for the launcher: has one service run, on a new port each time it has ended."""

    def __init__(self, make: Callable[[], Any]):
        self.make, self.service, self.calls = make, None, 0
        self.trusted = 0
        self.asked: list[str] = []
        self.token: str | None = None
        self.failure: LauncherError | None = None
        self.more: dict[str, Any] = {}

    def connect(self, config: dict[str, Any]) -> dict[str, Any]:
        self.trusted += 1
        return self.run(config)

    def run(self, config: dict[str, Any], *, reconnect: bool = False, on_mismatch: str = "warn") -> dict[str, Any]:
        self.calls += 1
        self.asked.append(on_mismatch)
        if self.failure is not None:
            raise self.failure
        if self.service is None:
            self.service = self.make()
            self.service.token = self.token
        payload = {"hostname": "127.0.0.1", "port": self.service.port, **self.more}
        return {**payload, "token": self.token} if self.token else payload

    def stop(self) -> None:
        if self.service is not None:
            self.service.stop()
        self.service = None


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Launcher]:
    launcher = Launcher(FakeDatabase)
    monkeypatch.setattr("seamless.launcher.run", launcher.run)
    monkeypatch.setattr("seamless.launcher.connect", launcher.connect)
    monkeypatch.setattr(launching, "_PAUSE", 0.0)
    launching.launches.forget()
    yield launcher
    launching.launches.forget()
    launcher.stop()


def launched(**more: Any) -> DatabaseLaunchedClient:
    return DatabaseLaunchedClient(*KEY, launch_dict={"key": "database-mycluster", "workdir": "/data", **more})


def test_nothing_is_launched_before_it_is_needed(launcher: Launcher) -> None:
    client = launched()
    assert (client.name, client.url, client.writable, launcher.calls) == ("database-mycluster", None, True, 0)
    assert client.get_result(TF) is None
    assert (client.url, launcher.calls, launcher.trusted) == (launcher.service.url, 1, 1)


def test_the_launcher_is_asked_once_for_all_clients_of_a_service(launcher: Launcher) -> None:
    clients = [launched() for _ in range(3)]
    threads = [threading.Thread(target=client.get_result, args=(TF,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert launcher.calls == 1


def test_a_service_that_has_ended_is_launched_again(launcher: Launcher) -> None:
    client = launched()
    client.get_result(TF)
    first = client.url
    launcher.stop()
    assert client.set_result(TF, RESULT) is True
    assert client.url != first and launcher.calls == 2


def test_all_clients_of_a_service_that_has_ended_find_the_new_one(launcher: Launcher) -> None:
    clients = [launched() for _ in range(3)]
    for client in clients:
        client.get_result(TF)
    launcher.stop()
    for client in clients:
        client.get_result(TF)
    assert launcher.calls == 2
    assert {client.url for client in clients} == {launcher.service.url}


def test_the_token_comes_from_the_launcher(launcher: Launcher) -> None:
    launcher.token = "first"
    assert launched().get_result(TF) is None


def test_a_service_that_was_restarted_with_another_token_is_found_again(launcher: Launcher) -> None:
    launcher.token = "first"
    client = launched()
    client.get_result(TF)
    launcher.token = launcher.service.token = "second"
    assert client.get_result(TF) is None
    assert client.token == "second"


def test_a_token_that_the_service_does_not_accept_is_an_error(launcher: Launcher) -> None:
    launcher.token = "first"
    client = launched()
    client.get_result(TF)
    launcher.service.token = "unknown to the launcher"
    with pytest.raises(UnauthorizedError, match="launch it again"):
        client.get_result(TF)


def test_the_launcher_is_told_what_to_do_about_other_settings(
    launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched().get_result(TF)
    for word, asked in [("", None), ("restart", None), ("error", "restart")]:
        monkeypatch.setenv("SEAMLESS_ON_MISMATCH", word)
        monkeypatch.setattr(wiring, "on_mismatch", asked)
        launching.launches.forget()
        launched().get_result(TF)
    assert launcher.asked == ["warn", "warn", "restart", "restart"]


def test_an_unknown_word_for_what_to_do_is_an_error(launcher: Launcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAMLESS_ON_MISMATCH", "ignore")
    with pytest.raises(
        RemoteUsageError, match="SEAMLESS_ON_MISMATCH is 'ignore'; expected one of warn, restart, error"
    ):
        launched().get_result(TF)


def answers_as(launch_id: str) -> tuple[int, dict[str, str], bytes]:
    return 200, {"X-Seamless-Launch-Id": launch_id}, RESULT.hex().encode()


def test_a_service_that_is_not_the_one_that_was_launched_is_not_believed(launcher: Launcher) -> None:
    launcher.more = {"launch_id": "mine"}
    client = launched()
    client.get_result(TF)
    client.restart()
    launcher.service.faults = [answers_as("another's")]
    assert client.get_result(TF) is None
    assert launcher.calls == 2


def test_a_service_that_is_always_another_one_is_an_error(launcher: Launcher) -> None:
    launcher.more = {"launch_id": "mine"}
    client = launched()
    client.retry_seconds = 0.0
    client.located()
    launcher.service.faults = [answers_as("another's")] * 100
    with pytest.raises(RemoteError, match="another service than the one that was launched answers there"):
        client.get_result(TF)


def test_a_service_that_was_launched_again_is_known_by_its_new_launch(launcher: Launcher) -> None:
    launcher.more = {"launch_id": "first"}
    client = launched()
    client.get_result(TF)
    client.restart()
    launcher.more = {"launch_id": "second"}
    launcher.service.faults = [answers_as("second")] * 2
    assert client.get_result(TF) == RESULT


def test_a_service_that_cannot_be_launched_is_an_error_with_the_reason(launcher: Launcher) -> None:
    launcher.failure = LauncherError("no conda environment 'x'", hint="create it")
    with pytest.raises(RemoteError, match="the database database-mycluster cannot be launched: no conda") as caught:
        launched().get_result(TF)
    assert "create it" in str(caught.value)


def test_a_launch_that_has_failed_is_tried_again_later(launcher: Launcher) -> None:
    launcher.failure = LauncherError("the disk is full")
    client = launched()
    with pytest.raises(RemoteError):
        client.get_result(TF)
    launcher.failure = None
    assert client.get_result(TF) is None


def test_a_launch_that_has_just_failed_is_not_repeated(launcher: Launcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "_PAUSE", 60.0)
    launcher.failure = LauncherError("the disk is full")
    for _ in range(3):
        with pytest.raises(RemoteError, match="the disk is full"):
            launched().get_result(TF)
    assert launcher.calls == 1


def test_nothing_is_launched_where_that_is_forbidden(launcher: Launcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAMLESS_NO_LAUNCH", "1")
    with pytest.raises(RemoteError, match="SEAMLESS_NO_LAUNCH"):
        launched().get_result(TF)
    assert launcher.calls == 0


def test_only_so_many_services_are_remembered(launcher: Launcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "_LIMIT", 2)
    for i in (1, 2, 3, 3, 2):
        launched(number=i).get_result(TF)
    assert launcher.calls == 3
    launched(number=1).get_result(TF)
    assert launcher.calls == 4


@pytest.mark.parametrize("payload", [{"hostname": None}, {"port": None}])
def test_an_answer_of_the_launcher_without_host_or_port_is_an_error(launcher: Launcher, payload: dict) -> None:
    launcher.more = payload
    with pytest.raises(RemoteError, match="which port"):
        launched().get_result(TF)


def test_an_ipv6_address_gets_brackets() -> None:
    assert launching.address_of({"hostname": "::1", "port": 5}).url == "http://[::1]:5"


# --- entries for other processes --------------------------------------------------------------------


def test_the_entry_of_a_local_service_has_its_directory(launcher: Launcher) -> None:
    launcher.make = FakeHashserver
    client = BufferLaunchedClient(*KEY, launch_dict={"key": "h", "workdir": "/data"})
    url = f"http://127.0.0.1:{launcher.run({})['port']}"
    assert client.describe() == {
        "readonly": False, "url": url, "remote_url": url, "directory": "/data", "remote_directory": "/data",
    }  # fmt: skip


def test_the_entry_of_a_tunnelled_service_has_two_urls(launcher: Launcher) -> None:
    launcher.token = "tok"
    launcher.more = {"tunneled-port": 60200, "tunneled-host": "login"}
    client = BufferLaunchedClient(True, *KEY[1:], launch_dict={"key": "h", "workdir": "/data", "hostname": "login.hpc"})
    entry = client.describe()
    assert entry == {"readonly": True, "url": client.url, "remote_url": "http://login.hpc:60200", "token": "tok"}
    assert client.folder() is None


def test_the_directory_of_a_local_hashserver_is_read_directly(launcher: Launcher) -> None:
    client = BufferLaunchedClient(*KEY, launch_dict={"key": "h", "workdir": "/data/x"})
    folder = client.folder()
    assert folder is not None and folder.directory == "/data/x" and launcher.calls == 0


# --- what the configuration hands down --------------------------------------------------------------


@pytest.fixture
def connected() -> Iterator[list[Any]]:
    asked: list[Any] = []

    def configure(service: str) -> Callable[..., dict[str, Any]]:
        def launch_dict(mode: str, **keys: Any) -> dict[str, Any]:
            asked.append((service, mode, keys))
            return {"key": f"{service}-{mode}", "workdir": "/data"}

        return launch_dict

    wiring.connect(
        hashserver=configure("hashserver"),
        database=configure("database"),
        current=lambda: ("mycluster", "myproject", None, "prod", "gpu"),
    )
    yield asked
    wiring.disconnect()


def test_the_launch_dict_is_asked_of_the_configuration_once(connected: list[Any]) -> None:
    client = BufferLaunchedClient(True, "c", "p", None, "s")
    assert [client.config()["key"], client.config()["key"]] == ["hashserver-ro"] * 2
    keys = {"cluster": "c", "project": "p", "subproject": "", "stage": "s"}
    assert connected == [("hashserver", "ro", keys)]


def test_the_selection_is_that_of_the_configuration(connected: list[Any]) -> None:
    assert wiring.selection() == ("mycluster", "myproject", "", "prod")


def test_without_a_configuration_nothing_can_be_launched() -> None:
    with pytest.raises(RemoteUsageError, match=r"seamless\.config\.init"):
        DatabaseLaunchedClient(*KEY).get_result(TF)
    with pytest.raises(RemoteUsageError, match="no_main=True"):
        wiring.selection()
