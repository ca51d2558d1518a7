"""Inputs: their checksums, their agreement with sidecars, their way into the store."""

from __future__ import annotations

import gzip
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from seamless.celltypes import canonical_json
from seamless.checksum import Checksum
from seamless.cli.commandline.plan import Input
from seamless.cli.running.inputs import hash_inputs, store_inputs
from seamless.errors import SeamlessError, UsageError
from seamless.stores.embedded import EmbeddedStore, open_embedded


def hex_of(data: bytes) -> str:
    return sha256(data).hexdigest()


@pytest.fixture
def store(work: Path, cache: Path) -> EmbeddedStore:
    return open_embedded(str(cache / "__TOPLEVEL__"))


def test_a_file_has_the_checksum_of_its_bytes(work: Path, messages: Any) -> None:
    [entry] = hash_inputs([Input("a.txt", "file", "a.txt")], messages)
    assert (entry.checksum, entry.size) == (hex_of(b"alpha\nbeta\n"), 11)


def test_a_large_file_has_the_checksum_of_its_bytes(work: Path, messages: Any) -> None:
    data = os.urandom(1 << 16) * 40
    (work / "big").write_bytes(data)
    [entry] = hash_inputs([Input("big", "file", "big")], messages)
    assert (entry.checksum, entry.size) == (hex_of(data), len(data))


def test_a_compressed_file_has_the_checksum_of_what_is_in_it(work: Path, messages: Any) -> None:
    (work / "z.txt.gz").write_bytes(gzip.compress(b"alpha\n"))
    [entry] = hash_inputs([Input("z.txt.gz", "file", "z.txt.gz")], messages)
    assert entry.checksum == hex_of(b"alpha\n")


def test_a_directory_has_the_checksum_of_its_index(work: Path, messages: Any) -> None:
    (work / "d" / "sub").mkdir(parents=True)
    (work / "d" / "x").write_bytes(b"1")
    (work / "d" / "sub" / "y").write_bytes(b"2")
    [entry] = hash_inputs([Input("d", "directory", "d")], messages)
    assert entry.checksum == hex_of(canonical_json({"x": hex_of(b"1"), "sub/y": hex_of(b"2")}))
    assert entry.size == 2


def test_of_an_input_without_file_the_sidecar_is_believed(work: Path, messages: Any) -> None:
    [entry] = hash_inputs([Input("b.txt", "file", None, checksum="ab" * 32)], messages)
    assert (entry.checksum, entry.size) == ("ab" * 32, None)


def test_a_file_that_agrees_with_its_sidecar_is_fine(work: Path, messages: Any) -> None:
    [entry] = hash_inputs([Input("a.txt", "file", "a.txt", checksum=hex_of(b"alpha\nbeta\n"))], messages)
    assert entry.path == "a.txt"


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_disagreement_names_both_checksums_and_the_ways_out(work: Path, messages: Any, kind: Any) -> None:
    (work / "d").mkdir()
    name = "a.txt" if kind == "file" else "d"
    [entry] = hash_inputs([Input(name, kind, name)], messages)
    with pytest.raises(UsageError) as info:
        hash_inputs([Input(name, kind, name, checksum="ab" * 32)], messages)
    for fact in (entry.checksum, "ab" * 32, f"delete {name}.CHECKSUM", "checksums are not the same"):
        assert fact in str(info.value)


def test_a_directory_made_by_a_command_agrees_although_it_holds_compressed_files(
    work: Path, store: EmbeddedStore, messages: Any
) -> None:
    (work / "d").mkdir()
    raw = gzip.compress(b"alpha\n")
    (work / "d" / "x.gz").write_bytes(raw)
    index = canonical_json({"x.gz": hex_of(raw)})
    (work / "d.INDEX").write_bytes(index)
    [entry] = hash_inputs([Input("d", "directory", "d", checksum=hex_of(index))], messages)
    assert entry.checksum == hex_of(index)
    assert store_inputs([entry], store) == (1, len(raw))
    assert store.buffers.get(Checksum.of(raw)) == raw


def test_what_is_no_regular_file_is_refused_without_reading_it(work: Path, messages: Any) -> None:
    os.mkfifo(work / "pipe")
    with pytest.raises(UsageError, match="no regular file"):
        hash_inputs([Input("pipe", "file", "pipe")], messages)


def test_a_directory_in_the_place_of_a_file_is_refused(work: Path, messages: Any) -> None:
    (work / "d").mkdir()
    with pytest.raises(UsageError, match="directory"):
        hash_inputs([Input("d", "file", "d")], messages)


def test_a_missing_file_is_named(work: Path, messages: Any) -> None:
    with pytest.raises(UsageError, match="gone.txt"):
        hash_inputs([Input("gone.txt", "file", "gone.txt")], messages)


def test_a_file_that_only_pretends_to_be_compressed_is_refused(work: Path, messages: Any) -> None:
    (work / "z.gz").write_bytes(b"no gzip at all")
    with pytest.raises(UsageError, match="z.gz"):
        hash_inputs([Input("z.gz", "file", "z.gz")], messages)


def test_hashing_creates_no_cache(work: Path, cache: Path, messages: Any) -> None:
    hash_inputs([Input("a.txt", "file", "a.txt")], messages)
    assert not cache.exists()


def test_storing_brings_files_directories_and_indices_into_the_store(
    work: Path, store: EmbeddedStore, messages: Any
) -> None:
    (work / "d").mkdir()
    (work / "d" / "x.gz").write_bytes(gzip.compress(b"inner"))
    inputs = hash_inputs([Input("a.txt", "file", "a.txt"), Input("d", "directory", "d")], messages)
    assert store_inputs(inputs, store) == (2, 16)
    assert store.buffers.get(Checksum(inputs[0].checksum)) == b"alpha\nbeta\n"
    assert store.buffers.get(Checksum(inputs[1].checksum)) == canonical_json({"x": hex_of(b"inner")})
    assert store.buffers.get(Checksum.of(b"inner")) == b"inner"
    assert store_inputs(inputs, store) == (0, 0)


def test_a_file_that_changes_after_it_was_hashed_is_not_stored_under_a_wrong_name(
    work: Path, store: EmbeddedStore, messages: Any
) -> None:
    inputs = hash_inputs([Input("a.txt", "file", "a.txt")], messages)
    (work / "a.txt").write_text("other")
    with pytest.raises(SeamlessError, match="has changed"):
        store_inputs(inputs, store)
    assert store.buffers.get(Checksum(inputs[0].checksum)) is None


def test_an_input_known_by_its_checksum_only_must_be_in_the_store(
    work: Path, store: EmbeddedStore, messages: Any
) -> None:
    inputs = hash_inputs([Input("b.txt", "file", None, checksum=hex_of(b"b"))], messages)
    with pytest.raises(UsageError, match=r"b\.txt\.CHECKSUM"):
        store_inputs(inputs, store)
    store.buffers.put([(Checksum.of(b"b"), b"b")])
    assert store_inputs(inputs, store) == (0, 0)


def test_of_a_directory_known_by_its_index_every_file_must_be_in_the_store(
    work: Path, store: EmbeddedStore, messages: Any
) -> None:
    index = canonical_json({"x": hex_of(b"1")})
    (work / "d.INDEX").write_bytes(index)
    inputs = hash_inputs([Input("d", "directory", None, checksum=hex_of(index))], messages)
    with pytest.raises(UsageError, match="'d/x'"):
        store_inputs(inputs, store)
    store.buffers.put([(Checksum.of(b"1"), b"1")])
    assert store_inputs(inputs, store) == (0, 0)
    assert store.buffers.get(Checksum.of(index)) == index
