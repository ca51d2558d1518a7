"""Celltype `mixed`: its JSON, its stream, and what it refuses."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamless.celltypes import parse, serialize
from seamless.checksum import Checksum

HEX = "0123456789abcdef" * 4

python_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: (
        st.lists(children, max_size=12)
        | st.dictionaries(st.text(max_size=5), children, max_size=12)
        | st.dictionaries(st.integers() | st.floats(allow_nan=False), children, max_size=4)
    ),
    max_leaves=40,
)


def stream_parts(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Return form, `[offsets, skeleton]` and binary area of a stream."""
    assert data[:27] == b"\x94SEAMLESS-MIXED\x0bmixed-plain"
    end = 31 + int.from_bytes(data[27:31], "little")
    assert data[end : end + 9] == b"\x93SEAMLESS"
    json_size, binary_size = (int.from_bytes(data[end + i : end + i + 8], "little") for i in (9, 17))
    area = end + 25 + json_size
    assert len(data) == area + binary_size
    return data[31:end], data[end + 25 : area], data[area:]


@settings(deadline=None)
@given(python_json)
def test_plain_values_are_written_as_the_json_module_does(value: object) -> None:
    assert serialize(value, "mixed") == json.dumps(value, indent=2, sort_keys=True).encode() + b"\n"


@settings(deadline=None)
@given(python_json)
def test_the_bytes_are_stable_through_parsing(value: object) -> None:
    # Keys become text, and text sorts in another way: stable from the second time on.
    data = serialize(parse(serialize(value, "mixed"), "mixed"), "mixed")
    assert serialize(parse(data, "mixed"), "mixed") == data


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("caf\xe9\x7f~😀\ud800", '"caf\\u00e9\\u007f~\\ud83d\\ude00\\ud800"'),
        (1e-05, "1e-05"),
        ([float("nan"), float("inf"), -float("inf")], "[\n  NaN,\n  Infinity,\n  -Infinity\n]"),
        (2**200, str(2**200)),
        ({10: 1, 9: 2}, '{\n  "9": 2,\n  "10": 1\n}'),
        ({True: 1}, '{\n  "true": 1\n}'),
        ({None: 1}, '{\n  "null": 1\n}'),
        (np.float32(0.1), "0.10000000149011612"),
        (np.int16(-3), "-3"),
        (np.bool_(False), "false"),
        (np.str_("a"), '"a"'),
        ((1, (2,)), "[\n  1,\n  [\n    2\n  ]\n]"),
        ({"x": Checksum(HEX)}, f'{{\n  "x": "{HEX}"\n}}'),
    ],
)
def test_the_spelling_of_plain_values_is_frozen(value: object, text: str) -> None:
    assert serialize(value, "mixed") == text.encode() + b"\n"


def test_a_dict_with_bytes_is_the_stream_of_the_format_description() -> None:
    form = (
        b'{"type": "object", "properties": {"x": {"type": "array", "items": {"type": "string", "bytesize": 3}, '
        b'"identical": true, "shape": [], "contiguous": true, "storage": "pure-binary"}}}'
    )
    assert serialize({"x": b"abc"}, "mixed") == (
        b"\x94SEAMLESS-MIXED\x0bmixed-plain\xb4\0\0\0" + form + b"\x93SEAMLESS"
        b"\x12\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0" + b'[[0, 3], {"x": 0}]abc'
    )


def test_leaves_are_in_key_order_and_the_skeleton_in_insertion_order() -> None:
    value = {
        "b": np.array([0, 1, 2], "<i4"),
        "a": {"z": np.array([1.0]), "c": "é"},
        "d": [1, 2.5],
    }
    _, content, area = stream_parts(serialize(value, "mixed"))
    assert content == b'[[0, 8, 20], {"b": 0, "a": {"z": 0, "c": "\\u00e9"}, "d": [1, 2.5]}]'
    assert area == np.array([1.0]).tobytes() + np.array([0, 1, 2], "<i4").tobytes()


