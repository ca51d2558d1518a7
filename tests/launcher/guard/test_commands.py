"""Which texts become a helper: listed names with strictly parsed arguments, and nothing that a shell would do."""

from __future__ import annotations

import pytest

from seamless.launcher.grammar import HELPERS
from tests.launcher.guard.conftest import Ask

OPEN = "--permissive-paths"


@pytest.mark.parametrize(
    "command",
    [
        "ls -l",
        "bash",
        "sh -c rhl-ps",
        "env rhl-ps",
        "exec rhl-ps",
        "/usr/bin/rhl-ps",
        "./rhl-ps",
        "../rhl-ps",
        "~/bin/rhl-ps",
        "sftp-server",
        "/usr/lib/openssh/sftp-server",
        "internal-sftp",
        "scp -t /tmp",
        "rsync --server . /",
        "git-upload-pack x",
        "'rhl-ps --json'",
        "RHL-PS",
        "rhl-",
        "rhl-PS",
        "rhl-guard --permissive-paths",
        "rhl-guard",
        "rhl-shell",
        "rhl-ps2",
        "rhl-launch",
        "remote-http-launcher x",
        "'' rhl-ps",
    ],
)
def test_what_is_no_listed_helper_is_refused(ask: Ask, command: str) -> None:
    assert ask(command, OPEN).reason == f"command not in whitelist: {command[:120]!r}"


def test_a_long_command_is_cut_in_the_refusal(ask: Ask) -> None:
    assert ask("x" * 500, OPEN).reason == f"command not in whitelist: {'x' * 120!r}"


@pytest.mark.parametrize("command", ["   ", "\t"])
def test_a_blank_command_is_refused(ask: Ask, command: str) -> None:
    assert ask(command, OPEN).argv is None


def test_a_command_of_spaces_is_called_empty(ask: Ask) -> None:
    assert ask("   ", OPEN).reason == "empty command (interactive session not allowed)"


def test_an_unclosed_quote_is_refused(ask: Ask) -> None:
    assert ask("rhl-ps 'x", OPEN).reason == "command parse error: No closing quotation"


@pytest.mark.parametrize("command", ["A=1", "PATH=/x B=$HOME"])
def test_assignments_alone_are_no_command(ask: Ask, command: str) -> None:
    assert ask(command, OPEN).reason == "empty command after stripping variable assignments"


def test_a_listed_helper_becomes_itself(ask: Ask) -> None:
    assert ask("rhl-ps --json", OPEN).argv == ["rhl-ps", "--json"]


def test_quotes_only_group_words(ask: Ask) -> None:
    assert ask("\"rhl-inspect\" 'K'", OPEN).argv == ["rhl-inspect", "K"]


@pytest.mark.parametrize(
    "command",
    [
        "rhl-ps; id",
        "rhl-ps ; id",
        "rhl-ps && id",
        "rhl-ps | sh",
        "rhl-ps > /tmp/x",
        "rhl-ps $(id)",
        "rhl-ps `id`",
        "rhl-ps & id",
        "rhl-inspect $HOME",
        "rhl-inspect K;id",
        "rhl-inspect 'K;id'",
        "rhl-inspect {a,b}",
        "rhl-stop *",
    ],
)
def test_what_a_shell_would_interpret_is_a_word_that_no_grammar_accepts(ask: Ask, command: str) -> None:
    assert ask(command, OPEN).argv is None


def test_what_a_shell_would_interpret_stays_text_where_text_is_accepted(ask: Ask) -> None:
    assert ask("rhl-ps --status '$(id);`id`'", OPEN).argv == ["rhl-ps", "--status", "$(id);`id`"]


@pytest.mark.parametrize("character", ["\n", "\r", "\x1b", "\x7f", "\x01", "\x85", "\t"])
def test_control_characters_are_refused_anywhere(ask: Ask, character: str) -> None:
    for command in (f"rhl-ps --status 'a{character}b'", f"rhl-ps{character}--json", f"{character}rhl-ps"):
        assert "control characters are not allowed" in ask(command, OPEN).reason


def test_a_refusal_shows_no_escape_sequence(ask: Ask) -> None:
    assert "\x1b" not in ask("rhl-ps \x1b[2J", OPEN).error


def test_bytes_that_are_not_utf8_are_refused(ask: Ask) -> None:
    assert ask(b"rhl-ps --status \xff", OPEN).reason == "the command is not UTF-8"


def test_a_command_of_more_than_128_kib_is_refused(ask: Ask) -> None:
    assert ask("rhl-ps --status " + "x" * (128 << 10), OPEN).reason == "the command is longer than 131072 bytes"


