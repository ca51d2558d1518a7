"""Running again on purpose: --explain, --refresh, --undo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seamless.checksum import Checksum
from seamless.stores.database import ResultDatabase


def test_a_first_run_is_explained_as_such(seamless_run: Any) -> None:
    assert "never run here" in seamless_run("--explain", "cat", "a.txt").err


def test_a_hit_is_explained_by_the_run_that_answered(seamless_run: Any, work: Path) -> None:
    seamless_run("cat", "a.txt")
    done = seamless_run("--explain", "cat", "a.txt")
    assert done.out == "alpha\nbeta\n"
    for fact in ("cached", "370a0f1a1d16", str(work), " s"):
        assert fact in done.err


def test_a_changed_input_is_named_with_both_checksums(seamless_run: Any, work: Path) -> None:
    seamless_run("cat", "a.txt")
    (work / "a.txt").write_text("gamma\n")
    assert "input a.txt changed e49c81e2d2f8.. -> ae9a6306a205.." in seamless_run("--explain", "cat", "a.txt").err


def test_a_changed_line_with_the_same_target_is_shown(seamless_run: Any) -> None:
    seamless_run("cat a.txt > o.txt")
    done = seamless_run("--explain", "tac a.txt > o.txt")
    assert "code changed: 'cat a.txt > o.txt' -> 'tac a.txt > o.txt'" in done.err


def test_a_changed_variable_is_named(seamless_run: Any) -> None:
    seamless_run("--var", "n=1", "echo $n")
    assert "variable n changed '1' -> '2'" in seamless_run("--explain", "--var", "n=2", "echo $n").err


def test_a_failure_before_is_given_as_the_reason(seamless_run: Any) -> None:
    seamless_run("-c", "exit 3")
    assert "exit status 3" in seamless_run("--explain", "-c", "exit 3").err.splitlines()[0]


def test_explain_works_without_running(seamless_run: Any, counted: Any) -> None:
    line, count = counted("true")
    assert "never run here" in seamless_run("--dry", "--explain", "-c", line).err
    assert count() == 0


def test_nothing_is_noted_on_a_hit(seamless_run: Any, journal: Any) -> None:
    for _ in range(3):
        seamless_run("cat", "a.txt")
    [entry] = journal()
    assert entry["inputs"] == {"a.txt": "e49c81e2d2f84e259d40e2fb8192f3bcd198b355184845d76d8f58807d0d78ee"}
    assert entry["exit_status"] == 0


def test_refresh_executes_again_and_confirms_the_result(seamless_run: Any, counted: Any) -> None:
    line, count = counted("echo hi")
    seamless_run("-c", line)
    done = seamless_run("--refresh", "-c", line)
    assert (done.returncode, done.out) == (0, "hi\n")
    assert "reproducible" in done.err and "not reproducible" not in done.err
    assert count() == 2


def test_refresh_reports_and_keeps_another_result(seamless_run: Any, tmp_path: Path, cache: Path) -> None:
    value = tmp_path / "value"
    runs = []
    for options, text in (([], "1\n"), (["--refresh"], "2\n"), ([], "3\n")):
        value.write_text(text)
        runs.append(seamless_run("-g1", "-g2", *options, "-c", f"bash -c 'cat {value}'"))
    assert [(done.returncode, done.out) for done in runs] == [(0, "1\n"), (0, "2\n"), (0, "2\n")]
    assert "not reproducible" in runs[1].err
    database = ResultDatabase(cache / "__TOPLEVEL__" / "seamless.db", writable=False)
    [contested] = database.get_irreproducible(database.get_transformations(Checksum.of(b"2\n"))[0])
    database.close()
    assert contested["result"] == Checksum.of(b"1\n").hex()


def test_refresh_without_a_result_just_runs(seamless_run: Any) -> None:
    done = seamless_run("--refresh", "cat", "a.txt")
    assert (done.returncode, done.out, done.err) == (0, "alpha\nbeta\n", "")


def test_undo_forgets_the_result(seamless_run: Any, counted: Any) -> None:
    line, count = counted("echo hi")
    seamless_run("-c", line)
    done = seamless_run("--undo", "-c", line)
    assert (done.returncode, done.out) == (0, "")
    assert "forgotten" in done.err
    assert count() == 1
    seamless_run("-c", line)
    assert count() == 2


def test_undo_of_what_was_never_run_says_so(seamless_run: Any) -> None:
    done = seamless_run("--undo", "cat", "a.txt")
    assert done.returncode == 0
    assert "nothing to forget" in done.err


def test_purge_deletes_the_files_that_are_the_result(seamless_run: Any, work: Path) -> None:
    options = ["-i", "a.txt", "-cp", "d", "-cp", "o.txt"]
    line = "mkdir d; cp a.txt d/x; cp a.txt o.txt"
    seamless_run(*options, "-c", line)
    done = seamless_run("--undo", "--purge", "--yes", *options, "-c", line)
    assert done.returncode == 0, done.err
    assert sorted(p.name for p in work.iterdir()) == ["a.txt"]


def test_purge_keeps_a_file_that_has_been_changed(seamless_run: Any, work: Path) -> None:
    seamless_run("cat a.txt > o.txt")
    (work / "o.txt").write_text("edited")
    seamless_run("--undo", "--purge", "-y", "cat a.txt > o.txt")
    assert (work / "o.txt").read_text() == "edited"
    assert not (work / "o.txt.CHECKSUM").exists()


@pytest.mark.parametrize(("option", "status"), [([], 2), (["-n"], 0)])
def test_purge_needs_a_yes(seamless_run: Any, work: Path, option: list[str], status: int) -> None:
    seamless_run("cat a.txt > o.txt")
    done = seamless_run("--undo", "--purge", *option, "cat a.txt > o.txt")
    assert done.returncode == status
    assert (work / "o.txt").exists()
    assert "o.txt" in done.err
