"""The closed list of the helpers: what each accepts and what it is for. Data only; `grammar` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Option(NamedTuple):
    """An option with a long name only. `kind` is `flag`, or the kind of its value."""

    name: str
    kind: str
    metavar: str = ""
    help: str = ""
    choices: tuple[str, ...] = ()


class Words(NamedTuple):
    """How many words there may be, of which kinds (the last one for all others), and what to say if there are not."""

    least: int = 0
    most: int = 0
    kinds: tuple[str, ...] = ("text",)
    problem: str = "no arguments are accepted"
    metavar: str = ""


class Grammar(NamedTuple):
    """What one helper accepts. `service`: it needs `--` and a command. `conflicts`: (one, other, text); without a
    text the first option needs the second."""

    summary: str
    options: Mapping[str, Option] = {}
    words: Words = Words()
    service: bool = False
    required: tuple[str, ...] = ()
    conflicts: tuple[tuple[str, str, str | None], ...] = ()
    unknown_together: bool = False
    examples: tuple[str, ...] = ()

    def synopsis(self) -> str:
        """Return the options and words as `usage` shows them."""
        shown = [f"--{o.name}{' ' + o.metavar if o.metavar else ''}" for o in self.options.values()]
        parts = [text if name in self.required else f"[{text}]" for name, text in zip(self.options, shown, strict=True)]
        parts += [self.words.metavar] if self.words.metavar else []
        parts += ["-- BINARY [ARG...]"] if self.service else []
        lines, line = [], ""
        for part in parts:
            if len(line) + len(part) > 52:
                lines.append(line)
                line = ""
            line += f" {part}"
        return "\n      ".join([*lines, line])


def _options(*options: Option) -> dict[str, Option]:
    return {option.name: option for option in options}


MANY = 1000  # words

_JSON = Option("json", "flag", help="one JSON object a line, with sorted keys")
_ONE_KEY = Words(1, 1, ("key",), "exactly one key is required", "KEY")
_KEYS = Words(1, MANY, ("key",), "at least one key is required", "KEY...")

_LAUNCH = (
    Option("key", "key", "KEY", "key of the service: the name of its files"),
    Option("workdir", "path", "DIR", "absolute work directory, made if absent"),
    Option("conda-env", "environment", "ENV", "conda environment to start it in: a name or a prefix"),
    Option("whitelist", "flag", help="refuse what is no service of Seamless"),
)
_DESCRIBED = (
    Option("network-interface", "host", "HOST", "address that the service is to bind"),
    Option("parameters", "object", "JSON", "object that the service reads from its state file"),
    Option("parameters-stdin", "flag", help="read that object from standard input"),
    Option("meta", "object", "JSON", "object that is kept in the state as it is"),
)

_PARAMETERS = ("parameters", "parameters-stdin", "--parameters and --parameters-stdin are mutually exclusive")

HELPERS: Mapping[str, Grammar] = {
    "rhl-ps": Grammar(
        "List the services of this machine: key, status, port. A service whose process\nis gone is shown as stale.",
        _options(
            Option("client", "flag", help="list the connections of this machine instead"),
            Option("host", "text", "HOST", "with --client: only those to this host"),
            Option("status", "text", "STATUS", "only running, starting, failed or stale ones"),
            Option("key", "flag", help="print only the keys, one a line"),
            Option("no-status", "flag", help="show what is recorded; look at no process"),
            _JSON,
        ),
        conflicts=(("host", "client", None), ("key", "json", "--key and --json are mutually exclusive")),
        examples=("rhl-ps", "rhl-ps --status running --json", "rhl-ps --client"),
    ),
    "rhl-inspect": Grammar(
        "Print the state of a service of this machine as JSON, its token included.",
        _options(Option("with-mtime", "flag", help='print {"mtime": SECONDS, "data": STATE} on one line')),
        _ONE_KEY,
        examples=("rhl-inspect hashserver-local-rw-project",),
    ),
    "rhl-logs": Grammar(
        "Print the log of a service of this machine: its stdout and stderr since it was\n"
        "started last. The log before that one is beside it, with '.1' after its name.",
        _options(Option("tail", "count", "N", "print only the last N lines")),
        _ONE_KEY,
        examples=("rhl-logs --tail 20 hashserver-local-rw-project",),
    ),
    "rhl-stop": Grammar(
        "Stop services of this machine: SIGINT, after 5 seconds SIGTERM, after 5 more\n"
        "SIGKILL, each to the whole process group. Prints for each key what was found:\n"
        "stopped, already gone, kill required, missing state, permission denied.",
        words=_KEYS,
        examples=("rhl-stop hashserver-local-rw-project",),
    ),
    "rhl-rm": Grammar(
        "Remove what is recorded about services: the connection and the state. No process\n"
        "is stopped (rhl-stop does that), no data and no log is removed.",
        _options(
            Option("client", "flag", help="remove only the connection (default: both)"),
            Option("server", "flag", help="remove only the state (default: both)"),
        ),
        _KEYS,
        unknown_together=True,
        examples=("rhl-rm hashserver-local-rw-project", "rhl-rm --client hashserver-local-rw-project"),
    ),
    "rhl-clear": Grammar(
        "Remove everything in a directory, for good. Directories whose name begins with a\n"
        "dot stay; links are removed, not followed. Refuses system directories, the home\n"
        "directory, and a directory that a running service uses.",
        _options(Option("force", "flag", help="also while a service uses the directory")),
        Words(1, 1, ("path",), "exactly one path is required", "PATH"),
        examples=("rhl-clear /scratch/buffers/project",),
    ),
    "rhl-ps-persistent": Grammar(
        "List directories with the state of their data: absent, empty or populated, the\n"
        "size in bytes, the local time of the last change.",
        _options(
            Option("level", "count", "N", "look N levels deeper (default: 0)"),
            Option("file", "filename", "F", "a directory is populated if it has the file F"),
            Option("marker", "filename", "F", "list only directories that have the file F"),
            _JSON,
        ),
        Words(1, MANY, ("path",), "at least one path is required", "PATH..."),
        examples=("rhl-ps-persistent --level 2 --marker .HASHSERVER_PREFIX /scratch/buffers",),
    ),
    "rhl-pid-alive": Grammar(
        "Tell whether a process lives: exit status 0 if it does, 1 if not.",
        words=Words(1, 1, ("pid",), "exactly one PID is required", "PID"),
        examples=("rhl-pid-alive 4711",),
    ),
    "rhl-verify-port": Grammar(
        "Tell whether something accepts connections at HOST and PORT: exit status 0 if\n"
        "so. Tries three times, two seconds apart.",
        words=Words(2, 2, ("host", "port"), "HOST and PORT are required", "HOST PORT"),
        examples=("rhl-verify-port 127.0.0.1 5577",),
    ),
    "rhl-handshake": Grammar(
        "Send one GET request: exit status 0 for an answer 2xx, 2 for another answer,\n1 for none.",
        words=Words(1, 1, ("url",), "exactly one URL is required", "URL"),
        examples=("rhl-handshake http://127.0.0.1:5577/healthcheck",),
    ),
    "rhl-conda-info": Grammar(
        "Print what is known about conda on this machine, as compact JSON.",
        examples=("rhl-conda-info",),
    ),
    "rhl-cache-conda": Grammar(
        "Look for conda on this machine and note what there is. Takes seconds.",
        examples=("rhl-cache-conda",),
    ),
    "rhl-launch-service": Grammar(
        "Start a service of this machine and return at once. Exit status 0 if it was\n"
        "started, or runs already with the same command; 3 if it runs with another one.",
        _options(*_LAUNCH, *_DESCRIBED),
        service=True,
        required=("key", "workdir"),
        conflicts=(_PARAMETERS,),
        examples=(
            "rhl-launch-service --key K --workdir ~/buffers -- \\",
            "  hashserver ~/buffers --status-file ~/.remote-http-launcher/server/K.json",
        ),
    ),
    "rhl-ensure": Grammar(
        "Have exactly one service of this key run and answer, and start it if there is\n"
        "none. Prints one JSON object a line: what happens, at last the result.",
        _options(
            *_LAUNCH,
            Option("image", "object", "JSON", "container image to start it in, as in a launch dict"),
            *_DESCRIBED,
            Option("handshake", "handshake", "JSON", "how its health is asked, as in a launch dict"),
            Option("start-timeout", "seconds", "S", "seconds to wait for a living process (default: 300)"),
            Option(
                "on-mismatch", "text", "DO", "if it runs with another command", choices=("warn", "restart", "error")
            ),
        ),
        service=True,
        required=("key", "workdir"),
        conflicts=(("conda-env", "image", "--conda-env and --image are mutually exclusive"), _PARAMETERS),
        examples=(
            "rhl-ensure --key K --workdir ~/buffers -- \\",
            "  hashserver ~/buffers --status-file ~/.remote-http-launcher/server/K.json",
        ),
    ),
}
