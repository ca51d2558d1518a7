"""Which word of the command line is a file, which a directory, and which just a value.

Looks at names, at the file system and at `.CHECKSUM`/`.INDEX` sidecars; reads no content but that of sidecars.
"""

from __future__ import annotations

import os
import stat

from seamless.cli.commandline.data import PROMISED, Record
from seamless.cli.commandline.line import place
from seamless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from seamless.cli.commandline.data import Kind
    from seamless.cli.commandline.line import Word

    class Promises(Protocol):
        """What steps that have not run yet will make."""

        def promised(self, path: str) -> bool:
            """Tell whether the file or directory at this absolute path, or a part of it, is still to be made."""

        def matching(self, pattern: str) -> list[str]:
            """Return the promised absolute paths that an absolute pattern stands for."""


SYSTEM_DIRECTORIES = ("/bin", "/sbin", "/usr")
# Words that bash answers itself, so that a file of that name is never the command that is run.
BUILTINS = frozenset(
    ". : [ alias bg bind break builtin caller cd command compgen complete compopt conda continue declare dirs disown "
    "echo enable eval exec exit export false fc fg getopts hash help history jobs kill let local logout mapfile popd "
    "printf pushd pwd read readarray readonly return set shift shopt source suspend test times trap true type "
    "typeset ulimit umask unalias unset wait".split()
)


class Found(Record):
    """What a name stands for: `path` (None if only a sidecar is there) and the `checksum` of the sidecar, if any."""

    __slots__ = ("kind", "path", "checksum", "name")

    def __init__(self, kind: Kind, path: str | None, checksum: str | None, name: str) -> None:
        self.kind: Kind = kind
        self.path = path
        self.checksum = checksum
        self.name = name


class Argument(Record):
    """A word at its 1-based `position` among the typed words of `source`."""

    __slots__ = ("word", "position", "source")

    def __init__(self, word: Word, position: int, source: str) -> None:
        self.word = word
        self.position = position
        self.source = source

    def __str__(self) -> str:
        return f"Argument #{self.position} '{self.word.text}'"

    def refusal(self, what: str, *advice: str) -> UsageError:
        """Return the error that names this argument, shows it in its line, and says what to do."""
        _, _, shown = place(self.source, self.word.start, self.word.end)
        return UsageError("\n".join((what, shown, *filter(None, advice))))

    def refusal_of(self, message: str) -> UsageError:
        """Return `refusal` for a message whose first line says what is wrong."""
        return self.refusal(*message.split("\n"))


class Finder:
    """Looks names up relative to a directory (None: the current one)."""

    def __init__(
        self,
        directory: str | None = None,
        wait_future: Callable[[str], None] | None = None,
        promises: Promises | None = None,
    ) -> None:
        self.directory = directory
        self.wait_future = wait_future
        self.promises = promises

    def local(self, name: str) -> str:
        """Return the path under which this process reaches `name`."""
        return os.path.join(self.directory, name) if self.directory else name

    def find(self, name: str, described: str, *, expand: bool = True) -> Found | None:
        """Return what `name` stands for, None if it is neither a file nor a directory and has no sidecar.

        Waits for `name.FUTURE`; what is promised is found without waiting. Raises UsageError, beginning with
        `described`, for an invalid sidecar.
        """
        if not name or "\0" in name:
            return None
        if expand and name[0] == "~" and not os.path.lexists(self.local(name)):
            name = os.path.expanduser(name)
        path = self.local(name)
        stem = path.rstrip("/") or path
        if self.promises is not None and self.promises.promised(os.path.abspath(path)):
            return Found("directory" if path.endswith("/") or os.path.isdir(path) else "file", path, PROMISED, name)
        if os.path.exists(stem + ".FUTURE") and self.wait_future is not None:
            self.wait_future(stem + ".FUTURE")
        if stem.endswith((".gz", ".zst")):
            from seamless.compression_utils import strip_compression_suffix

            stem = strip_compression_suffix(stem)[0]
        kind = kind_of(path)
        sidecar = read_sidecar(stem + ".CHECKSUM", described)
        if sidecar is not None:
            if kind != "directory":
                kind = "directory" if kind is None and os.path.exists(stem + ".INDEX") else "file"
            return Found(kind, path if os.path.exists(path) else None, sidecar, name)
        return Found(kind, path, None, name) if kind is not None else None


def kind_of(path: str) -> Kind | None:
    """Return what is at `path`, links followed; None if nothing is, or something else, such as a device."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return None
    if stat.S_ISDIR(mode):
        return "directory"
    return "file" if stat.S_ISREG(mode) else None


def read_sidecar(path: str, described: str) -> str | None:
    """Return the checksum in a checksum file, None if there is no such file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read(65536).splitlines()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError):
        return None
    except OSError as exc:
        if os.path.exists(path):
            raise UsageError(f"{described}, .CHECKSUM file exists, but cannot be read: {path}: {exc.strerror}") from exc
        return None  # a name too long for the file system
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#")).strip()
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise UsageError(
            f"{described}, .CHECKSUM file exists, but does not contain a valid checksum: {path}\n"
            "It must hold 64 hexadecimal digits in lower case. Write it anew with seamless-checksum-file, or remove it."
        )
    return text


