"""Conventions of all commands: exit statuses, messages, progress, sizes."""

from __future__ import annotations

import argparse
import io
import os
import signal
import subprocess
import sys
from typing import Any, NoReturn

import pytest

from seamless.cli import common
from seamless.errors import BufferCorruptionError, StoreError, UsageError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def raising(error: BaseException) -> Any:
    def func() -> NoReturn:
        raise error

    return func


# --- run_main ---


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (UsageError("wrong word"), 2, "Error: wrong word\n"),
        (StoreError("store is broken"), 125, "Error: store is broken\n"),
        (BufferCorruptionError("ab", where="here"), 125, "Error: corrupted buffer ab in here\n"),
        (FileNotFoundError(2, "No such file or directory", "x"), 125, "Error: 'x': No such file or directory\n"),
        (OSError(28, "No space left on device"), 125, "Error: No space left on device\n"),
        (MemoryError(), 125, "Error: not enough memory\n"),
        (KeyboardInterrupt(), 130, "prog: interrupted\n"),
    ],
)
def test_an_expected_error_is_one_message_and_a_status(
    capfd: pytest.CaptureFixture[str], error: BaseException, status: int, message: str
) -> None:
    assert common.run_main("prog", raising(error), status=common.OWN) == status
    assert capfd.readouterr() == ("", message)


