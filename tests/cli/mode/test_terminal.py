"""Seamless mode as it is used: keys go in, and the screen is looked at."""

from __future__ import annotations

import os
import pwd

import pytest

from tests.cli.mode.conftest import MODE, PLAIN, Session, Start
from tests.helpers.terminal import ENTER

CTRL_C, CTRL_U, ESC, UP = "\x03", "\x15", "\x1b", "\x1b[A"
BOTH = pytest.mark.parametrize("kind", ["bash", "zsh"])


# --- Enter ----------------------------------------------------------------------------------------


def test_enter_shows_the_rewritten_line_and_enter_again_runs_it(session: Session) -> None:
    session.on()
    session.enter("sort a.txt", f"{MODE} sort a.txt", f"{MODE} seamless-run -c 'sort a.txt'")
    session.enter("", f"{MODE} seamless-run -c 'sort a.txt'", "a", "b", MODE)


def test_the_first_enter_runs_nothing(session: Session) -> None:
    session.on()
    session.enter("tac a.txt > c.txt", f"{MODE} tac a.txt > c.txt", f"{MODE} seamless-run -c 'tac a.txt > c.txt'")
    assert not (session.directory / "c.txt").exists()
    session.enter("", MODE)
    assert (session.directory / "c.txt").read_text() == "a\nb\n"
    assert (session.directory / "c.txt.CHECKSUM").exists()


def test_the_rewritten_line_can_be_edited_before_it_runs(session: Session) -> None:
    session.on()
    session.enter("sort a.txt", f"{MODE} sort a.txt", f"{MODE} seamless-run -c 'sort a.txt'")
    session.type("\x7f | tail -n 1'")
    session.enter("", f"{MODE} seamless-run -c 'sort a.txt | tail -n 1'", "b", MODE)


def test_ctrl_c_leaves_the_rewritten_line(session: Session) -> None:
    session.on()
    rewritten = f"{MODE} seamless-run -c 'tac a.txt > c.txt'"
    session.enter("tac a.txt > c.txt", f"{MODE} tac a.txt > c.txt", rewritten)
    session.type("x")
    session.shows(f"{rewritten}x")  # now the shell waits for keys
    session.type(CTRL_C)
    session.shows(MODE)
    session.run("ls", "a.txt  rc")


def test_options_go_into_every_line(session: Session) -> None:
    session.on("--scratch", "--var", "x=1")
    rewritten = f"{MODE} seamless-run --scratch --var x=1 -c 'sort a.txt'"
    session.enter("sort a.txt", f"{MODE} sort a.txt", rewritten)


def test_an_option_with_a_blank_stays_one_word(session: Session) -> None:
    line = "seamless-mode-on --var 'x=1 2'"
    shown = "x=1\\ 2"
    session.enter(line, f"{PLAIN} {line}", "seamless mode ON", f"seamless mode options: --var {shown}", MODE)
    session.enter("sort a.txt", f"{MODE} sort a.txt", f"{MODE} seamless-run --var 'x=1 2' -c 'sort a.txt'")


@pytest.mark.parametrize(
    "line",
    ["", "   ", "seamless-checksum --version >/dev/null", "cd .", ": $HOME", "x=1", "f() { sort a.txt; }", "# x"],
)
def test_what_acts_here_runs_at_once(session: Session, line: str) -> None:
    if session.kind == "zsh":
        session.run("setopt interactivecomments")
    session.on()
    session.enter(line, f"{MODE} {line}".rstrip(), MODE)


def test_a_line_that_is_passed_through_is_not_expanded_before_the_shell_does_it(session: Session) -> None:
    session.on()
    session.run("export NAME='a b'")
    session.run("echo \"$NAME\" $HOME_OF_NOBODY '$NAME'", "a b $NAME")


def test_functions_and_aliases_of_the_shell_run_at_once(session: Session) -> None:
    session.run("greet() { echo hello $1; }")
    session.run("alias hail='echo hail' sort='sort -r'")
    session.on()
    session.run("greet you", "hello you")
    session.run("hail you", "hail you")
    session.enter("sort a.txt", f"{MODE} sort a.txt", f"{MODE} seamless-run -c 'sort a.txt'")


