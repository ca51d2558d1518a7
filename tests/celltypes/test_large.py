"""Large values in pieces: the same bytes as from `serialize`, and only for what is large and can be had in pieces."""

import numpy as np
import pytest

from seamless.celltypes import serialize
from seamless.celltypes.large import pieces_of_large

ARRAY = np.arange(5000, dtype=np.int32)
LEAST = 10_000
VALUES = {
    "an array": (ARRAY, "mixed"),
    "an array as binary": (ARRAY.reshape(50, 100), "binary"),
    "columns": (np.asfortranarray(ARRAY.reshape(50, 100)), "mixed"),
    "a view with gaps": (ARRAY[::-1], "mixed"),
    "records with padding": (np.ones(2000, np.dtype([("a", "i1"), ("b", "f8")], align=True)), "binary"),
    "a list": ([1, "text", ARRAY, {"x": b"abc"}], "mixed"),
    "a dict": ({"b": b"x" * 20_000, "a": ARRAY.astype("<f4")}, "mixed"),
    "bytes": (b"x" * 20_000, "bytes"),
    "bytes as mixed": (b"x" * 20_000, "mixed"),
}


@pytest.mark.parametrize("name", VALUES)
def test_the_pieces_are_the_bytes_of_the_value(name):
    value, celltype = VALUES[name]
    pieces = pieces_of_large(value, celltype, LEAST)
    assert b"".join(pieces) == serialize(value, celltype)


OTHERS = {
    "small": (ARRAY[:100], "mixed"),
    "a list of small ones": ([ARRAY[:100]] * 200, "mixed"),
    "text": ("x" * 20_000, "mixed"),
    "objects": (np.array([None] * 5000), "mixed"),
    "bytes that are no npy": (b"x" * 20_000, "binary"),
    "an array of text celltype": (ARRAY, "text"),
    "what mixed cannot hold": ({"x": ARRAY, "y": {1}}, "mixed"),
    "a wrong key": ({"x": ARRAY, 1.5: 0}, "mixed"),
    "a circle": ([ARRAY], "mixed"),
    "a subclass": (np.ma.masked_array(ARRAY), "mixed"),
}
OTHERS["a circle"][0].append(OTHERS["a circle"][0])


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_large_or_not_valid_has_no_pieces(name):
    value, celltype = OTHERS[name]
    assert pieces_of_large(value, celltype, LEAST) is None
