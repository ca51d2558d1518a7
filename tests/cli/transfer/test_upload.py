"""seamless-upload: what is stored, which sidecars appear, what is an error."""

from __future__ import annotations

import gzip
import json
import os
import stat
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.cli.transfer.conftest import ALPHA, TREE, Command

LARGE = 5_000_000  # bytes; more than is read before it is stored


def hex_of(data: bytes) -> str:
    return sha256(data).hexdigest()


def stored(store: Path) -> set[str]:
    """Return the names of all buffers, in any form."""
    return {path.name for path in store.glob("??/*")}


# --- what appears ---------------------------------------------------------------------------------


def test_a_file_is_stored_read_only_and_has_a_sidecar(
    upload: Command, work: Path, buffer: Callable[[str], Path]
) -> None:
    assert upload("a.txt") == (0, b"", "seamless-upload: Upload 1 files, total 11.00 B\n")
    assert (work / "a.txt.CHECKSUM").read_text() == ALPHA + "\n"
    assert buffer(ALPHA).read_bytes() == b"alpha\nbeta\n"
    assert stat.S_IMODE(buffer(ALPHA).stat().st_mode) == 0o444


def test_a_directory_has_an_index_which_is_stored_as_well(
    upload: Command, work: Path, buffer: Callable[[str], Path]
) -> None:
    assert upload("d/").status == 0
    index = (work / "d.INDEX").read_bytes()
    assert list(json.loads(index)) == ["sub/y.txt", "x.txt"]
    assert (work / "d.CHECKSUM").read_text() == TREE + "\n"
    assert buffer(TREE).read_bytes() == index


def test_an_empty_directory_has_an_empty_index(upload: Command, work: Path) -> None:
    (work / "empty").mkdir()
    assert upload("empty").status == 0
    assert (work / "empty.INDEX").read_bytes() == b"{}\n"


