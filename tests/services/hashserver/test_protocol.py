"""The HTTP API row by row: requests, replies, headers, error bodies."""

from __future__ import annotations

import gzip
import json
import socket
from typing import Any

import pytest

from seamless.compression_utils import compress_bytes

ABSENT = "5ad3" + 60 * "0"


def invalid(answer: Any) -> dict[str, Any]:
    """Return the details of a 400 about invalid data."""
    assert answer.status == 400
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json) == ["message", "exception"] and answer.json["message"] == "Invalid data"
    exception = answer.json["exception"]
    assert list(exception) == ["type", "loc", "msg", "input"]
    assert isinstance(exception, dict)
    return exception


# --- GET ------------------------------------------------------------------------------------------


def test_the_health_check_is_ok(server: Any) -> None:
    assert server.request("GET", "/healthcheck")[:2] == (200, b"OK")


def test_a_stored_buffer_comes_back(server: Any, tools: Any, data: bytes) -> None:
    assert server.put(data)[:2] == (200, b"OK")
    assert server.get(tools.sha(data))[:2] == (200, data)


def test_a_buffer_comes_with_its_headers(server: Any, tools: Any, data: bytes) -> None:
    server.put(data)
    name = tools.sha(data)
    headers = server.get(name).headers
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-length"] == str(len(data))
    assert headers["content-disposition"] == f'attachment; filename="{name}"'
    assert headers["accept-ranges"] == "bytes"
    assert headers["etag"] == f'"{name}"'
    assert "GMT" in headers["last-modified"]
    assert "immutable" in headers["cache-control"]
    assert "content-encoding" not in headers


def test_an_absent_buffer_is_not_found(server: Any) -> None:
    assert server.get(ABSENT)[:2] == (404, b"Not found")


def test_an_upper_case_checksum_is_the_same_one(server: Any, tools: Any, data: bytes) -> None:
    name = tools.sha(data)
    assert server.put(data, name.upper()).status == 200
    assert server.get(name.upper()).body == data
    assert server.ask("/has", [name.upper()]) == [True]
    assert server.path(name).exists()


def test_the_empty_buffer_is_a_buffer(server: Any, tools: Any) -> None:
    assert server.put(b"").status in (200, 201)
    assert server.get(tools.sha(b""))[:2] == (200, b"")
    assert server.ask("/has", [tools.sha(b"")]) == [True]
    assert server.ask("/buffer-length", [tools.sha(b"")]) == [0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abc", "Value error, Wrong length"),
        (65 * "a", "Value error, Wrong length"),
        (63 * "a" + "g", "Value error, non-hexadecimal number found in fromhex() arg at position 63"),
        (
            "%20" + 63 * "a",
            "Value error, non-hexadecimal number found in fromhex() arg at position 0",
        ),
    ],
)
@pytest.mark.parametrize(("method", "prefix"), [("GET", "/"), ("PUT", "/"), ("PUT", "/promise/"), ("HEAD", "/")])
def test_a_bad_checksum_in_the_path_is_invalid(server: Any, method: str, prefix: str, text: str, message: str) -> None:
    answer = server.request(method, prefix + text)
    assert answer.status == 400
    if method != "HEAD":
        expected = text.replace("%20", " ")
        assert invalid(answer) == {
            "type": "value_error",
            "loc": ["path", "checksum"],
            "msg": message,
            "input": expected,
        }


def test_something_that_is_no_file_is_an_error(server: Any, tools: Any, data: bytes) -> None:
    name = tools.sha(data)
    server.path(name).mkdir(parents=True)
    answer = server.get(name)
    assert answer.status == 400
    assert "not a regular file" in answer.json["message"]


def test_a_link_without_a_target_is_not_found(server: Any, tools: Any, data: bytes) -> None:
    name = tools.sha(data)
    server.path(name).parent.mkdir(exist_ok=True)
    server.path(name).symlink_to("nowhere")
    assert server.get(name).status == 404


