"""The results of a command line: its targets, from redirections, captures and interface files."""

from __future__ import annotations

import os

from seamless.cli.commandline.data import Target
from seamless.cli.commandline.line import ParsedLine, Redirect, Word, place
from seamless.cli.commandline.mapping import RESERVED_TREES, relative_to
from seamless.cli.commandline.quoting import quote
from seamless.errors import UsageError

STDOUT = "STDOUT"
# What is in the directory of a step beside its files: no pattern may stand for it.
_OWN_NAMES = ("RESULT", STDOUT, "transform.sh")
DEVICES_WITHOUT_RESULT = ("/dev/null", "/dev/stdout", "/dev/stderr", "/dev/tty", "/dev/fd", "/proc/self/fd")


class Targets:
    """The targets in order; a repeated name keeps its first place."""

    def __init__(self, cwd: str) -> None:
        self.cwd = cwd
        self.locals: dict[str, str | None] = {}
        self.patterns: dict[str, None] = {}  # those of the names that stand for any number of files

    def add(self, name: str, local: str | None, described: str) -> None:
        """Add a target; raises UsageError if the name cannot be a result."""
        name = self.normalised(name, described)
        if local is not None:
            local = os.path.expanduser(local)
            earlier = self.locals.get(name)
            if earlier is not None and earlier != local:
                raise UsageError(f"{described}: the result '{name}' has two local names, '{earlier}' and '{local}'")
        self.locals[name] = local if local is not None else self.locals.get(name)

    def normalised(self, name: str, described: str) -> str:
        """Return a target name relative to the working directory; raises UsageError if it is outside or reserved."""
        path = os.path.normpath(os.path.join(self.cwd, os.path.expanduser(name)))
        relative = relative_to(path, self.cwd)
        if relative is None or relative == ".":
            raise UsageError(
                f"{described}: the result '{name}' is not below the working directory {self.cwd}.\n"
                "Give it a name below it; with -cp NAME:LOCAL it can be delivered anywhere."
            )
        if relative != STDOUT and relative.split("/", 1)[0] in RESERVED_TREES:
            raise UsageError(f"{described}: the name '{relative}' is reserved and cannot be a result. Choose another.")
        try:
            relative.encode("utf-8")
        except UnicodeEncodeError:
            raise UsageError(f"{described}: the name {relative!r} is not valid UTF-8") from None
        return relative

    def is_output(self, path: str) -> bool:
        """Tell whether the normalised absolute `path` is a target."""
        if not self.locals:
            return False
        name = relative_to(path, self.cwd)
        return name is not None and (name in self.locals or any(matches(name, p) for p in self.patterns))

    def covers(self, name: str) -> bool:
        """Tell whether the file `name` is part of what is a target: of a directory, or of a pattern."""
        if any(name.startswith(directory.rstrip("/") + "/") for directory in self.locals):
            return True
        return any(matches(name, pattern) for pattern in self.patterns)

    def as_list(self) -> list[Target]:
        """Return the targets in order."""
        return [Target(name, local) for name, local in self.locals.items()]


def add_captures(targets: Targets, captures: list[str]) -> None:
    """Add what the -cp options name: NAME, NAME:LOCAL or :LOCAL (the standard output)."""
    for capture in captures:
        name, colon, local = capture.partition(":")
        if (colon and not local) or not capture:
            raise UsageError(f"-cp '{capture}': expected NAME, NAME:LOCAL or :LOCAL")
        described = f"-cp '{capture}'"
        targets.add(name or STDOUT, local or None, described)
        if is_pattern(name):
            _check_pattern(name, local, described)
            targets.patterns[targets.normalised(name, described)] = None


def is_pattern(name: str) -> bool:
    """Tell whether the name of a capture stands for any number of files."""
    return "*" in name or "?" in name


def matches(name: str, pattern: str) -> bool:
    """Tell whether bash would find `name` by `pattern`, whose last component only has wildcards.

    >>> matches("out/a.csv", "out/*.csv"), matches("out/.a.csv", "out/*.csv"), matches("b/a.csv", "out/*.csv")
    (True, False, False)
    """
    from fnmatch import fnmatchcase

    (directory, last), (wanted, wildcards) = os.path.split(name), os.path.split(pattern)
    if directory != wanted or (last.startswith(".") and not wildcards.startswith(".")):
        return False
    return fnmatchcase(last, wildcards.replace("[", "[[]"))


def _check_pattern(name: str, local: str, described: str) -> None:
    directory, last = os.path.split(name)
    if is_pattern(directory) or not last:
        raise UsageError(f"{described}: only the last part of a pattern may have wildcards, such as 'out/*.csv'")
    if local:
        raise UsageError(f"{described}: the files of a pattern keep their names; leave out ':{local}'")
    own = next((own for own in _OWN_NAMES if not directory and matches(own, last)), None)
    if own is not None:
        raise UsageError(
            f"{described}: the pattern also stands for '{own}', which the step has for itself. Write the results into "
            f"a directory and name that, or make the pattern narrower."
        )


def find_redirect_target(line: ParsedLine) -> Redirect | None:
    """Return the redirection that makes a result: of the last simple command, or of the group that is the line.

    Raises UsageError if there are several.
    """
    candidates = list(line.commands[-1].redirects) if line.commands else []
    candidates = [r for r in candidates + line.group_redirects if r.writes_file and not _is_device(r.target)]
    for wanted in (
        [r for r in candidates if r.writes_stdout],
        [r for r in candidates if not r.writes_stdout and r.descriptor != "2"],
    ):
        if len(wanted) > 1:
            names = " and ".join(f"'{r.target.text}'" for r in wanted if r.target)
            first = wanted[1].target
            assert first is not None
            raise UsageError(
                f"Multiple redirects in the last command: {names}\n{place(line.source, first.start, first.end)[2]}\n"
                "Redirect its output once, and name further results with -cp."
            )
        if wanted:
            return wanted[0]
    return None


def redirect_name(line: ParsedLine, word: Word, targets: Targets) -> tuple[str, str | None]:
    """Return the target name of a redirection, and what must stand in the command instead of the word, if anything.

    Raises UsageError if the name is not known before the command runs, or is outside the working directory.
    """
    raw = line.source[word.start : word.end]
    text, known = word.text, not word.expands
    for prefix in ("$PWD/", "${PWD}/"):
        if word.expands and text.startswith(prefix) and "$" not in text[1:] and "`" not in text:
            text, known = text[len(prefix) :], True
    described = f"redirection to '{word.text}'"
    shown = place(line.source, word.start, word.end)[2]
    if not known:
        raise UsageError(
            f"{described}: the name of a result must be known before the command runs\n{shown}\n"
            "Write the name out, or redirect inside parentheses and name the result with -cp."
        )
    if os.path.isabs(text) and text.startswith("/dev/"):
        raise UsageError(f"{described}: a device cannot be a result\n{shown}\nRedirect to a file.")
    elsewhere = os.path.isabs(text) or raw.startswith("~")
    if text.startswith("~") and not raw.startswith("~"):
        text = "./" + text
    try:
        name = targets.normalised(text, described)
    except UsageError as exc:
        first, *rest = str(exc).split("\n")
        raise UsageError("\n".join((first, shown, *rest))) from None
    return name, quote(name) if elsewhere else None


def _is_device(word: Word | None) -> bool:
    return word is not None and any(word.text == d or word.text.startswith(d + "/") for d in DEVICES_WITHOUT_RESULT)
