"""Dry runs: what they print, the job directory, what they store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from seamless.checksum import Checksum

TF = "370a0f1a1d160aa5fdde16381cdbc6e55a201274bd33b6d4ac329090321a993e"


def stored(cache: Path, checksum: str) -> bytes:
    return (cache / "__TOPLEVEL__" / checksum[:2] / checksum).read_bytes()


def test_alone_it_prints_nothing_and_touches_nothing(seamless_run: Any, cache: Path, counted: Any) -> None:
    line, count = counted("cat a.txt")
    done = seamless_run("--dry", "-i", "a.txt", "-c", line)
    assert (done.returncode, done.out, done.err) == (0, "", "")
    assert count() == 0
    assert not cache.exists()


@pytest.mark.parametrize("options", [["--dry=show"], ["--dry", "-v"]])
def test_it_can_show_everything(seamless_run: Any, options: list[str]) -> None:
    done = seamless_run(*options, "--var", "n=1", "cat a.txt > b.txt")
    assert done.returncode == 0
    for fact in ("a.txt", "11.00 B", "b.txt", "mkdir -p RESULT/", "cached", "no", "n = '1'"):
        assert fact in done.out


def test_it_tells_whether_the_result_is_cached(seamless_run: Any) -> None:
    assert json.loads(seamless_run("--dry", "--json", "cat", "a.txt").out)["cached"] is False
    seamless_run("cat", "a.txt")
    report = json.loads(seamless_run("--dry", "--json", "cat", "a.txt").out)
    assert (report["cached"], report["tf_checksum"]) == (True, TF)
    assert report["result_checksum"] == "e49c81e2d2f84e259d40e2fb8192f3bcd198b355184845d76d8f58807d0d78ee"


def test_that_it_would_be_executed_here_is_no_part_of_a_job(seamless_run: Any, work: Path) -> None:
    assert seamless_run("--dry", "--local", "-j", "job", "cat", "a.txt").out == TF + "\n"
    assert sorted(path.name for path in (work / "job").iterdir()) == ["command.txt", "transformation.json"]


def test_a_job_directory_holds_identity_and_code(seamless_run: Any, work: Path, cache: Path) -> None:
    done = seamless_run("--dry", "-j", "job", "cat", "a.txt")
    assert (done.returncode, done.out) == (0, TF + "\n")
    assert sorted(p.name for p in (work / "job").iterdir()) == ["command.txt", "transformation.json"]
    assert Checksum.of((work / "job/transformation.json").read_bytes()).hex() == TF
    assert (work / "job/command.txt").read_text() == "(\ncat a.txt\n) > RESULT\n"
    assert not cache.exists()


def test_environment_and_execution_keys_are_written_beside_the_identity(seamless_run: Any, work: Path) -> None:
    seamless_run("--dry", "-j", "job", "--conda", "myenv", "--docker", "img:1", "--direct-print", "echo", "hi")
    env = json.loads((work / "job/env.json").read_text())
    assert env == {"conda_environment": "myenv", "docker": {"name": "img:1"}}
    assert json.loads((work / "job/dunder.json").read_text()) == {"__meta__": {"__direct_print__": True}}


def test_an_existing_job_directory_is_refused(seamless_run: Any, work: Path) -> None:
    (work / "job").mkdir()
    done = seamless_run("--dry", "-j", "job", "cat", "a.txt")
    assert (done.returncode, done.out) == (2, "")
    assert "Output job directory 'job' already exists" in done.err


def test_an_upload_stores_everything_and_executes_nothing(seamless_run: Any, work: Path, cache: Path) -> None:
    done = seamless_run("--dry", "--upload", "-j", "job", "cat", "a.txt")
    assert (done.returncode, done.out) == (0, TF + "\n")
    assert [p.name for p in (work / "job").iterdir()] == ["transformation.json.CHECKSUM"]
    assert (work / "job/transformation.json.CHECKSUM").read_bytes() == TF.encode()
    transformation = json.loads(stored(cache, TF))
    assert stored(cache, transformation["code"][2]) == b"(\ncat a.txt\n) > RESULT\n"
    assert stored(cache, transformation["a.txt"][2]) == b"alpha\nbeta\n"
    assert json.loads(seamless_run("--dry", "--json", "cat", "a.txt").out)["cached"] is False


def test_an_uploaded_job_has_its_metavars_and_environment_with_their_buffers(
    seamless_run: Any, work: Path, cache: Path
) -> None:
    seamless_run("--dry", "--upload", "-j", "job", "--metavar", "Q=5", "--conda", "e", 'echo "$Q"')
    dunder = json.loads((work / "job/dunder.json").read_text())
    assert set(dunder) == {"META__Q", "__env__"}
    assert dunder["META__Q"][:2] == ["str", None]
    assert stored(cache, dunder["META__Q"][2]) == b'"5"\n'
    assert json.loads(stored(cache, dunder["__env__"])) == {"conda_environment": "e"}