@pytest.mark.parametrize("path", ["/..%2f..%2fetc%2fpasswd", "/%2e%2e/x", "/", "/a/b", f"/{ABSENT}/", "/has/", "//"])
def test_other_paths_are_not_found(server: Any, path: str) -> None:
    answer = server.request("GET", path)
    assert (answer.status, answer.body) == (404, b'{"detail":"Not Found"}')


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"/{ABSENT}"),
        ("DELETE", f"/{ABSENT}"),
        ("OPTIONS", f"/{ABSENT}"),
        ("PUT", "/has"),
        ("DELETE", "/has-now"),
        ("PUT", "/buffer-length"),
        ("GET", f"/promise/{ABSENT}"),
        ("POST", "/openapi.json"),
    ],
)
def test_other_methods_are_not_allowed(server: Any, method: str, path: str) -> None:
    answer = server.request(method, path)
    assert (answer.status, answer.body) == (405, b'{"detail":"Method Not Allowed"}')
    assert method not in answer.headers["allow"]


# --- ranges and conditions ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "body", "span"),
    [
        ("bytes=1-3", b"123", "bytes 1-3/10"),
        ("bytes=0-0", b"0", "bytes 0-0/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=-100", b"0123456789", "bytes 0-9/10"),
        ("bytes=5-1000", b"56789", "bytes 5-9/10"),
        ("Bytes = 1 - 2", b"12", "bytes 1-2/10"),
    ],
)
def test_a_range_is_sent_alone(server: Any, tools: Any, wanted: str, body: bytes, span: str) -> None:
    server.put(b"0123456789")
    answer = server.get(tools.sha(b"0123456789"), Range=wanted)
    assert answer[:2] == (206, body)
    assert answer.headers["content-range"] == span
    assert answer.headers["content-length"] == str(len(body))


@pytest.mark.parametrize("wanted", ["bytes=10-", "bytes=10-20", "bytes=-0"])
def test_a_range_behind_the_end_is_not_satisfiable(server: Any, tools: Any, wanted: str) -> None:
    server.put(b"0123456789")
    answer = server.get(tools.sha(b"0123456789"), Range=wanted)
    assert answer.status == 416
    assert answer.headers["content-range"] == "bytes */10"


@pytest.mark.parametrize(
    "wanted", ["lines=1-2", "bytes=3-1", "bytes=-", "bytes", "bytes=a-b", "bytes=1-2,4-5", f"bytes={5000 * '9'}-"]
)
def test_a_range_that_is_none_is_ignored(server: Any, tools: Any, wanted: str) -> None:
    server.put(b"0123456789")
    assert server.get(tools.sha(b"0123456789"), Range=wanted)[:2] == (200, b"0123456789")


def test_a_range_of_the_empty_buffer_is_not_satisfiable(server: Any, tools: Any) -> None:
    server.put(b"")
    assert server.get(tools.sha(b""), Range="bytes=0-").status == 416


def test_a_range_of_another_version_gives_everything(server: Any, tools: Any, data: bytes) -> None:
    server.put(data)
    name = tools.sha(data)
    assert server.get(name, Range="bytes=0-0", If_Range='"other"').status == 200
    assert server.get(name, Range="bytes=0-0", If_Range=f'"{name}"').status == 206
    modified = server.get(name).headers["last-modified"]
    assert server.get(name, Range="bytes=0-0", If_Range=modified).status == 206
    assert server.get(name, Range="bytes=0-0", If_Range="yesterday").status == 200


@pytest.mark.parametrize("tag", ['"{}"', 'W/"{}"', '"other", "{}"', "*", '"{}-zstd"'])
def test_what_the_client_has_is_not_sent_again(server: Any, tools: Any, data: bytes, tag: str) -> None:
    server.put(data)
    name = tools.sha(data)
    answer = server.get(name, If_None_Match=tag.format(name))
    assert answer[:2] == (304, b"")
    assert answer.headers["etag"] == f'"{name}"'


