"""The clients with the servers themselves, as processes: hits across processes, restarts, crashes, tokens."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import seamless.launcher
from seamless.checksum import Checksum
from seamless.errors import BufferCorruptionError, StoreError
from seamless.remote.buffer_client import HashserverClient
from seamless.remote.database_client import DatabaseClient
from seamless.remote.errors import RemoteError, TransportError, UnauthorizedError
from seamless.remote.launched import BufferLaunchedClient, DatabaseLaunchedClient
from seamless.stores.errors import ConflictError

DEADLINE = 30.0
TEXT = b"some text\n"
NAME, TF, OTHER = Checksum.of(TEXT), Checksum.of(b"transformation"), Checksum.of(b"other")


def eventually(condition: Callable[[], Any]) -> Any:
    """Return what `condition` returns as soon as that is true; fail if it never is."""
    deadline = time.monotonic() + DEADLINE
    while not (value := condition()):
        assert time.monotonic() < deadline, "this did not happen in time"
        time.sleep(0.005)
    return value


class Server:
    """A server process. `url` once it listens; `token` if it has a status file."""

    def __init__(self, service: str, arguments: list[str], directory: Path, port: int = 0, *, status: bool = False):
        self.log = directory / f"{service}.log"
        self.status_file = directory / f"{service}.json"
        arguments = [*arguments, "--host", "127.0.0.1", "--port", str(port)]
        if status:
            self.status_file.write_text("{}")
            arguments += ["--status-file", str(self.status_file)]
        with open(self.log, "wb") as log:
            command = [sys.executable, "-m", f"seamless.cli.{service}", *arguments]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @property
    def port(self) -> int:
        def listening() -> re.Match[str] | None:
            assert self.process.poll() is None, self.log.read_text()
            return re.search(r"listening on http://[^:]*:(\d+)", self.log.read_text())

        return int(eventually(listening)[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        token = eventually(lambda: json.loads(self.status_file.read_text()).get("token"))
        assert isinstance(token, str)
        return token

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(DEADLINE)

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait(DEADLINE) == 0


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Return start(service, port=0, status=False): run a writable hashserver or database on tmp_path."""
    servers: list[Server] = []

    def run(service: str, port: int = 0, *, status: bool = False) -> Server:
        (tmp_path / "buffers").mkdir(exist_ok=True)
        where = tmp_path / ("buffers" if service == "hashserver" else "seamless.db")
        servers.append(Server(service, [str(where), "--writable"], tmp_path, port, status=status))
        return servers[-1]

    yield run
    for server in servers:
        server.kill()


def test_buffers_of_any_size_and_kind_go_and_come(start: Callable[..., Server], tmp_path: Path) -> None:
    client = HashserverClient(start("hashserver").url, readonly=False)
    client.validate()
    contents = [b"", TEXT, os.urandom(3 << 20), b"the same again\n" * 200_000, *(b"%d" % i for i in range(100))]
    checksums = [Checksum.of(data) for data in contents]
    client.put(zip(checksums, contents, strict=True))
    client.put(zip(checksums, contents, strict=True))
    assert [client.get(checksum) for checksum in checksums] == contents
    assert client.lengths([*checksums, OTHER]) == [*map(len, contents), None]
    assert client.has([*checksums, OTHER]) == [True] * len(checksums) + [False]
    assert (client.get(OTHER), client.open(OTHER), client.copy_to(OTHER, tmp_path / "x")) == (None, None, False)
    with pytest.raises(BufferCorruptionError, match=OTHER.hex()):
        client.put([(NAME, b"other"), (OTHER, TEXT)])


