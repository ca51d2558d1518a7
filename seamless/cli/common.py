"""What every command shares: exit statuses, error messages, verbosity, progress, sizes, parser layout.

Knows nothing of checksums or stores. Imported on the hot path of every command: cheap imports only.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from seamless.errors import SeamlessError, UsageError
from seamless.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, TextIO

OK = 0
FAILURE = 1  # of a tool that does one thing
USAGE = 2  # a mistake in the arguments
OWN = 125  # Seamless itself failed, before or after the command that it was to run
INTERRUPTED = 130  # Ctrl-C or SIGTERM
BROKEN_PIPE = 141  # the reader of stdout went away: what a shell reports for SIGPIPE

_RED, _YELLOW, _DIM, _RESET = "\x1b[31m", "\x1b[33m", "\x1b[2m", "\x1b[0m"
_CLEAR_LINE = "\r\x1b[K"


# --- the frame around a command -------------------------------------------------------------------


def run_main(prog: str, func: Callable[[], int], *, status: int = FAILURE, label: str = "Error") -> int:
    """Call `func` and return the exit status; turn errors into one message on stderr.

    A UsageError gives 2; another SeamlessError, an OSError or lack of memory gives `status`; Ctrl-C, SIGTERM
    and SIGHUP give 130. An unexpected error also gives `status`, with its traceback. SystemExit becomes its code.
    """
    debug_before = os.environ.get("SEAMLESS_TRACEBACK")
    restore = _interrupt_on_signals()
    try:
        try:
            result = func()
        except SystemExit as exc:
            result = _exit_code(exc)
        if sys.stdout is not None:
            sys.stdout.flush()
        return result
    except KeyboardInterrupt:
        _show_traceback_if_wanted()
        _write(sys.stderr, f"{prog}: interrupted\n")
        return INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return BROKEN_PIPE
    except (SeamlessError, OSError, MemoryError) as exc:
        _show_traceback_if_wanted()
        print_error(describe(exc), label=label)
        if isinstance(exc, OSError) and not _stdout_works():
            _silence_stdout()
        return USAGE if isinstance(exc, UsageError) else status
    except Exception as exc:  # noqa: BLE001 - the outermost frame: a bug of ours gives the own status, too
        import traceback

        traceback.print_exc()
        print_error(f"internal error ({type(exc).__name__}); please report it with the text above", label=label)
        return status
    finally:
        restore()
        if debug_before is None:
            os.environ.pop("SEAMLESS_TRACEBACK", None)
        else:
            os.environ["SEAMLESS_TRACEBACK"] = debug_before


def _exit_code(exc: SystemExit) -> int:
    if exc.code is None or isinstance(exc.code, int):
        return exc.code or OK
    _write(sys.stderr, f"{exc.code}\n")
    return FAILURE


def _interrupt_on_signals() -> Callable[[], None]:
    """Have SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl-C does; return the function that undoes it.

    Signals that are ignored or already handled stay so; outside the main thread nothing is changed.
    """
    import signal

    changed: list[int] = []

    def interrupt(signum: int, frame: object) -> NoReturn:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            try:
                signal.signal(number, interrupt)
            except ValueError:  # not the main thread
                break
            changed.append(number)

    def restore() -> None:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)

    return restore


def traceback_wanted() -> bool:
    """Tell whether errors are to be shown with a traceback (`SEAMLESS_TRACEBACK` or `--debug`)."""
    return os.environ.get("SEAMLESS_TRACEBACK", "") not in ("", "0")


def _show_traceback_if_wanted() -> None:
    if traceback_wanted():
        import traceback

        traceback.print_exc()


def _stdout_works() -> bool:
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        return False
    return True


def _silence_stdout() -> None:
    """Point stdout nowhere, so that the interpreter's last flush does not complain about a closed pipe."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    except (OSError, ValueError, AttributeError):
        return  # stdout is no file at all: nothing will be flushed