def test_what_the_client_has_not_is_sent(server: Any, tools: Any, data: bytes) -> None:
    server.put(data)
    assert server.get(tools.sha(data), If_None_Match='"other"')[:2] == (200, data)


def test_an_absent_buffer_is_not_said_to_be_unchanged(server: Any) -> None:
    assert server.get(ABSENT, If_None_Match=f'"{ABSENT}"').status == 404


def test_head_gives_the_headers_of_get(server: Any, tools: Any, data: bytes) -> None:
    server.put(data)
    name = tools.sha(data)
    head, get = server.request("HEAD", f"/{name}"), server.get(name)
    assert head[:2] == (200, b"")
    for answer in (head, get):
        answer.headers.pop("date")
    assert head.headers == get.headers
    assert server.request("HEAD", f"/{ABSENT}").status == 404


# --- PUT ------------------------------------------------------------------------------------------


def test_a_second_upload_of_the_same_is_created_already(server: Any, data: bytes) -> None:
    assert server.put(data)[:2] == (200, b"OK")
    assert server.put(data)[:2] == (201, b"")


def test_the_body_of_what_is_there_need_not_be_sent(server: Any, tools: Any, data: bytes) -> None:
    server.put(data)
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    request = f"PUT /{tools.sha(data)} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n"
    connection.sendall(request.encode())
    assert tools.answer_on(connection).status == 201


def test_other_bytes_than_the_checksum_says_are_refused(server: Any, tools: Any, data: bytes) -> None:
    name = tools.sha(data)
    assert server.put(data + b"!", name)[:2] == (400, b"Incorrect checksum")
    assert server.get(name).status == 404
    assert not [file for file in server.files() if name in file]


def test_a_large_upload_with_other_bytes_is_refused(server: Any, tools: Any, data: bytes) -> None:
    name = tools.sha(data)
    assert server.put(data * 100_000, name)[:2] == (400, b"Incorrect checksum")
    assert not [file for file in server.files() if name in file]


def test_a_body_in_chunks_is_stored(server: Any, tools: Any, data: bytes) -> None:
    pieces = [data] * 20_000
    whole = b"".join(pieces)
    answer = server.request("PUT", f"/{tools.sha(whole)}", iter(pieces), encode_chunked=True)
    assert answer.status in (200, 201)
    assert server.get(tools.sha(whole)).body == whole


def test_a_stored_file_cannot_be_written_to(server: Any, tools: Any, data: bytes) -> None:
    server.put(data)
    path = server.path(tools.sha(data))
    assert path.stat().st_mode & 0o777 == 0o444
    assert path.parent.stat().st_mode & 0o7777 == 0o3775


def test_a_server_that_only_reads_stores_nothing(read_only: Any, tools: Any, data: bytes) -> None:
    assert read_only.put(data)[:2] == (405, b'{"detail":"Method Not Allowed"}')
    assert read_only.promise(ABSENT)[:2] == (404, b'{"detail":"Not Found"}')
    assert read_only.files() == []


# --- compressed forms -----------------------------------------------------------------------------


@pytest.mark.parametrize(("coding", "form"), [("zstd", ".zst"), ("gzip", ".gz")])
def test_a_compressed_body_is_stored_as_it_is(server: Any, tools: Any, data: bytes, coding: str, form: str) -> None:
    name, packed = tools.sha(data), compress_bytes(data, form)
    assert server.put(packed, name, Content_Encoding=coding)[:2] == (200, b"OK")
    assert server.path(name, form).read_bytes() == packed
    assert server.path(name, form).stat().st_mode & 0o777 == 0o444
    assert server.path(name, ".BUFFERLENGTH").read_text() == str(len(data))
    assert server.ask("/buffer-length", [name]) == [len(data)]
    assert server.ask("/has", [name]) == [True]
    assert server.put(packed, name, Content_Encoding=coding).status == 201


