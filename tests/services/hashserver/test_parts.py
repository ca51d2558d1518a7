"""The parts of the hashserver one by one, without a process."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamless.checksum import Checksum
from seamless.compression_utils import compress_bytes
from seamless.errors import BufferCorruptionError, StoreError, StoreReadOnlyError, UsageError
from seamless.services.hashserver import app as app_module
from seamless.services.hashserver.app import create_app
from seamless.services.hashserver.negotiation import (
    CODINGS,
    RangeNotSatisfiableError,
    accepted_forms,
    body_form,
    byte_range,
)
from seamless.services.hashserver.pending import PROMISE, Pending
from seamless.services.hashserver.settings import from_environment
from seamless.services.hashserver.validation import InvalidDataError, checksums_in
from seamless.stores import verify
from seamless.stores.served import ServedDirectory
from seamless.stores.upload import PayloadError

DATA = b"some data\n"
CHECKSUM = Checksum.of(DATA)


# --- negotiation ----------------------------------------------------------------------------------


@given(st.none() | st.text(alphabet="gzipstdenty*;q=.01, -x", max_size=60))
def test_every_form_can_be_sent_whatever_the_client_says(accept: str | None) -> None:
    taken, others = accepted_forms(accept)
    assert sorted(taken + others) == sorted(CODINGS)
    assert "" in taken


@given(st.binary(max_size=30) | st.from_regex(rb"bytes=\d{0,3}-\d{0,3}", fullmatch=True), st.integers(0, 1000))
def test_a_range_is_always_within_the_buffer(value: bytes, size: int) -> None:
    try:
        found = byte_range(value, size)
    except RangeNotSatisfiableError:
        return
    assert found is None or 0 <= found[0] < found[1] <= size


@pytest.mark.parametrize(
    ("value", "form"), [(None, ""), (b"zstd", ".zst"), (b"GZIP", ".gz"), (b"br", ""), (b"gzip, zstd", "")]
)
def test_a_body_has_the_form_that_its_coding_names(value: bytes | None, form: str) -> None:
    assert body_form(value) == form


@given(st.binary(max_size=100))
def test_any_body_is_a_list_of_checksums_or_invalid(body: bytes) -> None:
    try:
        checksums_in(body)
    except InvalidDataError as exc:
        json.dumps(exc.answer)
        assert exc.answer["message"] == "Invalid data"


# --- promises -------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def test_a_promise_stands_for_ten_minutes_from_the_last_one() -> None:
    now = Clock()
    pending = Pending(now=now)
    assert pending.promise("a") == PROMISE == 600
    now.time = 500
    pending.promise("a")
    now.time = 1099
    assert pending.promised("a") and pending.remaining("a") == 1
    now.time = 1100
    assert not pending.promised("a") and pending.remaining("a") is None


def test_promises_that_have_ended_are_forgotten() -> None:
    now = Clock()
    pending = Pending(now=now)
    for i in range(1000):
        pending.promise(str(i))
    now.time = 601
    pending.promise("new")
    assert pending._promises.keys() == {"new"}


def test_a_failed_upload_leaves_the_promise() -> None:
    pending = Pending()
    pending.promise("a")
    pending.begin("a")
    pending.begin("a")
    pending.end("a")
    assert pending.uploading("a") and pending.remaining("a") == float("inf")
    pending.end("a")
    assert not pending.uploading("a") and pending.promised("a")
    pending.fulfil("a")
    assert not pending.promised("a")


async def test_who_waits_is_woken_by_the_end_of_an_upload() -> None:
    pending = Pending()
    gone = asyncio.get_running_loop().create_future()
    pending.begin("a")
    waiting = asyncio.ensure_future(pending.wait("a", 60, gone))
    await asyncio.sleep(0)
    assert pending.counts() == {"uploads": 1, "promises": 0, "waiting": 1}
    pending.end("a")
    await asyncio.wait_for(waiting, 10)
    assert pending.counts() == {"uploads": 0, "promises": 0, "waiting": 0}


async def test_who_waits_is_woken_when_its_client_goes_and_when_the_server_stops() -> None:
    pending = Pending()
    gone = asyncio.get_running_loop().create_future()
    first = asyncio.ensure_future(pending.wait("a", 60, gone))
    second = asyncio.ensure_future(pending.wait("b", 60, asyncio.get_running_loop().create_future()))
    await asyncio.sleep(0)
    gone.set_result(None)
    await asyncio.wait_for(first, 10)
    pending.stop()
    await asyncio.wait_for(second, 10)
    await asyncio.wait_for(pending.wait("c", 60, asyncio.get_running_loop().create_future()), 10)


# --- settings, application ------------------------------------------------------------------------


def test_variables_say_everything() -> None:
    settings = from_environment(
        {
            "HASHSERVER_DIRECTORY": "/d",
            "HASHSERVER_WRITABLE": "true",
            "HASHSERVER_LAYOUT": "flat",
            "HASHSERVER_EXTRA_DIRS": "/a; /b;",
            "HASHSERVER_HASH_ALGORITHM": "sha3-256",
            "HASHSERVER_LOCK_TIMEOUT": "7",
        }
    )
    assert (settings.directory, settings.writable, settings.layout) == ("/d", True, "flat")
    assert settings.extra_directories == ("/a", "/b")
    assert (settings.algorithm, settings.lock_timeout) == ("sha3-256", 7)


@pytest.mark.parametrize("value", ["", "0", "false", "False"])
def test_a_server_is_not_writable_unless_that_is_said(value: str) -> None:
    assert not from_environment({"HASHSERVER_DIRECTORY": "/d", "HASHSERVER_WRITABLE": value}).writable


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HASHSERVER_DIRECTORY", ""),
        ("HASHSERVER_WRITABLE", "perhaps"),
        ("HASHSERVER_LAYOUT", "round"),
        ("HASHSERVER_HASH_ALGORITHM", "md5"),
        ("HASHSERVER_LOCK_TIMEOUT", "soon"),
        ("HASHSERVER_LOCK_TIMEOUT", "0"),
    ],
)
def test_a_variable_that_cannot_be_is_refused(name: str, value: str) -> None:
    with pytest.raises(UsageError):
        from_environment({"HASHSERVER_DIRECTORY": "/d", name: value})


async def ask(app: Any, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    """Send one request to an ASGI application; return status and body."""
    sent: list[Any] = []
    bodies = [{"type": "http.request", "body": body}]

    async def receive() -> Any:
        return bodies.pop() if bodies else await asyncio.get_running_loop().create_future()

    async def send(message: Any) -> None:
        sent.append(message)

    fields = [(k.lower().encode(), v.encode()) for k, v in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": fields, "http_version": "1.1"}
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(m["body"] for m in sent[1:])


async def lifespan(app: Any, *events: str) -> list[str]:
    """Send lifespan events; return what the application answers."""
    waiting, answers = [f"lifespan.{event}" for event in events], []

    async def receive() -> Any:
        return {"type": waiting.pop(0)}

    async def send(message: Any) -> None:
        answers.append(message["type"])

    await app({"type": "lifespan"}, receive, send)
    return answers


async def test_it_runs_as_an_application_of_another_server(tmp_path: Path) -> None:
    app = create_app({"HASHSERVER_DIRECTORY": str(tmp_path), "HASHSERVER_WRITABLE": "1"})
    assert await ask(app, "PUT", f"/{CHECKSUM.hex()}", DATA) == (200, b"OK")
    assert await ask(app, "GET", f"/{CHECKSUM.hex()}") == (200, DATA)
    assert await ask(app, "GET", "/healthcheck") == (200, b"OK")
    answers = await lifespan(app, "startup", "shutdown")
    assert answers == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_an_application_may_be_mounted_below_a_path(tmp_path: Path) -> None:
    app = create_app({"HASHSERVER_DIRECTORY": str(tmp_path)})

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "root_path": "/buffers"}, receive, send)

    assert (await ask(mounted, "GET", f"/buffers/{CHECKSUM.hex()}"))[0] == 404
    assert (await ask(mounted, "GET", "/buffers/abc"))[0] == 400


async def test_an_application_takes_its_token_from_the_environment(tmp_path: Path) -> None:
    app = create_app({"HASHSERVER_DIRECTORY": str(tmp_path), "SEAMLESS_TOKEN": "secret"})
    assert (await ask(app, "GET", "/stats"))[0] == 401
    assert (await ask(app, "GET", "/stats", authorization="Bearer secret"))[0] == 200


def test_the_application_is_made_when_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HASHSERVER_DIRECTORY", str(tmp_path))
    first = app_module.app
    assert first is app_module.app
    del app_module.__dict__["app"]
    with pytest.raises(AttributeError):
        app_module.something_else  # noqa: B018


# --- the served directory -------------------------------------------------------------------------


@pytest.fixture
def served(tmp_path: Path) -> ServedDirectory:
    return ServedDirectory(tmp_path, writable=True)


def store(served: ServedDirectory, data: bytes, form: str = "") -> Checksum:
    checksum = Checksum.of(data)
    upload = served.upload(checksum, form)
    upload.write(compress_bytes(data, form) if form else data)
    assert upload.finish() == len(data)
    return checksum


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the forms of the files that are hashed from now on."""
    forms: list[str] = []
    original: Callable[..., bytes] = verify.digest_of

    def digest_of(raw: Any, suffix: str, *more: Any) -> bytes:
        forms.append(suffix)
        return original(raw, suffix, *more)

    monkeypatch.setattr(verify, "digest_of", digest_of)
    return forms