def test_the_status_of_a_command_is_kept(session: Session) -> None:
    session.on()
    session.run("false")
    session.run("echo $?", "1")


def test_a_line_of_several_lines_is_edited_as_one(session: Session) -> None:
    session.on()
    session.enter("for i in 1 2; do", f"{MODE} for i in 1 2; do")
    session.type("echo $i")
    session.type(ENTER)
    session.shows(f"{MODE} for i in 1 2; do", "echo $i")
    session.enter("done", "done", f"{MODE} seamless-run -c 'for i in 1 2; do", "echo $i", "done'")
    session.enter("", "done'", "1", "2", MODE)


@pytest.mark.parametrize(
    ("first", "second", "output"),
    [
        ("echo 'one", "two'", ["one", "two"]),
        ("echo one \\", "two", ["one two"]),
        ("cd . &&", "echo one", ["one"]),
    ],
)
def test_an_open_quote_or_list_goes_on_in_the_next_line(
    session: Session, first: str, second: str, output: list[str]
) -> None:
    session.on()
    session.type(first + ENTER + second)
    session.shows(f"{MODE} {first}", second)
    session.enter("", second, *output, MODE)


def test_a_here_document_is_kept_as_it_is(session: Session) -> None:
    session.on()
    session.type("tac <<END" + ENTER + "it's $HOME" + ENTER + "2" + ENTER + "END" + ENTER)
    session.shows(f"{MODE} seamless-run -c 'tac <<END", "it'\\''s $HOME", "2", "END'")


def test_quotes_and_blanks_survive(session: Session) -> None:
    session.on()
    line = """awk '{print  $1 "*"}' a.txt"""
    session.enter(line, f"{MODE} {line}", f"""{MODE} seamless-run -c 'awk '\\''{{print  $1 "*"}}'\\'' a.txt'""")
    session.enter("", "b*", "a*", MODE)


def test_a_line_that_the_shell_cannot_read_is_left_to_it(session: Session) -> None:
    session.on()
    session.type("sort a.txt )" + ENTER)
    session.terminal.wait(lambda lines: "error near" in session.terminal.text(), "the message of the shell")
    session.shows(MODE)


def test_variables_are_replaced_as_they_are_at_that_moment(session: Session) -> None:
    session.on()
    session.run("FILE=a.txt")
    session.enter("sort $FILE", f"{MODE} sort $FILE", f"{MODE} seamless-run -c 'sort a.txt'")
    session.drop()
    session.run("FILE='a b'")
    session.enter('sort "$FILE"', f'{MODE} sort "$FILE"', f"""{MODE} seamless-run -c 'sort "a b"'""")


def test_a_background_job_is_one_of_the_shell(session: Session) -> None:
    session.on()
    session.enter("sort a.txt &", f"{MODE} sort a.txt &", f"{MODE} seamless-run -c 'sort a.txt' &")


def test_suffixes_of_sidecars_are_cut(session: Session) -> None:
    session.on()
    session.enter(
        "cat a.txt.CHECKSUM d.INDEX", f"{MODE} cat a.txt.CHECKSUM d.INDEX", f"{MODE} seamless-run -c 'cat a.txt d'"
    )


def test_a_line_is_kept_if_the_program_that_rewrites_it_is_missing(session: Session) -> None:
    session.on()
    session.run("PATH=/usr/bin:/bin")
    session.type("sort a.txt" + ENTER)
    session.shows("seamless mode: the line was not run; Ctrl-U U leaves the mode", f"{MODE} sort a.txt")
    session.type(CTRL_U + "u")
    session.shows(f"{PLAIN} sort a.txt")
    session.enter("", f"{PLAIN} sort a.txt", "a", "b", PLAIN)


