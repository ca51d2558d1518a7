"""Conversion between celltypes: the table, and what each kind of cell does."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from seamless.celltypes import CELLTYPES, canonical_json, convert, serialize
from seamless.celltypes.conversion import CONVERSIONS
from seamless.errors import CacheMissError, SeamlessConversionError

VECTORS = Path(__file__).parents[1] / "vectors" / "core.json"
HEX = "0123456789abcdef" * 4
NPY_S = serialize(np.array(b"abc"), "binary")
STREAM = serialize([b"a"], "mixed")


def test_the_table_is_the_known_one_with_str_to_mixed_made_trivial() -> None:
    known = json.loads(VECTORS.read_text())["conversion_classes"]["table"]
    assert known["str"]["mixed"] == "as:str>binary"
    known["str"]["mixed"] = "trivial"
    assert known == CONVERSIONS


def npy(value: object) -> bytes:
    return serialize(np.array(value), "binary")


CASES = [
    ("binary", "mixed", npy([1]), npy([1])),
    ("binary", "text", npy([1]), b"[\n  1\n]\n"),
    ("binary", "python", npy([1]), b"[\n  1\n]\n"),
    ("binary", "ipython", npy([1]), b"[\n  1\n]\n"),
    ("binary", "plain", npy([[1.5, 2]]), canonical_json([[1.5, 2.0]])),
    ("binary", "yaml", npy(3), b"3\n"),
    ("binary", "str", npy(b'"abc"'), b'"abc"\n'),
    ("binary", "bytes", NPY_S, b"abc"),
    ("binary", "bytes", npy([1]), npy([1])),
    ("binary", "int", npy(3.7), b"3\n"),
    ("binary", "float", npy(3), b"3.0\n"),
    ("binary", "bool", npy(0), b"false\n"),
    ("binary", "checksum", npy(HEX.encode()), f'"{HEX}"\n'.encode()),
    ("mixed", "binary", npy([1]), npy([1])),
    ("mixed", "text", b'"a\\u00e9"\n', "aé\n".encode()),
    ("mixed", "python", b'"x = 1"\n', b"x = 1\n"),
    ("mixed", "ipython", b'"x = 1"\n', b"x = 1\n"),
    ("mixed", "plain", b"[1, 1e-05]", b"[1, 1e-05]"),
    ("mixed", "yaml", b'"a: 1"', b"a: 1\n"),
    ("mixed", "str", b'"\\u00e9"\n', '"é"\n'.encode()),
    ("mixed", "str", b"3\n", b'"3"\n'),
    ("mixed", "str", npy(b'"abc"'), b'"abc"\n'),
    ("mixed", "bytes", NPY_S, b"abc"),
    ("mixed", "bytes", b"[1]\n", b"[1]\n"),
    ("mixed", "bytes", STREAM, STREAM),
    ("mixed", "int", b"3.7", b"3\n"),
    ("mixed", "float", npy(3), b"3.0\n"),
    ("mixed", "bool", b"null", b"false\n"),
    ("mixed", "checksum", f'["{HEX}"]'.encode(), f'[\n  "{HEX}"\n]\n'.encode()),
    ("text", "mixed", b"abc\n", b'"abc"\n'),
    ("text", "python", b"x = 1\n", b"x = 1\n"),
    ("text", "ipython", b"x = 1\n", b"x = 1\n"),
    ("text", "plain", b'{"b":1, "a":2}\n', b'{"b":1, "a":2}\n'),
    ("text", "plain", b"abc\n\n", b'"abc"\n'),
    ("text", "yaml", b"a: 1\n", b"a: 1\n"),
    ("text", "str", b'"abc"\n', b'"\\"abc\\""\n'),
    ("text", "bytes", b"abc\n", b"abc\n"),
    ("text", "int", b"5\n", b"5\n"),
    ("text", "float", b"5\n", b"5.0\n"),
    ("text", "bool", b"5\n", b"true\n"),
    ("text", "checksum", HEX.encode() + b"\n", f'"{HEX}"\n'.encode()),
    ("python", "mixed", b"x\n", b'"x"\n'),
    ("python", "text", b"x\n", b"x\n"),
    ("python", "ipython", b"x\n", b"x\n"),
    ("python", "plain", b"x\n", b'"x"\n'),
    ("python", "str", b"x\n", b'"x"\n'),
    ("python", "bytes", b"x\n", b"x\n"),
    ("ipython", "mixed", b"%x\n", b'"%x"\n'),
    ("ipython", "text", b"%x\n", b"%x\n"),
    ("ipython", "plain", b"%x\n", b'"%x"\n'),
    ("ipython", "str", b"%x\n", b'"%x"\n'),
    ("ipython", "bytes", b"%x\n", b"%x\n"),
    ("plain", "binary", b"[[1, 2], [3, 4]]", npy([[1, 2], [3, 4]])),
    ("plain", "binary", b"1.5", npy(1.5)),
    ("plain", "mixed", b"[1]\n", b"[1]\n"),
    ("plain", "text", b'"a\\nb"\n', b"a\nb\n"),
    ("plain", "text", b"[1]\n", b"[1]\n"),
    ("plain", "python", b'"x = 1"', b"x = 1\n"),
    ("plain", "ipython", b'"x = 1"', b"x = 1\n"),
    ("plain", "yaml", b"[1]\n", b"[1]\n"),
    ("plain", "str", b'"a"', b'"a"\n'),
    ("plain", "str", b"true", b'"True"\n'),
    ("plain", "bytes", b"[1]\n", b"[1]\n"),
    ("plain", "int", b'"5"', b"5\n"),
    ("plain", "float", b"5", b"5.0\n"),
    ("plain", "bool", b"0", b"false\n"),
    ("plain", "checksum", f'{{"a":"{HEX}"}}'.encode(), f'{{\n  "a": "{HEX}"\n}}\n'.encode()),
    ("yaml", "binary", b"[1, 2]\n", npy([1, 2])),
    ("yaml", "mixed", b"a: 1\n", b'"a: 1"\n'),
    ("yaml", "text", b"a: 1\n", b"a: 1\n"),
    (
        "yaml",
        "plain",
        b"b: 1\n2: x\ntrue: [~, 2020-01-02]\n",
        b'{\n  "2": "x",\n  "b": 1,\n  "true": [\n    null,\n    "2020-01-02"\n  ]\n}\n',
    ),
    ("yaml", "str", b"a: 1\n", b'"a: 1"\n'),
    ("yaml", "bytes", b"a: 1\n", b"a: 1\n"),
    ("yaml", "int", b"0x10\n", b"16\n"),
    ("yaml", "float", b"2\n", b"2.0\n"),
    ("yaml", "bool", b"no\n", b"false\n"),
    ("yaml", "checksum", HEX.encode(), f'"{HEX}"\n'.encode()),
    ("str", "mixed", '"é"\n'.encode(), '"é"\n'.encode()),
    ("str", "text", b'"abc"\n', b"abc\n"),
    ("str", "python", b'"x"\n', b"x\n"),
    ("str", "ipython", b'"x"\n', b"x\n"),
    ("str", "plain", b'"abc"\n', b'"abc"\n'),
    ("str", "yaml", b'"a: 1"\n', b"a: 1\n"),
    ("str", "bytes", b'"abc"\n', b'"abc"\n'),
    ("str", "int", b'"5"\n', b"5\n"),
    ("str", "float", b'"5"\n', b"5.0\n"),
    ("str", "bool", b'""\n', b"false\n"),
    ("str", "checksum", f'"{HEX}"\n'.encode(), f'"{HEX}"\n'.encode()),
    ("bytes", "binary", b"\xff", npy(b"\xff")),
    ("bytes", "binary", npy([1]), npy([1])),
    ("bytes", "mixed", b"\xff", npy(b"\xff")),
    ("bytes", "mixed", b"abc", b"abc"),
    ("bytes", "mixed", STREAM, STREAM),
    ("bytes", "text", b"abc", b"abc"),
    ("bytes", "python", b"x", b"x"),
    ("bytes", "ipython", b"x", b"x"),
    ("bytes", "plain", b"[1]", b"[1]"),
    ("bytes", "yaml", b"a: 1", b"a: 1"),
    ("bytes", "str", b'"a"', b'"a"\n'),
    ("bytes", "int", b"5", b"5\n"),
    ("bytes", "float", b"5", b"5.0\n"),
    ("bytes", "bool", b"5", b"true\n"),
    ("bytes", "checksum", HEX.encode(), f'"{HEX}"\n'.encode()),
    ("int", "binary", b"3\n", npy(3)),
    ("int", "str", b"3\n", b'"3"\n'),
    ("int", "float", b"3\n", b"3.0\n"),
    ("int", "bool", b"3\n", b"true\n"),
    ("float", "binary", b"3.0\n", npy(3.0)),
    ("float", "str", b"3.0\n", b'"3.0"\n'),
    ("float", "int", b"3.7\n", b"3\n"),
    ("float", "bool", b"0.0\n", b"false\n"),
    ("bool", "binary", b"true\n", npy(True)),
    ("bool", "str", b"true\n", b'"True"\n'),
    ("bool", "int", b"true\n", b"1\n"),
    ("bool", "float", b"true\n", b"1.0\n"),
    *[
        (kind, same, b"1\n", b"1\n")
        for kind in ("int", "float", "bool")
        for same in ("mixed", "text", "plain", "yaml", "bytes")
    ],
]


@pytest.mark.parametrize(("source", "target", "data", "expected"), CASES)
def test_a_conversion_gives_these_bytes(source: str, target: str, data: bytes, expected: bytes) -> None:
    if "ipython" in target:
        pytest.importorskip("IPython")
    assert convert(data, source, target) == expected


FAILURES = [
    ("binary", "plain", NPY_S, "bytes"),
    ("binary", "plain", npy(float("nan")), "nan"),
    ("binary", "int", npy([1, 2]), "size 1"),
    ("binary", "str", npy([1]), ""),
    ("mixed", "binary", b"[1]", "npy"),
    ("mixed", "plain", b"NaN", "NaN"),
    ("mixed", "plain", STREAM, ""),
    ("mixed", "str", b"[1]", "list"),
    ("text", "binary", b"abc\n", "npy"),
    ("text", "python", b"1 +\n", "line 1"),
    ("text", "checksum", b"abc\n", ""),
    ("python", "binary", b"x\n", "npy"),
    ("ipython", "binary", b"x\n", "npy"),
    ("str", "binary", b'"x"\n', "str"),
    ("plain", "binary", b'["a"]', "numbers"),
    ("plain", "binary", b'{"a": 1}', "dict"),
    ("plain", "binary", b"[[1], [1, 2]]", "inhomogeneous"),
    ("plain", "binary", b"[null]", "numbers"),
    ("plain", "str", b"null", "NoneType"),
    ("plain", "int", b"[1]", "list"),
    ("plain", "int", b"null", "NoneType"),
    ("plain", "bool", b"[]", "list"),
    ("plain", "python", b'"1 +"', "line 1"),
    ("yaml", "plain", b"a: [", "line"),
    ("yaml", "plain", b"1: a\n'1': b", "same JSON key"),
    ("yaml", "plain", b"? [1]\n: 2", ""),
    ("bytes", "text", b"\xff", "utf-8"),
    ("bytes", "binary", b"\x93NUMPY", "npy"),
    ("float", "int", b"NaN", "NaN"),
    ("int", "checksum", b"3", ""),
    ("plain", "int", b"1" * 1001, "1000"),
    ("str", "float", b'"nan"\n', "nan"),
]


@pytest.mark.parametrize(("source", "target", "data", "message"), FAILURES)
def test_a_conversion_that_the_data_do_not_allow_is_refused(
    source: str, target: str, data: bytes, message: str
) -> None:
    with pytest.raises(SeamlessConversionError, match=f"(?s)cannot convert {source} to {target}: .*{message}"):
        convert(data, source, target)


@pytest.mark.parametrize(
    ("source", "target"),
    [(s, t) for s, row in CONVERSIONS.items() for t, rule in row.items() if rule == "forbidden"],
)
def test_a_forbidden_conversion_is_refused(source: str, target: str) -> None:
    with pytest.raises(SeamlessConversionError, match=f"cannot convert {source} to {target}: there is no such"):
        convert(b"1\n", source, target)


def test_every_cell_of_the_table_is_shown_above() -> None:
    shown = {case[:2] for case in CASES + FAILURES}
    rest = {
        (source, target)
        for source in CELLTYPES
        for target in CELLTYPES
        if source not in (target, "checksum") and CONVERSIONS[source][target] != "forbidden"
    } - shown
    # shown for ipython below; the numbers are cast as `int` is
    assert rest == {("ipython", "python")} | {(s, "checksum") for s in ("python", "ipython", "float", "bool")}


def test_ipython_becomes_python_with_calls_assigned() -> None:
    pytest.importorskip("IPython")
    data = convert(b"%time x\ny = 1\n", "ipython", "python")
    assert data == b"_ = get_ipython().run_line_magic('time', 'x')\ny = 1\n"


@pytest.mark.parametrize("celltype", CELLTYPES)
def test_a_celltype_converts_to_itself_unchanged(celltype: str) -> None:
    assert convert(b"whatever", celltype, celltype) == b"whatever"


@pytest.mark.parametrize("target", sorted(set(CELLTYPES) - {"checksum"}))
def test_a_checksum_becomes_the_buffer_it_stands_for(target: str) -> None:
    if target == "ipython":
        pytest.importorskip("IPython")
    content = npy(1) if target in ("binary", "mixed") else b"1\n"
    key = hashlib.sha256(content).hexdigest()
    assert convert(f'"{key}"\n'.encode(), "checksum", target, resolve={key: content}.__getitem__) == content


def test_a_checksum_of_data_of_another_celltype_is_refused() -> None:
    with pytest.raises(SeamlessConversionError, match="npy"):
        convert(HEX.encode(), "checksum", "binary", resolve=lambda key: b"1\n")


def test_a_collection_of_checksums_can_only_become_plain() -> None:
    data = f'{{"a": "{HEX}"}}'.encode()
    assert convert(data, "checksum", "plain") == canonical_json({"a": HEX})
    assert convert(data, "checksum", "deepcell") == canonical_json({"a": HEX})
    with pytest.raises(SeamlessConversionError, match="plain"):
        convert(data, "checksum", "text", resolve=lambda key: b"")


def test_a_checksum_cannot_be_followed_without_resolve() -> None:
    with pytest.raises(SeamlessConversionError, match="resolve"):
        convert(HEX.encode(), "checksum", "text")


def test_a_cache_miss_passes_through() -> None:
    def miss(key: str) -> bytes:
        raise CacheMissError(key)

    with pytest.raises(CacheMissError):
        convert(HEX.encode(), "checksum", "text", resolve=miss)


def test_deep_celltypes_convert_as_plain() -> None:
    data = canonical_json({"a": HEX})
    assert convert(data, "folder", "deepfolder") == data
    assert convert(data, "deepcell", "text") == data
    assert convert(data, "deepcell", "checksum") == data


def test_an_unknown_celltype_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="cson"):
        convert(b"", "cson", "plain")
