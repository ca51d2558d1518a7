"""Which directories are made for a step before it is executed: those that its redirections need, and no other."""

from __future__ import annotations

import shlex

import pytest

from seamless.transformer.bash.redirections import needed_directories


def code(command: str, *targets: str, preamble: str = "") -> str:
    directories = " ".join(dict.fromkeys(shlex.quote("RESULT/" + t.rpartition("/")[0]) for t in targets))
    moves = "".join(f"mv {shlex.quote(t)} {shlex.quote('RESULT/' + t.rpartition('/')[0])}\n" for t in targets)
    return f"{preamble}mkdir -p {directories}\n{command}\n{moves}"


@pytest.mark.parametrize(
    ("command", "targets", "made"),
    [
        ("sort a > s/x", ["s/x"], ["s"]),
        ("sort a >s/x", ["s/x"], ["s"]),
        ("sort a >> s/x", ["s/x"], ["s"]),
        ("sort a &> s/x", ["s/x"], ["s"]),
        ("sort a > s/t/x 2>&1", ["s/t/x"], ["s/t"]),
        ("python prog.py < a > s/x", ["s/x"], ["s"]),
        ("sort a | uniq -c > s/x", ["s/x"], ["s"]),
        ("python prog.py | sort > s/x", ["s/x"], ["s"]),
        ("A=1 python prog.py > s/x", ["s/x"], ["s"]),
        ("echo start; sort a > s/x", ["s/x"], ["s"]),
        ("cat a && sort a > s/x", ["s/x"], ["s"]),
        ("sort a > 'my dir/x'", ["my dir/x"], ["my dir"]),
        ("awk '{print $1; print \"(\"}' a > s/x", ["s/x"], ["s"]),
        ('echo "${x}" > s/x', ["s/x"], ["s"]),
        ("tee t/y < a > s/x", ["s/x", "t/y"], ["s"]),
        ("mkdir s; sort a > s/x", ["s/x"], []),
        ("python prog.py; sort a > s/x", ["s/x"], []),
        ("echo $(mkdir s) > s/x", ["s/x"], []),
        ('echo "$(mkdir s)" > s/x', ["s/x"], []),
        ("if true; then mkdir s; fi\nsort a > s/x", ["s/x"], []),
        ("mkdir s\nsort a > s/x", ["s/x"], []),
        ("mkdir s & sort a > s/x", ["s/x"], []),
        ("python prog.py -o s/x", ["s/x"], []),
        ("grep '>' s/y", ["s/x"], ["s"]),
        ("sort a > x", ["x"], []),
        ("echo 'unfinished > s/x", ["s/x"], []),
    ],
)
def test_only_directories_that_no_command_can_make_itself_are_made(
    command: str, targets: list[str], made: list[str]
) -> None:
    assert needed_directories(code(command, *targets)) == made


def test_what_precedes_the_result_directories_is_skipped() -> None:
    preamble = "export PATH=./:$PATH\nchmod +x 'tool'\nexport M=\"${META__M}\"\n"
    assert needed_directories(code("tool > s/x", "s/x", preamble=preamble)) == ["s"]


@pytest.mark.parametrize("text", ["(\nsort a > s/x\n) > RESULT\n", "", "mkdir -p RESULT/\nsort a > x\nmv x RESULT/\n"])
def test_a_step_without_targets_in_directories_needs_none(text: str) -> None:
    assert needed_directories(text) == []


def test_no_directory_outside_of_the_step_is_made() -> None:
    assert needed_directories("mkdir -p RESULT/../up\nsort a > ../up/x\nmv ../up/x RESULT/../up\n") == []