@pytest.mark.parametrize("form", ["", ".zst", ".gz"])
def test_what_was_uploaded_here_is_not_hashed_again(served: ServedDirectory, hashed: list[str], form: str) -> None:
    checksum = store(served, DATA, form)
    found = served.open_form(checksum)
    assert found is not None and found[1] == form
    found[0].close()
    assert served.has_form(checksum, form)
    assert hashed == []


def test_a_file_is_hashed_once_in_each_state(tmp_path: Path, served: ServedDirectory, hashed: list[str]) -> None:
    checksum = store(ServedDirectory(tmp_path, writable=True), DATA)
    for _ in range(3):
        found = served.open_form(checksum)
        assert found is not None
        found[0].close()
    assert hashed == [""]
    path = tmp_path / checksum.hex()[:2] / checksum.hex()
    os.utime(path, ns=(1, 1))
    found = served.open_form(checksum)
    assert found is not None
    found[0].close()
    assert hashed == ["", ""]


def test_only_verified_bytes_are_read_without_hashing(tmp_path: Path, served: ServedDirectory) -> None:
    checksum = store(ServedDirectory(tmp_path, writable=True), DATA)
    assert served.read_known(checksum, 100) is None
    assert served.has_form(checksum, "")
    known = served.read_known(checksum, 100)
    assert known is not None and known[0] == DATA
    assert served.read_known(checksum, len(DATA) - 1) is None
    assert served.read_known(Checksum.of(b"absent"), 100) is None


