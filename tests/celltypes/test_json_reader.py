"""Reading JSON under the strict celltypes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamless.celltypes import parse


@pytest.mark.parametrize(
    "text",
    [
        "",
        "NaN",
        "[Infinity]",
        "-Infinity",
        "[1,]",
        "1 2",
        "// c\n1",
        "\ufeff1",
        "'a'",
        "01",
        "1e400",
        "[-1e400]",
        '{"a": 1e999}',
        "1" * 400 + ".5",
        "[1, " + "7" * 309 + ".0]",
        '"\\ud800"',
        '["\\udc00\\ud800"]',
        '{"\\uD800": 1}',
        '"a\tb"',
        "[" * 100_000,
    ],
)
@pytest.mark.parametrize("celltype", ["plain", "str", "int", "float", "bool", "checksum", "deepcell"])
def test_what_is_not_standard_json_is_a_value_error(text: str, celltype: str) -> None:
    with pytest.raises(ValueError, match="not valid JSON"):
        parse(text.encode(), celltype)


def test_the_error_names_line_column_and_reason() -> None:
    with pytest.raises(ValueError, match=r"line 2, column 3: Expecting value.*\n  x"):
        parse(b"[\n  x\n]", "plain")


def test_the_text_in_the_error_is_shortened() -> None:
    with pytest.raises(ValueError, match="not valid JSON") as caught:
        parse(b"x" * 5000, "plain")
    assert len(str(caught.value)) < 1200


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b' {"a": 1, "a": 2}\n\n', {"a": 2}),
        (b'"\\ud83d\\ude00 \\\\ud800"', "😀 \\ud800"),
        (b"1e5", 1e5),
        (b"[1.5, true, 1e-400]", [1.5, True, 0.0]),
        (b"7" * 400, int("7" * 400)),
        (b"100000000000000000001", 100000000000000000001),
        (b'"' + b"7" * 400 + b'.5"', "7" * 400 + ".5"),
    ],
)
def test_standard_json_is_read_exactly(text: bytes, value: object) -> None:
    assert parse(text, "plain") == value


@settings(deadline=None)
@given(st.integers(min_value=300, max_value=700), st.integers(min_value=0, max_value=400))
def test_a_float_overflows_by_its_digits_wherever_it_stands(digits: int, offset: int) -> None:
    text = "[" + " " * offset + "9" * digits + ".25]"
    if digits > 308:
        with pytest.raises(ValueError, match="too large"):
            parse(text.encode(), "plain")
    else:
        assert parse(text.encode(), "plain") == [float("9" * digits)]


def test_invalid_utf8_is_a_unicode_decode_error() -> None:
    with pytest.raises(UnicodeDecodeError):
        parse(b'"\xff"', "plain")
