"""`_seamlessify` with words, and what both of its forms share."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from seamless.cli.mode import seamlessify
from seamless.cli.mode.seamlessify import cut_suffix, main, rewrite_words, wrap

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import RunCli


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        ("cat a.txt @@@", "seamless-run -c 'cat a.txt'"),
        ("cat a.txt @@@ --stage x --scratch", "seamless-run --stage x --scratch -c 'cat a.txt'"),
        ("cat a.txt", "cat a.txt"),
        ("a @@@ sort b @@@ --scratch", "a @@@ sort b"),
        ("cat a @@@ b @@@ --scratch", "seamless-run --scratch -c 'cat a @@@ b'"),
        ("@@@ --scratch", ""),
        ("seamless-upload a.txt @@@", "seamless-upload a.txt"),
        ("conda activate x @@@", "conda activate x"),
        ("git status @@@", "seamless-run -c 'git status'"),
        ("wc a.txt @@@", "wc a.txt"),
        ("r x.R @@@", "seamless-run -c 'r x.R'"),
        ("abc=1 @@@", "abc=1"),
        ("FILE=/x @@@", "seamless-run -c 'FILE=/x'"),
        ("cat $HOME @@@", "seamless-run -c 'cat $HOME'"),
        ("cat 'a' @@@", "seamless-run -c 'cat '\\''a'\\'' '"),
    ],
)
def test_words_become_a_line(words: str, printed: str) -> None:
    assert rewrite_words(words.split(), {}) == printed


def test_no_word_at_all_is_an_empty_line(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main([]) == 0
    assert capfdbinary.readouterr().out == b"\n"


@pytest.mark.parametrize(
    ("word", "stem"),
    [
        ("a.txt.CHECKSUM", "a.txt"),
        ("d.INDEX", "d"),
        ("d/e.INDEX.CHECKSUM", "d/e.INDEX"),
        (".CHECKSUM", ".CHECKSUM"),
        ("d/.INDEX", "d/.INDEX"),
        ("a.CHECKSUMS", "a.CHECKSUMS"),
    ],
)
def test_one_suffix_of_a_sidecar_is_cut(word: str, stem: str) -> None:
    assert cut_suffix(word) == stem


@pytest.mark.parametrize("line", ["sort a.txt", "it's", "awk '{print $1}'", "''", "a\\'", "a\nb'", "'\\''"])
def test_a_shell_gives_the_line_to_seamless_run_unchanged_but_for_a_blank_at_its_end(line: str) -> None:
    script = 'seamless-run() { printf "%s|" "$@"; }; ' + wrap(line, ["--var", "x=it's"])
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"--var|x=it's|-c|{line}{' ' if line.endswith(chr(39)) else ''}|"


def test_names_to_be_skipped_are_added_and_taken_out() -> None:
    environ = {"SEAMLESS_MODE_SKIP": "vim -wc -ls"}
    assert rewrite_words(["vim", "x", "@@@"], environ) == "vim x"
    assert rewrite_words(["wc", "x", "@@@"], environ) == "seamless-run -c 'wc x'"
    assert rewrite_words(["ls", "@@@"], environ) == "seamless-run -c 'ls'"
    assert rewrite_words(["seamless-run", "x", "@@@"], {"SEAMLESS_MODE_SKIP": "-seamless-run"}) == "seamless-run x"


@pytest.mark.parametrize(
    "argv", [["--shell=fish", "x", "@@@"], ["--shell=bash", "x"], ["--shell=bash", "x", "y", "@@@"]]
)
def test_a_mistake_is_one_message_and_a_status(argv: list[str], capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(argv) == 2
    out, err = capfdbinary.readouterr()
    assert out == b""
    assert err.count(b"\n") == 1 and b"--shell=bash" in err


def test_a_line_with_bytes_that_are_no_text_comes_out_unchanged(run_cli: RunCli) -> None:
    done = run_cli(["_seamlessify", "--shell=bash", os.fsdecode(b"sort \xff.txt"), "@@@"])
    assert done.stdout == b"seamless-run -c 'sort \xff.txt'\n"


def test_a_reader_that_went_away_is_no_traceback(run_cli: RunCli) -> None:
    done = run_cli(["sh", "-c", "{ _seamlessify sort a @@@; echo $? >&2; } >&-"])
    assert done.stderr.decode().splitlines() == ["_seamlessify: standard output: Bad file descriptor", "1"]


def test_help_and_version_are_given(run_cli: RunCli) -> None:
    assert b"usage: _seamlessify WORD" in run_cli(["_seamlessify", "--help"]).stdout
    assert run_cli(["_seamlessify", "--version"]).stdout.startswith(b"_seamlessify (Seamless) ")


def test_a_line_is_rewritten_with_next_to_no_imports(tmp_path: Path) -> None:
    program = (
        "import sys; before = set(sys.modules)\n"
        "from seamless.cli.mode.seamlessify import main; main(['--shell=bash', 'sort \"$HOME\"', '@@@'])\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    loaded = set(done.stdout.splitlines()[1].split())
    assert loaded & {"argparse", "re", "json", "subprocess", "shlex", "typing", "dataclasses", "pathlib"} == set()


def test_the_commands_that_are_always_skipped_are_those_agreed() -> None:
    agreed = "cd rm ls mv cp exit source echo function set unset let export man printenv conda mamba pip apt"
    assert set(f"{agreed} more less time code nano vi emacs gedit".split()) == seamlessify.SKIPPED
