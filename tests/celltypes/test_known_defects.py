"""One test for each defect of earlier Seamless in the bytes of values: it must not come back."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from seamless.celltypes import canonical_json, parse, serialize

PADDED = np.dtype(
    [("a", "i1"), ("b", "<f8"), ("c", [("x", "i1"), ("y", "<i4")], (2,)), ("g", np.longdouble)], align=True
)


def test_w1_a_changed_object_gets_new_bytes() -> None:
    for value, celltype in (([1, 2], "plain"), ({"a": 1}, "mixed"), (np.arange(3), "binary"), (np.arange(3), "mixed")):
        first = serialize(value, celltype)
        value[next(iter(value)) if isinstance(value, dict) else 0] = 7
        assert serialize(value, celltype) != first


@pytest.mark.parametrize("celltype", ["binary", "mixed"])
def test_w2_unicode_arrays_are_refused_instead_of_cut(celltype: str) -> None:
    for value in (np.array(["a", "b"]), np.array("a")):
        with pytest.raises(TypeError, match="dtype 'S'"):
            serialize(value, celltype)


@pytest.mark.parametrize("value", [True, False, "True"])
def test_w8_what_str_writes_it_reads_back_as_text(value: object) -> None:
    assert parse(serialize(value, "str"), "str") == str(value)


def test_w8_a_checksum_can_be_read_back() -> None:
    key = "0123456789abcdef" * 4
    for value in (key, [key], {"a": {"b": key}}):
        assert parse(serialize(value, "checksum"), "checksum") == value


def test_w8_nan_is_refused_where_it_would_become_null() -> None:
    for celltype in ("plain", "float"):
        with pytest.raises(ValueError, match="'mixed'"):
            serialize(float("nan"), celltype)


def test_w8_large_integers_are_read_exactly() -> None:
    for celltype in ("plain", "int", "mixed"):
        assert parse(b"100000000000000000001", celltype) == 100000000000000000001


def noisy(shape: tuple[int, ...], order: str) -> tuple[np.ndarray, np.ndarray]:
    """Return two equal arrays, with noise and with zeros in their padding."""
    noise = np.frombuffer(b"\xa5" * PADDED.itemsize * int(np.prod(shape)), PADDED).reshape(shape).copy(order)
    clean = np.zeros(shape, PADDED, order)
    for array in (noise, clean):
        array["a"], array["b"], array["c"]["x"], array["c"]["y"] = 1, 2.5, 3, 4
        array["g"] = 0
    return noise, clean


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_w10_padding_never_reaches_the_bytes(shape: tuple[int, ...], order: str) -> None:
    noise, clean = noisy(shape, order)
    for celltype in ("binary", "mixed", "bytes"):
        assert serialize(noise, celltype) == serialize(clean, celltype)
    assert serialize({"x": [noise]}, "mixed") == serialize({"x": [clean]}, "mixed")
    assert b"\xa5" not in serialize(noise, "binary")


def test_w10_padding_of_a_large_strided_array_is_zeroed_too() -> None:
    noise, clean = noisy((30_000,), "C")
    assert serialize(noise[::2], "binary") == serialize(clean[::2], "binary")


def test_w11_the_spelling_of_large_floats_is_our_own() -> None:
    assert canonical_json([1e16, 1e22, -1.5e300]) == b"[\n  1e+16,\n  1e+22,\n  -1.5e+300\n]\n"


def test_w12_equal_empty_arrays_have_one_checksum() -> None:
    fresh = serialize([np.zeros(0)], "mixed")
    for empty in (np.zeros(5)[5:], np.frombuffer(b""), parse(serialize(np.zeros(0), "binary"), "binary")):
        assert serialize([empty], "mixed") == fresh


def test_w13_numpy_scalars_are_plain_values() -> None:
    assert canonical_json([np.int64(1), np.float64(0.5), np.bool_(True)]) == canonical_json([1, 0.5, True])


def test_w14_bytes_are_read_as_bytes_and_nested_arrays_are_read_only() -> None:
    assert type(parse(b"a", "bytes")) is bytes
    for value in (
        parse(serialize(np.arange(2), "mixed"), "mixed"),
        parse(serialize([np.arange(2)], "mixed"), "mixed")[0],
    ):
        assert not value.flags.writeable


def test_w15_a_syntax_error_keeps_line_and_reason() -> None:
    with pytest.raises(ValueError, match="line 2, column 4: .*invalid syntax"):
        parse(b"x = 1\ny +\n", "python")


def test_w17_integrity_does_not_rest_on_assertions() -> None:
    code = (
        "from seamless.celltypes import parse, serialize\n"
        "data = serialize({'x': b'abc'}, 'mixed').replace(b'[[0, 3]', b'[[0, 9]')\n"
        "try:\n    parse(data, 'mixed')\nexcept ValueError:\n    print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-O", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"


def test_w19_field_names_of_any_language_survive() -> None:
    array = np.array([(1, 2)], np.dtype([("日", "<i4"), ("é", "<i4")], align=True))
    for celltype, value in (("binary", array), ("mixed", array)):
        assert parse(serialize(value, celltype), celltype).dtype.names == ("日", "é")
    assert parse(serialize([array], "mixed"), "mixed")[0].dtype.names == ("日", "é")


def test_w20_no_module_names_a_type_that_some_platforms_lack() -> None:
    code = (
        "import numpy\nfor name in ('float128', 'complex256', 'float96'):\n    numpy.__dict__.pop(name, None)\n"
        "from seamless.celltypes import parse, serialize\n"
        "print(parse(serialize([numpy.ones(1, numpy.longdouble)], 'mixed'), 'mixed')[0][0])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1.0\n"


def test_plain_values_need_neither_numpy_nor_asyncio() -> None:
    code = (
        "import sys\nfrom seamless.celltypes import convert, parse, serialize\n"
        "for celltype in ('plain', 'mixed', 'text', 'str', 'int', 'bytes'):\n"
        "    parse(serialize('5', celltype), celltype)\n"
        "serialize(b'x', 'mixed')\nserialize({'x': b'y'}, 'mixed')\nconvert(b'x', 'text', 'plain')\n"
        "import seamless.checksum.calculate_checksum, seamless.checksum.serialize, seamless.checksum.parse_buffer\n"
        "import seamless.checksum.json_, seamless.checksum.conversion, seamless.util.mixed, seamless.util.unchecksum\n"
        "print([name for name in ('numpy', 'asyncio', 'yaml', 'IPython', 'inspect') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_missing_numpy_is_named() -> None:
    code = (
        "import sys\nsys.modules['numpy'] = None\n"
        "from seamless.celltypes import parse, serialize\nfrom seamless.errors import MissingDependencyError\n"
        "for call in (lambda: serialize([1], 'binary'), lambda: parse(serialize(b'x', 'mixed'), 'mixed')):\n"
        "    try:\n        call()\n    except MissingDependencyError as error:\n"
        "        print(error.package, error.extra)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "numpy arrays\n" * 2
