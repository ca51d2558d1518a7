"""Lines as they are typed: which command they run, what is replaced in them, and what is left alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamless.cli.mode.line import bound_names, declared_names, first_command, replaced, rewrite_line

ENVIRON = {"X": "a b", "FILE": "a.txt", "CODE": "x; touch 'y' $(z) `w` \"", "EMPTY": "", "GLOB": "*.txt", "f": "stale"}


def inner(line: str, shell: str = "bash", *options: str) -> str:
    """Return the text that is replaced in a line, without what is put around it."""
    return "".join(replaced(line, shell, ENVIRON, declared_names(options) | bound_names(line)))


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("sort $FILE", "sort a.txt"),
        ("sort ${FILE}.gz", "sort a.txt.gz"),
        ("sort $X", "sort a b"),
        ('sort "$X"', 'sort "a b"'),
        ("sort '$X'", "sort '$X'"),
        ("sort \\$X", "sort \\$X"),
        ("sort $'$X'", "sort $'$X'"),
        ("awk '{print $1}' $FILE", "awk '{print $1}' a.txt"),
        ("sort $NOT_EXPORTED ${X:-1} $1 $? $$ $@ $", "sort $NOT_EXPORTED ${X:-1} $1 $? $$ $@ $"),
        ("sort $((X + 1))", "sort $((X + 1))"),
        ("sort $(cat $FILE)", "sort $(cat a.txt)"),
        ('sort "$(cat "$X")"', 'sort "$(cat "a b")"'),
        ("sort <(cat '$X')", "sort <(cat '$X')"),
        ("cat <<END\n$X\nEND", "cat <<END\n$X\nEND"),
        ("cat <<< $X", "cat <<< 'a b'"),
        ("sort > $X", "sort > 'a b'"),
        ("y=$X sort", "y='a b' sort"),
        ("if true; then y=$X sort; fi", "if true; then y='a b' sort; fi"),
        ("sort $NOT_EXPORTED$FILE", "sort ${NOT_EXPORTED}a.txt"),
        ("sort {$FILE,b}", "sort {$FILE,b}"),
        ("sort ~$FILE", "sort ~$FILE"),
        ("sort ~/$FILE", "sort ~/a.txt"),
        ("sort $EMPTY#b", "sort \\#b"),
        ("sort y=$X", "sort y=a b"),
        ("export y=$X", "export y='a b'"),
        ("case $X in a) sort;; esac", "case 'a b' in a) sort;; esac"),
        ("if [[ $X == a ]]; then sort $X; fi", "if [[ 'a b' == a ]]; then sort a b; fi"),
        ("sort # $X", "sort # $X"),
        ("sort a#$FILE", "sort a#a.txt"),
        ("sort $EMPTY b", "sort  b"),
        ("cat $GLOB", "cat *.txt"),
        ('cat "$GLOB"', 'cat "*.txt"'),
    ],
)
def test_exported_variables_are_replaced_where_bash_would_do_it(line: str, text: str) -> None:
    assert inner(line) == text


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("sort $X", "sort 'a b'"),
        ("cat $GLOB", "cat '*.txt'"),
        ("sort $EMPTY b", "sort  b"),
        ('sort "$X"', 'sort "a b"'),
    ],
)
def test_a_value_is_one_word_if_the_shell_is_zsh(line: str, text: str) -> None:
    assert inner(line, "zsh") == text


@pytest.mark.parametrize(
    "line",
    [
        "for f in a b; do sort $f; done",
        "f=1; sort $f",
        "while read -r f; do sort $f; done",
        "while IFS= read -r g f; do sort $f; done < list",
        "printf -v f x; sort $f",
        "select f in a; do sort $f; done",
    ],
)
def test_a_name_that_gets_its_value_in_the_line_is_left_alone(line: str) -> None:
    assert inner(line) == line


@pytest.mark.parametrize("options", [["--var", "X=1"], ["--var=X=1"], ["--scratch", "--metavar", "X=1"]])
def test_a_name_that_is_a_variable_of_the_step_is_left_alone(options: list[str]) -> None:
    assert inner("sort $X $FILE", "bash", *options) == "sort $X a.txt"


@pytest.mark.parametrize("line", ["cat $CODE", 'cat "$CODE"', "cat x$CODE", "y=$CODE cat", "cat > $CODE"])
@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_nothing_in_a_value_is_read_as_code(line: str, shell: str, tmp_path: Path) -> None:
    text = "cat() { :; }; " + inner(line, shell)
    done = subprocess.run(["bash", "-c", text], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert not (tmp_path / "y").exists()


WORDS = st.lists(
    st.sampled_from(
        [
            "$V",
            "${V}",
            '"$V"',
            "'$V'",
            "a",
            '"a $V b"',
            "\\$V",
            " ",
            "x=$V",
            '"\\$V"',
            "$W",
            "b",
            "{",
            ",",
            "}",
            "~",
            "$W$V",
            '"$W$V"',
        ]
    ),
    min_size=1,
    max_size=6,
)
VALUES = st.text(alphabet="ab c'\"\\$`;*~#!{,.}\n\t-", max_size=8)


@settings(max_examples=40, deadline=None)
@given(words=WORDS, value=VALUES)
def test_bash_sees_the_same_words_as_without_the_replacement(
    words: list[str], value: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    line = "printf '<%s>' " + "".join(words)
    text = "".join(replaced(line, "bash", {"V": value}, set()))
    gone = "" if {"{", "~"} & set(words) else "unset V; "  # in words with braces or ~ it may be left alone
    script = "W='w  w'; " + line + "; printf '|'; " + gone + text
    done = subprocess.run(
        ["bash", "-c", script],
        env={"V": value},
        cwd=tmp_path_factory.getbasetemp(),
        capture_output=True,
        text=True,
        check=True,
    )
    before, _, after = done.stdout.partition("|")
    assert (after, done.stderr) == (before, "")


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("sort a.txt", "sort"),
        ("  sort|head", "sort"),
        ("A=1 B='x y' sort", "sort"),
        ("A=1", None),
        ("A=1; sort", None),
        ("x=(sort b)", None),
        ("f() { sort; }", None),
        ("f () { sort; }", None),
        ("(sort; head)", "sort"),
        ("{ sort; }", "sort"),
        ("! sort", "sort"),
        ("< a.txt sort", "sort"),
        ("2> log sort", "sort"),
        ("> a.txt", None),
        ("# sort", None),
        ("'so'rt a", "sort"),
        ("\\sort a", "sort"),
        ("", None),
    ],
)
def test_the_first_command_is_found(line: str, command: str | None) -> None:
    assert first_command(line) == command


@pytest.mark.parametrize(
    "line", ["", "cd d && sort a", "A=1 ls", "(cd d; sort a)", "x=$(sort a)", "f() { sort a; }", "python", "'ls' a"]
)
def test_a_line_that_is_run_as_it_is_comes_out_unchanged(line: str) -> None:
    assert rewrite_line(line, "bash", ["--scratch"], ENVIRON) == line


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("sort a.txt", "seamless-run -c 'sort a.txt'"),
        ("sort   a  ", "seamless-run -c 'sort   a'"),
        (" sort a", " seamless-run -c 'sort a'"),
        ("sort a &", "seamless-run -c 'sort a' &"),
        ("sort a && tac b &", "seamless-run -c 'sort a && tac b' &"),
        ("sort 2>&1", "seamless-run -c 'sort 2>&1'"),
        ("sort a\\&", "seamless-run -c 'sort a\\&'"),
        ("sort a # b &", "seamless-run -c 'sort a # b &'"),
        ("sort a\\ ", "seamless-run -c 'sort a\\ '"),
        ("python x.py", "seamless-run -c 'python x.py'"),
        ("A=1 sort a", "seamless-run -c 'A=1 sort a'"),
        ("sort 'a $X", "seamless-run -c 'sort '\\''a $X'"),
        ("cat a.CHECKSUM|sort>b.INDEX", "seamless-run -c 'cat a|sort>b'"),
        ("cat *.CHECKSUM {a,b}.CHECKSUM", "seamless-run -c 'cat *.CHECKSUM {a,b}.CHECKSUM'"),
        ("cat a\\ b.CHECKSUM", "seamless-run -c 'cat a\\ b'"),
        ("sort a # it's\ntac <<E\nit's\nE", "seamless-run -c 'sort a # it'\\''s\ntac <<E\nit'\\''s\nE'"),
    ],
)
def test_a_line_is_wrapped_as_a_whole(line: str, text: str) -> None:
    assert rewrite_line(line, "bash", [], ENVIRON) == text


def test_within_quotes_a_suffix_is_cut_only_from_the_name_of_a_sidecar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a b.CHECKSUM").touch()
    assert rewrite_line('cat "a b.CHECKSUM"', "bash", [], {}) == "seamless-run -c 'cat \"a b\"'"
    assert rewrite_line('grep "x.CHECKSUM"', "bash", [], {}) == "seamless-run -c 'grep \"x.CHECKSUM\"'"
