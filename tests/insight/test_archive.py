"""Archives: what belongs to a result goes out together, and nothing comes in that is not what its name says."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from seamless.checksum import Checksum
from seamless.cli.storage import take_in
from seamless.errors import BufferCorruptionError, SeamlessError, UsageError
from seamless.insight.archive import MANIFEST, ArchiveError, Imported, read_archive, write_archive
from seamless.insight.closure import Closure, closure
from seamless.stores.embedded import EmbeddedStore, open_embedded


def hexsum(data: bytes) -> str:
    return Checksum.of(data).hex()


def gathered(lab, name: str, **more: Any) -> Closure:  # type: ignore[no-untyped-def]
    return closure([Checksum(name)], lab.store.buffers, lab.results, **more)


def exported(lab, name: str, path: Path) -> Path:  # type: ignore[no-untyped-def]
    write_archive(gathered(lab, name), lab.store.buffers, str(path))
    return path


def imported(path: Path, store: EmbeddedStore) -> Imported:
    return read_archive(str(path), store.buffers, store.results, take_in)


@pytest.fixture
def other(tmp_path: Path) -> EmbeddedStore:
    return open_embedded(tmp_path / "other")


@pytest.fixture
def chain(lab) -> str:  # type: ignore[no-untyped-def]
    """Return the second of two steps, one after the other."""
    lab.step(b"one", a=lab.put(b"input"))
    lab.step(b"unrelated", a=lab.put(b"something"))
    return lab.step(b"two", code="other", a=hexsum(b"one"))


def test_the_steps_that_gave_the_inputs_belong_to_a_result(lab, chain: str) -> None:  # type: ignore[no-untyped-def]
    found = gathered(lab, hexsum(b"two"))
    assert set(found.steps.values()) == {hexsum(b"one"), hexsum(b"two")}
    assert hexsum(b"input") in found.buffers and hexsum(b"something") not in found.buffers


def test_without_history_only_the_step_itself_belongs_to_it(lab, chain: str) -> None:  # type: ignore[no-untyped-def]
    found = gathered(lab, chain, history=False)
    assert list(found.steps) == [chain]
    assert hexsum(b"one") in found.buffers and hexsum(b"input") not in found.buffers


def test_what_is_not_stored_any_more_is_named(lab, chain: str) -> None:  # type: ignore[no-untyped-def]
    lab.path(hexsum(b"one")).unlink()
    assert gathered(lab, chain).missing == [hexsum(b"one")]


def test_an_unknown_root_is_refused(lab) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match="neither stored in"):
        gathered(lab, "0" * 64)


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tar.zst"])
def test_what_is_exported_is_imported(lab, chain: str, other: EmbeddedStore, tmp_path: Path, name: str) -> None:  # type: ignore[no-untyped-def]
    done = imported(exported(lab, chain, tmp_path / name), other)
    assert (done.new_steps, done.conflicts, done.roots) == (2, [], [chain])
    assert other.results.get_result(Checksum(chain)) == Checksum.of(b"two")
    assert other.buffers.get(Checksum.of(b"input")) == b"input"


def test_a_directory_is_exported_with_its_files(lab, other: EmbeddedStore, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    name = lab.step(lab.folder(x=b"ex"), output="deepfolder")
    imported(exported(lab, name, tmp_path / "a.tar"), other)
    assert other.buffers.get(Checksum.of(b"ex")) == b"ex"


def test_the_same_results_give_the_same_archive(lab, chain: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    first, second = (exported(lab, chain, tmp_path / name).read_bytes() for name in ("a.tar.zst", "b.tar.zst"))
    assert first == second


def test_to_import_again_changes_nothing(lab, chain: str, other: EmbeddedStore, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = exported(lab, chain, tmp_path / "a.tar")
    imported(path, other)
    done = imported(path, other)
    assert (done.new_steps, done.new_buffers, done.known_steps) == (0, 0, 2)


def test_a_known_result_is_not_replaced(lab, chain: str, other: EmbeddedStore, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    other.results.set_result(Checksum(chain), Checksum.of(b"mine"))
    done = imported(exported(lab, chain, tmp_path / "a.tar"), other)
    assert done.conflicts == [(chain, hexsum(b"mine"), hexsum(b"two"))]
    assert other.results.get_result(Checksum(chain)) == Checksum.of(b"mine")


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tar.zst"])
def test_an_archive_that_is_cut_short_makes_no_result_known(
    lab, chain: str, other: EmbeddedStore, tmp_path: Path, name: str
) -> None:  # type: ignore[no-untyped-def]
    path = exported(lab, chain, tmp_path / name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ArchiveError):
        imported(path, other)
    assert other.results.get_result(Checksum(chain)) is None


def archive(path: Path, manifest: object, *members: tuple[str, bytes]) -> Path:
    """Write an archive by hand."""
    with tarfile.open(path, "w") as tar:
        for name, data in ((MANIFEST, json.dumps(manifest).encode()), *members):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def manifest_with(*names: str, **more: object) -> dict[str, object]:
    return {"seamless_export": 1, "roots": [], "steps": [], "buffers": dict.fromkeys(names, 3), **more}


def test_bytes_that_are_not_what_their_name_says_are_refused(other: EmbeddedStore, tmp_path: Path) -> None:
    name = hexsum(b"one")
    step = {"tf_checksum": "1" * 64, "result_checksum": name}
    path = archive(tmp_path / "a.tar", manifest_with(name, steps=[step]), (f"buffers/{name[:2]}/{name}", b"two"))
    with pytest.raises(BufferCorruptionError):
        imported(path, other)
    assert other.buffers.get(Checksum(name)) is None
    assert other.results.get_result(Checksum("1" * 64)) is None


@pytest.mark.parametrize(
    ("manifest", "members", "text"),
    [
        (manifest_with(), [("../evil", b"x")], "unexpected member '../evil'"),
        (manifest_with(), [(f"buffers/00/{'0' * 64}", b"x")], "unexpected member"),
        (manifest_with("0" * 64), [], "1 buffers are missing"),
        (manifest_with("0" * 64), [(f"buffers/00/{'0' * 64}", b"long")], "another length"),
        (manifest_with("x"), [], "without checksum or length"),
        (manifest_with(steps=[{"tf_checksum": "x"}]), [], "step without checksums"),
        ({"seamless_export": 2}, [], "format 1 is expected, found 2"),
        ([], [], "format 1 is expected"),
        ({"seamless_export": 1}, [], "lacks roots, steps or buffers"),
    ],
)
def test_an_archive_that_is_none_of_ours_is_refused(
    other: EmbeddedStore, tmp_path: Path, manifest: object, members: list[tuple[str, bytes]], text: str
) -> None:
    with pytest.raises(ArchiveError, match=text):
        imported(archive(tmp_path / "a.tar", manifest, *members), other)


def test_a_name_that_says_no_form_is_refused_before_anything_is_written(lab, chain: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match="NAME.tar.zst"):
        exported(lab, chain, tmp_path / "archive")


def test_a_failed_export_leaves_no_file(lab, chain: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    found = gathered(lab, chain)
    lab.path(hexsum(b"input")).unlink()
    with pytest.raises(SeamlessError, match="was removed"):
        write_archive(found, lab.store.buffers, str(tmp_path / "a.tar.zst"))
    assert [path.name for path in tmp_path.iterdir() if "tar" in path.name] == []
