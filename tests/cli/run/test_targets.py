"""Result targets: sidecars, downloads, what was there before, limits."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest

from seamless.celltypes import canonical_json
from seamless.checksum import Checksum
from seamless.cli.commandline.plan import Target
from seamless.cli.running import limits
from seamless.cli.running.limits import DownloadLimits
from seamless.cli.running.targets import TargetResult, download, write_sidecars
from seamless.errors import CacheMissError, UsageError
from seamless.stores.embedded import EmbeddedStore, open_embedded

ONE, TWO = Checksum.of(b"1").hex(), Checksum.of(b"22").hex()


@pytest.fixture
def store(work: Path, cache: Path) -> EmbeddedStore:
    found = open_embedded(str(cache / "__TOPLEVEL__"))
    found.buffers.put([(Checksum(ONE), b"1"), (Checksum(TWO), b"22")])
    return found


def bring(store: EmbeddedStore, messages: Any, index: dict[str, str], *targets: Target) -> dict[str, bool]:
    results = [TargetResult(target, index) for target in targets]
    write_sidecars(results, store)
    return download(results, store, DownloadLimits("ask"), messages)


def test_a_file_gets_a_sidecar_of_65_bytes_and_its_content(work: Path, store: EmbeddedStore, messages: Any) -> None:
    assert bring(store, messages, {"o": ONE}, Target("o")) == {"o": True}
    assert (work / "o.CHECKSUM").read_bytes() == ONE.encode() + b"\n"
    assert (work / "o").read_bytes() == b"1"


def test_a_target_appears_under_its_local_name_in_a_new_directory(
    work: Path, store: EmbeddedStore, messages: Any
) -> None:
    bring(store, messages, {"o": ONE}, Target("o", "new/dir/p"))
    assert (work / "new/dir/p").read_bytes() == b"1"
    assert (work / "new/dir/p.CHECKSUM").exists()


def test_a_directory_gets_an_index_whose_buffer_is_stored(work: Path, store: EmbeddedStore, messages: Any) -> None:
    bring(store, messages, {"d/x": ONE, "d/sub/y": TWO, "dd/z": ONE}, Target("d"))
    index = canonical_json({"x": ONE, "sub/y": TWO})
    assert (work / "d.INDEX").read_bytes() == index
    assert (work / "d.CHECKSUM").read_text() == Checksum.of(index).hex() + "\n"
    assert store.buffers.get(Checksum.of(index)) == index
    assert (work / "d/sub/y").read_bytes() == b"22"
    assert not (work / "dd").exists()


def test_a_local_file_with_other_content_is_replaced(work: Path, store: EmbeddedStore, messages: Any) -> None:
    (work / "o").write_text("stale")
    bring(store, messages, {"o": ONE}, Target("o"))
    assert (work / "o").read_bytes() == b"1"


def test_a_local_file_with_the_right_content_is_left_alone(work: Path, store: EmbeddedStore, messages: Any) -> None:
    (work / "o").write_bytes(b"1")
    before = os.stat(work / "o")
    bring(store, messages, {"o": ONE}, Target("o"))
    after = os.stat(work / "o")
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_link_is_written_through_not_replaced(work: Path, store: EmbeddedStore, messages: Any) -> None:
    (work / "real").mkdir()
    (work / "o").symlink_to("real/file")
    bring(store, messages, {"o": ONE}, Target("o"))
    assert (work / "o").is_symlink()
    assert (work / "real/file").read_bytes() == b"1"


def test_a_result_file_may_be_changed_without_harm_to_the_store(
    work: Path, store: EmbeddedStore, messages: Any
) -> None:
    bring(store, messages, {"o": ONE}, Target("o"))
    with open(work / "o", "ab") as f:
        f.write(b"more")
    assert store.buffers.get(Checksum(ONE)) == b"1"


def test_files_of_the_result_before_are_removed_from_a_directory(
    work: Path, store: EmbeddedStore, messages: Any
) -> None:
    bring(store, messages, {"d/x": ONE, "d/old": TWO}, Target("d"))
    bring(store, messages, {"d/x": ONE}, Target("d"))
    assert os.listdir(work / "d") == ["x"]
    assert messages.lines == []


def test_files_of_the_user_stay_in_a_directory_with_a_warning(work: Path, store: EmbeddedStore, messages: Any) -> None:
    bring(store, messages, {"d/x": ONE, "d/old": TWO}, Target("d"))
    (work / "d/mine").write_text("mine")
    (work / "d/old").write_text("edited")
    bring(store, messages, {"d/x": ONE}, Target("d"))
    assert sorted(os.listdir(work / "d")) == ["mine", "old", "x"]
    assert "'d'" in messages.lines[0]


def test_the_index_of_a_directory_goes_when_the_result_is_a_file_now(
    work: Path, store: EmbeddedStore, messages: Any
) -> None:
    (work / "o.INDEX").write_text("{}\n")
    bring(store, messages, {"o": ONE}, Target("o"))
    assert not (work / "o.INDEX").exists()


def test_a_directory_in_the_place_of_a_file_is_an_error_that_names_it(
    work: Path, store: EmbeddedStore, messages: Any
) -> None:
    (work / "o").mkdir()
    with pytest.raises(IsADirectoryError, match="o"):
        bring(store, messages, {"o": ONE}, Target("o"))


def test_a_file_in_the_place_of_a_directory_is_an_error_that_names_it(
    work: Path, store: EmbeddedStore, messages: Any
) -> None:
    (work / "d").write_text("mine")
    with pytest.raises(NotADirectoryError, match="d"):
        bring(store, messages, {"d/x": ONE}, Target("d"))
    assert (work / "d").read_text() == "mine"


def test_content_that_the_store_has_lost_is_an_error(work: Path, store: EmbeddedStore, messages: Any) -> None:
    results = [TargetResult(Target("o"), {"o": "ab" * 32})]
    with pytest.raises(CacheMissError):
        download(results, store, DownloadLimits("yes"), messages)
    assert not (work / "o").exists()


def test_a_target_that_is_not_in_the_result_is_absent() -> None:
    assert TargetResult(Target("o"), {"other": ONE}).kind == "absent"


def test_nothing_temporary_is_left_behind(work: Path, store: EmbeddedStore, messages: Any) -> None:
    bring(store, messages, {"o": ONE, "d/x": TWO}, Target("o"), Target("d"))
    assert sorted(os.listdir(work)) == ["a.txt", "d", "d.CHECKSUM", "d.INDEX", "o", "o.CHECKSUM"]


@pytest.mark.parametrize(
    ("variable", "value"), [("SEAMLESS_MAX_DOWNLOAD_SIZE", "1 B"), ("SEAMLESS_MAX_DOWNLOAD_FILES", "0")]
)
def test_a_target_above_the_limits_is_skipped_without_a_terminal_and_the_reason_is_said(
    work: Path, store: EmbeddedStore, messages: Any, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert bring(store, messages, {"o": TWO}, Target("o")) == {"o": False}
    assert not (work / "o").exists()
    assert (work / "o.CHECKSUM").exists()
    assert "-y" in messages.lines[0]


def test_yes_downloads_above_the_limits(
    work: Path, store: EmbeddedStore, messages: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAMLESS_MAX_DOWNLOAD_SIZE", "1")
    results = [TargetResult(Target("o"), {"o": TWO})]
    assert download(results, store, DownloadLimits("yes"), messages) == {"o": True}


def test_no_skips_without_a_word(
    work: Path, store: EmbeddedStore, messages: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAMLESS_MAX_DOWNLOAD_SIZE", "1")
    results = [TargetResult(Target("o"), {"o": TWO})]
    assert download(results, store, DownloadLimits("no"), messages) == {"o": False}
    assert messages.lines == []


@pytest.mark.parametrize("variable", ["SEAMLESS_MAX_DOWNLOAD_SIZE", "SEAMLESS_MAX_DOWNLOAD_FILES"])
def test_a_limit_that_is_no_number_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "plenty")
    with pytest.raises(UsageError, match=variable):
        DownloadLimits("ask")


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ("\n\n", [True, True]),
        ("n\ny\n", [False, True]),
        ("all\n", [True, True]),
        ("what?\nno\nyes\n", [False, True]),
        ("", [False, False]),
    ],
)
def test_on_a_terminal_each_target_is_asked_about_on_stderr(
    work: Path,
    store: EmbeddedStore,
    messages: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answers: str,
    expected: list[bool],
) -> None:
    monkeypatch.setenv("SEAMLESS_MAX_DOWNLOAD_SIZE", "1")
    monkeypatch.setattr(limits, "is_terminal", lambda stream: True)
    monkeypatch.setattr("sys.stdin", io.StringIO(answers))
    results = [TargetResult(Target(name), {"o": TWO, "p": TWO}) for name in "op"]
    assert list(download(results, store, DownloadLimits("ask"), messages).values()) == expected
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "o: 1 files, total 2.00 B?" in shown.err