def test_lines_that_are_pasted_together_are_one(session: Session) -> None:
    session.on()
    session.type("\x1b[200~sort a.txt |\ntac\x1b[201~")
    session.shows(f"{MODE} sort a.txt |", "tac")
    session.enter("", f"{MODE} seamless-run -c 'sort a.txt |", "tac'")
    session.enter("", "tac'", "b", "a", MODE)


# --- history --------------------------------------------------------------------------------------


def test_the_history_has_both_lines(session: Session) -> None:
    session.on()
    session.enter("sort a.txt", f"{MODE} sort a.txt", f"{MODE} seamless-run -c 'sort a.txt'")
    session.enter("", "b", MODE)
    session.type(UP)
    session.shows(f"{MODE} seamless-run -c 'sort a.txt'")
    session.type(UP)
    session.shows(f"{MODE} sort a.txt")
    session.type(UP)
    session.shows(f"{MODE} seamless-mode-on")


def test_references_to_the_history_are_expanded_first(session: Session) -> None:
    session.on()
    session.run("cd .")
    session.run("echo a.txt", "a.txt")
    session.enter("sort !$", f"{MODE} sort a.txt", f"{MODE} seamless-run -c 'sort a.txt'")


@pytest.mark.parametrize(("kind", "rc"), [("bash", "HISTCONTROL=ignorespace"), ("zsh", "setopt histignorespace")])
def test_a_line_that_begins_with_a_blank_stays_out_of_the_history_if_that_is_wished(
    kind: str, rc: str, start: Start
) -> None:
    session = start(kind, rc)
    session.on()
    session.enter(" sort a.txt", f"{MODE}  sort a.txt", f"{MODE}  seamless-run -c 'sort a.txt'")
    session.enter("", "b", MODE)
    session.run("cd .")
    session.type(UP + UP)
    session.shows(f"{MODE} seamless-mode-on")


# --- switching ------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["u", "U"])
def test_ctrl_u_u_switches_and_keeps_what_was_typed(session: Session, key: str) -> None:
    session.type("sort a.txt" + CTRL_U + key)
    session.shows(f"{MODE} sort a.txt")
    assert ["seamless mode ON", "seamless mode options: (none)"] == [
        line for line in session.lines() if line.startswith("seamless mode")
    ]
    session.type(CTRL_U + key)
    session.shows(f"{PLAIN} sort a.txt")
    assert "seamless mode OFF" in session.lines()
    session.enter("", f"{PLAIN} sort a.txt", "a", "b", PLAIN)


def test_ctrl_u_alone_still_deletes_the_line(session: Session) -> None:
    session.type("echo one" + CTRL_U + "echo two")
    session.enter("", f"{PLAIN} echo two", "two", PLAIN)


def test_toggle_takes_the_options_of_the_last_time(session: Session) -> None:
    session.on("--scratch")
    session.enter("seamless-mode-toggle", f"{MODE} seamless-mode-toggle", "seamless mode OFF", PLAIN)
    session.enter(
        "seamless-mode-toggle",
        f"{PLAIN} seamless-mode-toggle",
        "seamless mode ON",
        "seamless mode options: --scratch",
        MODE,
    )


def test_off_brings_back_enter_the_prompt_and_the_options_of_the_shell(session: Session) -> None:
    session.on()
    session.enter("seamless-mode-off", f"{MODE} seamless-mode-off", "seamless mode OFF", PLAIN)
    session.run("sort a.txt", "a", "b")
    session.run("VALUE=1")
    session.run("printenv VALUE")
    session.enter("seamless-mode-off", f"{PLAIN} seamless-mode-off", "seamless mode OFF", PLAIN)


def test_what_is_assigned_while_the_mode_is_on_is_exported_and_nothing_of_the_mode(session: Session) -> None:
    session.on()
    line = "seamless-mode-on --scratch"
    session.run(line, "seamless mode ON", "seamless mode options: --scratch")
    session.run("VALUE=1")
    session.enter("sort a.txt", f"{MODE} sort a.txt", f"{MODE} seamless-run --scratch -c 'sort a.txt'")
    session.drop()
    session.run("printenv | grep -e ^VALUE -e ^_seamless_mode", "VALUE=1")


