"""Bad input of every kind: one clear message, the right exit status, no traceback, nothing left behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.disk import small_disk

A_TXT = "e49c81e2d2f84e259d40e2fb8192f3bcd198b355184845d76d8f58807d0d78ee"


def refused(done: Any, status: int, *facts: str) -> None:
    """Assert that `done` was refused with this status and a message that names the facts."""
    assert (done.returncode, done.out) == (status, ""), done.err
    assert "Traceback" not in done.err
    for fact in facts:
        assert fact in done.err


@pytest.fixture
def unprivileged(seamless_run: Any, work: Path, run_cli: Any, require: Any) -> Any:
    """seamless-run as somebody whom file modes stop: root loses its privileges, others have none."""
    if os.getuid() != 0:
        return seamless_run
    require("setpriv", "setpriv (util-linux) is needed to run without privileges")
    from sys import executable

    def run(*argv: str) -> Any:
        drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
        done = run_cli([*drop, executable, "-m", "seamless.cli.run", *argv], cwd=work)
        done.out, done.err = done.stdout.decode(), done.stderr.decode()
        return done

    return run


def test_a_missing_file(seamless_run: Any) -> None:
    refused(seamless_run("cat", "missing.txt"), 2, "missing.txt", "-g1")


def test_an_option_behind_the_command(seamless_run: Any) -> None:
    refused(seamless_run("cat", "a.txt", "--capture", "b.txt"), 2, "b.txt", "seamless-run --capture ... cat")


def test_a_directory_where_a_file_belongs(seamless_run: Any, work: Path) -> None:
    (work / "d.txt").mkdir()
    refused(seamless_run("cat", "d.txt"), 2, "d.txt", "directory")


def test_an_unreadable_file(unprivileged: Any, work: Path) -> None:
    (work / "a.txt").chmod(0)
    refused(unprivileged("cat", "a.txt"), 2, "a.txt", "Permission denied")


def test_a_sidecar_that_contradicts_the_file(seamless_run: Any, work: Path) -> None:
    (work / "a.txt.CHECKSUM").write_text("ab" * 32 + "\n")
    refused(seamless_run("cat", "a.txt"), 2, "a.txt.CHECKSUM", "ab" * 32, A_TXT)


def test_a_sidecar_without_a_checksum_in_it(seamless_run: Any, work: Path) -> None:
    (work / "a.txt.CHECKSUM").write_text("nonsense\n")
    refused(seamless_run("cat", "a.txt"), 2, "a.txt", ".CHECKSUM")


def test_a_sidecar_whose_buffer_nobody_has(seamless_run: Any, work: Path) -> None:
    (work / "b.txt.CHECKSUM").write_text("ab" * 32 + "\n")
    refused(seamless_run("cat", "b.txt"), 2, "b.txt", "ab" * 32)


def test_a_stale_future(seamless_run: Any, work: Path) -> None:
    (work / "b.txt.FUTURE").write_text("")
    os.utime(work / "b.txt.FUTURE", (1, 1))
    refused(seamless_run("cat", "b.txt"), 125, "b.txt.FUTURE")


def test_a_result_file_that_cannot_be_written(seamless_run: Any, work: Path) -> None:
    (work / "o.txt").mkdir()
    done = seamless_run("cat a.txt > o.txt")
    assert done.returncode != 0
    assert "o.txt" in done.err
    assert "Traceback" not in done.err


def test_a_working_directory_that_cannot_be_written(unprivileged: Any, work: Path) -> None:
    work.chmod(0o555)
    try:
        refused(unprivileged("cat a.txt > o.txt"), 125, "o.txt", "Permission denied")
        assert unprivileged("cat", "a.txt").out == "alpha\nbeta\n"
    finally:
        work.chmod(0o755)


def damage(cache: Path, content: bytes) -> Path:
    """Change the stored buffer with this content; return its path."""
    name = sha256(content).hexdigest()
    path = cache / "__TOPLEVEL__" / name[:2] / name
    path.chmod(0o644)
    path.write_bytes(b"X" + content[1:])
    return path


def test_a_damaged_result_is_computed_again_and_said_so(seamless_run: Any, cache: Path, counted: Any) -> None:
    line, count = counted("tac a.txt")
    seamless_run("-i", "a.txt", "-c", line)
    path = damage(cache, b"beta\nalpha\n")
    done = seamless_run("-i", "a.txt", "-c", line)
    assert (done.returncode, done.out) == (0, "beta\nalpha\n")
    assert "corrupted" in done.err
    assert count() == 2
    assert path.read_bytes() == b"beta\nalpha\n"


def test_a_lost_result_is_computed_again(seamless_run: Any, cache: Path, counted: Any, work: Path) -> None:
    line, count = counted("tac a.txt > o.txt")
    seamless_run("-i", "a.txt", "-c", line)
    name = sha256(b"beta\nalpha\n").hexdigest()
    (cache / "__TOPLEVEL__" / name[:2] / name).unlink()
    (work / "o.txt").unlink()
    assert seamless_run("-i", "a.txt", "-c", line).returncode == 0
    assert (work / "o.txt").read_text() == "beta\nalpha\n"
    assert count() == 2


def test_a_damaged_input_in_the_store_is_replaced_by_the_file(seamless_run: Any, cache: Path) -> None:
    seamless_run("cat", "a.txt")
    damage(cache, b"alpha\nbeta\n")
    done = seamless_run("tac", "a.txt")
    assert (done.returncode, done.out) == (0, "beta\nalpha\n"), done.err


def test_a_damaged_input_without_a_file_is_an_error(seamless_run: Any, cache: Path, work: Path) -> None:
    seamless_run("tac a.txt > b.txt")
    (work / "b.txt").unlink()
    damage(cache, b"beta\nalpha\n")
    done = seamless_run("cat", "b.txt")
    assert done.returncode in (2, 125)
    assert done.out == ""
    assert "Traceback" not in done.err


def test_a_read_only_cache_answers_but_executes_nothing(unprivileged: Any, cache: Path, counted: Any) -> None:
    line, count = counted("echo hi")
    assert unprivileged("-c", line).out == "hi\n"
    paths = [cache, *cache.rglob("*")]
    modes = {path: path.stat().st_mode for path in paths}
    for path in paths:
        path.chmod(modes[path] & 0o555)
    try:
        assert unprivileged("-c", line).out == "hi\n"
        refused(unprivileged("tac", "a.txt"), 125, str(cache), "SEAMLESS_CACHE")
    finally:
        for path in paths:
            path.chmod(modes[path])
    assert count() == 1


def test_a_cache_that_is_a_file(seamless_run: Any, cache: Path) -> None:
    cache.write_text("not a directory")
    refused(seamless_run("cat", "a.txt"), 125, str(cache))


@pytest.fixture
def small_cache(tmp_path: Path, require: Any) -> Iterator[Path]:
    """A cache directory on a file system of one megabyte."""
    with small_disk(tmp_path, require, 1) as place:
        yield place


@pytest.mark.parametrize("what", ["input", "result"])
def test_a_full_cache(seamless_run: Any, work: Path, small_cache: Path, what: str) -> None:
    (work / "big.txt").write_bytes(os.urandom(2 << 20))
    argv = ["cat", "big.txt"] if what == "input" else ["-c", "head -c 3000000 /dev/urandom"]
    refused(seamless_run(*argv, env={"SEAMLESS_CACHE": str(small_cache)}), 125, str(small_cache), "full")
    again = seamless_run("cat", "a.txt", env={"SEAMLESS_CACHE": str(small_cache)})
    assert again.out == "alpha\nbeta\n"


def test_an_unknown_error_is_shown_with_its_traceback_only_on_request(seamless_run: Any) -> None:
    assert "Traceback" not in seamless_run("cat", "missing.txt").err
    assert "Traceback" in seamless_run("--debug", "cat", "missing.txt").err
    assert "Traceback" in seamless_run("cat", "missing.txt", env={"SEAMLESS_TRACEBACK": "1"}).err


def test_a_line_that_is_no_bash(seamless_run: Any) -> None:
    refused(seamless_run("-c", "for x in"), 2)


@pytest.mark.parametrize("scope", ["--project", "--stage"])
def test_a_scope_that_leads_out_of_the_cache(seamless_run: Any, scope: str) -> None:
    refused(seamless_run(scope, "../x", "cat", "a.txt"), 2, "../x")
    refused(seamless_run(scope, ":x", "cat", "a.txt"), 2, scope)
