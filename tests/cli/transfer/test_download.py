"""seamless-download: what comes back, where it goes, what is left alone, what is an error."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seamless.checksum import Checksum
from seamless.stores.directory import BufferDirectory
from tests.cli.transfer.conftest import ALPHA, TREE, Command

ABSENT = "0" * 64


@pytest.fixture
def uploaded(upload: Command, work: Path) -> Path:
    """The working directory with the sidecars of `a.txt` and `d`, whose content is only in the store."""
    import shutil

    assert upload("a.txt", "d").status == 0
    (work / "a.txt").unlink()
    shutil.rmtree(work / "d")
    return work


def files(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if not p.is_dir()}


TREE_FILES = {"sub/y.txt": b"two\n", "x.txt": b"one\n"}


# --- what comes back ------------------------------------------------------------------------------


def test_files_and_directories_come_back_by_their_names(download: Command, uploaded: Path) -> None:
    assert download("a.txt", "d") == (0, b"", "")
    assert (uploaded / "a.txt").read_bytes() == b"alpha\nbeta\n"
    assert files(uploaded / "d") == TREE_FILES


@pytest.mark.parametrize("names", [("a.txt.CHECKSUM", "d.CHECKSUM"), ("a.txt", "d.INDEX"), ("a.txt", "d/")])
def test_sidecars_stand_for_what_they_are_about(download: Command, uploaded: Path, names: tuple[str, str]) -> None:
    assert download(*names).status == 0
    assert (uploaded / "a.txt").exists()
    assert files(uploaded / "d") == TREE_FILES


def test_a_checksum_goes_to_a_file_called_like_it(download: Command, uploaded: Path) -> None:
    assert download(ALPHA).status == 0
    assert (uploaded / ALPHA).read_bytes() == b"alpha\nbeta\n"


def test_the_checksum_of_an_index_is_a_directory_with_directory(download: Command, uploaded: Path) -> None:
    assert download("--directory", TREE).status == 0
    assert files(uploaded / TREE) == TREE_FILES
    assert (uploaded / f"{TREE}.CHECKSUM").read_text() == TREE + "\n"


def test_without_directory_it_is_the_index_itself(download: Command, uploaded: Path) -> None:
    assert download("--stdout", TREE).out == (uploaded / "d.INDEX").read_bytes()


def test_an_empty_index_is_fetched_by_the_checksum(download: Command, uploaded: Path) -> None:
    index = (uploaded / "d.INDEX").read_bytes()
    (uploaded / "d.INDEX").write_bytes(b"")
    assert download("d").status == 0
    assert (uploaded / "d.INDEX").read_bytes() == index
    assert files(uploaded / "d") == TREE_FILES


def test_an_empty_directory_comes_back(upload: Command, download: Command, work: Path) -> None:
    (work / "empty").mkdir()
    upload("-m", "empty")
    assert download("empty").status == 0
    assert (work / "empty").is_dir()


def test_a_file_goes_where_output_says_without_sidecar(download: Command, uploaded: Path) -> None:
    before = set(files(uploaded))
    assert download("-o", "new/copy.txt", "a.txt").status == 0
    assert set(files(uploaded)) - before == {"new/copy.txt"}


def test_a_directory_goes_where_output_says_with_its_sidecars(download: Command, uploaded: Path) -> None:
    assert download("-o", "one.txt", "-o", "copy", ALPHA, "d").status == 0
    assert (uploaded / "one.txt").exists()
    assert files(uploaded / "copy") == TREE_FILES
    assert (uploaded / "copy.CHECKSUM").read_text() == TREE + "\n"
    assert (uploaded / "copy.INDEX").read_bytes() == (uploaded / "d.INDEX").read_bytes()


def test_stdout_is_the_exact_bytes(upload: Command, download: Command, work: Path) -> None:
    data = bytes(range(256)) + b"\n\n\n"
    (work / "bin").write_bytes(data)
    upload("bin")
    assert download("--stdout", "bin") == (0, data, "")


def test_index_writes_a_sidecar_for_each_member_and_no_content(download: Command, uploaded: Path) -> None:
    assert download("--index", "d").status == 0
    assert set(files(uploaded / "d")) == {"x.txt.CHECKSUM", "sub/y.txt.CHECKSUM"}


def test_sidecars_of_members_are_not_in_the_way(download: Command, uploaded: Path) -> None:
    download("--index", "d")
    assert download("d").status == 0
    assert (uploaded / "d" / "x.txt").exists()


def test_a_result_of_seamless_run_comes_back(download: Command, uploaded: Path, run_cli: Any) -> None:
    done = run_cli(["seamless-run", "-nd", "-cp", "r", "mkdir r; echo made > r/t; true"], cwd=uploaded)
    assert done.returncode == 0, done.stderr
    assert download("r").status == 0
    assert files(uploaded / "r") == {"t": b"made\n"}


# --- compression ----------------------------------------------------------------------------------


def test_a_compressed_upload_comes_back_plain_by_its_plain_name(upload: Command, download: Command, work: Path) -> None:
    (work / "z.txt.gz").write_bytes(gzip.compress(b"zz"))
    upload("-m", "z.txt.gz")
    assert download("z.txt").status == 0
    assert (work / "z.txt").read_bytes() == b"zz"


def test_a_name_with_a_suffix_is_written_compressed(download: Command, uploaded: Path) -> None:
    assert download("a.txt.gz").status == 0
    assert gzip.decompress((uploaded / "a.txt.gz").read_bytes()) == b"alpha\nbeta\n"
    assert download("-o", "b.gz", "a.txt").status == 0
    assert gzip.decompress((uploaded / "b.gz").read_bytes()) == b"alpha\nbeta\n"


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_compression_adds_the_suffix_to_every_name(download: Command, uploaded: Path, kind: str) -> None:
    from seamless.compression_utils import decompress_bytes

    assert download("--compression", kind, "a.txt", "d").status == 0
    assert set(files(uploaded / "d")) == {f"x.txt.{kind}", f"sub/y.txt.{kind}"}
    assert decompress_bytes((uploaded / f"a.txt.{kind}").read_bytes(), f".{kind}") == b"alpha\nbeta\n"


def test_a_compressed_file_that_is_here_is_known_by_its_content(download: Command, uploaded: Path) -> None:
    download("--compression", "gz", "d")
    inode = (uploaded / "d" / "x.txt.gz").stat().st_ino
    assert download("--compression", "gz", "d").status == 0
    assert (uploaded / "d" / "x.txt.gz").stat().st_ino == inode


def test_content_that_was_stored_under_a_compressed_name_is_not_compressed_again(
    download: Command, work: Path, store: Path
) -> None:
    data = gzip.compress(b"made by a command")
    BufferDirectory(store).put([(Checksum.of(data), data)])
    (work / "out.gz.CHECKSUM").write_text(Checksum.of(data).hex() + "\n")
    assert download("out.gz").status == 0
    assert (work / "out.gz").read_bytes() == data


# --- what is here ---------------------------------------------------------------------------------


def test_what_is_here_is_left_alone(download: Command, uploaded: Path) -> None:
    download("a.txt", "d")
    inodes = {p: p.stat().st_ino for p in uploaded.rglob("*") if p.is_file()}
    assert download("a.txt", "d").status == 0
    assert {p: p.stat().st_ino for p in uploaded.rglob("*") if p.is_file()} == inodes


def test_only_what_is_missing_is_fetched(download: Command, uploaded: Path) -> None:
    download("d")
    (uploaded / "d" / "x.txt").unlink()
    assert "Download 1 files" in download("-v", "d").err


@pytest.mark.parametrize("options", [(), ("--dest-verify",)])
def test_other_content_is_an_error_and_stays(download: Command, uploaded: Path, options: tuple[str, ...]) -> None:
    (uploaded / "d").mkdir()
    (uploaded / "d" / "x.txt").write_bytes(b"ONE\n")
    done = download(*options, "d")
    assert done.status == 1
    assert "'d/x.txt'" in done.err
    assert "--dest-repair" in done.err
    assert files(uploaded / "d") == {"sub/y.txt": b"two\n", "x.txt": b"ONE\n"}


def test_other_content_is_replaced_with_dest_repair(download: Command, uploaded: Path) -> None:
    (uploaded / "a.txt").write_bytes(b"ALPHA\nBETA\n")
    assert download("--dest-repair", "a.txt").status == 0
    assert (uploaded / "a.txt").read_bytes() == b"alpha\nbeta\n"


def test_other_content_is_trusted_with_dest_skip(download: Command, uploaded: Path) -> None:
    (uploaded / "a.txt").write_bytes(b"mine\n")
    assert download("--dest-skip", "a.txt").status == 0
    assert (uploaded / "a.txt").read_bytes() == b"mine\n"


def test_files_that_the_index_does_not_have_are_an_error(download: Command, uploaded: Path) -> None:
    (uploaded / "d").mkdir()
    (uploaded / "d" / "extra").write_text("mine")
    done = download("d", "a.txt")
    assert done.status == 1
    assert "'d/extra'" in done.err
    assert (uploaded / "a.txt").exists()
    assert files(uploaded / "d") == {"extra": b"mine"}


def test_dest_rm_removes_them(download: Command, uploaded: Path) -> None:
    (uploaded / "d" / "deep" / "er").mkdir(parents=True)
    (uploaded / "d" / "deep" / "er" / "extra").write_text("mine")
    (uploaded / "d" / "x.txt").mkdir()
    (uploaded / "d" / "x.txt" / "inside").write_text("mine")
    assert download("--dest-rm", "d").status == 0
    assert files(uploaded / "d") == TREE_FILES
    assert not (uploaded / "d" / "deep").exists()


def test_dest_rm_removes_nothing_when_content_is_lost(
    download: Command, uploaded: Path, buffer: Callable[[str], Path]
) -> None:
    buffer(json.loads((uploaded / "d.INDEX").read_bytes())["x.txt"]).unlink()
    (uploaded / "d").mkdir()
    (uploaded / "d" / "extra").write_text("mine")
    assert download("--dest-rm", "d").status == 1
    assert (uploaded / "d" / "extra").exists()


# --- what is missing ------------------------------------------------------------------------------


def test_content_that_is_lost_is_an_error_and_the_rest_comes(
    download: Command, uploaded: Path, buffer: Callable[[str], Path]
) -> None:
    lost = json.loads((uploaded / "d.INDEX").read_bytes())["x.txt"]
    buffer(lost).unlink()
    done = download("d", ABSENT, "a.txt")
    assert done.status == 1
    assert f"Cannot download contents of file 'd/x.txt', checksum {lost}" in done.err
    assert "2 of 3 targets" in done.err
    assert files(uploaded / "d") == {"sub/y.txt": b"two\n"}
    assert (uploaded / "a.txt").exists()
    assert not (uploaded / ABSENT).exists()


def test_content_that_is_lost_is_an_error_also_with_no(download: Command, work: Path) -> None:
    assert download("-n", ABSENT).status == 1


def test_damaged_content_is_an_error_and_is_not_written(
    download: Command, uploaded: Path, buffer: Callable[[str], Path]
) -> None:
    buffer(ALPHA).chmod(0o644)
    buffer(ALPHA).write_bytes(b"ALPHA\nBETA\n")
    done = download("a.txt", "d")
    assert done.status == 1
    assert "corrupted" in done.err
    assert not (uploaded / "a.txt").exists()
    assert files(uploaded / "d") == TREE_FILES


def test_lost_content_on_stdout_is_an_error(download: Command, work: Path) -> None:
    done = download("--stdout", ABSENT)
    assert (done.status, done.out) == (1, b"")
    assert ABSENT in done.err


def test_a_name_without_sidecar_is_an_error(download: Command, uploaded: Path) -> None:
    done = download("nothing", "a.txt")
    assert done.status == 1
    assert "nothing.CHECKSUM" in done.err
    assert (uploaded / "a.txt").exists()


def test_a_sidecar_without_a_checksum_is_an_error(download: Command, work: Path) -> None:
    (work / "b.CHECKSUM").write_text("hello\n")
    done = download("b")
    assert done.status == 1
    assert "'b.CHECKSUM'" in done.err


def test_sidecars_that_contradict_each_other_are_an_error(download: Command, uploaded: Path) -> None:
    (uploaded / "d.CHECKSUM").write_text(ALPHA + "\n")
    done = download("d")
    assert done.status == 1
    assert "d.INDEX" in done.err
    assert "d.CHECKSUM" in done.err


def test_an_index_may_have_other_white_space(download: Command, uploaded: Path) -> None:
    index = json.loads((uploaded / "d.INDEX").read_bytes())
    (uploaded / "d.INDEX").write_text(json.dumps(index))
    assert download("d").status == 0


def test_a_target_that_cannot_be_written_is_an_error(download: Command, uploaded: Path) -> None:
    (uploaded / "file").write_text("in the way")
    done = download("-o", "file/copy", "a.txt")
    assert done.status == 1
    assert "file" in done.err


def test_two_contents_for_one_path_are_refused(download: Command, uploaded: Path) -> None:
    done = download("-o", "same", "-o", "same", ALPHA, TREE)
    assert done.status == 1
    assert "'same'" in done.err


# --- hostile indices ------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["../evil", "/evil", "a/../../evil", "a//b", "", ".", "x\0y"])
@pytest.mark.parametrize("options", [(), ("--index",)])
def test_an_index_that_leads_elsewhere_is_refused(
    download: Command, uploaded: Path, key: str, options: tuple[str, ...]
) -> None:
    (uploaded / "h.INDEX").write_text(json.dumps({key: ALPHA, "good": ALPHA}))
    done = download(*options, "h")
    assert done.status == 1
    assert "unsafe path" in done.err
    assert not (uploaded / "h").exists()
    assert not list(uploaded.parent.glob("evil*"))


@pytest.mark.parametrize("text", ["[]", "{", '{"a": 1}', '{"a": "zz"}', '"a"', "[" * 100_000])
def test_what_is_no_index_is_refused(download: Command, work: Path, text: str) -> None:
    (work / "h.INDEX").write_text(text)
    done = download("h")
    assert done.status == 1
    assert "is not an index" in done.err


def test_nothing_is_written_through_a_link_to_a_directory(download: Command, uploaded: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (uploaded / "d").mkdir()
    (uploaded / "d" / "sub").symlink_to(elsewhere)
    done = download("d")
    assert done.status == 1
    assert "symbolic link" in done.err
    assert list(elsewhere.iterdir()) == []


def test_a_link_in_place_of_a_member_is_replaced_not_followed(
    download: Command, uploaded: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (uploaded / "d").mkdir()
    (uploaded / "d" / "x.txt").symlink_to(victim)
    assert download("--dest-repair", "d").status == 0
    assert victim.read_text() == "precious"
    assert files(uploaded / "d") == TREE_FILES


# --- links, another directory ---------------------------------------------------------------------


def test_hard_links_share_the_buffers(download: Command, uploaded: Path, buffer: Callable[[str], Path]) -> None:
    assert download("--hardlink", "a.txt").status == 0
    assert (uploaded / "a.txt").samefile(buffer(ALPHA))


@pytest.mark.parametrize("option", ["--symlink", "--softlink"])
def test_symbolic_links_lead_to_the_buffers(
    download: Command, uploaded: Path, buffer: Callable[[str], Path], option: str
) -> None:
    assert download(option, "d", "a.txt").status == 0
    assert os.readlink(uploaded / "a.txt") == str(buffer(ALPHA))
    assert files(uploaded / "d") == TREE_FILES


def test_a_link_is_not_read_again_with_incremental(
    download: Command, uploaded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    download("--hardlink", "d")

    def has_content(path: str, *more: object) -> bool:
        raise OSError(f"{path} was read")

    monkeypatch.setattr("seamless.cli.transfer.present.has_content", has_content)
    assert download("--hardlink", "--incremental", "d").status == 0
    assert download("--hardlink", "d").status == 1


def test_a_link_to_a_compressed_buffer_is_refused_with_advice(upload: Command, download: Command, work: Path) -> None:
    (work / "z.gz").write_bytes(gzip.compress(b"zz"))
    upload("z.gz")
    done = download("--hardlink", "z")
    assert done.status == 1
    assert "--copy" in done.err
    assert download("--hardlink", "-o", "linked.gz", "z").status == 0
    assert gzip.decompress((work / "linked.gz").read_bytes()) == b"zz"


def test_another_buffer_directory_is_read_without_the_cache(
    upload: Command, download: Command, work: Path, store: Path
) -> None:
    upload("--destination", "s", "--move", "a.txt")
    assert not store.exists()
    assert download("--destination", "s", "a.txt").status == 0
    assert (work / "a.txt").exists()
    assert not store.exists()


def test_a_destination_that_is_not_there_is_an_error(download: Command, uploaded: Path) -> None:
    done = download("--destination", "none", "a.txt")
    assert done.status == 1
    assert "none" in done.err
    assert not (uploaded / "none").exists()


# --- how much, mistakes ---------------------------------------------------------------------------


def test_no_skips_large_targets_without_an_error(
    download: Command, uploaded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAMLESS_MAX_DOWNLOAD_FILES", "1")
    assert download("-n", "d", "a.txt") == (0, b"", "")
    assert (uploaded / "a.txt").exists()
    assert not (uploaded / "d").exists()


def test_without_a_terminal_large_targets_are_an_error(
    download: Command, uploaded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAMLESS_MAX_DOWNLOAD_SIZE", "10 B")
    done = download("d", "a.txt")
    assert done.status == 1
    assert "no terminal" in done.err
    assert files(uploaded / "d") == TREE_FILES
    assert download("-y", "a.txt").status == 0


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("-o", "x", "-o", "y", "a.txt"),
        ("--stdout", "a.txt", "d"),
        ("--stdout", "-o", "x", "a.txt"),
        ("--stdout", "d"),
        ("--incremental", "d"),
        ("--compression", "xz", "d"),
        ("--destination", "s", "--project", "p", "d"),
        ("--compression", "gz", "--symlink", "d"),
    ],
)
def test_options_that_do_not_fit_are_a_mistake(download: Command, uploaded: Path, argv: tuple[str, ...]) -> None:
    before = set(uploaded.rglob("*"))
    assert download(*argv).status == 2
    assert set(uploaded.rglob("*")) == before


def test_json_tells_what_came(download: Command, uploaded: Path) -> None:
    done = download("--json", "a.txt", "d", "nothing")
    report = json.loads(done.out)
    assert (done.status, report["exit_status"], report["downloaded"]) == (1, 1, {"files": 3, "bytes": 19})
    assert [(t["kind"], t["local"], t["files"], t["done"]) for t in report["targets"][:2]] == [
        ("file", "a.txt", 1, 1),
        ("directory", "d", 2, 2),
    ]
    assert "nothing" in report["targets"][2]["error"]


# --- a store elsewhere ----------------------------------------------------------------------------


def test_a_store_with_the_least_abilities_gives_everything(
    upload: Command, download: Command, work: Path, plain_store: Any
) -> None:
    upload("--move", "a.txt", "d")
    assert download("a.txt", "d").status == 0
    assert files(work / "d") == TREE_FILES
    assert download("--compression", "gz", "a.txt").status == 0
    assert download("--symlink", "-o", "l", "a.txt").status == 2


def test_nothing_temporary_is_left(upload: Command, download: Command, uploaded: Path, plain_store: Any) -> None:
    download("a.txt", "d")
    assert list(uploaded.rglob(".*")) == []
