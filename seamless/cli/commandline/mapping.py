"""From local files to pin names: literally, by base name, or numbered with their extension."""

from __future__ import annotations

import os

from seamless.cli.commandline.typing import extension
from seamless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from seamless.cli.commandline.data import Kind, Mapping

RESERVED_PINS = frozenset(("code", "pins_", "bashcode", "RESULT", "STDOUT", "transform.sh"))
# Made by the execution in the workspace, so nothing can be below them either.
RESERVED_TREES = frozenset(("RESULT", "STDOUT", "transform.sh"))
RESERVED_PREFIXES = ("__", "META__")


class Mapper:
    """Gives each input its pin name; two different inputs never get the same one."""

    def __init__(self, mode: Mapping, cwd: str, base: str) -> None:
        self.mode = mode
        self.cwd = cwd
        self.base = base
        self.numbers: dict[str, int] = {}
        self.owners: dict[str, str] = {}  # pin name -> absolute path

    def absolute(self, name: str) -> str:
        """Return `name` as an absolute path, `..` resolved but not symbolic links."""
        return os.path.normpath(os.path.join(self.cwd, name))

    def map(self, name: str, kind: Kind, described: str, fail: Callable[[str], UsageError] = UsageError) -> str:
        """Return the pin name of the file or directory `name`; raise `fail(message)` if it cannot have one."""
        path = self.absolute(name)
        if path == self.cwd and self.base == self.cwd:
            raise fail(
                f"{described} is the current working directory, which cannot be an input: it is not under itself, and "
                "the results are written into it.\n"
                "Name the files and directories in it that the command needs, with -i or as arguments."
            )
        if self.mode == "strip":
            pin = os.path.basename(path)
        elif self.mode == "extension" and kind == "file":
            number = self.numbers.setdefault(path, len(self.numbers) + 1)
            pin = f"file{number}{_whole_extension(path)}"
        else:
            pin = self._relative(path, described, fail)
        self.claim(pin, path, name, described, fail)
        return pin

    def claim(
        self, pin: str, path: str, name: str, described: str, fail: Callable[[str], UsageError] = UsageError
    ) -> None:
        """Take the pin name for the file at `path`; raise `fail(message)` if it is reserved or taken."""
        problem = reserved(pin)
        if problem:
            raise fail(
                f"{described} cannot be an input: {problem}.\n"
                "Rename it, or let it have another name in the transformation with -mx."
            )
        if self.owners.setdefault(pin, path) != path:
            raise fail(
                f'Two different mappings for argument "{name}": {self.owners[pin]} and {path} would both be called '
                f"'{pin}'.\nRename one of them, or choose another mapping: without -ms, or with -mx."
            )

    def _relative(self, path: str, described: str, fail: Callable[[str], UsageError]) -> str:
        pin = relative_to(path, self.base)
        if pin is None:
            where = "the current working directory" if self.base == self.cwd else f"the base directory {self.base}"
            raise fail(
                f"{described} is not under {where}.\n"
                'To use just its base name, specify the -ms option (file mapping "strip"); '
                "to name files by number, -mx; to count paths from another directory, -w DIR."
            )
        return pin


def relative_to(path: str, base: str) -> str | None:
    """Return the normalised absolute `path` relative to `base`, None if it is outside.

    The spelling of the current directory that the shell keeps in PWD is understood as well.
    """
    for root in (base, _logical(base)):
        if path == root:
            return "."
        prefix = root if root.endswith("/") else root + "/"
        if root and path.startswith(prefix):
            return path[len(prefix) :]
    return None


def _logical(base: str) -> str:
    pwd = os.environ.get("PWD", "")
    try:
        return os.path.normpath(pwd) if os.path.isabs(pwd) and os.path.samefile(pwd, base) else ""
    except OSError:
        return ""


def _whole_extension(path: str) -> str:
    """Return the extension, with that of the compressed file before a compression suffix."""
    last = extension(path)
    return extension(path[: -len(last)]) + last if last in (".gz", ".zst") else last


def reserved(pin: str) -> str | None:
    """Say why `pin` may not be the name of an input; None if it may."""
    if pin in RESERVED_PINS or pin.split("/", 1)[0] in RESERVED_TREES:
        return f"the name '{pin}' is reserved"
    if pin.startswith(RESERVED_PREFIXES):
        return f"the name '{pin}' is reserved, as all that begin with {' or '.join(RESERVED_PREFIXES)}"
    try:
        pin.encode("utf-8")
    except UnicodeEncodeError:
        return f"the name {pin!r} is not valid UTF-8"
    return None