def form_of(value: object) -> object:
    return json.loads(stream_parts(serialize({"x": value, "y": b"a"}, "mixed"))[0])["properties"]["x"]


def array_form(items: object, shape: list[int], **more: object) -> dict[str, object]:
    form = {"type": "array", "items": items, "identical": True, "shape": shape, "contiguous": True}
    return form | more | {"storage": "pure-binary"}


I8 = {"type": "integer", "bytesize": 8, "unsigned": False}
F8 = {"type": "number", "bytesize": 8}
S1 = {"type": "string", "bytesize": 1}


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (None, "null"),
        (True, "boolean"),
        (np.bool_(True), "boolean"),
        (np.int8(1), "integer"),
        (1.5, "number"),
        ("a", "string"),
        (Checksum(HEX), "string"),
        ({}, {"type": "object"}),
        ([], {"type": "array", "items": None, "identical": True, "shape": [0]}),
        ([1, 2], {"type": "array", "items": "integer", "identical": True, "shape": [2]}),
        ([1] * 20, {"type": "array", "items": "integer", "identical": True, "shape": [20]}),
        ([1, 2.0], {"type": "array", "items": ["integer", "number"], "identical": False, "shape": [2]}),
        (
            [{"a": 1, "b": "x"}, {"b": "y", "a": 2}],
            {
                "type": "array",
                "items": {"type": "object", "properties": {"a": "integer", "b": "string"}},
                "identical": True,
                "shape": [2],
            },
        ),
        (
            [b"a", b"b"],
            {"type": "array", "items": array_form(S1, []), "identical": True, "shape": [2], "storage": "mixed-plain"},
        ),
        (
            [b"a", 1],
            {
                "type": "array",
                "items": [array_form(S1, []), "integer"],
                "identical": False,
                "shape": [2],
                "storage": "mixed-plain",
            },
        ),
        (b"", array_form(S1, [])),
        (np.zeros((2, 3), "u2"), array_form({"type": "integer", "bytesize": 2, "unsigned": True}, [2, 3])),
        (np.zeros(2, "?"), array_form({"type": "boolean", "bytesize": 1}, [2])),
        (np.array(1.0), array_form(F8, [])),
        (np.zeros(6)[::2], array_form(F8, [3], contiguous=False, strides=[16])),
        (np.zeros((2, 3), order="F"), array_form(F8, [2, 3], contiguous=False, strides=[8, 16])),
        (np.zeros(3)[3:], array_form(F8, [0], contiguous=False, strides=[0])),
        (np.zeros((3, 0)), array_form(F8, [3, 0], contiguous=False, strides=[0, 0])),
    ],
)
def test_the_form_describes_the_value(value: object, form: object) -> None:
    found = form_of(value)
    assert found == form
    assert json.dumps(found) == json.dumps(form)


STRUCT = np.dtype([("a", "i1"), ("b", "<f8"), ("c", "<i8", (2,))], align=True)
STRUCT_FORM = {
    "type": "object",
    "properties": {
        "a": {"type": "integer", "bytesize": 1, "unsigned": False},
        "b": F8,
        "c": {"type": "tuple", "items": I8, "identical": True, "shape": [2]},
    },
    "bytesize": 32,
    "order": ["a", "b", "c"],
}


def test_the_form_of_a_structured_array_and_of_a_record() -> None:
    assert form_of(np.zeros(2, STRUCT)) == array_form(STRUCT_FORM, [2])
    assert form_of(np.zeros(2, STRUCT)[0]) == {**STRUCT_FORM, "storage": "pure-binary"}


def test_a_record_is_read_back_as_a_record() -> None:
    record = np.array([(1, 2.0, (3, 4))], STRUCT)[0]
    for value in (parse(serialize(record, "mixed"), "mixed"), parse(serialize([record], "mixed"), "mixed")[0]):
        assert isinstance(value, np.void)
        assert value == record