@pytest.mark.parametrize("size", [0, 1, LARGE])
def test_files_of_any_size_are_stored(upload: Command, work: Path, buffer: Callable[[str], Path], size: int) -> None:
    data = os.urandom(1000) * (size // 1000) or b"x" * size
    (work / "f").write_bytes(data)
    assert upload("f").status == 0
    assert (work / "f.CHECKSUM").read_text() == hex_of(data) + "\n"
    assert buffer(hex_of(data)).read_bytes() == data


def test_a_directory_of_large_files_is_stored(upload: Command, work: Path, buffer: Callable[[str], Path]) -> None:
    contents = {name: name.encode() * LARGE for name in "abc"}
    for name, data in contents.items():
        (work / "d" / name).write_bytes(data)
    assert upload("d").status == 0
    index = json.loads((work / "d.INDEX").read_bytes())
    assert {name: index[name] for name in contents} == {name: hex_of(data) for name, data in contents.items()}
    assert all(buffer(hex_of(data)).stat().st_size == LARGE for data in contents.values())


def test_many_small_files_are_stored(upload: Command, work: Path, store: Path) -> None:
    for n in range(150):
        (work / "d" / f"{n}").write_text(f"{n}")
    assert upload("d").status == 0
    assert {hex_of(f"{n}".encode()) for n in range(150)} <= stored(store)


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_compressed_file_is_stored_as_it_is_under_the_checksum_of_its_content(
    upload: Command, work: Path, buffer: Callable[[str], Path], suffix: str
) -> None:
    from seamless.compression_utils import compress_bytes

    data = b"alpha\nbeta\n" * 1000
    compressed = compress_bytes(data, suffix)
    (work / f"z.txt{suffix}").write_bytes(compressed)
    assert upload(f"z.txt{suffix}").status == 0
    assert (work / "z.txt.CHECKSUM").read_text() == hex_of(data) + "\n"
    base = buffer(hex_of(data))
    assert not base.exists()
    assert base.with_name(base.name + suffix).read_bytes() == compressed
    assert base.with_name(base.name + ".BUFFERLENGTH").read_bytes() == b"%d" % len(data)


def test_compressed_members_are_keys_without_suffix(upload: Command, work: Path) -> None:
    (work / "d" / "z.gz").write_bytes(gzip.compress(b"zz"))
    assert upload("d").status == 0
    assert json.loads((work / "d.INDEX").read_bytes())["z"] == hex_of(b"zz")


def test_sidecars_among_the_names_are_passed_over(upload: Command, work: Path) -> None:
    upload("a.txt")
    assert upload("a.txt", "a.txt.CHECKSUM") == (0, b"", "")
    assert not (work / "a.txt.CHECKSUM.CHECKSUM").exists()


def test_the_index_of_an_earlier_directory_of_that_name_goes(upload: Command, work: Path) -> None:
    upload("d")
    (work / "d").rename(work / "other")
    (work / "d").write_text("now a file")
    assert upload("d").status == 0
    assert not (work / "d.INDEX").exists()


def test_a_project_has_a_store_of_its_own(upload: Command, store: Path) -> None:
    assert upload("--project", "p:q", "--stage", "s", "a.txt").status == 0
    assert (store.parent / "p" / "q" / "STAGE-s" / ALPHA[:2] / ALPHA).exists()


# --- again ----------------------------------------------------------------------------------------


def test_what_is_stored_is_not_stored_again(upload: Command) -> None:
    upload("a.txt", "d")
    assert upload("a.txt", "d").err == ""
    assert "stored already" in upload("-v", "a.txt", "d").err


def test_after_an_interruption_only_the_rest_is_stored(upload: Command, work: Path) -> None:
    for name in "ab":
        (work / "d" / name).write_bytes(name.encode() * LARGE)
    upload("d/a")  # as if the upload of d had ended there
    (work / "d" / "a.CHECKSUM").unlink()
    assert "Upload 3 files, total 5.00 MB" in upload("d").err


def test_equal_files_are_stored_once(upload: Command, work: Path) -> None:
    (work / "b.txt").write_bytes(b"alpha\nbeta\n")
    assert "Upload 1 files" in upload("a.txt", "b.txt").err
    assert (work / "b.txt.CHECKSUM").read_text() == ALPHA + "\n"


def damage(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"ALPHA\nBETA\n")


def test_a_damaged_buffer_is_an_error_with_dest_verify(upload: Command, buffer: Callable[[str], Path]) -> None:
    upload("a.txt")
    damage(buffer(ALPHA))
    done = upload("--dest-verify", "a.txt")
    assert done.status == 1
    assert "damaged" in done.err


def test_a_damaged_buffer_is_stored_again_with_dest_repair(upload: Command, buffer: Callable[[str], Path]) -> None:
    upload("a.txt")
    damage(buffer(ALPHA))
    assert upload("--dest-repair", "a.txt").status == 0
    assert buffer(ALPHA).read_bytes() == b"alpha\nbeta\n"


@pytest.mark.parametrize("policy", ["--dest-skip", "--dest-verify", "--dest-repair"])
def test_a_good_buffer_stays_whatever_the_policy(upload: Command, buffer: Callable[[str], Path], policy: str) -> None:
    upload("a.txt")
    inode = buffer(ALPHA).stat().st_ino
    assert upload(policy, "a.txt").status == 0
    assert buffer(ALPHA).stat().st_ino == inode


# --- what goes wrong ------------------------------------------------------------------------------


def test_a_missing_file_is_an_error_and_the_others_are_stored(upload: Command, work: Path) -> None:
    done = upload("missing", "a.txt")
    assert done.status == 1
    assert "'missing': No such file or directory" in done.err
    assert "1 of 2 targets" in done.err
    assert (work / "a.txt.CHECKSUM").exists()


def test_an_unreadable_compressed_file_is_an_error_without_a_sidecar(upload: Command, work: Path) -> None:
    (work / "z.gz").write_bytes(b"not compressed")
    done = upload("z.gz", "a.txt")
    assert done.status == 1
    assert "'z.gz'" in done.err
    assert not (work / "z.CHECKSUM").exists()
    assert (work / "a.txt.CHECKSUM").exists()


def test_a_directory_with_a_file_and_its_compressed_form_is_refused(upload: Command, work: Path) -> None:
    (work / "d" / "x.txt.gz").write_bytes(gzip.compress(b"other"))
    done = upload("d")
    assert done.status == 1
    assert "'x.txt'" in done.err
    assert not (work / "d.CHECKSUM").exists()


def test_two_files_with_one_sidecar_are_refused(upload: Command, work: Path) -> None:
    (work / "a.txt.gz").write_bytes(gzip.compress(b"other"))
    done = upload("a.txt", "a.txt.gz")
    assert done.status == 1
    assert "a.txt.CHECKSUM" in done.err
    assert (work / "a.txt.CHECKSUM").read_text() == ALPHA + "\n"


def test_a_pipe_is_refused(upload: Command, work: Path) -> None:
    os.mkfifo(work / "pipe")
    assert upload("pipe").status == 1


def test_a_sidecar_that_cannot_be_written_is_an_error(upload: Command, work: Path) -> None:
    (work / "a.txt.CHECKSUM").mkdir()
    done = upload("a.txt")
    assert done.status == 1
    assert "a.txt.CHECKSUM" in done.err


def test_no_arguments_are_a_mistake(upload: Command) -> None:
    done = upload()
    assert (done.status, done.out) == (2, b"")
    assert "usage" in done.err


def test_options_after_the_names_are_a_mistake(upload: Command, work: Path) -> None:
    done = upload("a.txt", "-y")
    assert done.status == 2
    assert "Option -y must be specified before upload targets" in done.err
    assert not (work / "a.txt.CHECKSUM").exists()


def test_two_dashes_end_the_options(upload: Command, work: Path) -> None:
    (work / "-y").write_text("dashing")
    assert upload("--", "-y").status == 0
    assert (work / "-y.CHECKSUM").exists()


@pytest.mark.parametrize(
    "argv",
    [
        ("--incremental", "a.txt"),
        ("--destination", "s", "--project", "p", "a.txt"),
        ("--destination", "s", "--stage", "p", "a.txt"),
        ("--move", "--symlink", "a.txt"),
        ("--copy", "--hardlink", "a.txt"),
        ("--project", ":sub", "a.txt"),
    ],
)
def test_options_that_do_not_fit_are_a_mistake(upload: Command, work: Path, argv: tuple[str, ...]) -> None:
    assert upload(*argv).status == 2
    assert not (work / "a.txt.CHECKSUM").exists()


# --- a buffer directory, links --------------------------------------------------------------------


def test_a_destination_without_marker_is_flat(upload: Command, work: Path) -> None:
    (work / "s").mkdir()
    assert upload("--destination", "s", "a.txt").status == 0
    assert [path.name for path in (work / "s").iterdir()] == [ALPHA]


def test_a_destination_with_marker_has_subdirectories(upload: Command, work: Path) -> None:
    (work / "s").mkdir()
    (work / "s" / ".HASHSERVER_PREFIX").write_text("1\n")
    (work / "z.gz").write_bytes(gzip.compress(b"zz"))
    assert upload("--destination", "s", "a.txt", "z.gz").status == 0
    assert (work / "s" / ALPHA[:2] / ALPHA).exists()
    assert stat.S_IMODE((work / "s" / ALPHA[:2]).stat().st_mode) == 0o3775
    assert (work / "s" / hex_of(b"zz")[:2] / (hex_of(b"zz") + ".gz")).exists()


def test_a_hard_link_shares_the_file_and_protects_it(
    upload: Command, work: Path, buffer: Callable[[str], Path]
) -> None:
    assert upload("--hardlink", "a.txt").status == 0
    assert buffer(ALPHA).samefile(work / "a.txt")
    assert stat.S_IMODE((work / "a.txt").stat().st_mode) == 0o444


def test_a_symbolic_link_leads_to_the_file(upload: Command, work: Path, buffer: Callable[[str], Path]) -> None:
    assert upload("--symlink", "a.txt").status == 0
    assert os.readlink(buffer(ALPHA)) == str(work / "a.txt")


def test_a_compressed_file_is_linked_as_the_compressed_form(upload: Command, work: Path, store: Path) -> None:
    (work / "z.gz").write_bytes(gzip.compress(b"zz"))
    assert upload("--hardlink", "z.gz").status == 0
    assert {hex_of(b"zz") + ".gz", hex_of(b"zz") + ".BUFFERLENGTH"} == stored(store)


def test_a_linked_file_is_not_read_again_with_incremental(
    upload: Command, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload("--hardlink", "a.txt", "d")

    def hash_file(path: str, **options: object) -> str:
        raise OSError(f"{path} was read")

    monkeypatch.setattr("seamless.cli.transfer.hashing.hash_file", hash_file)
    assert upload("--hardlink", "--incremental", "a.txt", "d").status == 0
    assert upload("--hardlink", "a.txt").status == 1


# --- move -----------------------------------------------------------------------------------------


def test_move_deletes_files_and_directories(upload: Command, work: Path) -> None:
    assert upload("-m", "a.txt", "d").status == 0
    assert sorted(path.name for path in work.iterdir()) == ["a.txt.CHECKSUM", "d.CHECKSUM", "d.INDEX"]


def test_move_deletes_nothing_that_the_store_does_not_give_back(
    upload: Command, work: Path, buffer: Callable[[str], Path]
) -> None:
    upload("a.txt")
    damage(buffer(ALPHA))
    done = upload("-mv", "a.txt")
    assert done.status == 1
    assert "nothing is deleted" in done.err
    assert (work / "a.txt").exists()


def test_move_deletes_nothing_of_a_directory_that_is_not_all_stored(upload: Command, work: Path) -> None:
    (work / "d" / "z.gz").write_bytes(b"not compressed")
    assert upload("--move", "d").status == 1
    assert (work / "d" / "x.txt").exists()


def test_move_keeps_what_is_not_part_of_the_index(upload: Command, work: Path) -> None:
    (work / "d" / "link").symlink_to(work)
    done = upload("--move", "d")
    assert done.status == 1
    assert "'d/link'" in done.err
    assert (work / "d" / "link").is_symlink()
    assert not (work / "d" / "x.txt").exists()


# --- how much -------------------------------------------------------------------------------------


def test_no_refuses_more_than_the_limit(upload: Command, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAMLESS_MAX_UPLOAD_FILES", "2")
    done = upload("-n", "a.txt", "d")
    assert done.status == 1
    assert "Cannot confirm upload of 3 files, total 19.00 B" in done.err
    assert not (work / "a.txt.CHECKSUM").exists()


def test_what_is_stored_does_not_count(upload: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    upload("d")
    monkeypatch.setenv("SEAMLESS_MAX_UPLOAD_FILES", "2")
    assert upload("-n", "a.txt", "d").status == 0


def test_nobody_is_asked_for_a_store_on_this_machine(upload: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAMLESS_MAX_UPLOAD_SIZE", "1 B")
    assert upload("a.txt").status == 0


@pytest.mark.parametrize(
    ("variable", "value"), [("SEAMLESS_MAX_UPLOAD_FILES", "many"), ("SEAMLESS_MAX_UPLOAD_SIZE", "10 potatoes")]
)
def test_a_limit_that_is_none_is_a_mistake(
    upload: Command, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    done = upload("a.txt")
    assert done.status == 2
    assert variable in done.err


def test_json_tells_what_was_stored(upload: Command) -> None:
    done = upload("-q", "--json", "a.txt", "missing")
    report = json.loads(done.out)
    assert (done.status, report["exit_status"], report["uploaded"]) == (1, 1, {"files": 1, "bytes": 11})
    good, bad = report["targets"]
    assert (good["name"], good["checksum"], good["error"]) == ("a.txt", ALPHA, None)
    assert bad["checksum"] is None
    assert "No such file" in bad["error"]


# --- a store elsewhere ----------------------------------------------------------------------------


def test_a_store_with_the_least_abilities_gets_everything(upload: Command, work: Path, plain_store: Any) -> None:
    large = os.urandom(LARGE)
    (work / "big").write_bytes(large)
    (work / "empty").write_bytes(b"")
    (work / "z.gz").write_bytes(gzip.compress(b"zz"))
    assert upload("a.txt", "d", "big", "z.gz", "empty").status == 0
    content = plain_store.content
    assert {ALPHA, TREE, hex_of(large), hex_of(b"zz"), hex_of(b"")} <= {c.hex() for c in content}


def test_a_store_elsewhere_is_given_only_what_it_lacks(upload: Command, plain_store: Any) -> None:
    upload("a.txt")
    plain_store.puts.clear()
    assert upload("a.txt").status == 0
    assert plain_store.puts == []


def test_a_store_elsewhere_is_asked_about_and_without_a_terminal_that_is_no(
    upload: Command, plain_store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAMLESS_MAX_UPLOAD_FILES", "2")
    done = upload("a.txt", "d")
    assert done.status == 1
    assert "no terminal" in done.err
    assert upload("-y", "a.txt", "d").status == 0


def test_links_need_a_directory(upload: Command, plain_store: Any) -> None:
    done = upload("--hardlink", "a.txt")
    assert done.status == 2
    assert "--destination" in done.err


def test_a_file_that_changes_meanwhile_is_an_error(
    upload: Command, work: Path, plain_store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seamless.cli.transfer import hashing

    def hash_then_change(path: str, **options: object) -> str:
        result = real(path)
        Path(path).write_bytes(b"changed")
        return result

    real = hashing.hash_file
    monkeypatch.setattr(hashing, "hash_file", hash_then_change)
    done = upload("a.txt")
    assert done.status == 1
    assert "'a.txt' has changed" in done.err
    assert not (work / "a.txt.CHECKSUM").exists()
