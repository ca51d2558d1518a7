"""--env, --hermetic, --retry, patterns of captures, directories of redirections, and files that nobody declared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seamless.cli.commandline.plan import PlanOptions, make_plan
from seamless.errors import UsageError

SeamlessRun = Callable[..., Any]
Counted = Callable[[str], tuple[str, Callable[[], int]]]


def checksum_of(done: Any) -> str:
    """Return the transformation of a run with --json."""
    return str(json.loads(done.out)["tf_checksum"])


# --- environment ----------------------------------------------------------------------------------


def test_env_is_the_same_step_as_var_with_that_value(seamless_run: SeamlessRun) -> None:
    by_name = seamless_run("--json", "--env", "SEED", "-c", "echo [$SEED]", env={"SEED": "4 2"})
    by_value = seamless_run("--json", "--var", "SEED=4 2", "-c", "echo [$SEED]")
    assert checksum_of(by_name) == checksum_of(by_value)
    assert json.loads(by_value.out)["cached"] is True
    assert json.loads(by_name.out)["result_text"] == "[4 2]\n"
    assert by_name.err == ""


def test_another_value_of_an_env_variable_is_another_step(seamless_run: SeamlessRun) -> None:
    outputs = [seamless_run("--env", "SEED", "-c", "echo $SEED", env={"SEED": seed}).out for seed in "12"]
    assert outputs == ["1\n", "2\n"]


@pytest.mark.parametrize(("options", "words"), [(["--env", "NO_SUCH"], "NO_SUCH"), (["--env", "PATH"], "PATH")])
def test_an_env_variable_must_be_set_and_usable(options: list[str], words: str, seamless_run: SeamlessRun) -> None:
    done = seamless_run(*options, "true")
    assert done.returncode == 2
    assert words in done.err


def test_a_hermetic_command_sees_nothing_of_the_environment(seamless_run: SeamlessRun) -> None:
    line = 'echo "${FOO-unset} $LANG"; [ "$HOME" = "$PWD" ] && echo home; env | cut -d= -f1'
    done = seamless_run("--hermetic", "-c", line, env={"FOO": "1", "LANG": "xx"})
    assert done.returncode == 0, done.err
    first, second, *names = done.out.splitlines()
    assert (first, second) == ("unset C.UTF-8", "home")
    assert set(names) <= {"PATH", "HOME", "LANG", "TMPDIR", "PWD", "SHLVL", "_", "OLDPWD"}


def test_without_hermetic_a_command_has_the_environment_of_the_caller(seamless_run: SeamlessRun) -> None:
    assert seamless_run("-c", 'echo "${FOO-unset}"', env={"FOO": "1"}).out == "1\n"


def test_a_hermetic_command_has_its_variables_and_inputs(seamless_run: SeamlessRun) -> None:
    done = seamless_run("--hermetic", "--var", "N=7", "--metavar", "M=8", "-c", "cat a.txt; echo $N $M")
    assert done.out == "alpha\nbeta\n7 8\n"


def test_hermetic_is_no_part_of_the_identity(seamless_run: SeamlessRun) -> None:
    first = seamless_run("--json", "--hermetic", "tac", "a.txt")
    second = seamless_run("--json", "tac", "a.txt")
    assert checksum_of(first) == checksum_of(second)
    assert json.loads(second.out)["cached"] is True


# --- retry ----------------------------------------------------------------------------------------


def test_a_command_that_fails_is_run_again(seamless_run: SeamlessRun, counted: Counted, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    line, executions = counted(f"[ -e {flag} ] && echo done || {{ touch {flag}; exit 3; }}")
    done = seamless_run("--retry", "2", "-c", line)
    assert (done.returncode, done.out, executions()) == (0, "done\n", 2)
    assert "failed with exit status 3; it is run again (2 left)" in done.err


def test_the_last_failure_counts(seamless_run: SeamlessRun, counted: Counted, journal: Any) -> None:
    line, executions = counted("exit 4")
    done = seamless_run("--retry", "2", "-c", line)
    assert (done.returncode, executions()) == (4, 3)
    assert [entry["exit_status"] for entry in journal()] == [4, 4, 4]


def test_without_retry_a_failing_command_is_run_once(seamless_run: SeamlessRun, counted: Counted) -> None:
    line, executions = counted("exit 4")
    assert seamless_run("-c", line).returncode == 4
    assert executions() == 1


def test_a_command_that_succeeds_is_not_run_again(seamless_run: SeamlessRun, counted: Counted) -> None:
    line, executions = counted("echo x")
    assert seamless_run("--retry", "5", "-c", line).out == "x\n"
    assert executions() == 1


# --- patterns -------------------------------------------------------------------------------------


def test_a_pattern_captures_every_file_that_it_finds(seamless_run: SeamlessRun, work: Path) -> None:
    line = "mkdir out; for i in 1 2; do echo $i > out/$i.csv; done; echo no > out/log; echo h > out/.h.csv; true"
    done = seamless_run("-cp", "out/*.csv", "-c", line)
    assert done.returncode == 0, done.err
    assert sorted(path.name for path in (work / "out").iterdir()) == [
        "1.csv",
        "1.csv.CHECKSUM",
        "2.csv",
        "2.csv.CHECKSUM",
    ]
    assert (work / "out" / "2.csv").read_text() == "2\n"
    assert list(work.glob("**/*.FUTURE")) == []


def test_a_second_run_of_a_pattern_is_the_same_step(seamless_run: SeamlessRun, work: Path) -> None:
    argv = ["--json", "-cp", "*.csv", "-c", "sort a.txt | tee x.csv > y.csv"]
    first, second = seamless_run(*argv), seamless_run(*argv)
    assert checksum_of(first) == checksum_of(second)
    report = json.loads(second.out)
    assert (report["cached"], [target["name"] for target in report["targets"]]) == (True, ["x.csv", "y.csv"])


def test_a_pattern_finds_directories_too(seamless_run: SeamlessRun, work: Path) -> None:
    done = seamless_run("-cp", "part?", "-c", "mkdir part1 part2; echo 1 > part1/x; echo 2 > part2/y; true")
    assert done.returncode == 0, done.err
    assert (work / "part2" / "y").read_text() == "2\n"
    assert (work / "part1.INDEX").exists()


def test_inputs_are_not_delivered_by_a_pattern(seamless_run: SeamlessRun, work: Path) -> None:
    done = seamless_run("-i", "a.txt", "-cp", "*.txt", "-c", "tac a.txt > b.txt")
    assert done.returncode == 0, done.err
    assert (work / "b.txt").read_text() == "beta\nalpha\n"
    assert not (work / "a.txt.CHECKSUM").exists()


def test_a_pattern_that_finds_nothing_is_a_failure(seamless_run: SeamlessRun) -> None:
    done = seamless_run("-cp", "*.csv", "true")
    assert done.returncode == 1
    assert "*.csv" in done.err


def plan_of(line: str, **options: Any) -> Any:
    return make_plan(PlanOptions([line], unquote=True, **options))


def test_only_the_pattern_is_left_unquoted_in_the_code(work: Path) -> None:
    code = plan_of("true", captures=["my dir/x?*.csv", "lit[1].csv"]).code
    assert (
        code == "mkdir -p 'RESULT/my dir' RESULT/\ntrue\nmv 'my dir/x'?*.csv 'RESULT/my dir'\nmv 'lit[1].csv' RESULT/\n"
    )


@pytest.mark.parametrize("capture", ["*/x.csv", "*", "R*", "*.sh", "out/*.csv:local", "*.csv:local"])
def test_a_pattern_that_cannot_be_is_refused(capture: str, work: Path) -> None:
    with pytest.raises(UsageError, match="-cp"):
        plan_of("true", captures=[capture])


# --- directories of redirections ------------------------------------------------------------------


def test_a_redirection_into_a_directory_needs_no_mkdir(seamless_run: SeamlessRun, work: Path) -> None:
    assert seamless_run("sort a.txt > sub/deep/x").returncode == 0
    assert (work / "sub" / "deep" / "x").read_text() == "alpha\nbeta\n"


def test_a_step_that_makes_its_directory_itself_may_do_so(seamless_run: SeamlessRun, work: Path) -> None:
    done = seamless_run("mkdir sub; echo x > sub/x")
    assert done.returncode == 0, done.err
    assert (work / "sub" / "x").exists()


def test_the_directory_is_no_part_of_the_identity(work: Path) -> None:
    assert plan_of("sort a.txt > sub/x").code == "mkdir -p RESULT/sub\nsort a.txt > sub/x\nmv sub/x RESULT/sub\n"


# --- undeclared files -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "options", "named"),
    [
        ("cat a.txt; cat b.txt", {}, ["b.txt"]),
        ("cat a.txt; cat b.txt b.txt; tac b.txt", {}, ["b.txt"]),
        ("cat a.txt && grep x b.txt > out", {}, ["b.txt"]),
        ("for i in 1 2; do cat b.txt; done", {"primary": 1, "inputs": ["b.txt"]}, []),
        ("cat a.txt; cat b.txt", {"inputs": ["b.txt"]}, []),
        ("cat a.txt; cat d/c.txt", {"inputs": ["d"]}, []),
        ("cat a.txt; cat d/c.txt", {}, ["d/c.txt"]),
        ("cat a.txt; echo b.txt", {}, []),
        ("cat a.txt; cat nothing.txt", {}, []),
        ("cat a.txt > b.txt; cat b.txt", {}, []),
        ("cat a.txt; cp a.txt b.txt", {"captures": ["b.txt"]}, []),
        ("cat a.txt | cat - a.txt", {}, []),
        ("cat a.txt; cat /dev/null /etc/passwd", {}, []),
        ("true; cat a.txt", {"captures": ["*.txt"]}, []),
    ],
)
def test_a_file_of_a_later_command_that_is_no_input_is_named(
    line: str, options: dict[str, Any], named: list[str], work: Path
) -> None:
    (work / "b.txt").write_text("x\n")
    (work / "d").mkdir()
    (work / "d" / "c.txt").write_text("y\n")
    warnings = [w for w in plan_of(line, **options).warnings if "is a file here" in w]
    assert [warning.split("'")[1] for warning in warnings] == named


def test_the_warning_says_what_to_do(seamless_run: SeamlessRun, work: Path) -> None:
    (work / "b.txt").write_text("x\n")
    done = seamless_run("-c", "cat a.txt; cat b.txt")
    assert done.returncode == 1
    assert "warning: 'b.txt' is a file here, but not an input" in done.err
    assert "-i b.txt" in done.err