def test_a_buffer_that_was_sent_compressed_comes_back_in_every_way(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    client = HashserverClient(start("hashserver").url, readonly=False, compress=True)
    data = b"the same again\n" * 200_000
    checksum = Checksum.of(data)
    client.put([(checksum, data)])
    assert [path.suffix for path in (tmp_path / "buffers").rglob(checksum.hex() + ".zst")] == [".zst"]
    assert client.get(checksum) == data
    assert client.length(checksum) == len(data)
    assert client.copy_to(checksum, tmp_path / "copy") and (tmp_path / "copy").read_bytes() == data


def test_a_reader_waits_for_a_buffer_that_is_promised(start: Callable[..., Server]) -> None:
    client = HashserverClient(start("hashserver").url, readonly=False)
    assert client.promise(NAME) is True
    assert (client.has([NAME]), client.length(NAME)) == ([False], None)
    found: list[bytes | None] = []
    reader = threading.Thread(target=lambda: found.append(client.get(NAME)))
    reader.start()
    client.put([(NAME, TEXT)])
    reader.join(DEADLINE)
    assert found == [TEXT]


def test_a_buffer_that_was_damaged_on_the_disk_is_reported_and_can_be_stored_again(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    client = HashserverClient(start("hashserver").url, readonly=False)
    client.put([(NAME, TEXT)])
    path = tmp_path / "buffers" / NAME.hex()[:2] / NAME.hex()
    path.chmod(0o600)
    path.write_bytes(b"same text\n")
    with pytest.raises(BufferCorruptionError):
        client.get(NAME)
    client.put([(NAME, TEXT)])
    assert client.get(NAME) == TEXT


def test_results_and_records_are_kept(start: Callable[..., Server]) -> None:
    client = DatabaseClient(start("database").url, readonly=False)
    client.validate()
    record = {"schema_version": 1, "tf_checksum": TF.hex(), "result_checksum": NAME.hex()}
    assert (client.get_result(TF), client.get_record(TF), client.get_transformations(NAME)) == (None, None, [])
    assert client.set_result(TF, NAME) is True
    assert client.set_result(TF, OTHER) is False
    assert client.get_results([TF, OTHER]) == [NAME, None]
    assert client.get_transformations(NAME) == [TF]
    assert client.set_record(TF, NAME, record) is True
    assert client.set_record(TF, NAME, {**record, "wall_time_seconds": 1.0}) is False
    with pytest.raises(ConflictError, match="does not match"):
        client.set_record(TF, OTHER, {**record, "result_checksum": OTHER.hex()})
    assert client.get_record(TF) == record
    client.contest(TF, NAME)
    assert client.get_irreproducible(TF) == [{"checksum": TF.hex(), "result": NAME.hex(), "metadata": record}]
    assert (client.get_result(TF), client.delete_result(TF)) == (None, False)


def test_a_result_that_was_deleted_can_be_kept_again_with_another_record(start: Callable[..., Server]) -> None:
    client = DatabaseClient(start("database").url, readonly=False)
    for result in (NAME, OTHER):
        record = {"schema_version": 1, "tf_checksum": TF.hex(), "result_checksum": result.hex()}
        assert client.set_result(TF, result) is True
        assert client.set_record(TF, result, record) is True
        assert client.delete_result(TF) is True
    assert client.delete_result(TF) is False
    assert (client.get_result(TF), client.get_record(TF), client.get_irreproducible(TF)) == (None, None, [])


def test_lesser_facts_are_kept(start: Callable[..., Server]) -> None:
    client = DatabaseClient(start("database").url, readonly=False)
    client.set_buffer_info(NAME, {"length": 10})
    client.set_buffer_info(NAME, {"is_utf8": True})
    assert client.get_buffer_info(NAME) == {"length": 10, "is_utf8": True}
    client.set_expression(NAME, ["x", 1], "mixed", "plain", OTHER)
    assert client.get_expression(NAME, ["x", 1], "mixed", "plain") == OTHER
    assert client.get_expression(NAME, ["y"], "mixed", "plain") is None
    assert [found["checksum"] for found in client.get_rev_expressions(OTHER)] == [NAME.hex()]
    client.set_semantic_to_syntactic(NAME, "python", "transformer", [OTHER, TF])
    assert client.get_semantic_to_syntactic(NAME, "python", "transformer") == [OTHER, TF]
    assert client.get_syntactic_to_semantic(TF, "python", "transformer") == [NAME]
    client.set_bucket_probe("node", "n1", NAME, "2026-01-01T00:00:00Z", {"a": 1})
    probe = client.get_bucket_probe("node", "n1")
    assert probe is not None and probe["bucket_checksum"] == NAME.hex()
    assert client.get_bucket_probe("node", "n2") is None


STEP = """
import sys
from seamless.remote.forwarding import activate_forwarded
activate_forwarded({
    "database": [{"url": sys.argv[1], "readonly": False}], "buffer": [{"url": sys.argv[2], "readonly": False}],
})
from seamless.transformer import direct

@direct
def step(a, path):
    with open(path, "a") as f:
        f.write("ran\\n")
    return a * 2

print(step(21, sys.argv[3]))
import seamless
seamless.close(strict=True)
"""


def run_step(*arguments: str) -> str:
    """Run the step in a process of its own; returns what it prints."""
    script = Path(arguments[-1]).with_name("script.py")
    script.write_text(STEP)
    command = [sys.executable, str(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


def test_a_second_process_gets_the_result_of_the_first(start: Callable[..., Server], tmp_path: Path) -> None:
    hashserver, database = start("hashserver"), start("database")
    counter = tmp_path / "counter"
    arguments = (database.url, hashserver.url, str(counter))
    assert [run_step(*arguments), run_step(*arguments)] == ["42", "42"]
    assert counter.read_text() == "ran\n"
    ports = (database.port, hashserver.port)
    database.stop()
    hashserver.stop()
    _ = start("database", ports[0]).port, start("hashserver", ports[1]).port
    assert run_step(*arguments) == "42"
    assert counter.read_text() == "ran\n"


SECONDS_AWAY = 20.0


@pytest.mark.parametrize("how", ["silent", "killed"])
def test_a_step_and_its_result_survive_servers_that_are_away_for_twenty_seconds(
    start: Callable[..., Server], tmp_path: Path, how: str
) -> None:
    servers = {"hashserver": start("hashserver"), "database": start("database")}
    ports = {service: server.port for service, server in servers.items()}
    counter, go, script = tmp_path / "counter", tmp_path / "go", tmp_path / "script.py"
    waits = f"    import os, time\n    while not os.path.exists({str(go)!r}):\n        time.sleep(0.01)\n    return a"
    script.write_text(STEP.replace("    return a", waits))
    words = [sys.executable, str(script), servers["database"].url, servers["hashserver"].url, str(counter)]
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        eventually(counter.exists)
        for server in servers.values():
            server.process.send_signal(signal.SIGSTOP if how == "silent" else signal.SIGKILL)
        go.touch()
        time.sleep(SECONDS_AWAY)
        for service, server in servers.items():
            if how == "silent":
                server.process.send_signal(signal.SIGCONT)
            else:
                server.process.wait(DEADLINE)
                start(service, ports[service])
        out, err = running.communicate(timeout=2 * DEADLINE)
    finally:
        running.kill()
        running.communicate()
    assert (out, running.returncode) == ("42\n", 0), err
    assert counter.read_text() == "ran\n"


def test_a_server_that_is_restarted_between_calls_is_used_again(start: Callable[..., Server]) -> None:
    server = start("database")
    client = DatabaseClient(server.url, readonly=False)
    client.retry_seconds = DEADLINE
    client.set_result(TF, NAME)
    port = server.port
    server.stop()
    start("database", port)
    assert client.get_result(TF) == NAME


def test_a_server_that_is_killed_during_an_upload_has_all_of_it_or_nothing(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    server = start("hashserver")
    client = HashserverClient(server.url, readonly=False)
    client.retry_seconds = DEADLINE
    data = os.urandom(1 << 20) * 150
    checksum = Checksum.of(data)
    failures: list[BaseException] = []

    def upload() -> None:
        try:
            client.put([(checksum, data)])
        except BaseException as exc:  # noqa: BLE001  the main loop of a thread; asserted on below
            failures.append(exc)

    port = server.port
    thread = threading.Thread(target=upload)
    thread.start()
    eventually(lambda: [p for p in (tmp_path / "buffers").rglob("*-????????") if p.stat().st_size])
    server.kill()
    assert not list((tmp_path / "buffers").rglob(checksum.hex()))
    start("hashserver", port)
    thread.join(DEADLINE)
    assert failures == []
    assert client.get(checksum) == data


def test_a_server_that_has_gone_is_named_with_what_to_do(start: Callable[..., Server]) -> None:
    server = start("database")
    client = DatabaseClient(server.url)
    client.get_result(TF)
    server.kill()
    client.retry_seconds = 0.2
    with pytest.raises(TransportError, match=f"the database {server_url(client)} cannot be used: .*check that it runs"):
        client.get_result(TF)


def server_url(client: DatabaseClient) -> str:
    assert client.url is not None
    return re.escape(client.url)


@pytest.mark.parametrize("service", ["hashserver", "database"])
def test_only_the_right_token_opens_a_server(start: Callable[..., Server], service: str) -> None:
    server = start(service, status=True)
    kind = HashserverClient if service == "hashserver" else DatabaseClient
    use = "get" if service == "hashserver" else "get_result"
    assert getattr(kind(server.url, token=server.token), use)(NAME) is None
    for token in ("wrong", None):
        client = kind(server.url, token=token)
        client.healthcheck()
        with pytest.raises(UnauthorizedError, match=f"the {service} {server.url}"):
            getattr(client, use)(NAME)


def test_a_server_that_only_reads_says_so(tmp_path: Path) -> None:
    (tmp_path / "buffers").mkdir()
    server = Server("hashserver", [str(tmp_path / "buffers")], tmp_path)
    try:
        client = HashserverClient(server.url, readonly=False)
        assert client.promise(NAME) is False
        with pytest.raises(StoreError, match="--writable"):
            client.put([(NAME, TEXT)])
    finally:
        server.kill()


# --- launched -------------------------------------------------------------------------------------


@pytest.fixture
def launch_dicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, dict[str, Any]]]:
    """Launch dicts of both services on tmp_path; what was launched is stopped at the end."""
    monkeypatch.setenv("REMOTE_HTTP_LAUNCHER_DIR", str(tmp_path / "launcher"))
    (tmp_path / "data").mkdir()
    data = str(tmp_path / "data")
    common = {"workdir": data, "handshake": "healthcheck", "log_level": "minimal"}
    options = "--writable --timeout 600 --status-file {status_file}"
    dicts: dict[str, dict[str, Any]] = {
        "hashserver": {
            "key": "hashserver-test",
            "command": f"{sys.executable} -m seamless.cli.hashserver {data} {options}", **common,
        },
        "database": {
            "key": "database-test",
            "command": f"{sys.executable} -m seamless.cli.database {data}/seamless.db {options}", **common,
        },
    }  # fmt: skip
    yield dicts
    for config in dicts.values():
        seamless.launcher.stop(config)


def launched_pid(tmp_path: Path, key: str) -> int:
    return int(json.loads((tmp_path / "launcher" / "server" / f"{key}.json").read_text())["pid"])


def test_launched_services_are_launched_at_need_and_again_after_they_were_killed(
    launch_dicts: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    key = (False, "c", "p")
    buffers = BufferLaunchedClient(*key, launch_dict=launch_dicts["hashserver"])
    results = DatabaseLaunchedClient(*key, launch_dict=launch_dicts["database"])
    assert results.set_result(TF, NAME) is True
    buffers.put([(NAME, TEXT)])
    assert buffers.get(NAME) == TEXT and buffers.token and results.token
    folder = buffers.folder()
    assert folder is not None and folder.get(NAME) == TEXT
    assert buffers.describe()["token"] == buffers.token
    for name in ("hashserver-test", "database-test"):
        os.kill(launched_pid(tmp_path, name), signal.SIGKILL)
    assert buffers.get(NAME) == TEXT
    assert results.get_result(TF) == NAME


def test_a_service_with_other_settings_is_restarted_where_that_is_asked_for(
    launch_dicts: dict[str, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def client(fingerprint: str, mode: str) -> DatabaseLaunchedClient:
        monkeypatch.setenv("SEAMLESS_ON_MISMATCH", mode)
        config = {**launch_dicts["database"], "meta": {"service": "database", "fingerprint": fingerprint}}
        return DatabaseLaunchedClient(False, "c", "p", launch_dict=config)

    assert client("a", "warn").set_result(TF, NAME) is True
    first = launched_pid(tmp_path, "database-test")
    with pytest.raises(RemoteError, match="other settings than configured"):
        client("b", "error").get_result(TF)
    assert launched_pid(tmp_path, "database-test") == first
    assert client("c", "restart").get_result(TF) == NAME
    assert launched_pid(tmp_path, "database-test") != first