def test_the_bytes_of_another_buffer_are_not_taken_for_verified(tmp_path: Path, served: ServedDirectory) -> None:
    good, other = store(served, DATA), store(served, b"other")
    path = tmp_path / other.hex()[:2] / other.hex()
    path.unlink()
    os.link(tmp_path / good.hex()[:2] / good.hex(), path)
    assert served.read_known(other, 100) is None
    with pytest.raises(BufferCorruptionError):
        served.open_form(other)


def test_the_forms_are_looked_for_in_the_order_given(served: ServedDirectory) -> None:
    checksum = store(served, DATA)
    store(served, DATA, ".gz")
    for forms, expected in ((("", ".gz"), ""), ((".gz", ""), ".gz"), ((".zst", ".gz"), ".gz"), ((".zst",), None)):
        found = served.open_form(checksum, forms)
        assert (found[1] if found else None) == expected
        if found:
            found[0].close()


def test_a_bad_file_under_a_lock_is_left_to_its_writer(tmp_path: Path, served: ServedDirectory) -> None:
    checksum = store(served, DATA)
    path = tmp_path / checksum.hex()[:2] / checksum.hex()
    path.chmod(0o644)
    path.write_bytes(b"half")
    lock = path.with_name(path.name + ".LOCK")
    lock.touch()
    assert served.locked(checksum)
    assert served.open_form(checksum) is None
    lock.unlink()
    with pytest.raises(BufferCorruptionError):
        served.open_form(checksum)
    assert not path.exists()


def test_an_upload_that_is_given_up_leaves_nothing(tmp_path: Path, served: ServedDirectory) -> None:
    upload = served.upload(CHECKSUM)
    upload.write(DATA)
    upload.abort()
    upload.abort()
    assert served.stats() == {"buffers": 0, "files": 0, "bytes": 0, "temporary": 0, "corrupt": 0}


@pytest.mark.parametrize(
    ("form", "data", "error"),
    [
        ("", b"other", BufferCorruptionError),
        (".gz", compress_bytes(b"other", ".gz"), BufferCorruptionError),
        (".gz", b"not gzip", PayloadError),
        (".zst", compress_bytes(DATA, ".zst")[:-1], PayloadError),
    ],
)
def test_a_bad_upload_leaves_nothing(
    tmp_path: Path, served: ServedDirectory, form: str, data: bytes, error: type[Exception]
) -> None:
    upload = served.upload(CHECKSUM, form)
    upload.write(data)
    with pytest.raises(error):
        upload.finish()
    assert [p for p in tmp_path.rglob("*") if p.is_file() and p.name != ".HASHSERVER_PREFIX"] == []


def test_the_length_of_a_compressed_form_is_found_once(
    tmp_path: Path, served: ServedDirectory, hashed: list[str]
) -> None:
    checksum = store(ServedDirectory(tmp_path, writable=True), DATA, ".zst")
    (tmp_path / checksum.hex()[:2] / f"{checksum.hex()}.BUFFERLENGTH").unlink()
    assert [served.length(checksum) for _ in range(3)] == [len(DATA)] * 3
    assert hashed == [".zst"]


def test_a_served_directory_must_exist_and_one_that_is_read_refuses_uploads(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no buffer directory"):
        ServedDirectory(tmp_path / "absent", writable=True)
    with pytest.raises(StoreReadOnlyError):
        ServedDirectory(tmp_path, writable=False).upload(CHECKSUM)
