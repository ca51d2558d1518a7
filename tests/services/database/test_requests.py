"""Every request, its answer and its refusals, as clients see them."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import Server

OK = (200, "OK")
UNKNOWN = (404, "ERROR: Unknown key")
MALFORMED = (400, "ERROR: Malformed request")
UNKNOWN_TYPE = (400, "ERROR: Unknown request type")


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


TF, TF2, A, B = sha("tf"), sha("tf2"), sha("a"), sha("b")


def record(tf: str = TF, result: str = A, **more: Any) -> dict[str, Any]:
    fields = {"schema_version": 1, "tf_checksum": tf, "result_checksum": result, "seamless_version": "0.6.1"}
    return {**fields, "execution_mode": "process", "wall_time_seconds": 0.5, "memory_peak_bytes": None, **more}


def rows(database: Path, query: str) -> list[Any]:
    connection = sqlite3.connect(database)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


# --- the operations -------------------------------------------------------------------------------


def test_the_protocol_is_named(server: Server) -> None:
    assert server.get("protocol") == (200, '["seamless", "database", "2.2"]')


def test_an_answer_is_plain_text(server: Server) -> None:
    assert server.get("protocol").headers["Content-Type"].startswith("text/plain")


def test_a_result_is_found_under_its_transformation(server: Server) -> None:
    assert server.get("transformation", TF) == UNKNOWN
    assert server.put("transformation", TF, value=A) == OK
    assert server.get("transformation", TF) == (200, A)


def test_upper_case_digits_are_the_same_checksum(server: Server) -> None:
    assert server.put("transformation", TF.upper(), value=A.upper()) == OK
    assert server.get("transformation", TF) == (200, A)
    assert server.get("transformation", TF.upper()) == (200, A)


def test_transformations_are_found_by_their_result(server: Server) -> None:
    assert server.get("rev_transformations", A) == UNKNOWN
    for name in (TF, TF2, TF):
        assert server.put("transformation", name, value=A) == OK
    assert server.get("rev_transformations", A) == (200, json.dumps([TF, TF2]))


def test_a_record_is_given_back_with_its_keys_in_order(server: Server) -> None:
    value = record(zeta=1, alpha={"ü": [1.5, None]})
    assert server.get("metadata", TF) == UNKNOWN
    assert server.put("metadata", TF, result=A, value=value) == OK
    assert server.get("metadata", TF) == (200, json.dumps(value))


def test_a_record_brings_its_result_along(server: Server, database: Path) -> None:
    assert server.put("metadata", TF, result=A, value=record()) == OK
    assert server.get("transformation", TF) == (200, A)
    assert server.get("rev_transformations", A) == (200, json.dumps([TF]))
    assert rows(database, "SELECT metadata FROM meta_data") == [(json.dumps(record(), separators=(",", ":")),)]


def test_a_record_may_be_json_text(server: Server) -> None:
    assert server.put("metadata", TF, result=A, value=json.dumps(record())) == OK
    assert server.get("metadata", TF) == (200, json.dumps(record()))


def test_what_is_known_about_a_buffer_is_added_up(server: Server, database: Path) -> None:
    assert server.get("buffer_info", A) == UNKNOWN
    assert server.put("buffer_info", A, value={"length": 10, "is_utf8": True}) == OK
    assert server.put("buffer_info", A, value={"length": 11, "new_key": [1]}) == OK
    expected = {"length": 11, "is_utf8": True, "new_key": [1]}
    assert server.get("buffer_info", A).json() == expected
    assert rows(database, "SELECT buffer_info FROM buffer_info") == [(json.dumps(expected, sort_keys=True, indent=2),)]


def test_syntactic_and_semantic_checksums_are_found_both_ways(server: Server) -> None:
    types = {"celltype": "python", "subcelltype": "module"}
    assert server.get("semantic_to_syntactic", TF, **types) == UNKNOWN
    assert server.get("syntactic_to_semantic", A, **types) == UNKNOWN
    assert server.put("semantic_to_syntactic", TF, **types, value=[A, B]) == OK
    assert server.put("semantic_to_syntactic", TF, **types, value=[B]) == OK
    assert server.put("semantic_to_syntactic", TF, **types, value=[]) == OK
    assert server.get("semantic_to_syntactic", TF, **types) == (200, json.dumps([A, B]))
    assert server.get("syntactic_to_semantic", A, **types) == (200, json.dumps([TF]))
    assert server.get("syntactic_to_semantic", A, celltype="python", subcelltype="other") == UNKNOWN


def test_the_last_result_of_an_expression_stays(server: Server, database: Path) -> None:
    key = {"celltype": "mixed", "path": ["x", 1], "target_celltype": "plain"}
    assert server.get("expression", A, **key) == UNKNOWN
    assert server.get("rev_expression", B) == UNKNOWN
    assert server.put("expression", A, **key, value=TF) == OK
    assert server.put("expression", A, **key, value=B) == OK
    assert server.get("expression", A, **key) == (200, B)
    expected = [{"checksum": A, "path": ["x", 1], "celltype": "mixed", "target_celltype": "plain", "result": B}]
    assert server.get("rev_expression", B) == (200, json.dumps(expected))
    assert server.get("rev_expression", TF) == UNKNOWN
    assert rows(database, "SELECT path FROM expression") == [('["x", 1]',)]


@pytest.mark.parametrize("kind", ["node", "environment", "node_env", "queue", "queue_node"])
def test_the_last_probe_of_a_bucket_stays(server: Server, kind: str) -> None:
    key = {"bucket_kind": kind, "label": "läbel"}
    assert server.get("bucket_probe", **key) == UNKNOWN
    for captured_at in ("yesterday", "today"):
        value = {"bucket_checksum": A, "captured_at": captured_at, "freshness_tokens": {"b": 1, "a": [2]}}
        assert server.put("bucket_probe", **key, **value) == OK
    assert server.get("bucket_probe", **key) == (200, json.dumps({**key, **value}))


@pytest.mark.parametrize("path", ["/", "/any/path", "/seamless.db?x=1", "//", "/%2e%2e/%00"])
def test_every_path_is_alike(server: Server, path: str) -> None:
    assert server.request("GET", '{"type": "protocol"}', path) == (200, '["seamless", "database", "2.2"]')


def test_the_content_type_does_not_matter(server: Server) -> None:
    body = '{"type": "protocol"}'
    assert server.request("GET", body, **{"Content-Type": "text/html"}).status == 200


def test_a_body_in_chunks_is_one_body(server: Server) -> None:
    connection = server.connect()
    pieces = [b'{"type": "tr', b"ansformation", b'", "checksum": "' + TF.encode() + b'"}']
    connection.request("GET", "/", iter(pieces), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    assert connection.getresponse().status == 404
    connection.close()


# --- contradictions -------------------------------------------------------------------------------


def test_the_first_result_is_kept_and_the_second_one_noted(server: Server, database: Path) -> None:
    assert server.put("transformation", TF, value=A) == OK
    assert server.put("transformation", TF, value=B) == OK
    assert server.get("transformation", TF) == (200, A)
    assert server.get("rev_transformations", B) == UNKNOWN
    assert rows(database, "SELECT checksum, result FROM transformation_conflict") == [(TF, B)]
    assert rows(database, "SELECT result, checksum FROM rev_transformation") == [(A, TF)]
    lines = [line for line in server.log.read_text().splitlines() if TF in line]
    assert len(lines) == 1 and B in lines[0] and "127.0.0.1" in lines[0]


def test_a_strict_server_refuses_the_second_result(start: Any, database: Path) -> None:
    server = start("--writable", "--strict", database)
    assert server.put("transformation", TF, value=A) == OK
    assert server.put("transformation", TF, value=A) == OK
    assert server.put("transformation", TF, value=B) == (409, "ERROR: Transformation already has another result")
    assert server.get("transformation", TF) == (200, A)
    assert rows(database, "SELECT checksum, result FROM transformation_conflict") == [(TF, B)]


def test_the_same_record_may_be_written_again(server: Server) -> None:
    assert server.put("metadata", TF, result=A, value=record()) == OK
    assert server.put("metadata", TF, result=A, value=record()) == OK


def test_another_record_is_refused(server: Server) -> None:
    assert server.put("metadata", TF, result=A, value=record()) == OK
    expected = (409, "ERROR: Execution record already exists with different metadata")
    assert server.put("metadata", TF, result=A, value=record(wall_time_seconds=9)) == expected
    assert server.get("metadata", TF).json() == record()


def test_a_record_of_another_result_is_refused(server: Server) -> None:
    assert server.put("transformation", TF, value=A) == OK
    expected = (409, "ERROR: Transformation result does not match execution record result")
    assert server.put("metadata", TF, result=B, value=record(result=B)) == expected
    assert server.get("metadata", TF) == UNKNOWN


def test_a_record_beside_one_of_another_result_is_refused(server: Server, database: Path) -> None:
    assert server.put("metadata", TF, result=A, value=record()) == OK
    writer = sqlite3.connect(database)
    with writer:
        writer.execute("DELETE FROM transformation")
    writer.close()
    expected = (409, "ERROR: Execution record result does not match stored metadata result")
    assert server.put("metadata", TF, result=B, value=record(result=B)) == expected


def test_a_contested_result_is_gone_with_its_record(server: Server) -> None:
    assert server.put("metadata", TF, result=A, value=record()) == OK
    assert server.get("irreproducible", TF) == UNKNOWN
    assert server.put("irreproducible", TF, result=A) == OK
    assert server.get("transformation", TF) == UNKNOWN
    assert server.get("metadata", TF) == UNKNOWN
    assert server.get("rev_transformations", A) == UNKNOWN
    expected = [{"checksum": TF, "result": A, "metadata": record()}]
    assert server.get("irreproducible", TF) == (200, json.dumps(expected))
    assert server.get("irreproducible", TF, result=A) == (200, json.dumps(expected))
    assert server.get("irreproducible", TF, result=None) == (200, json.dumps(expected))
    assert server.get("irreproducible", TF, result=B) == UNKNOWN


def test_a_result_without_record_is_contested_without_one(server: Server) -> None:
    assert server.put("transformation", TF, value=A) == OK
    assert server.put("irreproducible", TF, result=A) == OK
    assert server.get("irreproducible", TF).json() == [{"checksum": TF, "result": A, "metadata": ""}]


def test_an_unknown_transformation_may_be_contested_and_again(server: Server) -> None:
    for _ in range(2):
        assert server.put("irreproducible", TF, result=A) == OK
    assert len(server.get("irreproducible", TF).json()) == 1


def test_another_result_than_the_stored_one_cannot_be_contested(server: Server) -> None:
    assert server.put("transformation", TF, value=A) == OK
    expected = (404, "ERROR: Transformation does not have the irreproducible result")
    assert server.put("irreproducible", TF, result=B) == expected
    assert server.get("transformation", TF) == (200, A)


def test_a_result_cannot_be_contested_while_its_record_has_another(server: Server, database: Path) -> None:
    assert server.put("metadata", TF, result=A, value=record()) == OK
    writer = sqlite3.connect(database)
    with writer:
        writer.execute("DELETE FROM transformation")
    writer.close()
    expected = (409, "ERROR: Stored metadata result does not match irreproducible result")
    assert server.put("irreproducible", TF, result=B) == expected


def test_after_a_contest_a_result_is_accepted_but_no_record(server: Server) -> None:
    assert server.put("irreproducible", TF, result=A) == OK
    expected = (409, "ERROR: Transformation already has irreproducible records")
    assert server.put("metadata", TF, result=A, value=record()) == expected
    assert server.get("transformation", TF) == UNKNOWN
    assert server.put("transformation", TF, value=B) == OK
    assert server.get("transformation", TF) == (200, B)


# --- refusals -------------------------------------------------------------------------------------

CHECKSUM_TYPES = [
    "transformation", "rev_transformations", "metadata", "irreproducible", "buffer_info", "semantic_to_syntactic",
    "syntactic_to_semantic", "expression", "rev_expression",
]  # fmt: skip
WRITABLE_TYPES = ["transformation", "metadata", "irreproducible", "buffer_info", "semantic_to_syntactic", "expression"]
# What makes a request complete but for its checksum.
COMPLETE: dict[str, Any] = {
    "celltype": "mixed", "subcelltype": "x", "path": [], "target_celltype": "plain", "result": A,
}  # fmt: skip
BAD_CHECKSUMS = [
    None,
    "",
    "zz",
    A[:-1],
    A + "0",
    "g" * 64,
    5,
    1.5,
    True,
    [A],
    {"a": A},
    " " * 64,
    "é" * 64,
    A[:62] + " 0",
]


@pytest.mark.parametrize("type", CHECKSUM_TYPES)
def test_a_read_without_a_good_checksum_is_malformed(refusing: Server, type: str) -> None:
    assert refusing.get(type, **COMPLETE) == MALFORMED
    for bad in BAD_CHECKSUMS:
        assert refusing.get(type, **COMPLETE, checksum=bad) == MALFORMED, bad


@pytest.mark.parametrize("type", WRITABLE_TYPES)
def test_a_write_without_a_good_checksum_is_malformed(refusing: Server, type: str) -> None:
    for bad in BAD_CHECKSUMS:
        assert refusing.put(type, **COMPLETE, value=A, checksum=bad) == MALFORMED, bad


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"x", b"{", b'{"type": "protocol"', b'{"type": "protocol"} x', b"[]", b'["type"]', b"5", b"null",
        b'"protocol"', b"{}", b'{"type": null}', b'{"type": 5}', b'{"type": ["protocol"]}', b'{"type": {}}',
        b'{"type": ""}', b'{"type": "Protocol"}', b'{"type": "unknown", "checksum": "' + A.encode() + b'"}',
        b"\xff\xfe", b'{"type": "protocol\xff"}', b"\xef\xbb\xbf{}", b"[" * 100_000, b'{"a":' * 100_000,
        b'{"type": "protocol", "x": NaN}', b'{"type": "protocol", "x": -Infinity}',
        b'{"type": "protocol", "x": ' + b"1" * 5000 + b"}", b"\x00" * 100,
    ],
    ids=lambda body: repr(body[:40]),
)  # fmt: skip
def test_what_is_no_request_is_malformed(refusing: Server, body: bytes) -> None:
    assert refusing.request("GET", body) == MALFORMED
    assert refusing.request("PUT", body) == MALFORMED
    assert refusing.get("protocol").status == 200


@pytest.mark.parametrize("type", ["rev_transformations", "syntactic_to_semantic", "rev_expression"])
def test_what_can_only_be_read_cannot_be_written(refusing: Server, type: str) -> None:
    assert refusing.put(type, A, **COMPLETE) == UNKNOWN_TYPE


def test_the_protocol_cannot_be_written(refusing: Server) -> None:
    assert refusing.put("protocol") == UNKNOWN_TYPE


@pytest.mark.parametrize("value", BAD_CHECKSUMS)
def test_a_result_is_a_checksum(refusing: Server, value: Any) -> None:
    text = "ERROR: Malformed PUT transformation result request: value must be a checksum"
    assert refusing.put("transformation", TF, value=value) == (400, text)
    assert refusing.get("transformation", TF) == UNKNOWN


BAD_RECORDS: list[Any] = [
    {"result": "zz"}, {"result": None}, {"value": None}, {"value": []}, {"value": 5}, {"value": "x"}, {"value": "[]"},
    {"value": {}}, {"value": record(schema_version="1")}, {"value": record(schema_version=True)},
    {"value": record(tf_checksum=A)}, {"value": record(result_checksum=B)}, {"value": record(checksum_fields="x")},
    {"value": record(checksum_fields=[""])}, {"value": record(checksum_fields=[1])}, {"value": '{"a": NaN}'},
]  # fmt: skip


@pytest.mark.parametrize("change", BAD_RECORDS, ids=lambda change: json.dumps(change)[:50])
def test_a_record_must_be_that_of_its_transformation_and_result(refusing: Server, change: dict[str, Any]) -> None:
    fields = {"result": A, "value": record(), **change}
    assert refusing.put("metadata", TF, **fields) == (400, "ERROR: Malformed PUT metadata request")
    assert refusing.get("transformation", TF) == UNKNOWN


def test_a_record_that_cannot_be_written_as_json_is_malformed(refusing: Server) -> None:
    body = json.dumps({"type": "metadata", "checksum": TF, "result": A, "value": record(x=0)})
    answer = refusing.request("PUT", body.replace('"x": 0', '"x": 1e999'))
    assert answer == (400, "ERROR: Malformed PUT metadata request")


@pytest.mark.parametrize(
    "value",
    [
        None, [], 5, "{}", "x", {"length": -1}, {"length": "1"}, {"length": True}, {"length": 1.5}, {"is_utf8": 1},
        {"is_json": "yes"}, {"is_something": None},
    ],
)  # fmt: skip
def test_bad_buffer_info_is_refused(refusing: Server, value: Any) -> None:
    assert refusing.put("buffer_info", A, value=value) == (400, "ERROR: Malformed PUT buffer info request")
    assert refusing.get("buffer_info", A) == UNKNOWN


@pytest.mark.parametrize(
    "change",
    [
        {"path": ["x" * 97]}, {"celltype": "x" * 21}, {"target_celltype": "x" * 21}, {"celltype": "text"},
        {"path": None}, {"path": "x"}, {"celltype": None}, {"celltype": 5}, {"target_celltype": "\ud800"},
        {"celltype": ""},
    ],
    ids=lambda change: ascii(change)[:40],
)  # fmt: skip
def test_an_expression_that_cannot_be_stored_is_refused(refusing: Server, change: dict[str, Any]) -> None:
    fields = {"celltype": "mixed", "path": ["x"], "target_celltype": "plain", **change}
    expected = (400, "ERROR: Malformed expression request (constraint violation)")
    assert refusing.put("expression", A, **fields, value=B) == expected
    assert refusing.get("expression", A, **fields) == expected


def test_the_longest_path_is_accepted(server: Server) -> None:
    fields = {"celltype": "x" * 20, "path": [], "target_celltype": "y" * 20}
    assert server.put("expression", A, **fields, value=B) == OK
    fields = {"celltype": "plain", "path": ["x" * 96], "target_celltype": "text"}
    assert server.put("expression", A, **fields, value=B) == OK


@pytest.mark.parametrize("value", BAD_CHECKSUMS)
def test_an_expression_results_in_a_checksum(refusing: Server, value: Any) -> None:
    fields = {"celltype": "mixed", "path": [], "target_celltype": "plain"}
    assert refusing.put("expression", A, **fields, value=value) == MALFORMED


@pytest.mark.parametrize(
    "change", [{"celltype": None}, {"subcelltype": None}, {"subcelltype": 5}, {"celltype": "\udfff"}]
)
def test_the_celltypes_of_a_semantic_checksum_are_text(refusing: Server, change: dict[str, Any]) -> None:
    fields = {"celltype": "python", "subcelltype": "module", **change}
    assert refusing.put("semantic_to_syntactic", A, **fields, value=[B]) == MALFORMED
    assert refusing.get("semantic_to_syntactic", A, **fields) == MALFORMED
    assert refusing.get("syntactic_to_semantic", A, **fields) == MALFORMED


@pytest.mark.parametrize("value", [None, A, {"a": A}, [A, None], [A, "zz"], [5], [[A]]])
def test_the_syntactic_checksums_are_a_list(refusing: Server, value: Any) -> None:
    fields = {"celltype": "python", "subcelltype": "module"}
    assert refusing.put("semantic_to_syntactic", A, **fields, value=value) == MALFORMED
    assert refusing.get("semantic_to_syntactic", A, **fields) == UNKNOWN


PROBE = {
    "bucket_kind": "node", "label": "x", "bucket_checksum": A, "captured_at": "now", "freshness_tokens": {},
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"bucket_kind": "other"}, {"bucket_kind": None}, {"bucket_kind": ["node"]}, {"label": ""}, {"label": 5},
        {"label": "\ud800"}, {"bucket_checksum": "zz"}, {"bucket_checksum": None}, {"captured_at": ""},
        {"captured_at": None}, {"freshness_tokens": None}, {"freshness_tokens": []}, {"freshness_tokens": "{}"},
    ],
    ids=ascii,
)  # fmt: skip
def test_a_bad_probe_is_refused(refusing: Server, change: dict[str, Any]) -> None:
    assert refusing.put("bucket_probe", **{**PROBE, **change}) == (400, "ERROR: Malformed PUT bucket_probe request")


@pytest.mark.parametrize("change", [{"bucket_kind": "other"}, {"bucket_kind": None}, {"label": ""}, {"label": 5}])
def test_a_bad_question_for_a_probe_is_refused(refusing: Server, change: dict[str, Any]) -> None:
    assert refusing.get("bucket_probe", **{**PROBE, **change}) == MALFORMED


@pytest.mark.parametrize("value", BAD_CHECKSUMS)
def test_a_contested_result_is_a_checksum(refusing: Server, value: Any) -> None:
    assert refusing.put("irreproducible", TF, result=value) == MALFORMED


@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"])
def test_other_methods_are_not_allowed(refusing: Server, method: str) -> None:
    answer = refusing.request(method, '{"type": "protocol"}')
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, PUT"


# --- several in one -------------------------------------------------------------------------------


def test_a_batch_is_answered_one_by_one(server: Server) -> None:
    writes = [
        {"type": "transformation", "checksum": TF, "value": A},
        {"type": "transformation", "checksum": "zz", "value": A},
        {"type": "metadata", "checksum": TF2, "result": B, "value": record(TF2, B)},
    ]
    assert server.put("batch", requests=writes).json() == [list(OK), list(MALFORMED), list(OK)]
    reads = [
        {"type": "transformation", "checksum": TF},
        {"type": "metadata", "checksum": TF},
        {"type": "rev_transformations", "checksum": B},
        {"type": "batch", "requests": []},
    ]
    expected = [[200, A], list(UNKNOWN), [200, json.dumps([TF2])], list(MALFORMED)]
    assert server.get("batch", requests=reads).json() == expected
    assert server.get("batch", requests=[]).json() == []


@pytest.mark.parametrize("requests", [None, 5, {}, [5], [{}], [{"type": None}], [{"type": "protocol"}] * 10_001])
def test_a_bad_batch_is_malformed(refusing: Server, requests: Any) -> None:
    assert refusing.get("batch", requests=requests) == MALFORMED
    assert refusing.put("batch", requests=requests) == MALFORMED


def test_a_batch_is_written_in_one_transaction(server: Server) -> None:
    writes = [{"type": "transformation", "checksum": sha(str(i)), "value": A} for i in range(300)]
    assert set(map(tuple, server.put("batch", requests=writes).json())) == {OK}
    status = server.request("GET", path="/status").json()
    assert (status["writes"], status["transactions"]) == (300, 1)
