"""Which clients are active: as stores of the session, and through the functions of the two modules."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from seamless.buffer import Buffer
from seamless.checksum import Checksum
from seamless.errors import BufferCorruptionError, StoreError
from seamless.remote import buffer_remote, database_remote
from seamless.remote.active import active
from seamless.remote.errors import ReadOnlyClientError, RemoteUsageError, UnauthorizedError
from seamless.remote.wiring import wiring
from seamless.session import session
from seamless.stores.directory import BufferDirectory
from seamless.stores.errors import UnknownResultError
from tests.remote.servers import FakeDatabase, FakeHashserver

TEXT = b"some text\n"
NAME, TF, OTHER = Checksum.of(TEXT), Checksum.of(b"transformation"), Checksum.of(b"other")
RECORD = {"schema_version": 1, "tf_checksum": TF.hex(), "result_checksum": NAME.hex()}
MODULES = [buffer_remote, database_remote]


@pytest.fixture(autouse=True)
def no_definitions() -> Iterator[None]:
    """Leave no definition and no wiring behind."""
    yield
    for module in MODULES:
        module.registry.clear()
    wiring.disconnect()


def connect(workdir: Path, hostname: str | None = None) -> None:
    """Stand for the configuration, with one cluster."""

    def configure(mode: str, **keys: str) -> dict[str, object]:
        host = {"hostname": hostname} if hostname else {}
        return {"key": f"{mode}-{keys['cluster']}", "workdir": str(workdir), **host}

    wiring.connect(hashserver=configure, database=configure, current=lambda: ("c", "p", "", "", ""))


def use(hashserver: FakeHashserver, database: FakeDatabase | None = None, *, readonly: bool = False) -> None:
    """Activate clients of these services."""
    buffer_remote.define_extern_client("h", "hashserver", url=hashserver.url, readonly=readonly)
    buffer_remote.activate(extern_clients=["h"], no_main=True)
    if database is not None:
        database_remote.define_extern_client("d", "database", url=database.url, readonly=readonly)
        database_remote.activate(extern_clients=["d"], no_main=True)


# --- the session ----------------------------------------------------------------------------------


def test_the_active_clients_are_the_stores_of_the_session(hashserver: FakeHashserver, database: FakeDatabase) -> None:
    use(hashserver, database)
    assert [store.name for store in session.buffer_stores] == [hashserver.url]
    assert [store.name for store in session.result_stores] == [database.url]
    assert session.writable_buffer_stores() and session.writable_result_stores()


def test_deactivating_one_kind_leaves_the_other(hashserver: FakeHashserver, database: FakeDatabase) -> None:
    use(hashserver, database)
    buffer_remote.deactivate()
    assert (session.buffer_stores, len(session.result_stores)) == ((), 1)


def test_folders_are_read_before_servers(hashserver: FakeHashserver, tmp_path: Path) -> None:
    buffer_remote.define_extern_client("h", "hashserver", url=hashserver.url)
    buffer_remote.define_extern_client("f", "bufferfolder", directory=tmp_path)
    buffer_remote.activate(extern_clients=["h", "f"], no_main=True)
    assert [store.name for store in session.buffer_stores] == [str(tmp_path), hashserver.url]


def test_activation_contacts_nobody(unused_port: int) -> None:
    database_remote.define_extern_client("d", "database", url=f"http://127.0.0.1:{unused_port}")
    database_remote.activate(extern_clients=["d"], no_main=True)
    assert database_remote.has_read_server()
    with pytest.raises(StoreError, match=str(unused_port)):
        database_remote.ensure_initialized()


def test_the_main_client_comes_first_and_reads_a_local_directory_directly(tmp_path: Path) -> None:
    connect(tmp_path)
    buffer_remote.define_extern_client("h", "hashserver", url="http://elsewhere")
    buffer_remote.activate(extern_clients=["h"])
    assert [store.name for store in session.buffer_stores] == [str(tmp_path), "rw-c", "http://elsewhere"]


def test_the_directory_of_a_hashserver_elsewhere_is_not_read(tmp_path: Path) -> None:
    connect(tmp_path, hostname="login.hpc")
    buffer_remote.activate(readonly=True)
    assert [(store.name, store.writable) for store in session.buffer_stores] == [("ro-c", False)]


def test_stores_activated_by_others_replace_the_clients(database: FakeDatabase, tmp_path: Path) -> None:
    database_remote.define_extern_client("d", "database", url=database.url)
    database_remote.activate(extern_clients=["d"], no_main=True)
    session.activate([BufferDirectory(tmp_path)], [])
    assert not database_remote.has_read_server()
    buffer_remote.activate(no_main=True)
    assert session.result_stores == ()


def test_changes_made_together_take_effect_at_once(hashserver: FakeHashserver, database: FakeDatabase) -> None:
    with active.together():
        use(hashserver, database)
        assert session.result_stores == ()
    assert len(session.buffer_stores) == len(session.result_stores) == 1


def test_changes_made_together_are_all_undone_by_an_error(hashserver: FakeHashserver, database: FakeDatabase) -> None:
    use(hashserver, database)
    before = (session.buffer_stores, session.result_stores)
    with pytest.raises(RemoteUsageError), active.together():
        database_remote.deactivate()
        buffer_remote.activate(extern_clients=["unknown"], no_main=True)
    assert (session.buffer_stores, session.result_stores) == before
    assert database_remote.has_read_server()


@pytest.mark.parametrize("module", MODULES)
def test_a_disabled_module_activates_nothing(module, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    connect(tmp_path)
    monkeypatch.setattr(module, "DISABLED", True)
    module.activate()
    assert not module.has_read_server() and not module.has_write_server()


# --- definitions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("module", MODULES)
def test_a_launched_client_is_defined_once_per_key(module) -> None:
    first = module.define_launched_client(True, "c", "p", None, "s")
    assert module.define_launched_client(True, "c", "p", "", "s") is first
    assert module.define_launched_client(False, "c", "p", "", "s") is not first


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("extra", [("c", "q"), (True, "c", "q"), ["c", "q", "", ""], {"cluster": "c", "project": "q"}])
def test_extra_launched_clients_are_only_read_by_default(module, extra, tmp_path: Path) -> None:
    connect(tmp_path, "login")
    module.activate(extra_launched_clients=[extra])
    stores = session.buffer_stores or session.result_stores
    assert [store.writable for store in stores] == [True, False]
    assert stores[1].key == (True, "c", "q", "", "")


@pytest.mark.parametrize("extra", [(False, "c", "p"), {"cluster": "c", "project": "p", "readonly": False}])
def test_a_launched_client_that_is_given_twice_is_an_error(extra, tmp_path: Path) -> None:
    connect(tmp_path)
    with pytest.raises(RemoteUsageError, match="twice"):
        database_remote.activate(extra_launched_clients=[extra])


@pytest.mark.parametrize("extra", ["c", (), ("c",), (True,), {"cluster": "c"}, {"cluster": "c", "projekt": "p"}, None])
def test_what_does_not_name_a_launched_client_is_refused(extra) -> None:
    with pytest.raises(RemoteUsageError, match="extra_launched_clients"):
        database_remote.activate(extra_launched_clients=[extra], no_main=True)


def test_an_unknown_extern_client_is_refused_with_the_known_ones() -> None:
    database_remote.define_extern_client("mine", "database", url="http://host")
    with pytest.raises(RemoteUsageError, match=r"'yours'.*mine"):
        database_remote.activate(extern_clients=["yours"], no_main=True)


@pytest.mark.parametrize(
    ("module", "type_", "more", "complaint"),
    [
        (buffer_remote, "hashserver", {}, "needs a url"),
        (buffer_remote, "bufferfolder", {"url": "http://h"}, "needs a directory"),
        (buffer_remote, "bufferfolder", {"directory": "/d", "readonly": False}, "only be read"),
        (buffer_remote, "foldermap", {"directory": "/d"}, "reserved"),
        (buffer_remote, "ftp", {}, "not known"),
        (database_remote, "hashserver", {"url": "http://h"}, "not known"),
        (database_remote, "database", {}, "needs a url"),
        (database_remote, "database", {"url": "host:1"}, "http://"),
    ],
)
def test_an_extern_client_that_cannot_be_is_refused(module, type_: str, more: dict, complaint: str) -> None:
    with pytest.raises(RemoteUsageError, match=complaint):
        module.define_extern_client("x", type_, **more)


def test_the_token_of_an_extern_client_may_be_among_its_parameters(database: FakeDatabase) -> None:
    database.token = "s3cret"
    database_remote.define_extern_client("d", "database", url=database.url, params={"token": "s3cret"})
    database_remote.activate(extern_clients=["d"], no_main=True)
    database_remote.ensure_initialized()


def test_extern_clients_that_are_active_can_be_inspected(tmp_path: Path) -> None:
    buffer_remote.define_extern_client("h", "hashserver", url="http://host:5", token="t", readonly=False)
    buffer_remote.define_extern_client("f", "bufferfolder", directory=tmp_path)
    buffer_remote.define_extern_client("idle", "hashserver", url="http://host:6")
    buffer_remote.activate(extern_clients=["h", "f"], no_main=True)
    assert buffer_remote.inspect_extern_clients() == [
        {"name": "f", "readonly": True, "directory": str(tmp_path), "remote_directory": str(tmp_path)},
        {"name": "h", "readonly": False, "url": "http://host:5", "remote_url": "http://host:5", "token": "t"},
    ]
    assert buffer_remote.inspect_launched_clients() == []


# --- async: buffers -------------------------------------------------------------------------------


async def test_a_buffer_is_written_and_read(hashserver: FakeHashserver) -> None:
    use(hashserver)
    assert await buffer_remote.get_buffer(NAME) is None
    assert await buffer_remote.write_buffer(NAME, Buffer(TEXT)) is True
    buffer = await buffer_remote.get_buffer(NAME)
    assert buffer is not None and buffer.content == TEXT and buffer.get_checksum() == NAME
    assert await buffer_remote.get_buffer_lengths([NAME, OTHER]) == [len(TEXT), None]
    assert await buffer_remote.promise(OTHER) is True
    assert hashserver.promised == {OTHER.hex()}


async def test_a_large_compressed_buffer_is_read(hashserver: FakeHashserver) -> None:
    from seamless.compression_utils import compress_bytes

    data = bytes(range(256)) * 20_000
    hashserver.encoded[Checksum.of(data).hex()] = ("zstd", compress_bytes(data, ".zst"))
    use(hashserver)
    buffer = await buffer_remote.get_buffer(Checksum.of(data))
    assert buffer is not None and buffer.content == data


async def test_a_folder_is_asked_first(hashserver: FakeHashserver, tmp_path: Path) -> None:
    BufferDirectory(tmp_path).put([(NAME, TEXT)])
    buffer_remote.define_extern_client("h", "hashserver", url=hashserver.url)
    buffer_remote.define_extern_client("f", "bufferfolder", directory=tmp_path)
    buffer_remote.activate(extern_clients=["h", "f"], no_main=True)
    buffer = await buffer_remote.get_buffer(NAME)
    assert buffer is not None and buffer.content == TEXT
    assert await buffer_remote.get_buffer_lengths([NAME]) == [len(TEXT)]
    assert hashserver.requests == []


async def test_wrong_bytes_are_a_corrupt_buffer_unless_another_client_has_it(
    hashserver: FakeHashserver, tmp_path: Path
) -> None:
    hashserver.stored[NAME.hex()] = b"same text\n"
    use(hashserver)
    with pytest.raises(BufferCorruptionError):
        await buffer_remote.get_buffer(NAME)
    other = FakeHashserver()
    other.stored[NAME.hex()] = TEXT
    buffer_remote.define_extern_client("other", "hashserver", url=other.url)
    buffer_remote.activate(extern_clients=["h", "other"], no_main=True)
    buffer = await buffer_remote.get_buffer(NAME)
    other.stop()
    assert buffer is not None and buffer.content == TEXT


async def test_a_buffer_is_written_to_every_server_and_one_suffices(
    hashserver: FakeHashserver, unused_port: int
) -> None:
    buffer_remote.define_extern_client("h", "hashserver", url=hashserver.url, readonly=False)
    buffer_remote.define_extern_client("gone", "hashserver", url=f"http://127.0.0.1:{unused_port}", readonly=False)
    buffer_remote.activate(extern_clients=["gone", "h"], no_main=True)
    assert await buffer_remote.write_buffer(NAME, TEXT) is True
    assert hashserver.stored == {NAME.hex(): TEXT}
    buffer_remote.activate(extern_clients=["gone"], no_main=True)
    with pytest.raises(StoreError, match=str(unused_port)):
        await buffer_remote.write_buffer(NAME, TEXT)


async def test_without_a_server_nothing_is_written_or_found() -> None:
    buffer_remote.activate(no_main=True)
    assert await buffer_remote.write_buffer(NAME, TEXT) is False
    assert await buffer_remote.promise(NAME) is False
    assert await buffer_remote.get_buffer(NAME) is None


async def test_many_buffers_may_be_read_at_a_time(hashserver: FakeHashserver) -> None:
    contents = [b"%d" % i for i in range(100)]
    hashserver.stored = {Checksum.of(data).hex(): data for data in contents}
    use(hashserver)
    buffers = await asyncio.gather(*(buffer_remote.get_buffer(Checksum.of(data)) for data in contents))
    assert [buffer.content for buffer in buffers if buffer is not None] == contents


def test_each_event_loop_may_use_the_clients(hashserver: FakeHashserver) -> None:
    hashserver.stored[NAME.hex()] = TEXT
    use(hashserver)
    for _ in range(3):
        buffer = asyncio.run(buffer_remote.get_buffer(NAME))
        assert buffer is not None and buffer.content == TEXT
    assert len(hashserver._connections) == 1


# --- async: results -------------------------------------------------------------------------------


async def test_results_and_records_are_kept(hashserver: FakeHashserver, database: FakeDatabase) -> None:
    use(hashserver, database)
    assert await database_remote.get_transformation_result(TF) is None
    assert await database_remote.set_transformation_result(TF, NAME) is True
    assert await database_remote.set_transformation_result(TF, OTHER) is False
    assert await database_remote.get_transformation_result(TF) == NAME
    assert await database_remote.get_rev_transformations(NAME) == [TF]
    assert await database_remote.get_execution_record(TF) is None
    assert await database_remote.set_execution_record(TF, NAME, RECORD) is True
    assert await database_remote.get_execution_record(TF) == RECORD
    with pytest.raises(UnknownResultError):
        await database_remote.undo_transformation_result(TF, OTHER)
    assert await database_remote.undo_transformation_result(TF, NAME) is True
    assert await database_remote.get_transformation_result(TF) is None


async def test_the_first_database_with_an_answer_wins(hashserver: FakeHashserver, unused_port: int) -> None:
    first, second = FakeDatabase(), FakeDatabase()
    second.results[TF.hex()] = NAME.hex()
    gone = f"http://127.0.0.1:{unused_port}"
    for name, url in (("gone", gone), ("first", first.url), ("second", second.url)):
        database_remote.define_extern_client(name, "database", url=url)
    database_remote.activate(extern_clients=["gone", "first", "second"], no_main=True)
    assert await database_remote.get_transformation_result(TF) == NAME
    with pytest.raises(StoreError, match=str(unused_port)):
        await database_remote.get_transformation_result(OTHER)
    first.stop()
    second.stop()


async def test_second_attempts_are_also_made_by_async_functions(database: FakeDatabase) -> None:
    database_remote.define_extern_client("d", "database", url=database.url)
    database_remote.activate(extern_clients=["d"], no_main=True)
    database.results[TF.hex()] = NAME.hex()
    database.faults = [(503, {}, b"ERROR: busy"), (0, {}, b"")]
    assert await database_remote.get_transformation_result(TF) == NAME


async def test_a_wrong_token_is_also_an_error_of_async_functions(database: FakeDatabase) -> None:
    database.token = "s3cret"
    database_remote.define_extern_client("d", "database", url=database.url, token="other")
    database_remote.activate(extern_clients=["d"], no_main=True)
    with pytest.raises(UnauthorizedError):
        await database_remote.get_transformation_result(TF)


async def test_results_are_not_written_where_they_are_only_read(
    hashserver: FakeHashserver, database: FakeDatabase
) -> None:
    use(hashserver, database, readonly=True)
    with pytest.raises(ReadOnlyClientError):
        await database_remote.set_transformation_result(TF, NAME)
    assert not database_remote.has_write_server() and not buffer_remote.has_write_server()


async def test_an_async_request_can_be_canceled(hashserver: FakeHashserver) -> None:
    import threading

    arrived, release = threading.Event(), threading.Event()
    plain = hashserver.answer

    def slow(*request):
        arrived.set()
        release.wait(10)
        return plain(*request)

    hashserver.answer = slow
    use(hashserver)
    task = asyncio.create_task(buffer_remote.get_buffer(NAME))
    await asyncio.get_running_loop().run_in_executor(None, arrived.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()