@pytest.mark.parametrize(
    "assignment",
    [
        "LD_PRELOAD=/tmp/x.so",
        "PYTHONPATH=/tmp",
        "PATH=$HOME/miniforge3/bin:$PATH",
        "RHL_TOOLS_YAML=/tmp/tools.yaml",
        "BASH_ENV=/tmp/x",
        "HOME=/tmp",
    ],
)
def test_an_assignment_before_the_helper_is_dropped(ask: Ask, assignment: str) -> None:
    name, _, value = assignment.partition("=")
    answer = ask(f"{assignment} rhl-ps", OPEN)
    assert answer.argv == ["rhl-ps"]
    assert answer.environment.get(name) != value


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("rhl-ps --js", "rhl-ps: unknown argument: --js"),
        ("rhl-ps -j", "rhl-ps: unknown argument: -j"),
        ("rhl-ps --json --json", "rhl-ps: --json is given more than once"),
        ("rhl-ps --json=1", "rhl-ps: --json takes no value"),
        ("rhl-ps -- --json", "rhl-ps: unknown argument: --"),
        ("rhl-ps --client --host --json", "rhl-ps: --host requires a value"),
        ("rhl-ps --guarded []", "rhl-ps: unknown argument: --guarded"),
        ("rhl-inspect --guarded=[] K", "rhl-inspect: unknown argument: --guarded=[]"),
        ("rhl-inspect -K", "rhl-inspect: unknown argument: -K"),
        ("rhl-logs K --tail x", "rhl: --tail requires an integer"),
        ("rhl-logs K --tail -1", "rhl-logs: --tail must be >= 0"),
        ("rhl-logs --tail 1 --tail=2 K", "rhl-logs: --tail is given more than once"),
        ("rhl-rm --foo --bar K", "rhl-rm: unknown flag(s): --bar --foo"),
        ("rhl-conda-info x", "rhl-conda-info: no arguments are accepted"),
        ("rhl-pid-alive -1", "rhl-pid-alive: unknown argument: -1"),
        ("rhl-pid-alive 0", "rhl-pid-alive: PID must be a positive integer"),
    ],
)
def test_an_option_is_whole_known_and_given_once(ask: Ask, command: str, reason: str) -> None:
    assert ask(command, OPEN).reason == reason


@pytest.mark.parametrize("key", ["a/b", "..", ".", "-x", ".x", "a b", "a\u00e9", "", "a" * 201, "a" * 5000, "a*"])
def test_a_key_is_a_short_plain_file_name(ask: Ask, key: str) -> None:
    for helper in ("rhl-inspect", "rhl-logs", "rhl-stop", "rhl-rm"):
        assert ask(f"{helper} '{key}'", OPEN).argv is None


@pytest.mark.parametrize("helper", sorted(HELPERS))
def test_help_of_every_helper_can_be_asked(ask: Ask, helper: str) -> None:
    assert ask(f"{helper} --help --no-such-option", OPEN).argv == [helper, "--help"]


def test_a_helper_that_is_not_allowed_to_this_key_is_refused(ask: Ask) -> None:
    flags = (OPEN, "--allow-helpers", "rhl-ps,rhl-logs")
    assert ask("rhl-ps", *flags).argv == ["rhl-ps"]
    assert ask("rhl-stop K", *flags).reason == "command not in whitelist: 'rhl-stop K'"


@pytest.mark.parametrize(
    "command",
    [
        "rhl-stop K",
        "rhl-rm K",
        "rhl-clear /srv/x",
        "rhl-cache-conda",
        "rhl-launch-service --key K --workdir /srv/x -- hashserver /srv/x",
        "rhl-ensure --key K --workdir /srv/x -- hashserver /srv/x",
    ],
)
def test_a_read_only_key_changes_nothing(ask: Ask, command: str) -> None:
    name = command.split()[0]
    assert ask(command, OPEN, "--read-only").reason == f"{name} is not allowed with --read-only"


def test_a_read_only_key_may_look(ask: Ask) -> None:
    assert ask("rhl-ps", OPEN, "--read-only").argv == ["rhl-ps"]


def test_a_living_service_is_not_made_unreachable_by_removing_its_state(ask: Ask, write_state: object) -> None:
    import os

    from seamless.launcher.processes import boot_id, start_time

    pid = os.getpid()
    write_state("K", status="running", pid=pid, start_time=start_time(pid), boot_id=boot_id())  # type: ignore[operator]
    assert ask("rhl-rm K", OPEN).reason == f"K still runs (pid {pid}); stop it first: rhl-stop K"
    assert ask("rhl-rm --client K", OPEN).argv == ["rhl-rm", "--client", "K"]


def test_without_a_command_the_guard_explains_itself(ask: Ask) -> None:
    answer = ask("", OPEN)
    assert answer.status == 1
    assert answer.error.startswith("rhl-guard: this program is an SSH guard for remote-http-launcher.\n")
