"""The reader of the mixed stream: it trusts nothing and raises only ValueError."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamless.celltypes import parse, serialize

STRUCT = np.dtype([("a", "i1"), ("b", "<f8"), ("c", "<i2", (2,))], align=True)
SAMPLES = [
    serialize({"x": b"abc"}, "mixed"),
    serialize({"b": np.arange(3), "a": {"z": np.ones(1), "c": "é"}, "d": [1, 2.5]}, "mixed"),
    serialize([[b"a", b"b"], [np.zeros(2, STRUCT), np.zeros(2, STRUCT)[0]], None], "mixed"),
]


def stream(form: object, content: object, area: bytes = b"", *, area_size: int | None = None) -> bytes:
    form_json = form if isinstance(form, bytes) else json.dumps(form).encode()
    content_json = content if isinstance(content, bytes) else json.dumps(content).encode()
    size = len(area) if area_size is None else area_size
    return (
        b"\x94SEAMLESS-MIXED\x0bmixed-plain"
        + len(form_json).to_bytes(4, "little")
        + form_json
        + b"\x93SEAMLESS"
        + len(content_json).to_bytes(8, "little")
        + size.to_bytes(8, "little")
        + content_json
        + area
    )


def leaf(items: object, shape: object, **more: object) -> dict[str, object]:
    form = {"type": "array", "items": items, "identical": True, "shape": shape, "storage": "pure-binary"}
    return {"type": "object", "properties": {"x": form | more}}


I4 = {"type": "integer", "bytesize": 4, "unsigned": False}


def struct(properties: object, order: object, bytesize: object) -> dict[str, object]:
    return {"type": "object", "properties": properties, "order": order, "bytesize": bytesize}


def test_a_stream_made_by_hand_is_read() -> None:
    value = parse(stream(leaf(I4, [2]), [[0, 8], {"x": 0}], b"\1\0\0\0\2\0\0\0"), "mixed")
    assert value["x"].tolist() == [1, 2]


X = [[0, 8], {"x": 0}]
LIST_FORM = {"type": "array", "items": [leaf(I4, [2])["properties"]["x"]], "identical": True, "shape": [2]}


@pytest.mark.parametrize(
    "data",
    [
        stream(b"{", X, b"12345678"),
        stream(b"\xff", X, b"12345678"),
        stream(b"[" * 50_000, X, b"12345678"),
        stream(None, X, b"12345678"),
        stream(leaf(I4, [2]), b"{", b"12345678"),
        stream(leaf(I4, [2]), [], b"12345678"),
        stream(leaf(I4, [2]), [[0, 8]], b"12345678"),
        stream(leaf(I4, [2]), [[], {"x": 0}], b""),
        stream(leaf(I4, [2]), [[0, 8.0], {"x": 0}], b"12345678"),
        stream(leaf(I4, [2]), [[0, True], {"x": 0}], b"1"),
        stream(leaf(I4, [2]), [[0, 9, 8], {"x": 0}], b"12345678"),
        stream(leaf(I4, [2]), [[-8, 8], {"x": 0}], b"12345678"),
        stream(leaf(I4, [2]), [[0, 8, 8], {"x": 0}], b"12345678"),
        stream(leaf(I4, [2]), [[0], {"x": 0}], b""),
        stream(leaf(I4, [2]), [[0, 8], {"y": 0}], b"12345678"),
        stream(leaf(I4, [2]), [[0, 8], [0]], b"12345678"),
        stream(leaf(I4, [2]), X, b"1234567"),
        stream(leaf(I4, [2]), X, b"123456789"),
        stream(leaf(I4, [2]), X, b"12345678", area_size=2**63),
        stream(leaf(I4, [3]), X, b"12345678"),
        stream(leaf(I4, [2**62, 2**62]), X, b"12345678"),
        stream(leaf(I4, [-2, -1]), X, b"12345678"),
        stream(leaf(I4, [True, 2]), X, b"12345678"),
        stream(leaf(I4, [1.0, 2]), X, b"12345678"),
        stream(leaf(I4, 2), X, b"12345678"),
        stream(leaf(I4, [1] * 65 + [2]), X, b"12345678"),
        stream(leaf(I4, [2**62, 0]), [[0, 0], {"x": 0}], b""),
        stream(leaf("integer", [2]), X, b"12345678"),
        stream(leaf({**I4, "bytesize": 3}, [2]), X, b"12345678"),
        stream(leaf({**I4, "bytesize": -4}, [2]), X, b"12345678"),
        stream(leaf({**I4, "bytesize": None}, [2]), X, b"12345678"),
        stream(leaf({**I4, "type": "object"}, [2]), X, b"12345678"),
        stream(leaf({**I4, "type": ["integer"]}, [2]), X, b"12345678"),
        stream(leaf({"type": "boolean", "bytesize": 8}, [1]), X, b"12345678"),
        stream(leaf({"type": "number", "bytesize": 1}, [8]), X, b"12345678"),
        stream(leaf({"type": "string", "bytesize": 0}, [8]), X, b"12345678"),
        stream(leaf({"type": "string", "bytesize": 2**31}, [0]), [[0, 0], {"x": 0}], b""),
        stream(leaf(struct({"a": I4}, ["a"], 8), [1]), X, b"12345678"),
        stream(leaf(struct({"a": I4}, ["b"], 4), [2]), X, b"12345678"),
        stream(leaf(struct({"a": I4}, ["a", "a"], 8), [1]), X, b"12345678"),
        stream(leaf(struct({"": I4}, [""], 4), [2]), X, b"12345678"),
        stream(leaf(struct({}, [], 4), [2]), X, b"12345678"),
        stream(leaf(struct({"a": I4}, [1], 4), [2]), X, b"12345678"),
        stream(leaf({"type": "tuple", "items": I4, "shape": [-2]}, [1]), X, b"12345678"),
        stream(leaf({"type": "tuple", "items": I4, "shape": [2**30] * 9}, [1]), X, b"12345678"),
        stream(leaf(I4, [2], type="string"), X, b"12345678"),
        stream(leaf(I4, [2], storage="pure"), X, b"12345678"),
        stream(leaf(I4, [2], storage=["pure-binary"]), X, b"12345678"),
        stream(leaf(I4, [2], storage="mixed-plain"), X, b"12345678"),
        stream(LIST_FORM, [[0, 8], [0, 0]], b"12345678"),
        stream({**LIST_FORM, "shape": [1], "items": []}, [[0, 8], [0]], b"12345678"),
        stream({**LIST_FORM, "shape": [3]}, [[0, 8], [0, 0]], b"12345678"),
        b"\x94SEAMLESS-MIXED",
        b"\x94SEAMLESS-MIXED\x0a" + b"pure-plain\4\0\0\0null",
        b"\x94SEAMLESS-MIXED\x0bmixed-plain\xff\xff\xff\xff{}",
    ],
)
def test_a_malformed_stream_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        parse(data, "mixed")


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_stream_cut_anywhere_is_a_value_error(sample: bytes) -> None:
    for length in range(15, len(sample)):
        with pytest.raises(ValueError):
            parse(sample[:length], "mixed")


@settings(deadline=None)
@given(st.sampled_from(SAMPLES), st.data())
def test_any_change_of_a_stream_gives_a_value_or_a_value_error(sample: bytes, data: st.DataObject) -> None:
    changed = bytearray(sample)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(changed) - 1))
        replacement = data.draw(st.binary(max_size=3) | st.sampled_from([b"9999999999", b"null", b"-1", b"[", b'"']))
        changed[position : position + data.draw(st.integers(0, 3))] = replacement
    for writable in (False, True):
        try:
            parse(bytes(changed), "mixed", writable=writable)
        except ValueError:
            pass


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_give_a_value_or_a_value_error(data: bytes) -> None:
    for prefix in (b"", b"\x93NUMPY\x01\x00", b"\x94SEAMLESS-MIXED\x0bmixed-plain"):
        try:
            parse(prefix + data, "mixed")
        except ValueError:
            pass
