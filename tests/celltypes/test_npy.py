"""Celltype `binary`: npy bytes."""

from __future__ import annotations

import io
import struct
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamless.celltypes import parse, serialize


def aligned(*fields: tuple) -> np.dtype:
    return np.dtype(list(fields), align=True)


INNER = aligned(("x", "<i2"), ("y", "<i8"), ("z", "i1"))
DTYPES = [
    *("?", "i1", "<i2", "<i4", "<i8", "u1", "<u2", "<u4", "<u8", "<f2", "<f4", "<f8", np.longdouble, "S3"),
    aligned(("a", "i1"), ("b", "<f8")),
    aligned(("a", "<f8"), ("b", "i1")),
    aligned(("a", "i1"), ("s", INNER), ("t", INNER, (2,))),
    aligned(("a", "i1", (3,)), ("b", "<f4", (2, 2))),
    aligned(("é", "<i4"), ("q", "S3"), ("g", np.longdouble)),
    aligned(("日", "<i4"), ("b", "i1")),
    aligned(*[(f"f{i:05}", "<f8") for i in range(4000)]),
    *(aligned(("n" * n, "<i4")) for n in range(1, 66, 4)),
]


def numpy_bytes(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.lib.format.write_array(out, array, allow_pickle=False)
    return out.getvalue()


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: str(d)[:30])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0,), (3, 0), (1, 1, 1)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_headers_are_those_of_numpy_and_values_come_back(dtype: np.dtype, shape: tuple, order: str) -> None:
    array = np.zeros(shape, dtype, order=order)
    data = serialize(array, "binary")
    start = len(data) - array.nbytes
    assert start % 64 == 0
    assert data[:start] == numpy_bytes(array)[:start]
    value = parse(data, "binary")
    assert value.dtype == array.dtype
    assert value.dtype.isalignedstruct == array.dtype.isalignedstruct
    assert value.shape == array.shape
    assert np.array_equal(value, array)
    assert serialize(value, "binary") == data


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24).reshape(2, 3, 4)[:, ::2],
        np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2),
        np.arange(24.0).reshape(4, 6).T,
        np.arange(10)[::-1],
        np.broadcast_to(np.float32(1), (3, 4)),
        np.arange(600_000)[::2],
    ],
    ids=lambda a: str(a.strides),
)
def test_the_bytes_are_those_of_numpy_for_any_strides(array: np.ndarray) -> None:
    assert serialize(array, "binary") == numpy_bytes(array)


def test_a_header_does_not_depend_on_the_numpy_version() -> None:
    text = b"{'descr': '<i4', 'fortran_order': False, 'shape': (3,), }"
    assert serialize(np.zeros(3, "<i4"), "binary")[:128] == b"\x93NUMPY\x01\x00v\x00" + text.ljust(117) + b"\n"