def describe(exc: BaseException) -> str:
    """Return the message for an error: for an OSError the path first, then the reason."""
    if isinstance(exc, MemoryError):
        return "not enough memory"
    if isinstance(exc, OSError) and exc.strerror:
        names = [os.fsdecode(n) if isinstance(n, (str, bytes)) else str(n) for n in (exc.filename, exc.filename2) if n]
        return ": ".join([" -> ".join(map(repr, names)), exc.strerror]) if names else exc.strerror
    return str(exc) or type(exc).__name__


def print_error(message: str, *, label: str = "Error", stream: TextIO | None = None) -> None:
    """Write `<label>: message` to stderr (or `stream`)."""
    stream = sys.stderr if stream is None else stream
    _write(stream, f"{_paint(label + ':', _RED, stream)} {message}\n")


def fail(prog: str, message: str, status: int = FAILURE, *, label: str = "ERROR") -> NoReturn:
    """Write the error message and end the command with `status` (raises SystemExit).

    For a usage error (status 2) a line that points to `--help` follows.
    """
    print_error(message, label=label)
    if status == USAGE:
        _write(sys.stderr, f"Try '{prog} --help' for more information.\n")
    raise SystemExit(status)


def write_stdout(data: Any) -> None:
    """Write exactly these bytes to stdout, after all text written before. Raises OSError that names it."""
    if sys.stdout is None:
        raise OSError(9, "closed", "standard output")
    binary = getattr(sys.stdout, "buffer", None)
    if binary is None:  # replaced by a text-only stream, as in a notebook
        sys.stdout.write(bytes(data).decode("utf-8", "backslashreplace"))
        return
    try:
        sys.stdout.flush()
        binary.write(data)
        binary.flush()
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise type(exc)(exc.errno, exc.strerror, "standard output") from exc


# --- messages and progress ------------------------------------------------------------------------


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether `stream` is an open terminal."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def _paint(text: str, colour: str, stream: TextIO | None) -> str:
    """Colour `text` for a terminal; `NO_COLOR` (not empty) or TERM=dumb keep it plain."""
    if not is_terminal(stream) or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"{colour}{text}{_RESET}"


def _write(stream: TextIO | None, text: str) -> None:
    """Write to a stream for humans; a closed one loses the message, which must not end the command."""
    if stream is None:
        return
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):
        return


class Messages:
    """Print `<prog>: text` to stderr. Verbosity -1 (`-q`) to 3; a message of level L needs verbosity >= L."""

    def __init__(self, prog: str, verbosity: int = 0, *, label: str = "ERROR", stream: TextIO | None = None):
        self.prog, self.verbosity, self.label = prog, max(-1, min(3, verbosity)), label
        self.stream = sys.stderr if stream is None else stream
        self._progress: Progress | None = None

    def message(self, level: int, text: str) -> None:
        """Print `text` if the verbosity is at least `level`; levels from 2 are dimmed on a terminal."""
        if self.verbosity >= level:
            self._line(f"{self.prog}: {text}" if level < 2 else _paint(f"{self.prog}: {text}", _DIM, self.stream))

    def warning(self, text: str) -> None:
        """Print `<prog>: warning: text` unless quiet."""
        if self.verbosity >= 0:
            self._line(f"{self.prog}: {_paint('warning:', _YELLOW, self.stream)} {text}")

    def error(self, text: str) -> None:
        """Print `<label>: text`, also when quiet."""
        self._line(f"{_paint(self.label + ':', _RED, self.stream)} {text}")

    def progress(self, label: str, total: int | None = None, *, unit: str = "B") -> Progress:
        """Return a progress line, shown on a terminal unless quiet; messages do not run into it."""
        shown = self.verbosity >= 0 and is_terminal(self.stream)
        self._progress = Progress(label, total, unit=unit, stream=self.stream, enabled=shown)
        return self._progress

    def _line(self, text: str) -> None:
        if self._progress is not None:
            self._progress.clear()
        _write(self.stream, text + "\n")