def test_a_plain_upload_replaces_the_length_beside_a_compressed_form(server: Any, tools: Any, data: bytes) -> None:
    name = tools.sha(data)
    server.put(compress_bytes(data, ".gz"), name, Content_Encoding="gzip")
    assert server.put(data).status == 200
    assert not server.path(name, ".BUFFERLENGTH").exists()
    assert server.path(name, ".gz").exists()


def test_beside_the_plain_form_no_length_is_written(server: Any, tools: Any, data: bytes) -> None:
    name = tools.sha(data)
    server.put(data)
    assert server.put(compress_bytes(data, ".gz"), name, Content_Encoding="gzip").status == 200
    assert not server.path(name, ".BUFFERLENGTH").exists()


def test_another_coding_counts_as_plain(server: Any, tools: Any, data: bytes) -> None:
    assert server.put(data, Content_Encoding="br").status == 200
    assert server.put(compress_bytes(data, ".gz"), tools.sha(data + b"!"), Content_Encoding="deflate").status == 400


@pytest.mark.parametrize("coding", ["zstd", "gzip"])
@pytest.mark.parametrize("damage", ["cut", "trailing", "other", "empty", "flipped"])
def test_a_damaged_compressed_body_is_refused(server: Any, tools: Any, data: bytes, coding: str, damage: str) -> None:
    form = {"zstd": ".zst", "gzip": ".gz"}[coding]
    packed = bytearray(compress_bytes(data, form))
    packed[-1] ^= damage == "flipped"  # of the check sum (zstd) or length (gzip) at the end
    body = {"cut": packed[:-4], "trailing": packed + b"garbage", "other": data, "empty": b"", "flipped": packed}[damage]
    assert server.put(bytes(body), tools.sha(data), Content_Encoding=coding)[:2] == (400, b"Invalid compressed payload")
    assert not [file for file in server.files() if tools.sha(data) in file]


def test_a_sound_compressed_body_of_other_bytes_is_refused(server: Any, tools: Any, data: bytes) -> None:
    packed = compress_bytes(data + b"!", ".gz")
    assert server.put(packed, tools.sha(data), Content_Encoding="gzip")[:2] == (400, b"Incorrect checksum")


def test_gzip_of_two_members_is_one_buffer(server: Any, tools: Any, data: bytes) -> None:
    packed = gzip.compress(data) + gzip.compress(b"more")
    name = tools.sha(data + b"more")
    assert server.put(packed, name, Content_Encoding="gzip").status == 200
    assert server.get(name, Accept_Encoding="identity").body == data + b"more"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, ""),
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        ("x-zstd", "zstd"),
        ("identity", ""),
        ("gzip, zstd;q=0.5", "gzip"),
        ("gzip;q=0.5, zstd", "zstd"),
        ("identity;q=0.3, gzip;q=0.2", ""),
        ("br", ""),
        ("*", ""),
        ("*, identity;q=0", "zstd"),
        ("gzip;q=0", ""),
        ("gzip;q=nonsense", ""),
        ("", ""),
    ],
)
def test_of_three_forms_the_client_gets_the_one_it_likes_best(
    server: Any, tools: Any, accept: str | None, expected: str
) -> None:
    data = b"in three forms"
    name = tools.sha(data)
    server.put(data)
    for coding, form in (("zstd", ".zst"), ("gzip", ".gz")):
        server.put(compress_bytes(data, form), name, Content_Encoding=coding)
    answer = get_with(server, tools, name, accept)
    assert answer.status == 200
    assert answer.headers.get("content-encoding", "") == expected
    assert answer.headers["etag"] == (f'"{name}-{expected}"' if expected else f'"{name}"')


