"""The options of `seamless-run`: their parser, their help, and what they may not be combined with.

Options end at the first word that is no option; everything after it belongs to the command. The parser is only
built when there are options at all.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from seamless.cli.common import add_general, make_parser
from seamless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

PROG = "seamless-run"

_EXAMPLES = (
    "seamless-run cat a.txt               # the second time from the cache",
    "seamless-run 'sort a.txt > b.txt'    # writes b.txt and b.txt.CHECKSUM",
)
# What --qsubmit hands over is decided by the server of the queue, such as the queue of a cluster.
_EXCLUSIVE = {
    "--qsubmit": ("--dry", "--detach", "--undo", "--refresh", "--queue", "--node", "--show-stderr"),
    "--detach": ("--dry", "--undo"),
    "--undo": ("--dry", "--refresh"),
    "--refresh": ("--dry",),
}
_EXIT_CODES = (
    (0, "done: everything asked for was delivered"),
    (2, "a mistake in the arguments; nothing was run"),
    (124, "the command was stopped by --timeout"),
    (125, "Seamless itself failed, before or after the command"),
    (130, "interrupted (Ctrl-C, SIGTERM)"),
)


class Options(argparse.Namespace):
    """The options given, and the defaults of those that are not. Sequences are replaced, never changed."""

    verbosity: int = 0
    project: str = ""
    stage: str = ""
    guess1: bool = True
    lenient: bool = False
    guess2: bool = True
    base_directory: str | None = None
    mapping: Literal["literal", "strip", "extension"] = "literal"
    unquote: bool = False
    captures: Sequence[str] = []
    inputs: Sequence[str] = []
    input_files: Sequence[str] = []
    variables: Sequence[str] = []
    environment: Sequence[str] = []
    metavars: Sequence[str] = []
    prologues: Sequence[str] = []
    primary: int = 1
    confirm: str = "ask"  # "yes", "no"
    download: bool = True
    scratch: bool = False
    fingertip: bool = False
    docker: str | None = None
    conda: str | None = None
    node: str | None = None
    undo: bool = False
    purge: bool = False
    direct_print: bool = False
    local: bool = False
    dry: str | None = None  # "quiet" or "show"
    job: str | None = None
    upload: bool = False
    remote_job: str | None = None
    qsubmit: bool = False
    queue: str | None = None
    detach: bool = False
    force: bool = False
    explain: bool = False
    json: bool = False
    exact: bool = False
    refresh: bool = False
    timeout: float | None = None
    retry: int = 0
    hermetic: bool = False
    pipefail: bool = False
    show_stderr: bool = False
    command: Sequence[str] = []
    argv: Sequence[str] = []  # all words, as they were given


def parse_options(argv: Sequence[str]) -> Options:
    """Return the options in `argv`. Prints the usage and raises SystemExit(2) when they cannot be understood."""
    if argv and not argv[0].startswith("-"):
        options = Options()
        options.argv = options.command = list(argv)
        return options
    parser = build_parser()
    options = parse_words(parser, argv)
    if not options.command:
        parser.error("the command is missing, for example: seamless-run 'sort a.txt > b.txt'")
    check_combinations(options)
    return options


def parse_words(parser: argparse.ArgumentParser, argv: Sequence[str]) -> Options:
    """Return the options in `argv`, whatever their combination, and the words of the command after them."""
    options = Options()
    options.argv = argv
    head, command = _split(parser, argv)
    parser.parse_args(head, namespace=options)
    options.command = command
    return options


def check_combinations(options: Options) -> None:
    """Raise UsageError for options that contradict or lack each other."""
    if options.unquote and len(options.command) > 1:
        raise UsageError(
            f"Unquote requires a single argument: -c takes the whole command line as one quoted word, "
            f"but {len(options.command)} words were given: {' '.join(options.command)[:200]}"
        )
    if not options.dry:
        if options.job is not None:
            raise UsageError("-j/--write-job requires --dry")
        if options.remote_job is not None:
            raise UsageError("--write-remote-job requires --dry")
        if options.upload:
            raise UsageError("--upload requires --dry")
    if options.node is not None:
        from seamless.cli.storage import NO_NODE, configuration_files

        if options.local or not configuration_files():
            raise UsageError(NO_NODE)
    given = {
        "--qsubmit": options.qsubmit,
        "--detach": options.detach,
        "--undo": options.undo,
        "--refresh": options.refresh,
        "--dry": bool(options.dry),
        "--queue": options.queue is not None,
        "--node": options.node is not None,
        "--show-stderr": options.show_stderr,
    }
    for name, others in _EXCLUSIVE.items():
        for other in others:
            if given[name] and given[other]:
                raise UsageError(f"{name} and {other} cannot be used together")
    if options.detach and options.json:
        raise UsageError("--detach and --json cannot be used together: the result is not known yet")
    if options.purge and not options.undo:
        raise UsageError("--purge requires --undo")


def split_scope(value: str, option: str) -> tuple[str | None, str | None]:
    """Return head and tail of `HEAD[:TAIL]`; an empty value is none given. Raises UsageError."""
    if not value:
        return None, None
    head, _, tail = value.partition(":")
    if not head:
        raise UsageError(f"Invalid {option} value '{value}': expected NAME or NAME:SUBNAME")
    return head, tail or None


def _split(parser: argparse.ArgumentParser, argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the options, values attached by `=`, and the words of the command."""
    actions = parser._option_string_actions
    head: list[str] = []
    i = 0
    while i < len(argv):
        word = argv[i]
        if word == "--":
            return head, list(argv[i + 1 :])
        if not word.startswith("-") or word == "-":
            return head, list(argv[i:])
        i += 1
        word, action = _find(actions, word)
        if action is not None and action.nargs is None and "=" not in word and i < len(argv):
            word = f"{word}={argv[i]}"
            i += 1
        head.append(word)
    return head, []