ARRAYS = [
    np.arange(6, dtype="<i2").reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(10)[::-3],
    np.zeros((2, 0, 3), "f2"),
    np.array([b"a", b"bc"]),
    np.array([1.5], np.longdouble),
    np.array([True, False]),
    np.array([(1, 2.0, (3, 4))] * 3, STRUCT),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: str(a.dtype))
def test_arrays_survive_at_the_top_and_nested(array: np.ndarray) -> None:
    value = {"a": [array, "x"], "B": {"c": array}, "n": 2**70, "nan": None}
    read = parse(serialize(value, "mixed"), "mixed")
    assert list(read) == ["a", "B", "n", "nan"]
    assert read["n"] == 2**70
    for found in (read["a"][0], read["B"]["c"], parse(serialize(array, "mixed"), "mixed")):
        assert found.dtype == array.dtype
        assert found.shape == array.shape
        assert np.array_equal(found, array)


def test_bytes_come_back_as_zero_dimensional_s_arrays() -> None:
    for value in (parse(serialize(b"ab", "mixed"), "mixed"), parse(serialize([b"ab"], "mixed"), "mixed")[0]):
        assert isinstance(value, np.ndarray)
        assert (value.dtype, value.shape, value.tobytes()) == (np.dtype("S2"), (), b"ab")


@pytest.mark.parametrize("data", [b"", b"abc", b"{", b" \n", "é".encode(), b"a\0\0"])
def test_text_that_is_not_json_is_read_as_an_s_array(data: bytes) -> None:
    value = parse(data, "mixed")
    assert value.shape == ()
    assert value.tobytes() == (data or b"\0")


def test_other_bytes_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        parse(b"\xff\xfe", "mixed")


def test_numbers_that_python_reads_are_read() -> None:
    value = parse(b"[NaN, -Infinity, 1e400]", "mixed")
    assert value[0] != value[0]
    assert value[1:] == [-float("inf"), float("inf")]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1}, r"value: .*set"),
        ([bytearray(b"x")], r"value\[0\]: .*bytearray"),
        ({"a": Decimal(1)}, r"value\['a'\]: .*Decimal"),
        (datetime.date(2020, 1, 1), "date"),
        ([b"x", {"k": {1}}], r"value\[1\]\['k'\]: .*set"),
        ({1: 2, "a": 3}, "int, str"),
        ({1: b"x", "a": 3}, "int, str"),
        ({(1, 2): 3}, "tuple"),
        ([np.complex64(1)], "complex64"),
        ([np.datetime64("2020-01-01")], "datetime64"),
        (np.array(["a", "b"]), "dtype 'S'"),
        ([np.array(["a"])], "dtype 'S'"),
        (np.array([None]), "object"),
        ([np.zeros(2, ">i4")], "byte order"),
        ([np.zeros(2, [("a", "i1"), ("b", "i4")])], "aligned"),
    ],
)
def test_what_mixed_cannot_hold_is_a_type_error(value: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        serialize(value, "mixed")


def test_integer_keys_of_arrays_are_refused_when_readers_would_swap_the_arrays() -> None:
    with pytest.raises(TypeError, match="sort differently"):
        serialize({9: b"a", 10: b"b"}, "mixed")
    assert parse(serialize({1: b"a", 2: b"b"}, "mixed"), "mixed")["2"].tobytes() == b"b"
    assert parse(serialize({9: 1, 10: b"b"}, "mixed"), "mixed")["10"].tobytes() == b"b"


def test_a_mixed_value_may_be_nested_deeper_than_a_plain_one() -> None:
    value: object = 1
    for _ in range(400):
        value = [value]
    assert parse(serialize(value, "mixed"), "mixed") == value


def test_deeply_nested_text_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="nested"):
        parse(b"[" * 100_000 + b"]" * 100_000, "mixed")