@pytest.mark.parametrize(
    ("value", "dtype", "shape"),
    [
        ([1, 2], "<i8", (2,)),
        ([[1.5], [2]], "<f8", (2, 1)),
        (True, "|b1", ()),
        (3, "<i8", ()),
        (bytearray(b"ab"), "|u1", (2,)),
        ([b"a", b"bc"], "|S2", (2,)),
        ([], "<f8", (0,)),
    ],
)
def test_what_is_no_array_goes_through_numpy(value: object, dtype: str, shape: tuple) -> None:
    found = parse(serialize(value, "binary"), "binary")
    assert (found.dtype.str, found.shape) == (dtype, shape)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "object"),
        ({"a": 1}, "object"),
        ([2**70], "object"),
        ("héy", "dtype 'S'"),
        ([1, "a"], "dtype 'S'"),
        (np.array(["a", "b"]), "dtype 'S'"),
        (np.zeros(2, ">i4"), "byte order"),
        (np.zeros(2, np.dtype([("a", ">i4")], align=True)), "byte order"),
        (np.zeros(2, "c8"), "real"),
        (np.zeros(2, "M8[s]"), "int64"),
        (np.zeros(2, "m8[s]"), "int64"),
        (np.zeros(2, "V4"), "structured"),
        (np.zeros(2, [("a", "<i4"), ("b", "<f4")]), "aligned"),
        (np.zeros(2, aligned(("a", np.dtype([("x", "i1"), ("y", "i4")])))), "aligned"),
        (np.zeros(2, aligned(("a", "U3"))), "dtype 'S'"),
        (
            np.zeros(2, np.dtype({"names": ["a"], "formats": ["i4"], "offsets": [4], "itemsize": 16}, align=True)),
            "offsets",
        ),
    ],
)
def test_what_cannot_be_stored_is_a_type_error_that_names_the_way_out(value: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        serialize(value, "binary")


STRUCT = aligned(("a", "i4"), ("b", "f8"))


@pytest.mark.parametrize(
    "array",
    [
        np.ma.array([1, 2, 3], mask=[False, True, False]),
        np.ma.array(np.ones((2, 2)), mask=True),
        np.ma.array(np.zeros(2, STRUCT), mask=[(False, False), (False, True)]),
        np.ma.masked,
    ],
)
def test_what_is_masked_is_not_stored_as_if_it_were_not(array: np.ndarray) -> None:
    for celltype in ("binary", "mixed", "bytes"):
        with pytest.raises(TypeError, match="mask"):
            serialize(array, celltype)
    with pytest.raises(TypeError, match="mask"):
        serialize({"x": [array]}, "mixed")


def test_a_masked_array_without_masked_items_is_its_data() -> None:
    for array in (np.ma.array([1, 2]), np.ma.array([1, 2], mask=False), np.ma.array(np.zeros(2, STRUCT))):
        assert serialize(array, "mixed") == serialize(array.data, "mixed")
        assert serialize({"x": array}, "mixed") == serialize({"x": array.data}, "mixed")


def test_ragged_lists_are_a_value_error() -> None:
    with pytest.raises(ValueError, match="inhomogeneous"):
        serialize([[1], [1, 2]], "binary")


def test_bytes_must_be_npy() -> None:
    data = serialize([1, 2], "binary")
    assert serialize(data, "binary") is data
    with pytest.raises(ValueError, match="magic"):
        serialize(b"raw", "binary")


@pytest.mark.parametrize("data", [b"[\n  1\n]\n", b"1", b"null\n", b"\xff\xfe", serialize({"x": b"a"}, "mixed")])
def test_other_celltypes_are_not_read_as_binary(data: bytes) -> None:
    with pytest.raises(TypeError, match="npy"):
        parse(data, "binary")


@pytest.mark.parametrize("data", [b"abc", b"abc\n", b"x = 1", "é".encode(), b"\0"])
def test_text_that_is_not_json_is_read_as_binary_as_it_is_as_mixed(data: bytes) -> None:
    value = parse(data, "binary")
    assert (value.dtype.str, value.shape, value.tobytes()) == (f"|S{len(data)}", (), data)


def test_values_are_read_only_views_unless_writable() -> None:
    data = bytearray(serialize(np.arange(3), "binary"))
    view = parse(data, "binary")
    assert np.shares_memory(view, np.frombuffer(data, np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1
    copy = parse(data, "binary", writable=True)
    copy[0] = 7
    assert view[0] == 0


def test_nested_arrays_are_read_only_views_unless_writable() -> None:
    data = serialize({"a": np.arange(3)}, "mixed")
    view = parse(data, "mixed")["a"]
    assert np.shares_memory(view, np.frombuffer(data, np.uint8))
    assert not view.flags.writeable
    assert parse(data, "mixed", writable=True)["a"].flags.writeable


def test_a_scalar_is_read_as_a_numpy_scalar_and_a_zero_dimensional_s_array_as_an_array() -> None:
    assert isinstance(parse(serialize(3.5, "binary"), "binary"), np.float64)
    assert isinstance(parse(serialize(np.array(b"ab"), "binary"), "binary"), np.ndarray)


@pytest.mark.parametrize("array", [np.zeros(2, ">i4"), np.zeros(2, "c8"), np.array(["a"]), np.zeros(2, "M8[s]")])
def test_npy_bytes_made_elsewhere_are_read(array: np.ndarray) -> None:
    value = parse(numpy_bytes(array), "binary")
    assert value.dtype == array.dtype
    assert np.array_equal(value, array)


def test_a_packed_structure_made_elsewhere_keeps_its_layout() -> None:
    array = np.array([(1, 2)], [("a", "i1"), ("b", "<i4")])
    value = parse(numpy_bytes(array), "binary")
    assert value.dtype.itemsize == 5
    assert value.tobytes() == array.tobytes()


def npy(header: bytes, data: bytes = b"", version: int = 1) -> bytes:
    return b"\x93NUMPY" + bytes((version, 0)) + struct.pack("<H" if version == 1 else "<I", len(header)) + header + data


@pytest.mark.parametrize(
    "data",
    [
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00\xff\xff{}",
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}",
        npy(b"{}", version=4),
        npy(b"nonsense"),
        npy(b"(" * 5000),
        npy(b"{'descr': '<i4', 'fortran_order': False, 'shape': (3,), }", b"\0" * 11),
        npy(b"{'descr': '<i4', 'fortran_order': False, 'shape': (-1,), }"),
        npy(b"{'descr': '<i4', 'fortran_order': 0, 'shape': (1,), }", b"\0" * 4),
        npy(b"{'descr': '<i4', 'fortran_order': False, 'shape': [1], }", b"\0" * 4),
        npy(b"{'descr': '<i4', 'fortran_order': False, 'shape': (" + b"9" * 30 + b",), }\n"),
        npy(b"{'descr': '<i4', 'fortran_order': False, 'shape': (" + b"9" * 30 + b", 0), }\n"),
        npy(b"{'descr': '<i4', 'fortran_order': False, 'shape': (" + b"1, " * 100 + b"), }\n", b"\0" * 4),
        npy(b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"\0" * 8),
        npy(b"{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,), }", b"\0" * 8),
        npy(b"{'descr': '<i3', 'fortran_order': False, 'shape': (1,), }", b"\0" * 8),
        npy(b"{'descr': '(2,)i4', 'fortran_order': False, 'shape': (1,), }", b"\0" * 8),
        npy(b"{'descr': '|S0', 'fortran_order': False, 'shape': (1,), }"),
        npy(b"{'descr': [], 'fortran_order': False, 'shape': (1,), }"),
        npy(b"{'descr': [('', '|V4')], 'fortran_order': False, 'shape': (1,), }", b"\0" * 8),
        npy(b"{'descr': [('a', '<i4'), ('a', '<i4')], 'fortran_order': False, 'shape': (1,), }", b"\0" * 8),
        npy(b"{'descr': [('a', '<i4', (99999, 99999, 99999))], 'fortran_order': False, 'shape': (1,), }", b"\0" * 8),
        npy(b"{'descr': [('a', '<i4', -1)], 'fortran_order': False, 'shape': (1,), }", b"\0" * 8),
        npy(b"{'descr': 3, 'fortran_order': False, 'shape': (1,), }", b"\0" * 8),
        npy(b"{'descr': '<i4', 'shape': (1,), }", b"\0" * 8),
    ],
)
def test_malformed_npy_is_a_value_error(data: bytes) -> None:
    for celltype in ("binary", "mixed"):
        with pytest.raises(ValueError):
            parse(data, celltype)


SAMPLES = [
    serialize(np.arange(4), "binary"),
    serialize(np.zeros((2, 2), INNER), "binary"),
    serialize(np.zeros(2, aligned(("a", "i1"), ("t", INNER, (2,)))), "binary"),
]


@settings(deadline=None)
@given(st.sampled_from(SAMPLES), st.data())
def test_any_change_of_npy_bytes_gives_a_value_or_a_value_error(sample: bytes, data: st.DataObject) -> None:
    changed = bytearray(sample)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(6, len(changed) - 1))] = data.draw(st.integers(0, 255))
    del changed[data.draw(st.integers(6, len(changed))) :]
    for writable in (False, True):
        try:
            parse(bytes(changed), "binary", writable=writable)
        except ValueError:
            pass
