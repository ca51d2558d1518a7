"""Compressed data is read completely or not at all."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamless.compression_utils import (
    SUFFIXES,
    compress_bytes,
    compress_stream,
    decompress_bytes,
    http_encoding,
    open_decompressed,
    strip_compression_suffix,
    suffix_of_encoding,
)
from seamless.errors import MissingDependencyError

DATA = os.urandom(50_000) + b"repeated " * 50_000


def stream_frame(data: bytes) -> bytes:
    """Return a zstd frame that does not state its content size."""
    from backports import zstd

    compressor = zstd.ZstdCompressor()
    return compressor.compress(data[:10]) + compressor.compress(data[10:]) + compressor.flush()


MAKERS: dict[str, list[Callable[[bytes], bytes]]] = {
    ".gz": [gzip.compress, lambda data: compress_bytes(data, ".gz")],
    ".zst": [stream_frame, lambda data: compress_bytes(data, ".zst")],
}
each_maker = pytest.mark.parametrize(("suffix", "make"), [(s, make) for s in SUFFIXES for make in MAKERS[s]])
each_suffix = pytest.mark.parametrize("suffix", SUFFIXES)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("x", ("x", None)),
        ("x.gz", ("x", ".gz")),
        ("d/x.npy.zst", ("d/x.npy", ".zst")),
        ("x.zst.gz", ("x.zst", ".gz")),
        ("x.GZ", ("x.GZ", None)),
        ("gz", ("gz", None)),
    ],
)
def test_one_suffix_is_stripped_and_case_matters(name: str, parts: tuple[str, str | None]) -> None:
    assert strip_compression_suffix(name) == parts


@given(data=st.binary(max_size=2000), suffix=st.sampled_from(SUFFIXES))
def test_decompression_undoes_compression(data: bytes, suffix: str) -> None:
    assert decompress_bytes(compress_bytes(data, suffix), suffix) == data


@each_suffix
def test_the_same_data_is_compressed_to_the_same_bytes(suffix: str) -> None:
    assert compress_bytes(DATA, suffix) == compress_bytes(memoryview(DATA), suffix)


def test_other_programs_read_what_is_compressed() -> None:
    assert gzip.decompress(compress_bytes(DATA, ".gz")) == DATA


@each_maker
def test_all_frames_or_members_are_read(suffix: str, make: Callable[[bytes], bytes]) -> None:
    several = make(b"first ") + make(b"") + make(b"second ") + make(DATA)
    assert decompress_bytes(several, suffix) == b"first second " + DATA
    assert open_decompressed(io.BytesIO(several), suffix).read() == b"first second " + DATA


def test_a_skippable_zstd_frame_contributes_nothing() -> None:
    skippable = b"\x50\x2a\x4d\x18" + (3).to_bytes(4, "little") + b"abc"
    frame = compress_bytes(b"data", ".zst")
    assert decompress_bytes(skippable + frame + skippable, ".zst") == b"data"


def test_zero_padding_after_a_gzip_member_is_accepted() -> None:
    member = gzip.compress(b"x")
    assert decompress_bytes(member + b"\0" * 1000 + member + b"\0" * 300_000, ".gz") == b"xx"


@each_maker
def test_data_cut_short_anywhere_is_an_error(suffix: str, make: Callable[[bytes], bytes]) -> None:
    data = make(b"some text, " * 3)
    for length in range(len(data)):
        with pytest.raises(ValueError, match="truncated|empty"):
            decompress_bytes(data[:length], suffix)
    with pytest.raises(ValueError, match="truncated"):
        decompress_bytes(data + data[:-1], suffix)


@each_maker
def test_garbage_behind_the_data_is_an_error(suffix: str, make: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ValueError, match=r"corrupt .* data in .* 2"):
        decompress_bytes(make(b"fine") + b"garbage garbage garbage", suffix)


@each_suffix
def test_every_flipped_bit_is_noticed_or_harmless(suffix: str) -> None:
    good = compress_bytes(b"some text that is compressed", suffix)
    for position in range(len(good)):
        bad = bytearray(good)
        bad[position] ^= 4
        try:
            found = decompress_bytes(bad, suffix)
        except ValueError:
            continue
        assert found == b"some text that is compressed"  # as in the time stamp of gzip


@each_suffix
def test_what_is_not_compressed_is_an_error_that_names_the_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / ("bad" + suffix)
    path.write_bytes(b"corrupt")
    with pytest.raises(ValueError, match="bad"), open_decompressed(path, suffix) as f:
        f.read()


@each_suffix
def test_a_decompression_bomb_is_stopped_at_the_limit(suffix: str) -> None:
    bomb = compress_bytes(bytes(10_000_000), suffix)
    with pytest.raises(ValueError, match="more than the allowed 1000000 bytes"):
        decompress_bytes(bomb, suffix, max_size=1_000_000)
    with pytest.raises(ValueError, match="more than the allowed"):
        open_decompressed(io.BytesIO(bomb), suffix, max_size=1_000_000).read()
    assert len(decompress_bytes(bomb, suffix, max_size=10_000_000)) == 10_000_000


@each_suffix
def test_reading_in_small_pieces_gives_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "f"
    path.write_bytes(compress_bytes(DATA, suffix))
    with open_decompressed(path, suffix) as f:
        pieces = []
        while piece := f.read(999):
            pieces.append(piece)
    assert b"".join(pieces) == DATA


def test_closing_closes_the_source() -> None:
    source = io.BytesIO(gzip.compress(b"x"))
    open_decompressed(source, ".gz").close()
    assert source.closed


@pytest.mark.parametrize("suffix", [".bz2", "", "gz", ".GZ"])
def test_an_unknown_suffix_is_a_value_error(suffix: str) -> None:
    for function in (compress_bytes, decompress_bytes):
        with pytest.raises(ValueError, match="unknown compression suffix"):
            function(b"", suffix)
    with pytest.raises(ValueError, match="unknown compression suffix"):
        open_decompressed(io.BytesIO(), suffix)


def test_the_http_names_map_both_ways() -> None:
    assert [http_encoding(s) for s in SUFFIXES] == ["zstd", "gzip"]
    assert [suffix_of_encoding(name) for name in ("zstd", "GZip ")] == [".zst", ".gz"]
    with pytest.raises(ValueError, match="'br'"):
        suffix_of_encoding("br")


def test_without_zstd_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("backports.zstd", "compression.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match=r"seamless\[shell\]"):
        decompress_bytes(b"x", ".zst")


def test_importing_the_module_does_not_load_zstd_or_gzip() -> None:
    code = (
        "import sys, seamless.compression_utils; "
        "print([m for m in ('gzip', 'backports.zstd', 'compression.zstd') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("data", [b"", b"payload" * 100_000])
def test_a_stream_of_known_length_tells_it_in_the_head_of_its_frame(data: bytes) -> None:
    target = io.BytesIO()
    compress_stream(io.BytesIO(data), target, ".zst", length=len(data))
    assert target.getvalue() == compress_bytes(data, ".zst")  # which knows the length, too
    with pytest.raises(ValueError, match="Src size is incorrect"):
        compress_stream(io.BytesIO(data + b"x"), io.BytesIO(), ".zst", length=len(data))