def _find(actions: dict[str, argparse.Action], word: str) -> tuple[str, argparse.Action | None]:
    """Return the option `word` (completed, if it is a unique prefix) and its action (None: argparse shall complain)."""
    name, equals, value = word.partition("=")
    if name in actions:
        return word, actions[name]
    if name.startswith("--"):
        found = {id(action): (full, action) for full, action in actions.items() if full.startswith(name)}
        if len(found) == 1:
            full, action = next(iter(found.values()))
            return full + equals + value, action
    return word, None


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; it lacks the words of the command, which never pass through it."""
    parser = make_parser(
        PROG,
        "Run a command line once; the next time, take its result from the cache.\n"
        "The result is known by the content of the command line and of its input files.\n"
        "A command that fails passes its own exit status on; nothing is kept then.",
        usage="%(prog)s [options] command [args...]\n       %(prog)s [options] -c 'whole bash command line'",
        examples=_EXAMPLES,
        exit_codes=_EXIT_CODES,
    )
    add_options(parser)
    return parser


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add all options; those that are not given leave the defaults of `Options`."""
    parser.argument_default = argparse.SUPPRESS
    _add_inputs(parser)
    _add_outputs(parser)
    _add_execution(parser)
    _add_storage(parser)
    _add_inspection(parser)
    add_general(parser)


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("Command and inputs")
    add = group.add_argument
    add("-c", dest="unquote", action="store_true", help="the command is one word that holds the whole line")
    add(
        "-i",
        "--input",
        dest="inputs",
        action="append",
        metavar="FILE",
        help="one more input file or directory, or a quoted pattern such as 'data/*.txt'",
    )
    add(
        "-I",
        "--input-file",
        dest="input_files",
        action="append",
        metavar="LIST",
        help="input files named in LIST, one a line, relative to LIST",
    )
    add("--var", dest="variables", action="append", metavar="N=V", help="a variable that is part of the identity")
    add(
        "--env",
        dest="environment",
        action="append",
        metavar="NAME",
        help="the environment variable NAME, with the value that it has now, as with --var",
    )
    add("--metavar", dest="metavars", action="append", metavar="N=V", help="a variable that is not")
    add("-g1", dest="guess1", action="store_false", help="a word with an extension need not be an existing file")
    add("--lenient", action="store_true", help="a word that cannot be a file name, such as -k1.2, is plain text")
    add("-g2", dest="guess2", action="store_false", help="a word without extension may be an existing file")
    add("-w", dest="base_directory", metavar="DIR", help="file names are relative to DIR (default: here)")
    add("-W", dest="base_directory", action="store_const", const="/", help="the same as -w /")
    add("-ms", dest="mapping", action="store_const", const="strip", help="input files lose their directory")
    add(
        "-mx",
        dest="mapping",
        action="store_const",
        const="extension",
        help="input files become file1.EXT, file2.EXT, ... (default: they keep their relative path)",
    )
    add("--prologue", dest="prologues", action="append", metavar="CMD", help="a command to run first")
    add(
        "--primary",
        type=_positive,
        metavar="N",
        help="the words of the N-th command are examined (default: 1)",
    )
    add("--exact", action="store_true", help="quote every word that bash would read differently")
    add("--pipefail", action="store_true", help="a pipeline fails when any of its commands fails")


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("Outputs").add_argument
    add(
        "-cp",
        "--capture",
        dest="captures",
        action="append",
        metavar="X",
        help="one more result: NAME, NAME:LOCAL, :LOCAL for stdout, or a quoted pattern such as 'out/*.csv'",
    )
    add("-nd", "--no-download", dest="download", action="store_false", help="write .CHECKSUM files only")
    add("--scratch", action="store_true", help="keep the checksum of the result only")
    add(
        "-y",
        "--yes",
        dest="confirm",
        action="store_const",
        const="yes",
        help="write results of any size (default: ask above 2000 files or 500 MB a target; environment: "
        "SEAMLESS_MAX_DOWNLOAD_FILES, SEAMLESS_MAX_DOWNLOAD_SIZE)",
    )
    add("-n", "--no", dest="confirm", action="store_const", const="no", help="skip results above these limits")
    add("--json", action="store_true", help="print one JSON object about the run instead of the result")


