"""Celltype `plain`: canonical JSON, byte by byte."""

from __future__ import annotations

import datetime
import enum
import uuid
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamless.celltypes import canonical_json, parse, serialize
from seamless.checksum import Checksum

HEX = "0123456789abcdef" * 4

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    # surrogates have no UTF-8 form
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda children: st.lists(children, max_size=12) | st.dictionaries(st.text(max_size=5), children, max_size=12),
    max_leaves=40,
)


def rule_text(value: float) -> str:
    """State the float rule independently of the writer: from the shortest digits and their exponent."""
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    if not any(digits):
        return ("-" if sign else "") + "0.0"
    text = "".join(map(str, digits))
    scientific = len(text) - 1 + exponent
    if -5 <= scientific <= 15:
        if scientific < 0:
            body = "0." + "0" * (-scientific - 1) + text
        else:
            text = text.ljust(scientific + 1, "0")
            body = text[: scientific + 1] + "." + (text[scientific + 1 :] or "0")
    else:
        body = (
            text[0] + ("." + text[1:] if len(text) > 1 else "") + f"e{'+' if scientific > 0 else '-'}{abs(scientific)}"
        )
    return ("-" if sign else "") + body


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_spelled_by_the_rule(value: float) -> None:
    assert canonical_json(value) == rule_text(value).encode() + b"\n"


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=8, max_size=20))
def test_floats_in_a_long_list_are_spelled_by_the_same_rule(values: list[float]) -> None:
    assert canonical_json(values).decode() == "[\n  " + ",\n  ".join(map(rule_text, values)) + "\n]\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (100.0, "100.0"),
        (1e15, "1000000000000000.0"),
        (9999999999999998.0, "9999999999999998.0"),
        (1e16, "1e+16"),
        (1.2345678901234568e17, "1.2345678901234568e+17"),
        (0.00001, "0.00001"),
        (0.000025, "0.000025"),
        (-0.000025, "-0.000025"),
        (1e-6, "1e-6"),
        (1.5e-7, "1.5e-7"),
        (5e-324, "5e-324"),
        (-0.0, "-0.0"),
    ],
)
def test_the_spelling_of_floats_is_frozen(value: float, text: str) -> None:
    assert canonical_json(value) == text.encode() + b"\n"


@settings(deadline=None)
@given(json_values)
def test_parsed_bytes_give_equal_values_and_the_same_bytes(value: object) -> None:
    data = canonical_json(value)
    assert parse(data, "plain") == value
    assert canonical_json(parse(data, "plain")) == data


def test_the_layout_has_two_spaces_sorted_keys_and_a_final_newline() -> None:
    value = {"b": [1, {"z": []}], "a": {}, "\ue000": None, "\U0001f600": True}
    assert canonical_json(value).decode() == (
        '{\n  "a": {},\n  "b": [\n    1,\n    {\n      "z": []\n    }\n  ],\n'
        '  "\ue000": null,\n  "\U0001f600": true\n}\n'
    )


def test_only_quotes_backslashes_and_control_characters_are_escaped() -> None:
    assert canonical_json('"\\/\b\t\n\f\r\x00\x1f\x7f\u2028é😀').decode() == (
        '"\\"\\\\/\\b\\t\\n\\f\\r\\u0000\\u001f\x7f\u2028é😀"\n'
    )


class Colour(enum.Enum):
    RED = "red"
    MANY = [1, 2]


class Text(str):
    def __str__(self) -> str:
        return "not this"


class Number(int):
    def __repr__(self) -> str:
        return "not this"


@dataclass
class Point:
    z: int
    a: int
    _hidden: int = 3


@dataclass
class Slotted:
    __slots__ = ("a", "z")
    z: int
    a: int


@dataclass
class Hidden:
    _only: int = 1