def test_allexport_of_the_user_stays(session: Session) -> None:
    session.run("set -a")
    session.on()
    session.enter("seamless-mode-off", "seamless mode OFF", PLAIN)
    session.run("VALUE=1")
    session.run("printenv VALUE", "1")


@pytest.mark.parametrize(
    ("kind", "rc"),
    [
        ("bash", """bind -x '"\\C-m": echo of my own'\nbind '"\\C-j": "echo macro\\C-o"'"""),
        ("zsh", "mine() { zle -I; echo of my own }; zle -N mine; bindkey '^M' mine"),
    ],
)
def test_another_meaning_of_enter_comes_back(kind: str, rc: str, start: Start) -> None:
    session = start(kind)
    (session.directory / "keys").write_text(rc + "\nseamless-mode-on\n")
    session.enter(". ./keys", f"{PLAIN} . ./keys", "seamless mode ON", "seamless mode options: (none)", MODE)
    session.enter("sort a.txt", f"{MODE} sort a.txt", f"{MODE} seamless-run -c 'sort a.txt'")
    session.type(CTRL_U + "u")
    session.terminal.wait(lambda _: session.lines()[-1].startswith(PLAIN), "the plain prompt")
    session.type(ENTER)
    session.terminal.wait(lambda _: "of my own" in session.lines(), "what Enter meant before")


@pytest.mark.parametrize(("kind", "rc"), [("bash", "set -o vi"), ("zsh", "bindkey -v")])
def test_the_mode_works_with_the_keys_of_vi(kind: str, rc: str, start: Start) -> None:
    session = start(kind, rc)
    session.type(CTRL_U + "u")
    session.shows(MODE)
    session.enter("sort a.txt", f"{MODE} sort a.txt", f"{MODE} seamless-run -c 'sort a.txt'")
    session.type(ESC)
    session.enter("", "a", "b", MODE)


@pytest.mark.parametrize(
    ("kind", "rc"),
    [("bash", "PROMPT_COMMAND='PS1=\"READY> \"'"), ("zsh", "precmd_functions=(own); own() { PS1='READY> ' }")],
)
def test_a_prompt_that_is_set_each_time_does_not_hide_the_mode(kind: str, rc: str, start: Start) -> None:
    session = start(kind, rc)
    session.on()
    session.run("cd .")
    session.enter("seamless-mode-off", f"{MODE} seamless-mode-off", "seamless mode OFF", PLAIN)
    session.run("cd .")


@BOTH
def test_the_mode_bears_a_strict_shell(kind: str, start: Start) -> None:
    session = start(kind, "set -u")
    session.type(CTRL_U + "u")
    session.shows(MODE)
    session.enter("sort a.txt", f"{MODE} sort a.txt", f"{MODE} seamless-run -c 'sort a.txt'")
    session.enter("", "a", "b", MODE)


@BOTH
def test_names_can_be_added_to_what_runs_at_once_and_taken_out(kind: str, start: Start) -> None:
    session = start(kind, "SEAMLESS_MODE_SKIP='sort -ls'")
    session.on()
    session.run("sort a.txt", "a", "b")
    session.enter("ls", f"{MODE} ls", f"{MODE} seamless-run -c 'ls'")


def test_the_prompt_tells_user_and_directory(session: Session) -> None:
    session.on()
    assert session.terminal.lines()[-1].startswith(f"[seamless-mode] {pwd.getpwuid(os.getuid()).pw_name}@")
    session.run("cd /")
    assert session.terminal.lines()[-1].endswith(":/$")


def test_input_for_something_else_than_a_command_is_left_alone(session: Session) -> None:
    session.on()
    if session.kind == "zsh":
        session.type("unset v; v=sort; vared v" + ENTER)
        session.shows(f"{MODE} unset v; v=sort; vared v", "sort")
        session.enter(" x", "sort x", MODE)
        session.run("echo $v", "sort x")
    else:
        session.enter("read -rp value: v", "value:")
        session.enter("sort x", "value:sort x", MODE)
        session.run("echo $v", "sort x")
