"""Identity: which keys bear load."""

import pytest

from seamless.celltypes import canonical_json
from seamless.transformer.identity import (
    load_bearing,
    orthogonal,
    transformation_buffer,
    transformation_checksum,
)

TF = {
    "__language__": "bash",
    "__output__": ["result", "bytes", None],
    "__format__": {"é.txt": {"filesystem": {"mode": "file", "optional": True}}, "a": {}},
    "code": ["text", None, "0" * 64],
    "é.txt": ["bytes", None, "1" * 64],
    "none": ("mixed", None, None),
}


def test_buffer_is_the_canonical_json_of_the_load_bearing_keys():
    assert transformation_buffer(TF) == canonical_json({**TF, "none": ["mixed", None, None]})


@pytest.mark.parametrize(
    "key", ["__meta__", "__env__", "__compilation__", "__deps__", "__compiled__", "META__T", "__code_text__"]
)
def test_orthogonal_and_derived_keys_leave_the_identity_alone(key):
    assert transformation_checksum({**TF, key: {"x": 1}}) == transformation_checksum(TF)
    assert key in orthogonal({**TF, key: 1})
    assert key not in load_bearing({**TF, key: 1})


@pytest.mark.parametrize("key", ["__as__", "__schema__", "newpin"])
def test_load_bearing_keys_change_the_identity(key):
    assert transformation_checksum({**TF, key: ["plain", None, "2" * 64]}) != transformation_checksum(TF)


def test_unknown_dunder_keys_are_refused():
    with pytest.raises(ValueError, match="__nonsense__"):
        transformation_checksum({**TF, "__nonsense__": 1})


def test_order_of_the_keys_does_not_matter():
    assert transformation_checksum(dict(reversed(TF.items()))) == transformation_checksum(TF)