@pytest.mark.parametrize(
    ("value", "same_as"),
    [
        ((1, 2), [1, 2]),
        (namedtuple("P", "x y")(1, 2), [1, 2]),
        (OrderedDict(b=1, a=2), {"a": 2, "b": 1}),
        (Text("a"), "a"),
        (Number(7), 7),
        (Colour.RED, "red"),
        ([Colour.MANY], [[1, 2]]),
        ({"x": [Checksum(HEX)], "y": (Checksum(HEX),)}, {"x": [HEX], "y": [HEX]}),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (datetime.date(7, 1, 2), "0007-01-02"),
        (datetime.time(1, 2, 3, 40), "01:02:03.000040"),
        (datetime.datetime(2020, 1, 2, 3, 4, 5), "2020-01-02T03:04:05"),
        (datetime.datetime(2020, 1, 2, 3, 4, 5, 6, datetime.timezone.utc), "2020-01-02T03:04:05.000006+00:00"),
        (np.float32(0.1), 0.10000000149011612),
        (np.float64(0.5), 0.5),
        (np.longdouble(0.5), 0.5),
        (np.uint8(3), 3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        ([np.int64(1)] * 9, [1] * 9),
    ],
)
def test_uncommon_types_are_written_as_what_they_stand_for(value: object, same_as: object) -> None:
    assert canonical_json(value) == canonical_json(same_as)


def test_an_offset_from_utc_is_rounded_to_minutes_without_a_carry() -> None:
    def text(**offset: int) -> str:
        zone = datetime.timezone(datetime.timedelta(**offset))
        return canonical_json(datetime.datetime(2020, 1, 2, tzinfo=zone)).decode()[20:-2]

    assert text(hours=-5, minutes=-30) == "-05:30"
    assert text(minutes=19, seconds=32) == "+00:20"
    assert text(hours=1, minutes=59, seconds=45) == "+01:60"


def test_a_dataclass_is_an_object_in_field_order_without_private_fields() -> None:
    assert canonical_json(Point(1, 2)) == b'{\n  "z": 1,\n  "a": 2\n}\n'
    assert canonical_json(Slotted(1, 2)) == b'{\n  "z": 1,\n  "a": 2\n}\n'
    assert canonical_json([Hidden()]) == b"[\n  {\n    \n  }\n]\n"


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({1: 2}, "value[1]:"),
        ({"a": [1, {2}]}, "value['a'][1]:"),
        ({"a": b"x"}, "value['a']:"),
        (bytearray(b"x"), "value:"),
        (Decimal(1), "value:"),
        (np.zeros(2), "value:"),
        (np.complex128(1), "value:"),
        (np.timedelta64(1, "s"), "value:"),
        (np.bytes_(b"x"), "value:"),
        (datetime.time(1, tzinfo=datetime.timezone.utc), "value:"),
        ({"a": 1, 2: 3}, "value:"),
        (object, "value:"),
    ],
)
def test_what_has_no_form_is_a_type_error_that_names_the_place(value: object, place: str) -> None:
    with pytest.raises(TypeError) as caught:
        canonical_json(value)
    assert str(caught.value).startswith(place)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), np.float32("nan")])
@pytest.mark.parametrize("length", [3, 20])
def test_nan_is_a_value_error_that_names_the_place_and_celltype_mixed(bad: float, length: int) -> None:
    with pytest.raises(ValueError, match=r"value\['a'\]\[2\]: .*'mixed'"):
        canonical_json({"a": [1.0, 2.0, bad] + [3.0] * (length - 3)})


@pytest.mark.parametrize("bad", [2**64, -(2**63) - 1])
@pytest.mark.parametrize("length", [3, 20])
def test_an_integer_beyond_64_bit_is_a_type_error_that_names_celltype_mixed(bad: int, length: int) -> None:
    with pytest.raises(TypeError, match=r"value\[2\]: .*'mixed'"):
        canonical_json([1, 2, bad] + [3] * (length - 3))


@pytest.mark.parametrize("value", ["\ud800", {"\udfff": 1}])
def test_a_lone_surrogate_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError, match="surrogate"):
        canonical_json(value)


def nest(times: int, inner: object) -> object:
    for _ in range(times):
        inner = [inner]
    return inner


def test_an_empty_list_may_be_wrapped_253_times() -> None:
    data = canonical_json(nest(253, []))
    assert canonical_json(parse(data, "plain")) == data
    with pytest.raises(TypeError, match="254"):
        canonical_json(nest(254, []))


@pytest.mark.parametrize("celltype", ["plain", "mixed", "deepcell"])
@pytest.mark.parametrize("depth", [900, 100_000])
def test_extreme_nesting_is_a_type_error(celltype: str, depth: int) -> None:
    with pytest.raises(TypeError, match="nested"):
        serialize(nest(depth, 1), celltype)


@pytest.mark.parametrize("celltype", ["plain", "mixed"])
def test_circular_data_are_a_type_error(celltype: str) -> None:
    circle: list[object] = [1]
    circle.append({"again": circle})
    with pytest.raises(TypeError, match="containing itself"):
        serialize(circle, celltype)


@pytest.mark.parametrize("celltype", ["deepcell", "deepfolder", "folder", "module"])
def test_deep_celltypes_have_the_bytes_of_plain(celltype: str) -> None:
    value = {"b": HEX, "a": Checksum(HEX)}
    assert serialize(value, celltype) == serialize(value, "plain")
    assert parse(serialize(value, celltype), celltype) == {"a": HEX, "b": HEX}
