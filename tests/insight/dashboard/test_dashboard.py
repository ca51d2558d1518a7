"""The dashboard without a browser: what its pages say, who is let in, and that text stays text."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import httpx
import pytest

from seamless.checksum import Checksum
from seamless.insight.dashboard.overview import View, title_of
from seamless.insight.dashboard.provenance import picture, provenance
from seamless.insight.dashboard.service import DashboardService
from seamless.insight.place import checked_place
from seamless.services.common.frame import Frame
from seamless.services.common.idle import IdleClock
from seamless.stores.embedded import EmbeddedStore, open_embedded
from seamless.stores.failures import failures, note_failure
from seamless.transformer.identity import transformation_buffer

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return open_embedded(tmp_path / "store", writable=True)


def put(store: EmbeddedStore, data: bytes) -> Checksum:
    checksum = Checksum.of(data)
    store.buffers.put([(checksum, data)])
    return checksum


def step(store: EmbeddedStore, code: str, **pins: Checksum) -> Checksum:
    definition: dict[str, Any] = {
        "__language__": "python",
        "__output__": ["result", "mixed", None],
        "code": ["python", "transformer", put(store, code.encode()).hex()],
        **{name: ["mixed", None, checksum.hex()] for name, checksum in pins.items()},
    }
    return put(store, transformation_buffer(definition))


def view(store: EmbeddedStore) -> View:
    return View(checked_place(store.directory))


def client(store: EmbeddedStore, token: str | None = "secret") -> httpx.AsyncClient:
    service = DashboardService(checked_place(store.directory))
    frame = Frame(service, name="seamless-dashboard", clock=IdleClock(), token=token)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=frame), base_url="http://127.0.0.1:8899")


def test_a_step_is_shown_as_running_while_its_claim_is_held(store: EmbeddedStore) -> None:
    tf = step(store, "def f():\n    return 1\n")
    with store.results.claim(tf):
        (running,) = view(store).running()
    assert (running["tf_checksum"], running["title"]) == (tf.hex(), "def f():")
    assert view(store).running() == []


def test_recent_results_come_with_what_their_records_say(store: EmbeddedStore) -> None:
    tf, result = step(store, "def f():\n    return 1\n"), put(store, b"1\n")
    store.results.set_result(tf, result)
    usage = {"wall_time_seconds": 2.5, "memory_peak_bytes": 7, "hostname": "node1"}
    names = {"schema_version": 1, "tf_checksum": tf.hex(), "result_checksum": result.hex()}
    store.results.set_record(tf, result, {**names, **usage})
    (recent,) = view(store).recent()
    assert (recent["result_checksum"], recent["seconds"], recent["memory"]) == (result.hex(), 2.5, 7)
    assert recent["host"] == "node1" and recent["stored"] > 0


def test_the_signature_changes_when_something_fails(store: EmbeddedStore) -> None:
    before = view(store).signature()
    note_failure(store.directory, "a" * 64, error="no", stderr=b"", exit_status=1, command="false")
    assert view(store).signature() != before


def test_the_last_200_failures_are_given_with_bounded_tails(tmp_path: Path) -> None:
    for number in range(300):
        stderr = b"x" * 20_000 + b"%d" % number
        note_failure(str(tmp_path), "a" * 64, error="no", stderr=stderr, exit_status=1, command="false")
    found = failures(str(tmp_path))
    assert len(found) == 200
    assert [entry["stderr"][-3:] for entry in found[:2]] == ["299", "298"]
    assert {len(entry["stderr"]) for entry in found} == {4000}


def test_a_file_of_failures_does_not_grow_for_ever(tmp_path: Path) -> None:
    for _ in range(600):
        note_failure(str(tmp_path), "a" * 64, error="y" * 4000, stderr=b"", exit_status=1, command="false")
    assert (tmp_path / ".failures.jsonl").stat().st_size < 3 << 20
    assert len(failures(str(tmp_path))) == 200


def test_lines_that_are_no_failures_are_skipped(tmp_path: Path) -> None:
    (tmp_path / ".failures.jsonl").write_bytes(b'{"tf_checksum": 1}\nhalf a li\n[]\n\xff\n')
    assert failures(str(tmp_path)) == []


def test_the_provenance_of_a_result_goes_back_to_what_no_step_has_given(store: EmbeddedStore) -> None:
    start, middle, end = (put(store, data) for data in (b"1\n", b"2\n", b"3\n"))
    one, two = step(store, "def one(x): pass\n", x=start), step(store, "def two(y): pass\n", y=middle)
    store.results.set_results([(one, middle), (two, end)])
    graph = provenance(view(store), end.hex())
    assert graph.complete
    assert {edge[:2] for edge in graph.edges} == {
        (f"buffer:{start}", f"step:{one}"), (f"step:{one}", f"buffer:{middle}"),
        (f"buffer:{middle}", f"step:{two}"), (f"step:{two}", f"buffer:{end}"),
    }  # fmt: skip
    assert provenance(view(store), two.hex()).nodes.keys() == graph.nodes.keys()


def test_what_is_read_twice_stands_before_all_that_came_of_it(store: EmbeddedStore) -> None:
    start, middle, end = (put(store, data) for data in (b"1\n", b"2\n", b"3\n"))
    one = step(store, "def one(x): pass\n", x=start)
    two = step(store, "def two(x, y): pass\n", x=start, y=middle)
    store.results.set_results([(one, middle), (two, end)])
    graph = provenance(view(store), end.hex())
    assert all(graph.nodes[a].depth > graph.nodes[b].depth for a, b, _ in graph.edges)


def test_a_picture_is_bounded_and_well_formed(store: EmbeddedStore) -> None:
    pins = {f"pin{i}": put(store, b"%d\n" % i) for i in range(100)}
    tf, result = step(store, "def f(): pass\n", **pins), put(store, b"end\n")
    store.results.set_result(tf, result)
    graph = provenance(view(store), tf.hex())
    assert not graph.complete and len(graph.nodes) <= 40
    ElementTree.fromstring(picture(graph))


def test_code_in_a_picture_is_text(store: EmbeddedStore) -> None:
    tf = step(store, EVIL + "\"'&")
    text = picture(provenance(view(store), tf.hex()))
    assert "<script" not in text
    ElementTree.fromstring(text)


@pytest.mark.parametrize(
    ("code", "title"),
    [("(\nsort a\n) > RESULT", "sort a"), ("mkdir -p RESULT/\nls", "ls"), ("", ""), ("x" * 500, "x" * 159 + "…")],
)
def test_the_title_of_a_step_tells_it_from_others(code: str, title: str) -> None:
    assert title_of(code) == title


@pytest.mark.parametrize("path", ["/", "/app.js", "/api/overview", "/api/services", "/events", "/status", "/?token=no"])
async def test_without_the_token_nothing_is_shown(store: EmbeddedStore, path: str) -> None:
    async with client(store) as http:
        assert (await http.get(path)).status_code == 401


async def test_the_token_in_the_address_becomes_a_cookie_that_lets_in(store: EmbeddedStore) -> None:
    async with client(store) as http:
        answer = await http.get("/?token=secret")
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert "HttpOnly" in answer.headers["set-cookie"] and "SameSite=Strict" in answer.headers["set-cookie"]
        cookie = answer.headers["set-cookie"].partition(";")[0]
        assert (await http.get("/api/overview", headers={"cookie": cookie})).status_code == 200
        assert (await http.get("/api/overview", headers={"cookie": cookie + "x"})).status_code == 401


async def test_the_token_in_the_address_counts_for_the_page_only(store: EmbeddedStore) -> None:
    async with client(store) as http:
        assert (await http.get("/api/overview?token=secret")).status_code == 401


@pytest.mark.parametrize("path", ["/", "/app.js", "/style.css", "/api/overview", "/nowhere"])
async def test_every_answer_forbids_foreign_and_inline_scripts(store: EmbeddedStore, path: str) -> None:
    async with client(store, None) as http:
        policy = (await http.get(path)).headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_nothing_can_be_changed(store: EmbeddedStore, method: str) -> None:
    async with client(store, None) as http:
        assert (await http.request(method, "/api/overview")).status_code == 405


@pytest.mark.parametrize("name", ["x", "A" * 64, "0" * 63, "..%2f..%2fetc%2fpasswd"])
async def test_what_is_no_checksum_is_not_found(store: EmbeddedStore, name: str) -> None:
    async with client(store, None) as http:
        for kind in ("step", "provenance"):
            assert (await http.get(f"/api/{kind}/{name}")).status_code == 404


async def test_a_failed_step_is_explained(store: EmbeddedStore) -> None:
    tf = step(store, "def f():\n    return 1\n")
    note_failure(store.directory, tf.hex(), error="no", stderr=EVIL.encode(), exit_status=3, command="f")
    async with client(store, None) as http:
        page = (await http.get(f"/api/step/{tf}")).json()
    assert page["failures"][0]["stderr"] == EVIL
    assert page["explanation"]["state"] == "unknown"