def test_a_reader_of_stdout_that_has_gone_gives_a_status_without_a_message(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open(os.devnull, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert common.run_main("prog", raising(BrokenPipeError(32, "Broken pipe")), status=common.OWN) == 141
    assert capfd.readouterr() == ("", "")


def test_an_unexpected_error_shows_its_traceback_and_gives_the_same_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert common.run_main("prog", raising(KeyError("bug")), status=125, label="ERROR") == 125
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.endswith("ERROR: internal error (KeyError); please report it with the text above\n")


@pytest.mark.parametrize(("value", "shown"), [("1", True), ("0", False), ("", False)])
def test_the_traceback_of_a_user_error_is_shown_when_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, value: str, shown: bool
) -> None:
    monkeypatch.setenv("SEAMLESS_TRACEBACK", value)
    assert common.run_main("prog", raising(UsageError("x"))) == 2
    assert ("Traceback" in capsys.readouterr().err) is shown


def test_debug_asks_for_tracebacks_until_the_command_ends() -> None:
    parser = common.make_parser("prog", "summary")
    common.add_general(parser)
    seen = []

    def func() -> int:
        parser.parse_args(["--debug"])
        seen.append(common.traceback_wanted())
        return 0

    assert common.run_main("prog", func) == 0
    assert seen == [True]
    assert not common.traceback_wanted()


@pytest.mark.parametrize(("code", "status"), [(None, 0), (0, 0), (2, 2), ("text", 1)])
def test_system_exit_becomes_its_status(code: Any, status: int) -> None:
    assert common.run_main("prog", raising(SystemExit(code))) == status


def test_fail_prints_and_leaves_with_the_status(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        common.fail("prog", "no such option", common.USAGE)
    assert caught.value.code == 2
    assert capsys.readouterr().err == "ERROR: no such option\nTry 'prog --help' for more information.\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_interrupts_with_status_130_and_runs_cleanup(number: signal.Signals) -> None:
    code = (
        "import sys, time; from seamless.cli.common import run_main\n"
        "def work():\n"
        "    try:\n"
        "        print('ready', flush=True); time.sleep(60)\n"
        "    finally:\n"
        "        print('cleaned')\n"
        "sys.exit(run_main('prog', work))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, b"cleaned\n", b"prog: interrupted\n")


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        seen: list[Any] = []
        common.run_main("prog", lambda: seen.append(signal.getsignal(signal.SIGHUP)) or 0)
        assert seen == [signal.SIG_IGN]
    finally:
        signal.signal(signal.SIGHUP, before)


def run_child(code: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    text = "import sys; from seamless.cli.common import *\nsys.exit(run_main('prog', lambda: " + code + "))"
    return subprocess.run([sys.executable, "-c", text], stderr=subprocess.PIPE, check=False, **options)


def test_a_reader_that_went_away_ends_the_command_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = run_child("write_stdout(b'x' * 100000) or 0", stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("code", ["write_stdout(b'x') or 0", "print('x') or 0"])
def test_a_full_disk_behind_stdout_is_an_error(code: str) -> None:
    with open("/dev/full", "wb") as full:
        done = run_child(code, stdout=full)
    assert done.returncode == 1
    assert done.stderr.startswith(b"Error: ")
    assert done.stderr.endswith(b"No space left on device\n")


def test_stdout_gets_exactly_the_bytes_after_the_text_before() -> None:
    done = run_child("print('a') or write_stdout(b'\\xff\\0') or 0", stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (0, b"a\n\xff\0")


# --- messages ---


@pytest.mark.parametrize(
    ("verbosity", "shown"), [(-1, ""), (0, "p: 0\n"), (1, "p: 0\np: 1\n"), (9, "p: 0\np: 1\np: 3\n")]
)
def test_a_message_is_shown_from_its_level_on(verbosity: int, shown: str) -> None:
    stream = io.StringIO()
    messages = common.Messages("p", verbosity, stream=stream)
    for level in (0, 1, 3):
        messages.message(level, str(level))
    assert stream.getvalue() == shown


def test_quiet_leaves_errors_but_no_warnings() -> None:
    stream = io.StringIO()
    messages = common.Messages("p", -1, stream=stream)
    messages.warning("w")
    messages.error("e")
    assert stream.getvalue() == "ERROR: e\n"


def test_colour_is_for_terminals_without_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")

    def warn(stream: io.StringIO) -> str:
        common.Messages("p", stream=stream).warning("w")
        return stream.getvalue()

    assert warn(Terminal()) == "p: \x1b[33mwarning:\x1b[0m w\n"
    assert warn(io.StringIO()) == "p: warning: w\n"
    monkeypatch.setenv("NO_COLOR", "1")
    assert warn(Terminal()) == "p: warning: w\n"


def test_a_closed_stderr_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    common.Messages("p").error("e")
    common.print_error("e")
    stream = io.StringIO()
    stream.close()
    common.Messages("p", stream=stream).error("e")


# --- progress ---


def test_progress_is_silent_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    with common.Progress("hash", 10, stream=stream) as bar:
        bar.update(10)
    assert stream.getvalue() == ""


def test_progress_rewrites_one_line_and_takes_it_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common.Progress, "DELAY", 0.0)
    stream = Terminal()
    with common.Progress("hash", 2_000_000, stream=stream) as bar:
        bar.update(1_000_000)
    shown = stream.getvalue()
    assert shown.startswith("\r\x1b[Khash   50%  1.00 MB / 2.00 MB  ")
    assert shown.endswith("\r\x1b[K")
    assert "\n" not in shown


def test_quick_work_shows_no_progress_at_all() -> None:
    stream = Terminal()
    with common.Progress("hash", stream=stream) as bar:
        bar.update(1)
    assert stream.getvalue() == ""


def test_items_are_counted_by_their_name() -> None:
    bar = common.Progress("upload", 4, unit="files", enabled=True, stream=Terminal())
    bar.done = 1
    assert bar.line(1.0) == "upload   25%  1 / 4 files"


def test_a_message_clears_the_progress_line_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common.Progress, "DELAY", 0.0)
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    messages = common.Messages("p", stream=stream)
    messages.progress("hash").update(1)
    messages.message(0, "text")
    assert stream.getvalue().endswith("\r\x1b[Kp: text\n")


# --- sizes ---


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("7", 7),
        ("7 B", 7),
        ("1kB", 1000),
        ("1 k", 1024),
        ("1K", 1024),
        ("1KB", 1024),
        ("1KiB", 1024),
        ("100 MB", 100_000_000),
        ("1M", 1 << 20),
        ("1MiB", 1 << 20),
        ("2GB", 2 * 10**9),
        ("2 G", 2 << 30),
        ("3TB", 3 * 10**12),
        ("3TiB", 3 << 40),
        ("1PB", 10**15),
        (" 1.5 GB ", 1_500_000_000),
        (".5k", 512),
    ],
)
def test_sizes_are_understood(text: str, size: int) -> None:
    assert common.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1", "1 mb", "1 XB", "1.2.3", "1e3", "one", "1 MB x", "²", "٣"])
def test_what_is_no_size_is_a_usage_error_that_says_where(text: str) -> None:
    with pytest.raises(UsageError, match="SEAMLESS_MAX_UPLOAD_SIZE: .*'100 MB'"):
        common.parse_size(text, "SEAMLESS_MAX_UPLOAD_SIZE")


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0.00 B"),
        (11, "11.00 B"),
        (1000, "1.00 kB"),
        (20_000_000, "20.00 MB"),
        (999_999, "1.00 MB"),
        (10**19, "10000.00 PB"),
    ],
)
def test_sizes_are_shown_with_decimal_units(size: int, text: str) -> None:
    assert common.format_size(size) == text


