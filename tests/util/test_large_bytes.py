"""Large bytes are those that `b"".join` gives, however they are made."""

import pytest

from seamless.celltypes import parse, serialize
from seamless.celltypes.npy import join_chunks
from seamless.util import large_bytes
from seamless.util.large_bytes import LARGE, joined

numpy = pytest.importorskip("numpy")


def test_large_pieces_are_joined_in_order():
    pieces = [b"head", bytes(range(256)) * (LARGE // 512), b"", bytearray(b"tail"), b"x" * (LARGE // 2)]
    result = joined(pieces, sum(map(len, pieces)))
    assert type(result) is bytes
    assert result == b"".join(pieces)
    assert hash(result) == hash(b"".join(pieces))


def test_pieces_of_another_length_than_was_said_are_no_result():
    with pytest.raises(ValueError, match="the pieces have 3 bytes instead of"):
        joined([b"abc"], LARGE)
    with pytest.raises(ValueError, match=r"memoryview assignment"):
        joined([b"x" * (LARGE + 1)], LARGE)


def test_where_memory_cannot_be_had_that_way_the_bytes_are_the_same(monkeypatch):
    pieces = [b"head", b"x" * LARGE]
    expected = joined(pieces, LARGE + 4)
    monkeypatch.setattr(large_bytes, "_memory", lambda: None)
    assert joined(pieces, LARGE + 4) == expected


@pytest.mark.parametrize("python", ["PyPy", "GraalVM"])
def test_only_cpython_is_known_to_allow_it(python, monkeypatch):
    monkeypatch.setattr("platform.python_implementation", lambda: python)
    assert large_bytes._memory.__wrapped__() is None


N = 1000
ARRAYS = {
    "plain": lambda: numpy.arange(N, dtype="<i8"),
    "Fortran order": lambda: numpy.arange(N).reshape(-1, 4, order="F"),
    "not contiguous": lambda: numpy.arange(2 * N)[::2],
    "booleans": lambda: numpy.arange(N) % 3 == 0,
    "byte strings": lambda: numpy.arange(N).astype("S5"),
    "structured": lambda: numpy.ones(N, numpy.dtype([("a", "<i8"), ("b", "<f8")], align=True)),
    "structured with padding": lambda: numpy.ones(N, numpy.dtype([("a", "<i2"), ("b", "<f8")], align=True)),
    "float16, three axes": lambda: numpy.ones((2, N, 3), "<f2"),
}


@pytest.fixture
def low(monkeypatch):
    """Let few bytes be large ones."""
    for module in ("seamless.util.large_bytes", "seamless.celltypes.npy"):
        monkeypatch.setattr(f"{module}.LARGE", 1000)


@pytest.mark.parametrize("name", ARRAYS)
def test_large_arrays_of_every_kind_have_the_bytes_of_small_ones(name, request):
    array = ARRAYS[name]()
    expected = serialize(array, "binary")
    request.getfixturevalue("low")
    content = serialize(array, "binary")
    assert content == expected
    assert numpy.array_equal(parse(content, "binary"), array)


@pytest.mark.parametrize(
    ("value", "celltype"),
    [
        ({"a": b"x" * 2000, "b": numpy.arange(300), "c": 1}, "mixed"),
        (b"x" * 2000, "mixed"),
        (b"x" * 2000, "bytes"),
    ],
    ids=["container", "bytes as mixed", "bytes"],
)
def test_large_bytes_and_containers_have_the_bytes_of_small_ones(value, celltype, request):
    expected = serialize(value, celltype)
    request.getfixturevalue("low")
    assert serialize(value, celltype) == expected


def test_an_array_of_the_size_that_counts_is_what_it_was():
    array = numpy.arange(LARGE // 8 + 5)
    content = serialize(array, "binary")
    assert content.endswith(array.tobytes())
    assert numpy.array_equal(parse(content, "binary"), array)


def test_small_chunks_are_joined_as_ever():
    assert join_chunks([b"a"], [b"bc", numpy.frombuffer(b"de", "u1")]) == b"abcde"
