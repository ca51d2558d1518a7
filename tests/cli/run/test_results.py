"""`seamless-run` end to end: what is printed, written and kept, and that a hit executes nothing."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seamless.stores.failures import failures
from tests.cli.run.processes import alive, wait_for


def test_the_second_run_prints_the_same_without_executing(seamless_run: Any, counted: Any) -> None:
    line, count = counted("cat a.txt")
    for _ in range(2):
        done = seamless_run("-i", "a.txt", "-c", line)
        assert (done.returncode, done.out, done.err) == (0, "alpha\nbeta\n", "")
    assert count() == 1


def test_a_changed_input_makes_another_step(seamless_run: Any, work: Path) -> None:
    assert seamless_run("cat", "a.txt").out == "alpha\nbeta\n"
    (work / "a.txt").write_text("gamma\n")
    assert seamless_run("cat", "a.txt").out == "gamma\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (r"printf '\377\376\000\n'", b"\xff\xfe\x00\n"),
        (r"printf '\n\nx\n\n\n'", b"\n\nx\n\n\n"),
        ("true", b""),
        ("printf x", b"x"),
    ],
)
def test_stdout_is_the_result_byte_for_byte(seamless_run: Any, line: str, expected: bytes) -> None:
    for _ in range(2):
        done = seamless_run("-c", line)
        assert (done.returncode, done.stdout) == (0, expected)


def test_a_big_result_comes_out_whole(seamless_run: Any) -> None:
    done = seamless_run("-c", "seq 1 1000000")
    expected = "".join(f"{i}\n" for i in range(1, 1000001)).encode()
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(expected).digest()
    assert seamless_run("-c", "seq 1 1000000").stdout == done.stdout


def test_more_stderr_than_a_pipe_holds_is_shown_and_does_not_block(seamless_run: Any) -> None:
    done = seamless_run("-c", "head -c 300000 /dev/zero | tr '\\0' x >&2; echo done")
    assert (done.returncode, done.out) == (0, "done\n")
    assert done.err == "x" * 300000


def test_the_command_reads_nothing_from_stdin(seamless_run: Any) -> None:
    assert seamless_run("-c", "cat -", input=b"secret\n").out == ""


@pytest.mark.parametrize(
    ("line", "status"),
    [("exit 3", 3), ("false", 1), ("no-such-command-anywhere", 127), ("kill -9 $BASHPID", 137), ("/etc/passwd", 126)],
)
def test_a_failing_command_passes_its_status_on_and_is_not_kept(
    seamless_run: Any, counted: Any, line: str, status: int
) -> None:
    line, count = counted(line)
    for _ in range(2):
        done = seamless_run("-g1", "-g2", "-c", line)
        assert (done.returncode, done.out) == (status, "")
        assert f"exit status {status}" in done.err
        assert "Traceback" not in done.err
    assert count() == 2


def test_the_stderr_of_a_failing_command_is_shown_once(seamless_run: Any) -> None:
    done = seamless_run("-c", "echo partial; ls /nonexistent-dir; echo never")
    assert (done.returncode, done.out) == (2, "")
    assert done.err.count("/nonexistent-dir") == 1


def test_a_command_that_makes_no_result_fails(seamless_run: Any, work: Path) -> None:
    done = seamless_run("exit 0; cat a.txt > o.txt")
    assert done.returncode == 1
    assert "RESULT" in done.err
    assert not (work / "o.txt.CHECKSUM").exists()


def test_a_redirection_makes_a_file_with_a_sidecar(seamless_run: Any, work: Path) -> None:
    done = seamless_run("tac a.txt > out.txt")
    assert (done.returncode, done.out, done.err) == (0, "", "")
    assert (work / "out.txt").read_text() == "beta\nalpha\n"
    assert (work / "out.txt.CHECKSUM").read_text() == hashlib.sha256(b"beta\nalpha\n").hexdigest() + "\n"
    assert sorted(p.name for p in work.iterdir()) == ["a.txt", "out.txt", "out.txt.CHECKSUM"]


def test_a_stale_local_file_is_replaced_on_a_hit(seamless_run: Any, work: Path) -> None:
    seamless_run("tac a.txt > out.txt")
    (work / "out.txt").write_text("stale")
    assert seamless_run("tac a.txt > out.txt").returncode == 0
    assert (work / "out.txt").read_text() == "beta\nalpha\n"


def test_the_future_file_of_a_killed_run_of_the_same_step_goes(seamless_run: Any, work: Path) -> None:
    seamless_run("tac a.txt > out.txt")
    tf = json.loads(seamless_run("--dry", "--json", "tac a.txt > out.txt").out)["tf_checksum"]
    (work / "out.txt.FUTURE").write_text(f"{tf}.out.txt\n")
    assert seamless_run("tac a.txt > out.txt").returncode == 0
    assert not (work / "out.txt.FUTURE").exists()


def test_captures_rename_files_directories_and_stdout(seamless_run: Any, work: Path) -> None:
    line = "mkdir d2; cp a.txt d2/x; cp a.txt out.txt; echo logged"
    done = seamless_run("-i", "a.txt", "-cp", "out.txt", "-cp", "d2:new/dlocal", "-cp", ":log.txt", line)
    assert (done.returncode, done.out) == (0, "")
    assert (work / "new/dlocal/x").read_text() == "alpha\nbeta\n"
    assert (work / "new/dlocal.INDEX").exists()
    assert (work / "log.txt").read_text() == "logged\n"


def test_stdout_beside_targets_goes_to_stderr(seamless_run: Any) -> None:
    done = seamless_run("-i", "a.txt", "-cp", "o.txt", "-c", "cp a.txt o.txt; echo chatter")
    assert (done.out, done.err) == ("", "chatter\n")


def test_a_captured_directory_is_the_input_of_the_next_step(seamless_run: Any, work: Path) -> None:
    seamless_run("-i", "a.txt", "-cp", "dd", "-c", "mkdir dd; cp a.txt dd/1; cp a.txt dd/2")
    assert seamless_run("-c", "ls dd").out == "1\n2\n"
    for name in ("1", "2"):
        (work / "dd" / name).unlink()
    (work / "dd").rmdir()
    assert seamless_run("-c", "cat dd/2", "-i").returncode == 2
    done = seamless_run("-i", "dd", "-c", "cat dd/2")
    assert (done.returncode, done.out) == (0, "alpha\nbeta\n"), done.err


def test_a_captured_file_is_an_input_also_when_only_its_sidecar_is_left(seamless_run: Any, work: Path) -> None:
    seamless_run("tac a.txt > b.out")
    (work / "b.out").unlink()
    assert seamless_run("cat b.out > c.out").returncode == 0
    assert (work / "c.out").read_text() == "beta\nalpha\n"


def test_names_with_blanks_and_quotes_work_as_inputs_and_results(seamless_run: Any, work: Path) -> None:
    (work / "my in.txt").write_text("blank\n")
    (work / "it's.txt").write_text("quote\n")
    done = seamless_run("-c", """cat "my in.txt" "it's.txt" > 'my "out.txt'""")
    assert done.returncode == 0, done.err
    assert (work / 'my "out.txt').read_text() == "blank\nquote\n"
    assert (work / 'my "out.txt.CHECKSUM').exists()


def test_an_input_may_be_written_to_without_harm(seamless_run: Any, work: Path) -> None:
    done = seamless_run("-i", "a.txt", "-c", "echo hacked >> a.txt; cat a.txt")
    assert done.out == "alpha\nbeta\nhacked\n"
    assert (work / "a.txt").read_text() == "alpha\nbeta\n"
    assert seamless_run("tac", "a.txt").out == "beta\nalpha\n"


def test_no_download_writes_sidecars_only(seamless_run: Any, work: Path) -> None:
    for _ in range(2):
        assert seamless_run("-nd", "cat a.txt > out.txt").returncode == 0
        assert sorted(p.name for p in work.iterdir()) == ["a.txt", "out.txt.CHECKSUM"]


@pytest.mark.parametrize("option", ["-nd", "--scratch"])
def test_output_for_the_screen_is_refused_when_nothing_is_fetched(seamless_run: Any, option: str) -> None:
    done = seamless_run(option, "cat", "a.txt")
    assert (done.returncode, done.out) == (2, "")
    assert "Download disabled. Refuse to print output to screen" in done.err


def test_scratch_keeps_the_checksum_and_is_not_executed_again(seamless_run: Any, work: Path, counted: Any) -> None:
    line, count = counted("tac a.txt > out.txt")
    for _ in range(2):
        (work / "out.txt.CHECKSUM").unlink(missing_ok=True)
        done = seamless_run("-i", "a.txt", "--scratch", "-c", line)
        assert done.returncode == 0, done.err
        assert (work / "out.txt.CHECKSUM").exists()
        assert not (work / "out.txt").exists()
    assert count() == 1


def test_without_scratch_the_value_of_a_scratch_result_is_computed_again(
    seamless_run: Any, work: Path, counted: Any
) -> None:
    line, count = counted("tac a.txt > out.txt")
    seamless_run("-i", "a.txt", "--scratch", "-c", line)
    for _ in range(2):
        assert seamless_run("-i", "a.txt", "-c", line).returncode == 0
    assert (work / "out.txt").read_text() == "beta\nalpha\n"
    assert count() == 2


def test_a_variable_is_part_of_the_identity_and_a_metavar_is_not(seamless_run: Any) -> None:
    assert seamless_run("--var", "n=1", 'echo "<$n>"').out == "<1>\n"
    assert seamless_run("--var", "n=2", 'echo "<$n>"').out == "<2>\n"
    assert seamless_run("--metavar", "T=8", 'echo "<$T>"').out == "<8>\n"
    assert seamless_run("--metavar", "T=9", 'echo "<$T>"').out == "<8>\n"


def test_projects_and_stages_have_caches_of_their_own(seamless_run: Any, counted: Any, cache: Path) -> None:
    line, count = counted("echo hi")
    for options in ([], ["--project", "p"], ["--project", "p:s"], ["--project", "p", "--stage", "t"]):
        assert seamless_run(*options, "-c", line).out == "hi\n"
    assert count() == 4
    for path in ("__TOPLEVEL__", "p", "p/s", "p/STAGE-t"):
        assert (cache / path / "seamless.db").exists()


def test_two_runs_at_once_execute_once(work: Path, counted: Any, run_cli: Any) -> None:
    line, count = counted("sleep 0.5; echo hi")
    argv = [sys.executable, "-m", "seamless.cli.run", "-c", line]
    runs = [subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) for _ in range(3)]
    assert [run.communicate(timeout=60)[0] for run in runs] == [b"hi\n"] * 3
    assert count() == 1


def test_a_reader_that_goes_away_ends_the_run_quietly(work: Path) -> None:
    argv = [sys.executable, "-m", "seamless.cli.run", "-c", "seq 1 300000"]
    for _ in range(2):
        run = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        assert run.stdout is not None and run.stderr is not None
        assert run.stdout.readline() == b"1\n"
        run.stdout.close()
        assert run.stderr.read() == b""
        run.stderr.close()
        assert run.wait(60) in (0, 141)


def test_a_full_device_behind_stdout_is_an_error_of_its_own(work: Path, seamless_run: Any) -> None:
    with open("/dev/full", "wb") as full:
        run = subprocess.run(
            [sys.executable, "-m", "seamless.cli.run", "cat", "a.txt"],
            stdout=full,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    assert run.returncode == 125
    assert b"No space left" in run.stderr
    assert b"Traceback" not in run.stderr


def test_json_describes_a_run_with_targets(seamless_run: Any, work: Path) -> None:
    first = json.loads(seamless_run("--json", "cat a.txt > out.txt").out)
    second = json.loads(seamless_run("--json", "cat a.txt > out.txt").out)
    assert first["tf_checksum"] == "20be1089726ff3a8ae18ad12e4dc4eeda287523375b58b985da5734a1cc33109"
    assert (first["cached"], second["cached"]) == (False, True)
    assert first["exit_status"] == 0 and first["error"] is None
    assert second["targets"] == [
        {
            "name": "out.txt",
            "local": "out.txt",
            "kind": "file",
            "checksum": "e49c81e2d2f84e259d40e2fb8192f3bcd198b355184845d76d8f58807d0d78ee",
            "size": 11,
            "downloaded": True,
        }
    ]
    assert first["result_checksum"] == second["result_checksum"]
    assert first["uploaded"] == {"files": 1, "bytes": 11}
    assert first["inputs"][0]["name"] == "a.txt"


def test_json_replaces_the_result_on_stdout_and_holds_a_short_text(seamless_run: Any) -> None:
    report = json.loads(seamless_run("--json", "cat", "a.txt").out)
    assert (report["result_text"], report["result_size"]) == ("alpha\nbeta\n", 11)
    assert json.loads(seamless_run("--json", "-c", r"printf '\377'").out)["result_text"] is None
    assert json.loads(seamless_run("--json", "-c", "seq 1 1000").out)["result_text"] is None


def test_json_tells_of_a_failure_and_of_a_refusal(seamless_run: Any) -> None:
    failed = json.loads(seamless_run("--json", "-c", "exit 3").out)
    assert (failed["exit_status"], failed["result_checksum"]) == (3, None)
    assert failed["error"]
    refused = seamless_run("--json", "cat", "missing.txt")
    assert refused.returncode == 2
    report = json.loads(refused.out)
    assert (report["exit_status"], report["tf_checksum"]) == (2, None)
    assert "missing.txt" in report["error"]


def test_the_stderr_of_the_cached_run_can_be_repeated(seamless_run: Any) -> None:
    assert seamless_run("-c", "echo note >&2; echo out").err == "note\n"
    assert seamless_run("-c", "echo note >&2; echo out").err == ""
    done = seamless_run("--show-stderr", "-c", "echo note >&2; echo out")
    assert (done.out, done.err) == ("out\n", "note\n")


def test_a_limit_of_time_ends_the_command_and_leaves_nothing(seamless_run: Any, tmp_path: Path) -> None:
    pid_file, temporary = tmp_path / "pid", tmp_path / "tmp"
    temporary.mkdir()
    line = f"sleep 60 & echo $! | tee {pid_file}; wait"
    done = seamless_run("--timeout", "1", "-c", line, timeout=30, env={"TMPDIR": str(temporary)})
    assert (done.returncode, done.out) == (124, "")
    assert "1 s" in done.err
    (noted,) = failures(os.path.join(os.environ["SEAMLESS_CACHE"], "__TOPLEVEL__"))
    assert (noted["exit_status"], noted["command"]) == (124, line)
    wait_for(lambda: not alive(int(pid_file.read_text())))
    assert list(temporary.iterdir()) == []


def test_an_undeclared_variable_of_the_environment_is_named(seamless_run: Any) -> None:
    done = seamless_run("-c", "echo $FOO", env={"FOO": "1"})
    assert done.out == "1\n"
    assert "$FOO" in done.err and "--var FOO" in done.err
    assert seamless_run("-q", "-c", "echo $FOO", env={"FOO": "1"}).err == ""


def test_without_a_cluster_the_project_and_stage_of_the_files_choose_the_place_in_the_cache(
    seamless_run: Any, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEAMLESS_CACHE", raising=False)
    cache = Path(os.environ["XDG_CACHE_HOME"]) / "seamless"
    (work / "seamless.yaml").write_text("- project: x\n- execution: process\n- persistent: false\n")
    (work / "a.txt").write_text("alpha\n")
    assert seamless_run("cat", "a.txt", env={"SEAMLESS_CACHE": ""}).out == "alpha\n"
    assert (cache / "x" / "seamless.db").exists()
    assert seamless_run("--stage", "prod", "cat", "a.txt", env={"SEAMLESS_CACHE": ""}).out == "alpha\n"
    assert (cache / "x" / "STAGE-prod" / "seamless.db").exists()


def test_a_mistake_in_a_project_file_is_shown_with_its_place(seamless_run: Any, work: Path) -> None:
    (work / "seamless.yaml").write_text("- project: x\n- clutser: y\n")
    done = seamless_run("cat", "a.txt", env={"SEAMLESS_CACHE": ""})
    assert done.returncode == 2
    assert "seamless.yaml:2:3: unknown command 'clutser'" in done.err
    assert "Traceback" not in done.err


def test_a_container_is_refused_not_ignored(seamless_run: Any) -> None:
    done = seamless_run("--docker", "img:1", "echo", "hi")
    assert (done.returncode, done.out) == (2, "")
    assert "img:1" in done.err


def test_a_leading_double_dash_ends_the_options(seamless_run: Any) -> None:
    assert seamless_run("--", "echo", "hi").out == "hi\n"


def test_without_a_command_the_usage_is_on_stderr(seamless_run: Any) -> None:
    done = seamless_run()
    assert (done.returncode, done.out) == (2, "")
    assert done.err.startswith("usage: seamless-run")


def test_without_a_cache_directory_that_of_the_user_is_used(seamless_run: Any, counted: Any, isolation: Path) -> None:
    line, count = counted("echo hi")
    for _ in range(2):
        assert seamless_run("-c", line, env={"SEAMLESS_CACHE": None}).out == "hi\n"
    assert count() == 1
    assert (isolation / ".cache/seamless/__TOPLEVEL__/seamless.db").exists()


def test_a_wait_for_the_same_step_is_announced(work: Path, seamless_run: Any, tmp_path: Path) -> None:
    started, go = tmp_path / "started", tmp_path / "go"
    line = f"true; touch {started}; while ! test -e {go}; do sleep 0.02; done; echo hi"
    argv = [sys.executable, "-m", "seamless.cli.run", "-c", line]
    first = subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    wait_for(started.exists)
    second = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert second.stderr is not None
    try:
        assert b"Waiting for the same step" in second.stderr.readline()
    finally:
        go.touch()
    assert [run.communicate(timeout=60)[0] for run in (first, second)] == [b"hi\n"] * 2


def test_a_file_made_with_scratch_is_computed_again_when_the_next_step_needs_it(seamless_run: Any) -> None:
    seamless_run("--scratch", "seq 3 > numbers.txt")
    done = seamless_run("-c", "tac numbers.txt")
    assert (done.returncode, done.stdout) == (0, b"3\n2\n1\n")


def test_the_end_of_the_unfinished_result_of_a_failed_command_is_shown_on_stderr(seamless_run: Any) -> None:
    done = seamless_run("echo 'what went wrong'; exit 7")
    assert (done.returncode, done.stdout) == (7, b"")
    assert b"what went wrong\n" in done.stderr
