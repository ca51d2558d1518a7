"""The modules that other code imports by older names."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import numpy as np
import pytest

from seamless.checksum import Checksum
from seamless.checksum.calculate_checksum import (
    TRIVIAL_CHECKSUMS,
    calculate_checksum,
    calculate_dict_checksum,
    calculate_file_checksum,
)
from seamless.checksum.celltypes import celltypes, text_types
from seamless.checksum.conversion import conversion_chain, conversion_equivalent, conversion_trivial
from seamless.checksum.json_ import json_dumps, json_dumps_bytes, json_encode
from seamless.checksum.parse_buffer import parse_buffer, parse_buffer_sync
from seamless.checksum.serialize import serialize, serialize_sync
from seamless.util import mixed
from seamless.util.unchecksum import unchecksum

HEX = "0123456789abcdef" * 4
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_checksums_of_bytes_text_and_dicts() -> None:
    assert calculate_checksum(b"") == EMPTY
    assert calculate_checksum("é") == hashlib.sha256("é".encode()).hexdigest()
    assert calculate_dict_checksum({"b": 1, "a": []}) == calculate_checksum('{\n  "a": [],\n  "b": 1\n}\n')


def test_a_file_is_hashed_in_pieces(tmp_path: Path) -> None:
    content = b"0123456789" * 300_000
    (tmp_path / "f").write_bytes(content)
    assert calculate_file_checksum(tmp_path / "f") == calculate_checksum(content)
    assert calculate_file_checksum("/dev/stdout") is None
    assert calculate_file_checksum("/dev/stderr") is None


def test_the_trivial_checksums_are_those_of_five_buffers() -> None:
    assert set(TRIVIAL_CHECKSUMS.values()) == {b"", b"{}", b"{}\n", b"[]", b"[]\n"}
    assert all(calculate_checksum(content) == key for key, content in TRIVIAL_CHECKSUMS.items())


def test_serialize_and_parse_buffer_exist_in_two_forms() -> None:
    assert serialize_sync([1], "plain") == asyncio.run(serialize([1], "plain")) == b"[\n  1\n]\n"
    assert parse_buffer_sync(b"[1]", None, "plain") == [1]
    assert asyncio.run(parse_buffer(b"[1]", Checksum(EMPTY), "plain", copy=False)) == [1]


def test_the_names_of_the_celltypes_are_lists() -> None:
    assert len(celltypes) == 13
    assert set(text_types) <= set(celltypes)


def test_json_is_written_in_both_ways() -> None:
    assert json_dumps({"é": 1e-05}) == '{\n  "é": 0.00001\n}'
    assert json_dumps_bytes([]) == b"[]"
    assert json_encode({"é": np.float64(1e-05)}) == '{\n  "\\u00e9": 1e-05\n}'
    for bad in (b"x", {1}):
        with pytest.raises(TypeError):
            json_encode(bad)


def test_the_conversion_classes_are_sets_of_pairs() -> None:
    assert ("text", "bytes") in conversion_trivial
    assert conversion_chain["mixed", "text"] == "plain"
    assert conversion_equivalent["yaml", "bytes"] == ("text", "bytes")


@pytest.mark.parametrize(
    ("value", "storage"),
    [([1, "a"], "pure-plain"), (np.arange(3), "pure-binary"), ({"a": np.arange(3), "b": 1}, "mixed-plain")],
)
def test_a_stream_and_its_form_can_be_had_apart(value: object, storage: str) -> None:
    found, form = mixed.get_form(value)
    assert found == storage
    stream = mixed.to_stream(value, found, form)
    assert mixed.serialize(value).endswith(stream)
    assert mixed.to_stream(value) == stream
    again = mixed.from_stream(stream, found, form)
    assert mixed.serialize(again) == mixed.serialize(mixed.deserialize(mixed.serialize(value)))
    assert mixed.serialize(value).startswith(
        {"pure-binary": mixed.MAGIC_NUMPY, "mixed-plain": mixed.MAGIC_SEAMLESS_MIXED}.get(storage, b"[")
    )
    assert stream.startswith(mixed.MAGIC_SEAMLESS) == (storage == "mixed-plain")


def test_parts_of_a_value_without_a_form_are_a_type_error() -> None:
    for call in (mixed.get_form, mixed.to_stream, mixed.serialize):
        with pytest.raises(TypeError, match=r"value\[1\]"):
            call([b"x", {1}])


def test_checksums_become_hex_at_any_depth() -> None:
    key = Checksum(HEX)
    assert unchecksum({"a": [key, (key, 1)], "b": key}) == {"a": [HEX, [HEX, 1]], "b": HEX}