def _add_execution(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("Execution").add_argument
    add(
        "--conda",
        "--conda-env",
        "--conda-environment",
        metavar="NAME",
        help="activate this conda environment (its root: CONDA_ROOT)",
    )
    add(
        "--docker",
        "--docker-image",
        "--image",
        metavar="IMAGE",
        help="run in this container image: a file (.sif), or docker://NAME (needs apptainer or singularity)",
    )
    add(
        "--hermetic",
        action="store_true",
        help="give the command only PATH, TMPDIR, LANG=C.UTF-8 and its own directory as HOME",
    )
    add("--timeout", type=_seconds, metavar="SECONDS", help="stop the command after so long (default: no limit)")
    add(
        "--retry",
        type=_positive,
        metavar="N",
        help="run a command that fails again, up to N times (default: 0)",
    )
    add("--refresh", action="store_true", help="run again and compare with the cached result")
    add("--undo", action="store_true", help="forget the cached result of this command; nothing is run")
    add("--purge", action="store_true", help="with --undo: also delete the local result files")
    add("--fingertip", action="store_true", help="recompute a known result whose content is gone (always done)")
    add("--local", action="store_true", help="execute in this process, whatever the configuration says")
    add("--direct-print", action="store_true", help="print the output while the command runs, wherever it runs")
    add("--node", metavar="NODE", help="execute on this node (remote daskserver execution only)")
    add("--queue", metavar="NAME", help="the queue of the cluster to execute in (default: that of the configuration)")
    add(
        "--qsubmit",
        "--qsub",
        dest="qsubmit",
        action="store_true",
        help="append the command to the queue file, for seamless-queue to run; it may use what commands before it "
        "in the queue will make (default file: .seamless-queue; environment: SEAMLESS_QUEUE_FILE)",
    )
    add("--detach", action="store_true", help="run in the background; the same command later waits for it")
    add("--force", action="store_true", help=argparse.SUPPRESS)


def _add_storage(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "Storage",
        "The services that seamless.yaml and seamless.profile.yaml of the current\n"
        "directory name; without them, or with $SEAMLESS_CACHE, the cache directory:\n"
        "$SEAMLESS_CACHE, else $XDG_CACHE_HOME/seamless, else ~/.cache/seamless.",
    )
    add = group.add_argument
    add("--project", metavar="P[:SUB]", help="keep everything under this project (default: top level)")
    add("--stage", metavar="S[:SUB]", help="... and this stage (default: none)")


def _add_inspection(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("Looking without running").add_argument
    add(
        "--dry",
        "--dry-run",
        nargs="?",
        const="quiet",
        choices=("quiet", "show"),
        metavar="show",
        help="check everything, run nothing; --dry=show (also with -v or --json) shows inputs, code and targets",
    )
    add("-j", "--write-job", dest="job", metavar="DIR", help="with --dry: write the job directory DIR")
    add("--upload", action="store_true", help="with --dry: store the inputs and the transformation")
    add(
        "--write-remote-job",
        dest="remote_job",
        metavar="DIR",
        help="with --dry: store the inputs, and write DIR with the inputs and the script, where the command would run",
    )
    add("--explain", action="store_true", help="say which run answered, or why the command has to run")
    add("--show-stderr", action="store_true", help="repeat what the command wrote to stderr when it ran")


def _positive(text: str) -> int:
    value = int(text) if text.isascii() and text.isdigit() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return value


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value