class Progress:
    """One line on a terminal that is rewritten in place, and gone at the end; silent everywhere else.

    `unit` "B" counts bytes, anything else names items. The line appears after half a second, so that
    quick work stays silent. `update` may be called from any thread.
    """

    DELAY, INTERVAL = 0.5, 0.1  # seconds: before the first line, and between two

    def __init__(
        self,
        label: str,
        total: int | None = None,
        *,
        unit: str = "B",
        stream: TextIO | None = None,
        enabled: bool | None = None,
    ):
        self.label, self.total, self.unit, self.done = label, total, unit, 0
        self._stream = sys.stderr if stream is None else stream
        self.enabled = is_terminal(self._stream) if enabled is None else enabled
        self._visible = False
        if self.enabled:
            from threading import Lock
            from time import monotonic

            self._lock, self._clock = Lock(), monotonic
            self._start = monotonic()
            self._next = self._start + self.DELAY

    def update(self, amount: int) -> None:
        """Add `amount` bytes or items to what is done."""
        if not self.enabled:
            return
        with self._lock:
            self.done += amount
            now = self._clock()
            if now >= self._next:
                self._next = now + self.INTERVAL
                self._visible = True
                _write(self._stream, _CLEAR_LINE + self.line(now - self._start)[: _columns(self._stream) - 1])

    def line(self, seconds: float) -> str:
        """Return the text shown after `seconds`: label, share, amounts, rate."""
        show = format_size if self.unit == "B" else str
        parts = [self.label]
        if self.total:
            parts.append(f"{min(100, 100 * self.done // self.total):3d}%")
            parts.append(f"{show(self.done)} / {show(self.total)}")
        else:
            parts.append(show(self.done))
        if self.unit != "B":
            parts[-1] += f" {self.unit}"
        elif seconds > 0:
            parts.append(f"{show(int(self.done / seconds))}/s")
        return "  ".join(parts)

    def clear(self) -> None:
        """Take the line away; the next update may show it again."""
        if self._visible:
            self._visible = False
            _write(self._stream, _CLEAR_LINE)

    close = clear

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc: object) -> None:
        self.clear()


def _columns(stream: TextIO | None) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80 if stream is not None else 80
    except (OSError, ValueError, AttributeError):
        return 80


# --- sizes ----------------------------------------------------------------------------------------

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB")
_UNITS = {"": 1} | {name: 1000**i for i, name in enumerate(_DECIMAL)}
_UNITS |= {"k": 1024, "K": 1024, "KB": 1024, "KiB": 1024}
_UNITS |= {x + suffix: 1024**i for i, x in enumerate("MGTP", start=2) for suffix in ("", "iB")}


def parse_size(text: str, what: str = "size") -> int:
    """Return the number of bytes that `text` stands for. Raises UsageError, naming `what`.

    >>> parse_size("100 MB"), parse_size("1kB"), parse_size("1.5k"), parse_size("2 GiB"), parse_size("7")
    (100000000, 1000, 1536, 2147483648, 7)
    """
    stripped = text.strip()
    number = stripped.rstrip("kKMGTPiB").rstrip()
    unit = stripped[len(number) :].lstrip()
    digits = number.replace(".", "", 1)
    if unit not in _UNITS or not digits.isascii() or not digits.isdigit():
        raise UsageError(
            f"{what}: {text!r} is not a size; expected a number and a unit such as kB, MB, GB (powers of 1000) "
            "or k, M, G, KiB, MiB, GiB (powers of 1024), for example '100 MB'"
        )
    factor = _UNITS[unit]
    return int(number) * factor if "." not in number else int(float(number) * factor)


def format_size(size: int) -> str:
    """Return `size` bytes with a decimal unit.

    >>> format_size(11), format_size(20_000_000), format_size(999_999)
    ('11.00 B', '20.00 MB', '1.00 MB')
    """
    value, i = float(size), 0
    while round(value, 2) >= 1000 and i < len(_DECIMAL) - 1:
        value /= 1000
        i += 1
    return f"{value:.2f} {_DECIMAL[i]}"