def extension(text: str) -> str:
    """Return the suffix of the last path component, from its last dot on.

    >>> extension("d/a.txt"), extension(".hidden"), extension("foo."), extension("-k1.2")
    ('.txt', '', '', '.2')
    """
    name = text.rstrip("/")
    name = name[name.rfind("/") + 1 :]
    dot = name.rfind(".")
    return name[dot:] if 0 < dot < len(name) - 1 else ""


def is_number(text: str) -> bool:
    """Tell whether a word with a dot or an exponent is a number.

    >>> is_number("-3.5"), is_number("1e3"), is_number("1.2.3"), is_number("3"), is_number("inf")
    (True, True, False, False, False)
    """
    if not extension(text) and ("e" not in text.lower() or not any(c.isdigit() for c in text)):
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True


def find_script(words: list[str]) -> int:
    """Return the index of the script that the words give to an interpreter, 0 if there is none.

    >>> find_script(["python3", "-u", "tool.py", "a.txt"]), find_script(["tool.py", "a.txt"])
    (2, 0)
    """
    suffix = extension(words[0])
    if not suffix or is_number("0" + suffix):
        for index, word in enumerate(words[1:], 1):
            if not word.startswith("-") and extension(word):
                return index
    return 0


def is_sed_script(text: str) -> bool:
    """Tell whether a word that ends in a slash is a command of sed rather than the name of a directory.

    >>> is_sed_script("s/a/b/"), is_sed_script("y/ab/cd/"), is_sed_script("src/a/b/")
    (True, True, False)
    """
    return text[:2] in ("s/", "y/") and text.replace("\\/", "").count("/") == 3


def type_argument(
    argument: Argument,
    finder: Finder,
    *,
    guess1: bool = True,
    guess2: bool = True,
    declared: bool = False,
    lenient: bool = False,
) -> Found | None:
    """Classify a word: what it stands for, or None if it is a value.

    `declared`: the user said that it is an input, so that rules 1 and 2 do not apply. `lenient`: nor does rule 1 for
    a word that cannot be meant as the name of a file. Raises UsageError if a rule is
    broken.
    """
    text = argument.word.text
    found = finder.find(text, str(argument))
    if text.endswith("/"):
        return _check_rule3(argument, found)
    if declared or (found is not None and found.checksum is not None):
        return found
    if is_number(text):
        return None
    if extension(text):
        if guess1 and not (lenient and found is None and not is_plausible_name(text)):
            _check_rule1(argument, found, os.path.exists(finder.local(text)))
    elif guess2 and argument.position > 1 and found is not None and found.kind == "file":
        raise argument.refusal(
            f"{argument} has no extension.",
            "Unless it is the first argument, it can't exist as a file.",
            f"To disable this rule, specify the -g2 option. If the file is an input, declare it: -i {text}",
        )
    return found


def is_plausible_name(text: str) -> bool:
    """Tell whether a word may be meant as the name of a file, rather than as an option, a program or an address.

    >>> [is_plausible_name(word) for word in ("a.txt", "d/a-b.txt", "-k1.2", "--file=a.txt", '{printf "%.2f"}')]
    [True, True, False, False, False]
    """
    return not (text.startswith("-") or "://" in text or any(c in "(){}[]*?$|;&<>=\"'`\\ \t\n" for c in text))


def _check_rule1(argument: Argument, found: Found | None, exists: bool) -> None:
    if found is not None and found.kind == "directory":
        what, advice = "Argument is a directory.", "If the directory is an input, end its name with a slash."
    elif found is None and not exists:
        what, advice = "Argument does not exist.", "If it is an output, declare it: -cp NAME."
        if "*" in argument.word.text:
            advice = f"If it is a pattern, declare the files that it stands for: -g1 -i '{argument.word.text}'."
    else:
        return
    raise argument.refusal(
        what,
        f"{argument} has an extension.",
        "Therefore, it must exist as a file.",
        "To disable this rule, specify the -g1 option.",
        "" if is_plausible_name(argument.word.text) else "--lenient does so for words that cannot be file names.",
        f"{advice} If it is plain text, it can also be listed under 'values' in an interface file (.SEAMLESS.yaml).",
    )


def _check_rule3(argument: Argument, found: Found | None) -> Found | None:
    if found is not None and found.kind == "directory":
        return found
    if found is None and is_sed_script(argument.word.text):
        return None
    raise argument.refusal(
        "Argument does not exist." if found is None else "Argument is not a directory.",
        f"{argument} ends with a slash. Therefore, it must exist as a directory.",
        "If it is plain text, write it so that it does not end in a slash.",
    )


def find_tool(text: str, finder: Finder, base: str) -> Found | str | None:
    """Look up the first word of a command, as bash does but without running one.

    Returns "system" for what the executing host is expected to have, the file for a tool of the user's own, and None
    for anything else. `base`: the directory below which named paths are never the system's.
    """
    if not text or text in BUILTINS:
        return "system" if text else None
    if "/" in text or text[0] == "~":
        if os.path.isabs(text) and _is_executable(text) and os.path.dirname(text).endswith(SYSTEM_DIRECTORIES):
            if not text.startswith(base.rstrip("/") + "/") or base == "/":
                return "system"
        return None
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        candidate = os.path.join(directory, text)
        if not _is_executable(finder.local(candidate)):
            continue
        if directory.rstrip("/").endswith(SYSTEM_DIRECTORIES):
            return "system"
        return Found("file", finder.local(candidate), None, candidate)
    return None


def _is_executable(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode) and os.access(path, os.X_OK)
    except (OSError, ValueError):
        return False