# --- parsers ---


def parser() -> argparse.ArgumentParser:
    result = common.make_parser("prog", "Do it.", examples=["prog x"], exit_codes=[(0, "done"), (130, "interrupted")])
    common.add_general(result)
    return result


@pytest.mark.parametrize(
    ("argv", "verbosity"), [([], 0), (["-v"], 1), (["-vv"], 2), (["-v"] * 5, 3), (["-q"], -1), (["-q", "-v"], 1)]
)
def test_verbosity_is_counted_from_minus_one_to_three(argv: list[str], verbosity: int) -> None:
    assert parser().parse_args(argv).verbosity == verbosity


def test_help_fits_80_columns_and_ends_with_examples_and_exit_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    text = parser().format_help()
    assert max(map(len, text.splitlines())) <= 80
    assert text.endswith("examples:\n  prog x\n\nexit codes:\n  0    done\n  130  interrupted\n")


def test_the_version_names_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--version"])
    assert capsys.readouterr().out.startswith("prog (Seamless) ")


def test_the_import_loads_nothing_heavy() -> None:
    code = (
        "import sys, argparse, typing, seamless.errors; before = set(sys.modules); import seamless.cli.common; "
        "print(sorted(m for m in set(sys.modules) - before if not m.startswith('seamless')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_making_a_parser_does_not_load_shutil() -> None:
    code = (
        "import sys; from seamless.cli.checksum import build_parser; build_parser().parse_args(['x']); "
        "print([m for m in ('shutil', 'tempfile', 'subprocess') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("argv", "meant"),
    [
        (["--oder-than=3"], "'--older-than'"),
        (["--colour", "rde"], "'red'"),
        (["show", "--stirct"], "'--strict'"),
        (["shw"], "'show'"),
    ],
)
def test_a_typo_is_answered_with_what_was_probably_meant(
    argv: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = common.make_parser("p", "Do it.")
    parser.add_argument("--older-than")
    parser.add_argument("--colour", choices=("red", "blue"))
    parser.add_subparsers().add_parser("show").add_argument("--strict", action="store_true")
    with pytest.raises(SystemExit) as info:
        parser.parse_args(argv)
    assert info.value.code == 2
    said = capsys.readouterr().err
    assert f"(did you mean {meant}?)\nTry 'p --help' for more information.\n" in said


def test_a_word_that_resembles_nothing_is_answered_without_a_guess(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        common.make_parser("p", "Do it.").parse_args(["--xyzzy"])
    assert "did you mean" not in capsys.readouterr().err
