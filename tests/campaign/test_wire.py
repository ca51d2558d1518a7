"""Messages to the three servers, spoilt in many ways: they are refused, and the server goes on."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamless.checksum import Checksum
from seamless.transformer.identity import transformation_checksum
from tests.campaign.effort import examples
from tests.campaign.wire import Server, json_values, mutated, objects

quick = examples(60)
DEEP = b"[" * 30_000
DATA = b"a buffer that others have sent"
NAME = Checksum.of(DATA).hex()
STEP = Checksum.of(b"a step").hex()
METHODS = ["GET", "PUT", "POST", "HEAD", "DELETE", "OPTIONS", "PATCH", "BREW"]
PATHS = [
    "/", "/has", "/has-now", "/buffer-length", "/stats", "/status", "/metrics", f"/{NAME}", f"/promise/{NAME}",
    "/transformations", f"/transformations/{STEP}", f"/transformation-status/{STEP}", "/stores", "/queue",
    f"/cancel-transformation/{STEP}", "/run-transformation", f"/buffers/{NAME}", "/openapi.json", "/docs",
]  # fmt: skip
# What is set in an HTTP head, and what should not be.
HEADERS = [
    b"Content-Encoding: gzip", b"Content-Encoding: zstd", b"Content-Encoding: gzip, gzip", b"Content-Encoding: \xff",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Content-Length: -1", b"Content-Length: 1e3",
    b"Content-Length: 99999999999999999999", b"Expect: 100-continue", b"Range: bytes=-0", b"Range: bytes=5-2,1-",
    b"Range: bytes=0-99999999999999999999999", b"Range: lines=1-2", b"Accept-Encoding: *;q=x, gzip;q=2",
    b"Accept-Encoding: identity;q=0", b"If-None-Match: W/\"x\", *", b"Upgrade: websocket\r\nConnection: Upgrade",
    b"Authorization: Bearer \xc3\x28", b"Content-Type: text/plain; charset=utf-7", b"Host: [::1",
    b"X: " + b"x" * 9_000, b"no colon at all", b": no name", b" folded: line",
]  # fmt: skip


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    """Return the three servers, which may be written to."""
    directory = tmp_path_factory.mktemp("servers")
    (directory / "buffers").mkdir()
    started: dict[str, Server] = {}
    try:
        started["hashserver"] = Server("hashserver", directory, "buffers", "--writable")
        started["database"] = Server("database", directory, "seamless.db", "--writable")
        started["jobserver"] = Server("jobserver", directory, "--workers", "1")
        yield started
    finally:
        for server in started.values():
            server.close()


@pytest.fixture(params=["hashserver", "database", "jobserver"])
def server(request: pytest.FixtureRequest, servers: dict[str, Server]) -> Iterator[Server]:
    """Return one of them, which must be well after the test."""
    yield servers[request.param]
    servers[request.param].check()


@quick
@given(
    method=st.sampled_from(METHODS),
    path=st.sampled_from(PATHS) | st.text(max_size=20).map(lambda text: "/" + text),
    headers=st.lists(st.sampled_from(HEADERS), max_size=3),
    body=st.binary(max_size=100) | json_values.map(lambda value: json.dumps(value).encode()) | st.just(DEEP),
)
def test_any_head_with_any_body_is_answered_or_refused(
    server: Server, method: str, path: str, headers: list[bytes], body: bytes
) -> None:
    server.request(method, path.encode(errors="replace"), body, b"".join(line + b"\r\n" for line in headers))


@quick
@given(
    data=mutated(b"PUT /%b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (NAME.encode(), len(DATA), DATA))
    | mutated(
        b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 163\r\n\r\n"
        b'{"type": "transformation", "checksum": "%b", "value": "%b"}' % (STEP.encode(), NAME.encode())
    )
    | mutated(b'GET /has HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n["a"\r\n1\r\n]\r\n0\r\n\r\n')
    | st.binary(max_size=200)
)
def test_bytes_that_are_hardly_http_do_no_harm(server: Server, data: bytes) -> None:
    server.send(data)


# --- each protocol for itself ---------------------------------------------------------------------

checksums = st.sampled_from([NAME, STEP, NAME.upper(), NAME[:-1], NAME + "0", "", "é" * 64, "０" * 64])
REQUESTS: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from([
        "protocol", "transformation", "rev_transformations", "metadata", "irreproducible", "buffer_info",
        "semantic_to_syntactic", "syntactic_to_semantic", "expression", "rev_expression", "bucket_probe", "batch",
        "claim", "renew", "release",
    ]),
    "checksum": checksums,
    "checksums": st.lists(checksums, max_size=3),
    "value": checksums | st.dictionaries(st.sampled_from(["id", "length", "schema_version", "tf_checksum",
                                                          "result_checksum", "checksum_fields"]), json_values),
    "result": checksums,
    "celltype": st.sampled_from(["plain", "text", ""]),
    "subcelltype": st.text(max_size=3),
    "target_celltype": st.sampled_from(["plain", "x" * 30]),
    "path": st.lists(json_values, max_size=3),
    "bucket_kind": st.sampled_from(["node", "queue", "moon"]),
    "label": st.text(max_size=3),
    "bucket_checksum": checksums,
    "captured_at": st.text(max_size=3),
    "freshness_tokens": st.dictionaries(st.text(max_size=3), json_values, max_size=2),
    "requests": st.lists(json_values, max_size=3),
    "seconds": st.floats() | st.integers(),
    "despite": st.booleans(),
}  # fmt: skip


@examples(250)
@given(method=st.sampled_from(["GET", "PUT"]), body=objects(REQUESTS), together=st.integers(0, 3))
def test_a_database_answers_whatever_it_is_asked(
    servers: dict[str, Server], method: str, body: bytes, together: int
) -> None:
    if together:
        body = b'{"type": "batch", "requests": [%b]}' % b", ".join([body] * together)
    servers["database"].request(method, b"/", body)


STEP_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "tf_checksum": checksums,
    "transformation_dict": json_values,
    "tf_dunder": json_values,
    **dict.fromkeys(("scratch", "strict_dunder", "refresh", "live"), st.booleans()),
    "timeout": st.floats(0, 1),
    "wait": st.floats(0, 0.1),
    "request": st.text(max_size=3),
    "command": st.text(max_size=3),
    "name": st.text(max_size=3),
    "origin": st.tuples(st.text(max_size=3), st.integers()),
    "clients": json_values,
    "database": st.lists(json_values, max_size=2),
    "buffer": st.lists(objects({"url": st.just("http://127.0.0.1:9"), "readonly": st.booleans()}), max_size=2).map(
        lambda entries: [json.loads(entry) for entry in entries]
    ),
}


@examples(150)
@given(
    method_and_path=st.sampled_from(
        [("GET", b"/run-transformation"), ("POST", b"/transformations"), ("PUT", b"/stores"),
         ("GET", b"/transformations/%b?wait=x&after=-1" % STEP.encode()), ("DELETE", b"/transformations/x")]
    ),
    body=objects(STEP_FIELDS) | st.just(DEEP),
)  # fmt: skip
def test_a_jobserver_answers_whatever_it_is_told(
    servers: dict[str, Server], method_and_path: tuple[str, bytes], body: bytes
) -> None:
    servers["jobserver"].request(*method_and_path, body)


@examples(150)
@given(
    more=st.dictionaries(
        st.sampled_from(
            ["__output__", "__meta__", "__env__", "__compilation__", "__schema__", "__header__", "code", "a"]
        ),
        json_values | st.lists(st.sampled_from(["mixed", "text", "python", "transformer", None, NAME]), max_size=4),
        max_size=4,
    ),
    dunder=st.dictionaries(st.sampled_from(["__meta__", "__env__", "__languages__", "__compilers__"]), json_values),
    language=st.sampled_from(["python", "bash", "c", "cobol", ""]),
)
def test_a_step_that_cannot_be_is_refused_or_fails(
    servers: dict[str, Server], more: dict[str, Any], dunder: dict[str, Any], language: str
) -> None:
    step = {"__language__": language, "code": ["python", "transformer", STEP], **more}
    try:
        name = transformation_checksum(step).hex()
    except (ValueError, TypeError, KeyError, OverflowError):
        name = STEP
    body = {"transformation_dict": step, "tf_checksum": name, "tf_dunder": dunder, "timeout": 5.0}
    servers["jobserver"].request("POST", b"/transformations", json.dumps({**body, "wait": 5.0}).encode())


def test_all_servers_are_well_after_that(servers: dict[str, Server]) -> None:
    for server in servers.values():
        server.check()


# --- compressed uploads ---------------------------------------------------------------------------

BOMB = 1 << 27  # bytes, of which a compressed form has a thousandth


def bomb(coding: str) -> bytes:
    """Return a small body that becomes very many zeros."""
    if coding == "gzip":
        piece = gzip.compress(bytes(BOMB >> 6), 9)
        return piece * 64  # members one after the other are one stream
    zstd = pytest.importorskip("backports.zstd")
    return b"".join([zstd.compress(bytes(BOMB >> 6), 3)] * 64)


def peak(server: Server) -> int:
    """Return the most memory that a server has had, in bytes."""
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the server has ended")


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_an_upload_that_unpacks_to_very_much_takes_no_memory(
    servers: dict[str, Server], tmp_path_factory: pytest.TempPathFactory, coding: str
) -> None:
    server = servers["hashserver"]
    before = peak(server)
    name, body = Checksum.of(f"never {coding}".encode()).hex(), bomb(coding)
    head = f"PUT /{name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Encoding: {coding}\r\n"
    statuses = server.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body, whole=True)
    assert statuses and statuses[0] in (400, 413)
    assert peak(server) - before < BOMB / 3
    server.check()


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_file_that_unpacks_to_very_much_is_never_served_and_takes_no_memory(
    servers: dict[str, Server], coding: str
) -> None:
    server = servers["hashserver"]
    before = peak(server)
    name = Checksum.of(f"never stored {coding}".encode()).hex()
    path = server.directory / "buffers" / name[:2] / (name + {"gzip": ".gz", "zstd": ".zst"}[coding])
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bomb(coding))
    for accepted in (b"identity", b"gzip, zstd"):
        statuses = server.send(
            b"GET /%b HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept-Encoding: %b\r\n\r\n"
            % (name.encode(), accepted),
            whole=True,
        )
        assert statuses and statuses[0] in (400, 404), "moved aside, and then gone"
    assert peak(server) - before < BOMB / 3
    server.check()
