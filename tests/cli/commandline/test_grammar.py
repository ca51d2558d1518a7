"""The grammar: random command lines, made so that their commands are known, and what bash reads in its own way."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamless.cli.commandline.bash import parse_bash
from seamless.errors import UsageError


@dataclass(frozen=True)
class Line:
    """A piece of bash, its simple commands, and the bodies of the here-documents that the next line end begins."""

    text: str
    commands: tuple[tuple[str, ...], ...] = ()
    bodies: str = ""


WORDS = st.sampled_from(
    r"""a.txt b -k1 --o=v x=y a[1] [ab]* {a,b} }} a#b == != ! ] [ { } if then in done do fi case time [[ ]] é ~/x *.txt
    '(' ")" ';' '#' \; \( \' $'it\'s' "it's" $x ${x} ${x:-'}'} ${x#\}} ${x:-{a} ${#x} ${x//[^a-z]/} "${x:-"y"}" $# $$
    $((1+2)) $[1+2] $(ls) `ls` $(a;b|c) <(ls) >(cat)""".split()
    + ["'a b'", '"c d"', '"$(echo ")")"', "a\\\nb", "$(case x in a) b;; esac)", "$((a; b) | c)", "$[ (1 + 2) * 3 ]"]
    + ["${x:- a | b}"]
)
REDIRECTS = st.sampled_from(
    ["> o", ">>o", "2>&1", "< a.txt", "<<< 'x y'", "2> /dev/null", "{fd}>o", "&> o", ">| 'o p'"]
)
NAMES = st.sampled_from(["cat", "sort", "./t.sh", "export", "test", "f-g", "time1", "local"])
ASSIGNMENTS = st.sampled_from(["", "", "A=1 ", "b+='c d' ", "c[i + 1]=4 "])
DELIMITERS = st.sampled_from([("<<E", "E"), ("<<'E F'", "E F"), ("<< \\E", "E"), ("<<-E", "\tE"), ("3<<}", "}")])
HEREDOC_LINES = st.sampled_from(["x", "it's", "$(ls)", "a ) b", '"', "# c", "<<X", "((", "done", ""])
BLANKS = st.sampled_from([" ", "  ", "\t", " \\\n"])
# What stands before, between and behind the parts of a group or loop.
SHAPES = st.sampled_from(
    [
        ("{", "}"),
        ("(", ")"),
        ("for x in a 'b c'; do", "done"),
        ("for ((i=0; i<3; i++)); do", "done"),
        ("for x\ndo", "done"),
        ("select x in a; do", "done"),
        ("while", "do", "done"),
        ("until", "do", "done"),
        ("if", "then", "fi"),
        ("if", "then", "elif", "then", "else", "fi"),
        ("case $x in (a | 'b c')", ";; if) ", ";& *) ", "esac"),
        ("f() {", "}"),
        ("function f {", "} >o"),
        ("[[ $x =~ ^(a|b)\\ c$ && ( -f a || b < c ) ]] && {", "} > o"),
        ("(( x << 2 > 1 )) || {", "} 2>&1"),
        ("! {", "}"),
        ("time -p {", "}"),
        ("coproc X {", "}"),
    ]
)


@st.composite
def simple_commands(draw: st.DrawFn) -> Line:
    words = [draw(NAMES), *draw(st.lists(WORDS, max_size=3))]
    text = draw(ASSIGNMENTS) + draw(BLANKS).join(words)
    for redirect in draw(st.lists(REDIRECTS, max_size=2)):
        text += " " + redirect
    bodies = ""
    if draw(st.integers(0, 5)) == 0:
        operator, delimiter = draw(DELIMITERS)
        text += " " + operator
        bodies = "".join(f"{line}\n" for line in [*draw(st.lists(HEREDOC_LINES, max_size=2)), delimiter])
    return Line(text, (tuple(words),), bodies)


def group(shape: tuple[str, ...], parts: list[Line]) -> Line:
    """Put lines into a group or loop."""
    text, found = "", ()
    for piece, line in zip(shape[:-1], parts, strict=False):
        text += f"{piece} {line.text}\n{line.bodies}"
        found += line.commands
    return Line(text + shape[-1], found)


def joined(left: Line, operator: str, right: Line) -> Line:
    found = left.commands + right.commands
    if operator == "\n" or (left.bodies and "\n" in right.text):
        return Line(f"{left.text}\n{left.bodies}{right.text}", found, right.bodies)
    return Line(left.text + operator + right.text, found, left.bodies + right.bodies)


def longer(inner: st.SearchStrategy[Line]) -> st.SearchStrategy[Line]:
    """Return groups and loops, pipelines and lists."""
    groups = st.builds(group, SHAPES, st.lists(inner, min_size=5, max_size=5))
    pipes = st.builds(joined, groups, st.sampled_from([" | ", "|", " |& "]), simple_commands())
    operators = st.sampled_from(["; ", ";", " && ", "||", " & ", "\n"])
    return groups | pipes | st.builds(joined, pipes | simple_commands(), operators, inner)


LINES = st.recursive(simple_commands(), longer, max_leaves=8).map(
    lambda line: Line(f"{line.text}\n{line.bodies}" if line.bodies else line.text, line.commands)
)


@settings(max_examples=80, deadline=None)
@given(LINES)
def test_any_line_that_bash_accepts_is_analysed_into_its_commands(line: Line) -> None:
    bash = subprocess.run(["bash", "-n", "-c", "--", line.text], capture_output=True, text=True, check=False)
    assert (bash.returncode, bash.stderr) == (0, "")
    parsed = parse_bash(line.text)
    found = tuple(tuple(line.text[word.start : word.end] for word in command.words) for command in parsed.commands)
    assert found == line.commands


@settings(max_examples=300, deadline=None)
@given(LINES, st.integers(0), st.sampled_from([*"()'\"`${}|&;<>#\\!\n", "<<E", "((", "[[", " do ", " esac ", "=("]))
def test_a_damaged_line_is_analysed_or_refused_but_never_a_traceback(line: Line, at: int, inserted: str) -> None:
    at %= len(line.text) + 1
    try:
        parse_bash(line.text[:at] + inserted + line.text[at:])
    except UsageError as exc:
        assert "\n" in str(exc)


def commands(source: str) -> list[str]:
    return [" ".join(word.text for word in command.words) for command in parse_bash(source).commands]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("((a; b) | c; d) | e", ["a", "b", "c", "d", "e"]),
        ("((a); (b))", ["a", "b"]),
        ("((a;b)) && c", ["c"]),
        ("(((a) | b) | c)", ["a", "b", "c"]),
        ("a == b", ["a == b"]),
        ("export a:b", ["export a:b"]),
        ("a |\n# it's\nb", ["a", "b"]),
        ("a x-\nm[k]=1 b", ["a x-", "b"]),
        ("case x in\nesac| a", ["a"]),
        ("! f () ( a )", ["a"]),
        ("echo a | time b", ["echo a", "time b"]),
        ("time -- a", ["a"]),
        ("a 2>&1>x", ["a"]),
        ("coproc <<E a\nx\nE\nb", ["a", "b"]),
        ("shopt -s extglob\nls !(a|b).txt", ["shopt -s extglob", "ls !(a|b).txt"]),
        ("cat <<$x\nit's\n$x\na", ["cat", "a"]),
        ("while (a) do b; done", ["a", "b"]),
        ("for x do a; done", ["a"]),
        ("for x in a; { b; }", ["b"]),
        ("$(a <<E\n)\nE\n) b", ["$(a <<E\n)\nE\n) b"]),
        ("a `b (` c", ["a `b (` c"]),
        ("a[ x ] b", ["a[ x ] b"]),
    ],
)
def test_bash_is_read_as_bash_reads_it(source: str, expected: list[str]) -> None:
    assert commands(source) == expected


@pytest.mark.parametrize(
    "source",
    ["a | ! b", "echo a=(1)", "f() a", "a b() { c; }", "a;;", "{ a;b }", "while; do a; done", "(a) b", "a & && b", "if"]
    + ["if a; then; fi", ">x (a)", "for x; in a; do b; done", "case x in (a b) c;; esac", "x=(a;b)", "fi", "in", "}"]
    + ["a > > b", "cat <<", "cat << ;", "function f a", "a @(b)", "( )", "for x in a & do b; done", "a |& | b", "]] a"],
)
def test_what_bash_refuses_is_refused_in_its_words(source: str) -> None:
    with pytest.raises(UsageError, match="the command line is not valid bash: (syntax error|unexpected)"):
        parse_bash(source)


@pytest.mark.parametrize("bracket", ["$((", "$(", "((", "${x:-$((", '"$(', "(", "{ ", "if "])
def test_brackets_that_are_nested_deeply_end_in_a_message(bracket: str) -> None:
    with pytest.raises(UsageError):
        parse_bash(bracket * 2000)
