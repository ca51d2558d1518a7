"""The celltypes of text and of scalars."""

from __future__ import annotations

import array
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamless.celltypes import ALL_CELLTYPES, CELLTYPES, TEXT_CELLTYPES, check_celltype, parse, serialize
from seamless.checksum import Checksum
from seamless.errors import MissingDependencyError

HEX = "0123456789abcdef" * 4
utf8 = st.text(st.characters(exclude_categories=["Cs"]))


def test_there_are_13_celltypes_and_4_deep_ones() -> None:
    assert len(CELLTYPES) == 13
    assert set(ALL_CELLTYPES) - set(CELLTYPES) == {"deepcell", "deepfolder", "folder", "module"}


@pytest.mark.parametrize("name", ["cson", "array", "", None, 3, ["plain"]])
def test_another_celltype_is_a_type_error_that_lists_the_valid_ones(name: object) -> None:
    for call in (lambda: serialize(1, name), lambda: parse(b"1", name), lambda: check_celltype(name)):
        with pytest.raises(TypeError, match="expected one of binary, mixed"):
            call()


@settings(deadline=None)
@given(utf8)
def test_text_ends_in_exactly_one_newline(text: str) -> None:
    data = serialize(text, "text")
    assert data == text.rstrip("\n").encode() + b"\n"
    assert parse(data, "text") == text.rstrip("\n")


@pytest.mark.parametrize("celltype", TEXT_CELLTYPES)
@pytest.mark.parametrize(
    ("value", "data"),
    [
        ("", b"\n"),
        ("a\r\n", b"a\r\n"),
        ("\ufeff\0a \n\n", b"\xef\xbb\xbf\0a \n"),
        (b"xyz", b"xyz\n"),
        (bytearray(b"xyz"), b"xyz\n"),
        (3, b"3\n"),
        (np.str_("é"), b"\xc3\xa9\n"),
    ],
)
def test_the_bytes_of_text_celltypes(celltype: str, value: object, data: bytes) -> None:
    assert serialize(value, celltype) == data


def test_only_newlines_are_stripped_when_text_is_read() -> None:
    assert parse(b"a\r\n\n", "text") == "a\r"


@pytest.mark.parametrize("celltype", TEXT_CELLTYPES)
def test_text_that_is_not_utf8_is_refused(celltype: str) -> None:
    with pytest.raises(UnicodeDecodeError):
        serialize(b"\xff", celltype)
    with pytest.raises(UnicodeDecodeError):
        parse(b"\xff", celltype)
    with pytest.raises(UnicodeEncodeError):
        serialize("\ud800", celltype)


@pytest.mark.parametrize(
    ("value", "celltype"),
    [
        (None, "text"),
        (None, "str"),
        (None, "bytes"),
        ([1], "text"),
        ({"a": 1}, "yaml"),
        ({1}, "python"),
        ([1], "bytes"),
        ({}, "bytes"),
        (b"a", "str"),
        (bytearray(b"a"), "str"),
        (None, "int"),
        ([1], "int"),
        ([1], "float"),
        (np.array([None]), "bytes"),
    ],
)
def test_values_that_would_be_written_as_their_python_repr_are_a_type_error(value: object, celltype: str) -> None:
    with pytest.raises(TypeError):
        serialize(value, celltype)


@pytest.mark.parametrize("celltype", sorted(set(ALL_CELLTYPES) - {"checksum"}))
def test_a_checksum_is_a_value_of_celltype_checksum_only(celltype: str) -> None:
    with pytest.raises(TypeError, match="celltype 'checksum'"):
        serialize(Checksum(HEX), celltype)


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (b"\0\xff", b"\0\xff"),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"abcd")[::2], b"ac"),
        (array.array("b", [1, 2]), b"\1\2"),
        (np.array([1, 2], "<i2"), b"\1\0\2\0"),
        (np.arange(6, dtype="i1").reshape(2, 3).T, b"\0\3\1\4\2\5"),
        (np.int16(3), b"\3\0"),
        ("abc\n\n", b"abc"),
        (5, b"5"),
    ],
)
def test_the_bytes_of_celltype_bytes(value: object, data: bytes) -> None:
    assert serialize(value, "bytes") == data


def test_bytes_are_read_as_the_same_object() -> None:
    data = b"\0\xff" * 100
    assert parse(data, "bytes") is data
    assert type(parse(bytearray(data), "bytes")) is bytes


@pytest.mark.parametrize(
    ("value", "celltype", "data"),
    [
        ("abc\n", "str", b'"abc\\n"\n'),
        (3, "str", b'"3"\n'),
        (True, "str", b"true\n"),
        ([1], "str", b'"[1]"\n'),
        (3.7, "int", b"3\n"),
        (" 5 ", "int", b"5\n"),
        ("1_000", "int", b"1000\n"),
        (b"5", "int", b"5\n"),
        (True, "int", b"1\n"),
        (np.int8(3), "int", b"3\n"),
        (3, "float", b"3.0\n"),
        ("1e-6", "float", b"1e-6\n"),
        (np.float32(0.5), "float", b"0.5\n"),
        ("False", "bool", b"true\n"),
        (None, "bool", b"false\n"),
        ([], "bool", b"false\n"),
        (HEX, "checksum", f'"{HEX}"\n'.encode()),
        (Checksum(HEX), "checksum", f'"{HEX}"\n'.encode()),
        ([Checksum(HEX)], "checksum", f'[\n  "{HEX}"\n]\n'.encode()),
        ({"a": [HEX]}, "checksum", f'{{\n  "a": [\n    "{HEX}"\n  ]\n}}\n'.encode()),
    ],
)
def test_the_bytes_of_scalars(value: object, celltype: str, data: bytes) -> None:
    assert serialize(value, celltype) == data


