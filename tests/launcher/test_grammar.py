"""The command lines of the helpers: one form for each, and nothing but it."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamless.launcher.grammar import HELPERS, GrammarError, Invocation, parse, usage, wants_help, wants_version
from seamless.launcher.grammar_table import Grammar, Option
from seamless.launcher.guarded import Guarded, Resolved, take_guarded


def complaint(line: str) -> str:
    helper, *words = shlex.split(line)
    with pytest.raises(GrammarError) as caught:
        parse(helper, words)
    return caught.value.complaint(helper)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("rhl-ps --bogus", "rhl-ps: unknown argument: --bogus"),
        ("rhl-ps --host h", "rhl-ps: --host requires --client"),
        ("rhl-ps --key --json", "rhl-ps: --key and --json are mutually exclusive"),
        ("rhl-ps x", "rhl-ps: no arguments are accepted"),
        ("rhl-inspect", "rhl-inspect: exactly one key is required"),
        ("rhl-inspect a b", "rhl-inspect: exactly one key is required"),
        ("rhl-inspect a/b", "rhl: invalid key 'a/b' (only letters, digits, . _ - allowed)"),
        ("rhl-logs k --tail", "rhl: --tail requires an integer"),
        ("rhl-logs k --tail x", "rhl: --tail requires an integer"),
        ("rhl-logs k --tail -1", "rhl-logs: --tail must be >= 0"),
        ("rhl-stop", "rhl-stop: at least one key is required"),
        ("rhl-rm", "rhl-rm: at least one key is required"),
        ("rhl-rm --foo --bar k", "rhl-rm: unknown flag(s): --bar --foo"),
        ("rhl-clear", "rhl-clear: exactly one path is required"),
        ("rhl-clear a b", "rhl-clear: exactly one path is required"),
        ("rhl-ps-persistent", "rhl-ps-persistent: at least one path is required"),
        ("rhl-ps-persistent --level -1 a", "rhl-ps-persistent: --level must be >= 0"),
        ("rhl-ps-persistent --level x a", "rhl: --level requires an integer"),
        ("rhl-ps-persistent --marker a/b a", "rhl-ps-persistent: --marker requires a simple filename"),
        ("rhl-ps-persistent --file .. a", "rhl-ps-persistent: --file requires a simple filename"),
        ("rhl-pid-alive", "rhl-pid-alive: exactly one PID is required"),
        ("rhl-pid-alive x", "rhl-pid-alive: PID must be a positive integer"),
        ("rhl-pid-alive 0", "rhl-pid-alive: PID must be a positive integer"),
        ("rhl-verify-port h", "rhl-verify-port: HOST and PORT are required"),
        ("rhl-verify-port h 99999", "rhl-verify-port: port must be in [1, 65535]"),
        ("rhl-verify-port h x", "rhl-verify-port: port must be an integer"),
        ("rhl-verify-port h@ 1", "rhl-verify-port: invalid host"),
        ("rhl-handshake", "rhl-handshake: exactly one URL is required"),
        ("rhl-handshake ftp://x", "rhl-handshake: URL must use http or https and include a host"),
        ("rhl-handshake http:///x", "rhl-handshake: URL must use http or https and include a host"),
        ("rhl-conda-info x", "rhl-conda-info: no arguments are accepted"),
        ("rhl-cache-conda --x", "rhl-cache-conda: no arguments are accepted"),
        ("rhl-launch-service -- x", "rhl-launch-service: the following arguments are required: --key, --workdir"),
        ("rhl-launch-service --key k --workdir /x", "rhl-launch-service: service binary is required after --"),
        ("rhl-launch-service --key k --workdir /x --", "rhl-launch-service: service binary is required after --"),
        (
            "rhl-launch-service --key k --workdir /x --parameters x -- b",
            "rhl-launch-service: --parameters must be valid JSON: Expecting value: line 1 column 1 (char 0)",
        ),
        (
            "rhl-launch-service --key k --workdir /x --meta [] -- b",
            "rhl-launch-service: --meta must be a JSON object",
        ),
        (
            "rhl-ensure --key k --workdir /x --handshake 1 -- b",
            "rhl-ensure: --handshake must be a JSON object or string",
        ),
        (
            "rhl-ensure --key k --workdir /x --on-mismatch x -- b",
            "rhl-ensure: --on-mismatch must be one of: warn, restart, error",
        ),
        (
            "rhl-ensure --key k --workdir /x --start-timeout 0 -- b",
            "rhl-ensure: --start-timeout must be a number of seconds greater than 0",
        ),
        (
            "rhl-ensure --key k --workdir /x --conda-env e --image {} -- b",
            "rhl-ensure: --conda-env and --image are mutually exclusive",
        ),
    ],
)
def test_a_mistake_has_its_text(line: str, text: str) -> None:
    assert complaint(line) == text


def test_an_unknown_helper_is_refused() -> None:
    with pytest.raises(GrammarError, match="unknown helper"):
        parse("rhl-guard", [])


def test_the_words_after_the_separator_belong_to_the_service() -> None:
    found = parse("rhl-launch-service", ["--key=k", "--workdir", "~/x y", "--", "b", "--key", "--", "-x"])
    assert found.options == {"key": "k", "workdir": "~/x y"}
    assert found.service == ("b", "--key", "--", "-x")


def test_help_is_asked_for_before_the_separator_only() -> None:
    assert wants_help(["k", "-h"]) and wants_help(["--help"])
    assert not wants_help(["--", "--help"])
    assert wants_version(["--version"]) and not wants_version(["--version", "x"])


@pytest.mark.parametrize("helper", sorted(HELPERS))
def test_help_names_every_option_within_80_columns(helper: str) -> None:
    text = usage(helper)
    assert text.startswith(f"usage: {helper}")
    assert all(f"--{name}" in text for name in HELPERS[helper].options)
    assert all(len(line) <= 86 for line in text.splitlines())


def test_an_option_can_be_replaced_and_removed() -> None:
    found = parse("rhl-logs", ["K", "--tail", "3"])
    assert found.replaced(tail=4).argv() == ["rhl-logs", "--tail", "4", "K"]
    assert found.replaced(tail=None).argv() == ["rhl-logs", "K"]


# --- one form ---------------------------------------------------------------------------------------

TEXT = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
KEY = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True)
JSON = st.dictionaries(TEXT, st.integers() | TEXT).map(lambda value: __import__("json").dumps(value))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "flag": st.just(True),
    "key": KEY,
    "path": TEXT.filter(lambda text: all(len(part.encode()) < 256 for part in text.split("/"))),
    "text": TEXT,
    "count": st.integers(0, 10**9),
    "filename": TEXT.filter(lambda text: "/" not in text and text not in (".", "..")),
    "environment": KEY,
    "host": st.sampled_from(["localhost", "127.0.0.1", "::1", "[::1]", "a-b.example"]),
    "object": JSON,
    "handshake": JSON,
    "seconds": st.floats(0.001, 1e6),
    "pid": st.integers(1, 10**9).map(str),
    "port": st.integers(1, 65535).map(str),
    "url": st.sampled_from(["http://127.0.0.1:1/x?y=z", "https://h/"]),
}


def value_of(option: Option) -> st.SearchStrategy[Any]:
    return st.sampled_from(option.choices) if option.choices else VALUES[option.kind]


@st.composite
def invocations(draw: st.DrawFn) -> Invocation:
    helper = draw(st.sampled_from(sorted(HELPERS)))
    grammar: Grammar = HELPERS[helper]
    names = set(grammar.required) | set(draw(st.lists(st.sampled_from(sorted(grammar.options) or [""]), unique=True)))
    for first, second, text in grammar.conflicts:
        if first in names and (second in names) is (text is not None):
            names.discard(first)
    options = {name: draw(value_of(grammar.options[name])) for name in sorted(names - {""})}
    kinds, most = grammar.words.kinds, min(grammar.words.most, 4)
    number = draw(st.integers(grammar.words.least, most)) if not grammar.service else 0
    kinds = tuple(kinds[min(i, len(kinds) - 1)] for i in range(number))
    words = tuple(draw(VALUES[kind].filter(lambda word: not word.startswith("-"))) for kind in kinds)
    service = tuple(draw(st.lists(TEXT, min_size=1, max_size=4))) if grammar.service else ()
    return Invocation(helper, options, words, service)


@given(invocations())
def test_a_command_line_comes_back_from_its_form(found: Invocation) -> None:
    helper, *argv = found.argv()
    assert parse(helper, argv) == found
    assert parse(helper, argv).argv() == [helper, *argv]


@given(invocations())
def test_its_form_survives_quoting(found: Invocation) -> None:
    assert shlex.split(shlex.join(found.argv())) == found.argv()


@given(
    st.sampled_from(sorted(HELPERS)), st.lists(st.text(max_size=12) | st.sampled_from(["--", "--key", "k", "--json"]))
)
def test_whatever_is_given_is_parsed_or_refused(helper: str, argv: list[str]) -> None:
    try:
        found = parse(helper, argv)
    except GrammarError:
        return
    assert parse(helper, found.argv()[1:]) == found


# --- what the guard adds --------------------------------------------------------------------------------


def test_what_the_guard_says_comes_first_and_is_taken_off() -> None:
    said = Guarded((Resolved("/a/b", "/a", 1, 2),), ("m",), 3)
    assert take_guarded(["--guarded", said.text(), "--json", "x"]) == (said, ["--json", "x"])
    assert take_guarded(["--json", "--guarded", "x"]) == (None, ["--json", "--guarded", "x"])


@pytest.mark.parametrize("helper", sorted(HELPERS))
@pytest.mark.parametrize("words", [["--guarded", "[]"], ["--guarded=[]"], ["--guard=[]"]])
def test_no_grammar_accepts_what_the_guard_adds(helper: str, words: list[str]) -> None:
    with pytest.raises(GrammarError):
        parse(helper, words)
