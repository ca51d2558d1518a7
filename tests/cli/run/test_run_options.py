"""Options of `seamless-run`: where they end, what they may be combined with, what the help says."""

from __future__ import annotations

import pytest

from seamless.cli.run_options import Options, build_parser, parse_options, split_scope
from seamless.errors import UsageError


def given(*argv: str) -> dict[str, object]:
    """Return what `argv` sets, without the command and the words themselves."""
    options = vars(parse_options(argv))
    options.pop("command")
    assert options.pop("argv") == argv
    return options


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["cat", "a.txt"], ["cat", "a.txt"]),
        (["-v", "cat", "-v", "a.txt"], ["cat", "-v", "a.txt"]),
        (["cat", "--input", "x", "--in", "--dry"], ["cat", "--input", "x", "--in", "--dry"]),
        (["--", "echo", "hi"], ["echo", "hi"]),
        (["-v", "--", "-c", "x"], ["-c", "x"]),
        (["-i", "a", "--", "--"], ["--"]),
        (["-cp", "x", "-", "y"], ["-", "y"]),
        (["--prologue", "set -x", "cat"], ["cat"]),
        (["--prologue=set -x", "cat"], ["cat"]),
        (["-jDIR", "--dry", "cat"], ["cat"]),
        (["", "x"], ["", "x"]),
    ],
)
def test_options_end_at_the_first_word_that_is_none(argv: list[str], command: list[str]) -> None:
    assert list(parse_options(argv).command) == command


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["-vvv"], {"verbosity": 3}),
        (["-v", "-v", "-v", "-v"], {"verbosity": 3}),
        (["-q"], {"verbosity": -1}),
        (["-g1", "-g2"], {"guess1": False, "guess2": False}),
        (["-w", "dir"], {"base_directory": "dir"}),
        (["-W"], {"base_directory": "/"}),
        (["-ms"], {"mapping": "strip"}),
        (["-mx"], {"mapping": "extension"}),
        (["-cp", "x", "--capture", ":y"], {"captures": ["x", ":y"]}),
        (["-i", "x", "--input", "y", "-I", "z"], {"inputs": ["x", "y"], "input_files": ["z"]}),
        (["--var", "a=b=c", "--metavar", "d="], {"variables": ["a=b=c"], "metavars": ["d="]}),
        (["--prologue", "-x"], {"prologues": ["-x"]}),
        (["--primary", "2"], {"primary": 2}),
        (["-y"], {"confirm": "yes"}),
        (["--no"], {"confirm": "no"}),
        (["-nd"], {"download": False}),
        (["--docker-image", "i"], {"docker": "i"}),
        (["--conda-env", "e"], {"conda": "e"}),
        (["--conda-e", "e"], {"conda": "e"}),
        (["--dry"], {"dry": "quiet"}),
        (["--dry-r"], {"dry": "quiet"}),
        (["--dry=show"], {"dry": "show"}),
        (["--dry", "-j", "d"], {"dry": "quiet", "job": "d"}),
        (["--dry", "--upload"], {"dry": "quiet", "upload": True}),
        (["--undo", "--purge"], {"undo": True, "purge": True}),
        (["--timeout", "1.5"], {"timeout": 1.5}),
        (["--force"], {"force": True}),
        (["--qsub"], {"qsubmit": True}),
        (["--queue", "gpu"], {"queue": "gpu"}),
        (["--detach"], {"detach": True}),
        (["--dry", "--write-remote-job", "d"], {"dry": "quiet", "remote_job": "d"}),
    ],
)
def test_an_option_sets_its_value_and_nothing_else(argv: list[str], expected: dict[str, object]) -> None:
    assert given(*argv, "cat") == expected


def test_every_value_of_the_parser_has_a_default() -> None:
    for action in build_parser()._actions:
        if action.dest not in ("help", "version", "==SUPPRESS=="):
            assert hasattr(Options, action.dest), action.dest


def test_options_given_once_do_not_show_up_in_later_runs() -> None:
    given("-i", "x", "cat")
    assert list(Options().inputs) == []


@pytest.mark.parametrize(
    ("argv", "mentions"),
    [
        (["-j", "d", "cat"], ["-j/--write-job requires --dry"]),
        (["--upload", "cat"], ["--upload requires --dry"]),
        (["--write-remote-job", "d", "cat"], ["--write-remote-job requires --dry"]),
        (["--qsubmit", "--dry", "cat"], ["--qsubmit and --dry cannot be used together"]),
        (["--qsubmit", "--queue", "q", "cat"], ["--qsubmit and --queue cannot be used together"]),
        (["--detach", "--dry", "cat"], ["--detach and --dry cannot be used together"]),
        (["--detach", "--json", "cat"], ["--detach and --json cannot be used together"]),
        (["-c", "cat", "a.txt"], ["Unquote requires a single argument", "-c"]),
        (["--node", "n", "cat"], ["--node is only supported for remote daskserver execution"]),
        (["--purge", "cat"], ["--purge requires --undo"]),
        (["--undo", "--refresh", "cat"], ["--undo", "--refresh"]),
        (["--dry", "--undo", "cat"], ["--undo", "--dry"]),
        (["--dry", "--refresh", "cat"], ["--refresh", "--dry"]),
    ],
)
def test_a_contradiction_is_refused(argv: list[str], mentions: list[str]) -> None:
    with pytest.raises(UsageError) as info:
        parse_options(argv)
    for text in mentions:
        assert text in str(info.value)


@pytest.mark.parametrize(
    ("argv", "mentions"),
    [
        ([], "usage: seamless-run"),
        (["-v"], "usage: seamless-run"),
        (["--"], "usage: seamless-run"),
        (["--nonsense", "cat"], "--nonsense"),
        (["--pro", "x", "cat"], "--pro"),
        (["-i"], "-i"),
        (["--primary", "0", "cat"], "number from 1"),
        (["--timeout", "nan", "cat"], "seconds"),
        (["--dry=never", "cat"], "never"),
    ],
)
def test_what_cannot_be_parsed_is_answered_on_stderr_with_exit_2(
    argv: list[str], mentions: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as info:
        parse_options(argv)
    shown = capsys.readouterr()
    assert info.value.code == 2
    assert shown.out == ""
    assert mentions in shown.err


@pytest.mark.parametrize(
    ("value", "expected"),
    [("", (None, None)), ("p", ("p", None)), ("p:s", ("p", "s")), ("p:", ("p", None)), ("p:s:t", ("p", "s:t"))],
)
def test_the_first_colon_splits_a_scope(value: str, expected: tuple[str | None, str | None]) -> None:
    assert split_scope(value, "--project") == expected


def test_a_scope_without_head_is_refused() -> None:
    with pytest.raises(UsageError, match="Invalid --project value ':s'"):
        split_scope(":s", "--project")


def test_the_help_fits_80_columns_and_has_groups_examples_and_exit_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = build_parser().format_help()
    assert max(map(len, text.splitlines())) <= 80
    for title in ("Command and inputs:", "Outputs:", "Execution:", "Storage:", "examples:", "exit codes:"):
        assert title in text
    assert "--force" not in text