# --- parsers --------------------------------------------------------------------------------------


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Help of at most 80 columns. Asks for the width itself: argparse would import shutil to do so."""

    def __init__(self, prog: str, **options: Any):
        columns = os.environ.get("COLUMNS", "")
        width = int(columns) if columns.isascii() and columns.isdigit() else _columns(sys.__stdout__)
        options.setdefault("width", max(40, min(width, 80)) - 2)
        options.setdefault("max_help_position", 26)
        super().__init__(prog, **options)


class Parser(argparse.ArgumentParser):
    """A parser whose messages about mistakes name what was probably meant, and the help."""

    def error(self, message: str) -> NoReturn:
        """Print the usage, the mistake and what may help; end with status 2."""
        self.print_usage(sys.stderr)
        meant = self._meant(message)
        hint = f" (did you mean {meant}?)" if meant else ""
        self.exit(USAGE, f"{self.prog}: error: {message}{hint}\nTry '{self.prog} --help' for more information.\n")

    def _meant(self, message: str) -> str:
        """Return the option or the choice most like the one that a message says is none, or nothing."""
        kind, _, rest = message.partition(": ")
        if kind == "unrecognized arguments":
            words = [word.partition("=")[0] for word in rest.split() if word.startswith("--")]
            known = self._long_options()
        elif "invalid choice: '" in rest and "(choose from " in rest:
            words = [rest.split("'")[1]]
            known = rest.partition("(choose from ")[2].rstrip(")").replace("'", "").split(", ")
        else:
            return ""
        from difflib import get_close_matches

        names = {name.lstrip("-"): name for name in known}
        found = (get_close_matches(word.lstrip("-"), names, 1, 0.6) for word in words)
        return next((repr(names[close]) for matches in found for close in matches), "")

    def _long_options(self) -> list[str]:
        """Return the long options of this parser, and of the parsers of its subcommands."""
        parsers: list[argparse.ArgumentParser] = [self]
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                parsers.extend(action.choices.values())
        return [name for parser in parsers for name in parser._option_string_actions if name.startswith("--")]


def make_parser(
    prog: str,
    summary: str,
    *,
    usage: str | None = None,
    examples: Sequence[str] = (),
    exit_codes: Sequence[tuple[int, str]] = (),
) -> argparse.ArgumentParser:
    """Return a parser whose help ends with the examples and exit codes. Options of it: `--help`, nothing else."""
    blocks = []
    if examples:
        blocks.append("examples:\n" + "\n".join(f"  {line}" for line in examples))
    if exit_codes:
        blocks.append("exit codes:\n" + "\n".join(f"  {code:<3}  {meaning}" for code, meaning in exit_codes))
    parser = Parser(
        prog=prog,
        usage=usage,
        description=summary,
        epilog="\n\n".join(blocks) or None,
        formatter_class=HelpFormatter,
        add_help=False,
    )
    return parser


def add_general(parser: argparse.ArgumentParser, *, verbose: bool = True) -> None:
    """Add the options that every command has: -q, -v, --debug, --version, --help (group "General").

    Sets `verbosity` (-1 to 3) in the parsed options.
    """
    group = parser.add_argument_group("General")
    if verbose:
        group.add_argument(
            "-v",
            "--verbose",
            dest="verbosity",
            action=_Verbose,
            nargs=0,
            default=0,
            help="say more; up to three times",
        )
    group.add_argument(
        "-q", "--quiet", dest="verbosity", action="store_const", const=-1, default=0, help="no messages but errors"
    )
    group.add_argument(
        "--debug", action=_Debug, nargs=0, help="show tracebacks of errors (environment: SEAMLESS_TRACEBACK=1)"
    )
    add_version(group)
    group.add_argument("-h", "--help", action="help", help="show this help and exit")


def add_version(parser: Any) -> None:
    """Add `--version` to a parser or argument group."""
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s (Seamless) {__version__}", help="show the version and exit"
    )


class _Verbose(argparse.Action):
    """Count upwards to 3; `-v` after `-q` starts again."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: str | None = None) -> None:
        setattr(namespace, self.dest, min(3, max(0, getattr(namespace, self.dest)) + 1))


class _Debug(argparse.Action):
    """Ask for tracebacks by the environment, so that child processes follow; `run_main` takes it back."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any):
        super().__init__(option_strings, argparse.SUPPRESS, **{**options, "default": argparse.SUPPRESS})

    def __call__(self, parser: Any, namespace: Any, values: Any, option: str | None = None) -> None:
        os.environ["SEAMLESS_TRACEBACK"] = "1"