@pytest.mark.parametrize(
    ("value", "celltype"),
    [
        ("x", "int"),
        ("0x10", "int"),
        (float("nan"), "int"),
        (float("inf"), "int"),
        ("x", "float"),
        (float("nan"), "float"),
        ("inf", "float"),
        (10**400, "float"),
        ("abc", "checksum"),
        ([HEX, "abc"], "checksum"),
    ],
)
def test_contents_that_a_scalar_cannot_have_are_a_value_error(value: object, celltype: str) -> None:
    with pytest.raises(ValueError):
        serialize(value, celltype)


def test_an_integer_beyond_64_bit_under_int_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="'mixed'"):
        serialize(2**64, "int")


@pytest.mark.parametrize(
    ("data", "celltype", "value"),
    [
        (b'"a"', "str", "a"),
        (b"3", "str", "3"),
        (b"2.7\n", "int", 2),
        (b'"5"', "int", 5),
        (b"100000000000000000001", "int", 100000000000000000001),
        (b"3", "float", 3.0),
        (b'"false"', "bool", True),
        (b"null", "bool", False),
        (f'"{HEX}"\n'.encode(), "checksum", HEX),
        (f"{HEX}\n".encode(), "checksum", HEX),
        (HEX.encode(), "checksum", HEX),
        (f'{{"a": ["{HEX}"]}}'.encode(), "checksum", {"a": [HEX]}),
    ],
)
def test_scalars_are_read_with_the_casts_of_python(data: bytes, celltype: str, value: object) -> None:
    found = parse(data, celltype)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("data", "celltype", "error"),
    [
        (b'"x"', "int", ValueError),
        (b"[1]", "int", TypeError),
        (b"null", "float", TypeError),
        (b"1" + b"0" * 400, "float", ValueError),
        (b'"abc"', "checksum", ValueError),
        (b"3", "checksum", TypeError),
        (b"z" * 64, "checksum", ValueError),
    ],
)
def test_what_python_cannot_cast_is_refused(data: bytes, celltype: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        parse(data, celltype)


@pytest.mark.parametrize(
    ("data", "celltype", "message"),
    [
        (b"a = 1\nb = (\n", "python", r"not valid python: line 2, column \d+: .*never closed.*a = 1"),
        (b"x\0", "python", "not valid python"),
        (b"(" * 100_000, "python", "not valid python"),
        (b"a: 1\nb: [1\nc: 2", "yaml", r"not valid yaml: line 3, column \d+: .*a: 1"),
        (b"a: !!python/object:os.system {}", "yaml", "line 1, column 4: could not determine a constructor"),
        (b"a: 2020-13-45", "yaml", "not valid yaml: month"),
    ],
)
def test_invalid_text_is_a_value_error_with_place_reason_and_text(data: bytes, celltype: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){message}"):
        parse(data, celltype)


def test_invalid_python_can_be_written() -> None:
    assert serialize("1 +", "python") == b"1 +\n"


def test_ipython_is_validated_by_ipython() -> None:
    pytest.importorskip("IPython")
    assert parse(b"%timeit x\n!ls\n", "ipython") == "%timeit x\n!ls"
    with pytest.raises(ValueError, match="not valid ipython: line 1"):
        parse(b"1 +", "ipython")


def test_missing_ipython_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython.core.inputtransformer2", None)
    with pytest.raises(MissingDependencyError, match="ipython"):
        parse(b"x = 1", "ipython")


@pytest.mark.parametrize("make", [bytearray, memoryview])
@pytest.mark.parametrize("celltype", ["text", "plain", "mixed", "int", "bytes", "yaml", "python"])
def test_any_bytes_like_object_is_read(make: type, celltype: str) -> None:
    assert parse(make(b"12"), celltype) == parse(b"12", celltype)


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 100_000 + "]" * 100_000, "- " * 100_000, "{a: " * 100_000])
def test_very_deep_yaml_is_a_value_error_and_no_end_of_the_process(text: str) -> None:
    with pytest.raises(ValueError, match="nested too deeply|not valid yaml"):
        parse(text.encode(), "yaml")


@pytest.mark.parametrize(
    "text", ['!!int ""', "!!float _", "!!bool x", "!!timestamp x", "? [a]", "? {a: 1}", "2020-99-99", "!!binary é"]
)
def test_yaml_whose_values_do_not_fit_their_tags_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="not valid yaml"):
        parse(text.encode(), "yaml")


def test_json_of_celltype_mixed_is_yaml_also_with_escaped_surrogates() -> None:
    data = serialize({"text": "\U0001f600"}, "mixed")
    assert parse(data, "yaml") == data.decode().rstrip("\n")


def test_checksums_that_are_nested_without_end_are_a_type_error() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(TypeError, match="containing themselves"):
        serialize(endless, "checksum")


def test_checksums_that_are_nested_too_deeply_are_a_value_error() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parse(b"[" * 100_000 + b"1" + b"]" * 100_000, "checksum")