def get_with(server: Any, tools: Any, name: str, accept: str | None) -> Any:
    """Send a GET with exactly this Accept-Encoding; http.client would add one of its own."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    line = "" if accept is None else f"Accept-Encoding: {accept}\r\n"
    connection.sendall(f"GET /{name} HTTP/1.1\r\nHost: x\r\n{line}\r\n".encode())
    return tools.answer_on(connection)


def test_without_a_preference_a_compressed_form_is_sent_as_it_is(server: Any, tools: Any, data: bytes) -> None:
    name, packed = tools.sha(data), compress_bytes(data, ".zst")
    server.put(packed, name, Content_Encoding="zstd")
    answer = get_with(server, tools, name, None)
    assert answer.body == packed
    assert answer.headers["content-encoding"] == "zstd"


@pytest.mark.parametrize("accept", ["identity", "gzip, deflate", "br", "zstd;q=0"])
def test_what_the_client_does_not_understand_is_decompressed(server: Any, tools: Any, accept: str) -> None:
    data = 100_000 * b"only as zstd "
    name = tools.sha(data)
    server.put(compress_bytes(data, ".zst"), name, Content_Encoding="zstd")
    answer = get_with(server, tools, name, accept)
    assert answer[:2] == (200, data)
    assert "content-encoding" not in answer.headers
    assert answer.headers["etag"] == f'"{name}"'


def test_head_of_a_buffer_that_would_be_decompressed_has_no_body(server: Any, tools: Any, data: bytes) -> None:
    name = tools.sha(data)
    server.put(compress_bytes(data, ".zst"), name, Content_Encoding="zstd")
    answer = server.request("HEAD", f"/{name}", headers={"Accept-Encoding": "identity"})
    assert answer[:2] == (200, b"")
    assert "content-encoding" not in answer.headers


def test_a_range_of_a_compressed_form_is_one_of_its_own_bytes(server: Any, tools: Any, data: bytes) -> None:
    name, packed = tools.sha(data), compress_bytes(data, ".zst")
    server.put(packed, name, Content_Encoding="zstd")
    answer = server.get(name, Accept_Encoding="zstd", Range="bytes=0-3")
    assert answer[:2] == (206, packed[:4])
    assert answer.headers["content-encoding"] == "zstd"


# --- lists ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_lists_tell_what_is_there(server: Any, tools: Any, data: bytes, method: str) -> None:
    server.put(data)
    names = [tools.sha(data), ABSENT]
    assert server.ask("/has", names, method) == [True, False]
    assert server.ask("/has-now", names, method) == [True, False]
    assert server.ask("/buffer-length", names, method) == [len(data), 0]


@pytest.mark.parametrize("path", ["/has", "/has-now", "/buffer-length"])
def test_an_empty_list_gives_an_empty_list(server: Any, path: str) -> None:
    assert server.request("GET", path, "[]").body == b"[]"


def test_many_checksums_are_answered_in_order(server: Any, tools: Any, data: bytes) -> None:
    server.put(data)
    names = [tools.sha(b"%d" % i) for i in range(5000)]
    names[1234] = tools.sha(data)
    answers = server.ask("/has", names)
    assert len(answers) == 5000
    assert [i for i, there in enumerate(answers) if there] == [1234]


@pytest.mark.parametrize("path", ["/has", "/has-now", "/buffer-length"])
@pytest.mark.parametrize(
    ("body", "kind", "loc", "value"),
    [
        (b'["abc"]', "value_error", ["body", 0], "abc"),
        (json.dumps([ABSENT, 64 * "x"]).encode(), "value_error", ["body", 1], 64 * "x"),
        (b"[null]", "string_type", ["body", 0], None),
        (b"[5]", "string_type", ["body", 0], 5),
        (b"[[]]", "string_type", ["body", 0], []),
        (b'{"a": 1}', "list_type", ["body"], {"a": 1}),
        (b'"abc"', "list_type", ["body"], "abc"),
        (b"null", "list_type", ["body"], None),
        (b"[", "json_invalid", ["body", 1], {}),
        (b"\xff", "json_invalid", ["body", 0], {}),
        (b"[NaN]", "json_invalid", ["body", 0], {}),
        (100_000 * b"[", "json_invalid", ["body", 0], {}),
        (b"", "missing", ["body"], None),
    ],
)
def test_a_body_that_is_no_list_of_checksums_is_invalid(
    server: Any, path: str, body: bytes, kind: str, loc: list[Any], value: Any
) -> None:
    exception = invalid(server.request("GET", path, body))
    assert (exception["type"], exception["loc"], exception["input"]) == (kind, loc, value)


def test_a_large_wrong_value_is_not_sent_back_whole(server: Any) -> None:
    answer = server.request("POST", "/has", json.dumps({"a": 100_000 * "b"}))
    assert len(json.dumps(invalid(answer))) < 1000


# --- promises -------------------------------------------------------------------------------------


def test_a_promise_is_told_from_a_buffer(server: Any, tools: Any, data: bytes) -> None:
    name = tools.sha(data)
    answer = server.promise(name)
    assert (answer.status, answer.json) == (202, {"checksum": name, "expires_in": 600.0})
    assert server.ask("/has", [name]) == [True]
    assert server.ask("/has-now", [name]) == [False]
    assert server.ask("/buffer-length", [name]) == [True]
    server.put(data)
    assert server.ask("/buffer-length", [name]) == [len(data)]


def test_a_stored_buffer_that_is_promised_again_has_the_length_true(server: Any, tools: Any, data: bytes) -> None:
    server.put(data)
    server.promise(tools.sha(data))
    assert server.ask("/buffer-length", [tools.sha(data)]) == [True]
    assert server.get(tools.sha(data)).body == data


def test_a_reader_of_a_promised_buffer_is_woken_by_the_upload(server: Any, tools: Any, data: bytes) -> None:
    name = tools.sha(data)
    server.promise(name)
    reader = server.begin_get(name)
    server.put(data)
    assert tools.answer_on(reader)[:2] == (200, data)


def test_a_failed_upload_leaves_the_promise_standing(server: Any, tools: Any, data: bytes) -> None:
    name = tools.sha(data)
    server.promise(name)
    reader = server.begin_get(name)
    assert server.put(data + b"!", name).status == 400
    assert server.ask("/has", [name]) == [True]
    server.put(data)
    assert tools.answer_on(reader)[:2] == (200, data)


def test_what_another_process_stores_fulfils_a_promise(server: Any, tools: Any, data: bytes) -> None:
    from seamless.checksum import Checksum
    from seamless.stores.directory import BufferDirectory

    name = tools.sha(data)
    server.promise(name)
    reader = server.begin_get(name)
    BufferDirectory(server.directory).put([(Checksum(name), data)])
    assert tools.answer_on(reader)[:2] == (200, data)


def test_an_upload_of_what_is_there_fulfils_the_promise(server: Any, tools: Any, data: bytes) -> None:
    server.put(data)
    server.promise(tools.sha(data))
    assert server.put(data).status == 201
    assert server.ask("/buffer-length", [tools.sha(data)]) == [len(data)]


# --- what describes the server --------------------------------------------------------------------


def test_the_description_names_every_operation(server: Any, read_only: Any) -> None:
    paths = server.request("GET", "/openapi.json").json["paths"]
    assert set(paths["/{checksum}"]) == {"get", "head", "put"}
    assert {"/has", "/has-now", "/buffer-length", "/promise/{checksum}", "/healthcheck"} <= set(paths)
    assert "put" not in read_only.request("GET", "/openapi.json").json["paths"]["/{checksum}"]
    assert b"swagger" in server.request("GET", "/docs").body.lower()


def test_the_statistics_count_buffers(server: Any, data: bytes) -> None:
    before = server.request("GET", "/stats").json
    server.put(data)
    after = server.request("GET", "/stats").json
    assert after["buffers"] - before["buffers"] == 1
    assert after["bytes"] - before["bytes"] == len(data)


def test_metrics_tell_what_was_stored(server: Any, data: bytes) -> None:
    server.put(data)
    text = server.request("GET", "/metrics").body.decode()
    assert "seamless_hashserver_stored_total" in text
    assert 'seamless_hashserver_requests_total{method="PUT",status="200"}' in text
