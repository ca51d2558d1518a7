"""The quick parser and the full one: what they find, and that they never differ."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamless.cli.commandline.bash import parse_bash
from seamless.cli.commandline.line import ParsedLine
from seamless.cli.commandline.quoting import quote, unquote
from seamless.cli.commandline.split import split_line
from seamless.errors import UsageError


def words(line: ParsedLine) -> list[list[str]]:
    return [[word.text for word in command.words] for command in line.commands]


def redirects(line: ParsedLine) -> list[tuple[str, str | None, str | None]]:
    return [(r.operator, r.descriptor, r.target.text if r.target else None) for r in line.all_redirects()]


SIMPLE_LINES = [
    "cat a.txt",
    "  cat\ta.txt  ",
    "cat 'a b.txt' \"c d.txt\" e\\ f.txt",
    "echo a\"b c\"'d e'f",
    'echo "\\$x \\` \\\\ \\a" \\$x \\a',
    "echo $x a$y \"b $z\" '$no'",
    "seq 1 3 | tac",
    "cat a.txt|sort|uniq",
    "cat a.txt; cat b.txt",
    "cat a.txt;",
    "cat a.txt && cat b.txt || cat c.txt > out",
    "cat a.txt > out 2> err",
    "cat a.txt>>out",
    "cat<a.txt",
    "cat a.txt &> out",
    "cat a.txt > out 2>&1",
    "cat a.txt >&2",
    "echo 2 > x",
    "echo a2>x",
    'echo "2">x',
    "cat 2>/dev/null b.txt",
    "cat a.txt | tee b.txt > x | cat > c.txt",
    "cat a.txt && cat b.txt > x | sort | uniq > y",
    "> x",
    "echo a=b --x=y *.txt ?.txt [ab].txt ~/x a#b 1.2.3 -k1.2",
    "echo then time coproc",
    "find . -name '*.txt' -exec cat '{}' \\;",
    "test -f a.txt && cat a.txt",
    "export A=1 B=x; unset A",
    "awk '{print $1}' a.txt",
]


@pytest.mark.parametrize("source", SIMPLE_LINES)
def test_both_parsers_give_the_same_for_a_simple_line(source: str) -> None:
    quick = split_line(source)
    assert quick is not None
    assert quick == parse_bash(source)


PIECES = (
    'cat,a.txt,b, ,  ,|,;,&&,||,>,<,>>,2>,&>,2>&1,\'a b\',"c d",\\ ,$x,"$y",if,[,A=1,a=b,*,?,~,#,-x,0,1,=,\t,\',",\\,'
    'é,%,@,^,+,:,/,..,],time,coproc,export,test,unset,declare,in,x[1],"a\\"b",!,{},for,[[,a[1],\\;,\\$,$,\'\',"",'
    "$1,&>>,>&2,>|,<>,then,do,{,},case"
).split(",")


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from(PIECES), max_size=9).map("".join)
    | st.lists(st.sampled_from(PIECES), max_size=9).map(" ".join)
)
def test_the_quick_parser_never_contradicts_the_full_one(source: str) -> None:
    quick = split_line(source)
    if quick is not None:
        assert parse_bash(source) == quick


@pytest.mark.parametrize(
    "source",
    ["echo $(x)", "echo `x`", "echo ${x}", "(a)", "{ a; }", "a\nb", "a <<E\nE", "a <<< x", "a <(b)", "a &", "! a"]
    + ["a # b", "if a; then b; fi", "for x in y; do z; done", "A=1 cmd", "a=(1)", "[ a ]", "[[ a ]]", "time a"]
    + ["a |& b", "a {b,c}", "a >| b", "a <> b", "a ;; b", "echo 'x", 'echo "x', "a |", "a &&", "| a", ";", "", "a $1"],
)
def test_the_quick_parser_leaves_other_grammar_to_the_full_one(source: str) -> None:
    assert split_line(source) is None


FULL: list[tuple[str, list[list[str]]]] = [
    ("for f in a.txt b.txt; do cat $f; done", [["cat", "$f"]]),
    ("for ((i=0;i<3;i++)); do echo $i; done", [["echo", "$i"]]),
    ("while read -r x; do echo $x; done < a.txt", [["read", "-r", "x"], ["echo", "$x"]]),
    ("if [ -f a ]; then b; elif c; then d; else e; fi", [["[", "-f", "a", "]"], ["b"], ["c"], ["d"], ["e"]]),
    ("case x in (a) b;; c|d) e;& *) f;;& esac", [["b"], ["e"], ["f"]]),
    ("select x in a b; do break; done", [["break"]]),
    ("coproc cat a.txt", [["cat", "a.txt"]]),
    ("coproc X { cat a.txt; }", [["cat", "a.txt"]]),
    ("f() { cat a.txt; }; f", [["cat", "a.txt"], ["f"]]),
    ("function f { cat a.txt; }", [["cat", "a.txt"]]),
    ("time -p cat a.txt", [["cat", "a.txt"]]),
    ("time { cat a; }", [["cat", "a"]]),
    ("! cat a.txt", [["cat", "a.txt"]]),
    ("[[ $x =~ ^a(b|c)$ && ! -d d ]] && cat a", [["cat", "a"]]),
    ("[ a \\< b ] && c", [["[", "a", "<", "b", "]"], ["c"]]),
    ("(( x = 1 << 3 )); cat a", [["cat", "a"]]),
    ("echo $(( 1 + (2*3) )) ${x:-$(cat a)} `cat b`", [["echo", "$(( 1 + (2*3) ))", "${x:-$(cat a)}", "`cat b`"]]),
    ("diff <(sort a) <(sort b)", [["diff", "<(sort a)", "<(sort b)"]]),
    ("a=(1 2); b+=(3); c[i + 1]=4; echo ${a[1]}", [[], [], [], ["echo", "${a[1]}"]]),
    ("A=1 B='x y' cat a.txt", [["cat", "a.txt"]]),
    ("export A=1 B='x y'; cat a", [["export", "A=1", "B=x y"], ["cat", "a"]]),
    ("echo {a,b}.txt {} { }", [["echo", "{a,b}.txt", "{}", "{", "}"]]),
    ("echo $'a\\tb\\x41\\101' $\"c\"", [["echo", "a\tbAA", "c"]]),
    ("echo a\\\nb \\\n  c", [["echo", "ab", "c"]]),
    ("cat a # it's\ncat b", [["cat", "a"], ["cat", "b"]]),
    ("cat <<EOF - b\nit's $(\nEOF\ncat c", [["cat"], ["cat", "c"]]),
    ("cat <<A <<'B'\nx\nA\ny\nB\ncat c", [["cat"], ["cat", "c"]]),
    ("cat <<-E | sort\n\tx\n\tE\ncat c", [["cat"], ["sort"], ["cat", "c"]]),
    ("echo \"$(cat <<'E'\nit's )\nE\n)\" x", [["echo", "$(cat <<'E'\nit's )\nE\n)", "x"]]),
    ("2>x cat a", [["cat", "a"]]),
    ("( (a) | b )", [["a"], ["b"]]),
    ("echo é 'ü' a", [["echo", "é", "ü", "a"]]),
]


@pytest.mark.parametrize(("source", "expected"), FULL, ids=[source for source, _ in FULL])
def test_the_full_parser_finds_the_simple_commands_of_all_bash(source: str, expected: list[list[str]]) -> None:
    assert words(parse_bash(source)) == expected


@pytest.mark.parametrize(("source", "expected"), FULL, ids=[source for source, _ in FULL])
def test_every_word_has_its_place_in_the_source(source: str, expected: list[list[str]]) -> None:
    line = parse_bash(source)
    found = [[unquote(source[w.start : w.end])[0] for w in command.words] for command in line.commands]
    assert found == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("cat a | sort", [(0, 1), (0, 1)]),
        ("cat a; b | c", [(0,), (1, 2), (1, 2)]),
        ("a | b 2>y >x | c", [(0, 1, 2)] * 3),
        ("a && b > x | c", [(0,), (1, 2), (1, 2)]),
        ("(a; b) | c", [(0, 1, 2)] * 3),
        ("a; (b; c && d | e) | { f; } && g", [(0,), *[(1, 2, 3, 4, 5)] * 5, (6,)]),
        ("a | while b; do c; done | d", [(0, 1, 2, 3)] * 4),
        ("( a | b )", [(0, 1), (0, 1)]),
        ("( a | b ) > x", [(0, 1), (0, 1)]),
        ("( a | b; c )", [(0,), (1,), (2,)]),
        ("( ( a | b ) )", [(0,), (1,)]),
        ("( ( a ) ) | b", [(0, 1), (0, 1)]),
        ("((a; b) | c; d) | e", [(0, 1, 2, 3, 4)] * 5),
        ("((a | b) | c)", [(0, 1, 2)] * 3),
        ("! a | b", [(0, 1), (0, 1)]),
        ("a; b | c &", [(0,), (1, 2), (1, 2)]),
        ("if a; then b | c; fi", [(0,), (1,), (2,)]),
        ("for x in y; do a | b; done", [(0,), (1,)]),
    ],
)
def test_a_command_knows_the_members_of_its_pipeline(source: str, expected: list[tuple[int, ...]]) -> None:
    assert [command.pipeline for command in parse_bash(source).commands] == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a <b >c 2>d", [("<", None, "b"), (">", None, "c"), (">", "2", "d")]),
        ("a &>>b", [("&>>", None, "b")]),
        ("a >|b 12>c", [(">|", None, "b"), (">", "12", "c")]),
        ("a <<<x", [("<", None, None)]),
        ("a <<E\nE", [("<", None, None)]),
        ("a <>b", [("<", None, None)]),
        ("a 2>&1 <&3", [(">&", "2", "1"), ("<&", None, "3")]),
        ("a {fd}>b", [(">", "{fd}", "b")]),
        ("while a; do b; done <c", [("<", None, "c")]),
        ("a > 'b c'", [(">", None, "b c")]),
    ],
)
def test_redirections_are_found_with_operator_and_descriptor(source: str, expected: list[Any]) -> None:
    assert redirects(parse_bash(source)) == expected


@pytest.mark.parametrize("source", ["(a; b) > x", "{ a; } > x", "for i in 1; do a; done > x"])
def test_the_redirection_of_a_group_that_is_the_line_is_told_apart(source: str) -> None:
    line = parse_bash(source)
    assert [r.target.text for r in line.group_redirects if r.target] == ["x"]
    assert parse_bash(source + "; b").group_redirects == []
    assert parse_bash("a | " + source).group_redirects == []


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [("cat 'a", 1, 5), ('cat\necho "x', 2, 6), ("echo $(a", 1, 7), ("a |", 1, 4), ("(a", 1, 3), ("echo `a", 1, 6)],
)
def test_a_syntax_error_names_line_and_column_with_a_caret(source: str, line: int, column: int) -> None:
    with pytest.raises(UsageError) as info:
        parse_bash(source)
    message = str(info.value)
    assert f"line {line}, column {column}" in message
    assert message.split("\n")[-1] == "  " + " " * (column - 1) + "^"


def test_a_syntax_error_never_executes_anything(tmp_path: Any) -> None:
    with pytest.raises(UsageError):
        parse_bash(f"touch {tmp_path}/pwned; ; done")
    assert list(tmp_path.iterdir()) == []


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_quoted_text_comes_back_as_one_word(text: str) -> None:
    assert unquote(quote(text)) == (text, False)


@pytest.mark.parametrize("text", ["", "a b", "it's", "$x", "a\nb", "\\", "`a`", "*", "~", "é ü", "!", "#a", 'a"b'])
def test_bash_reads_quoted_text_as_it_was(text: str) -> None:
    run = subprocess.run(["bash", "-c", f"printf %s {quote(text)}"], capture_output=True, check=True)
    assert run.stdout.decode() == text


@pytest.mark.parametrize("text", ["a.txt", "d/x-1_2.txt", "a@b%c+d=e:f,g", "é.txt"])
def test_text_without_special_characters_is_not_quoted(text: str) -> None:
    assert quote(text) == text
