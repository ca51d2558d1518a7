"""Names in a buffer directory: which layout it has, and where the files of a buffer are.

DIR/.HASHSERVER_PREFIX          "1\\n": prefix layout
DIR/ab/<hex>[.zst|.gz]          the forms of a buffer (flat layout: DIR/<hex>)
DIR/ab/<hex>-<8 random>         being written; DIR/.incoming-<8 random> while its checksum is not yet known
"""

from __future__ import annotations

import os
from collections.abc import Iterator

MARKER = ".HASHSERVER_PREFIX"
FORMS = ("", ".zst", ".gz")  # in the order in which they are looked for
LENGTH = ".BUFFERLENGTH"  # beside compressed forms: the uncompressed length in decimal digits
INCOMING = ".incoming"
_HEX_DIGITS = frozenset("0123456789abcdef")
_SUBDIRECTORY_MODE = 0o3775  # setgid: files belong to the group; sticky: nobody removes those of others


class Layout:
    """Where the files of a buffer directory are. `prefix` is None while an empty directory does not tell.

    `prefix`: the layout to use; None: the one that is found, and for a new directory the prefix layout.
    """

    def __init__(self, root: str, *, create: bool, prefix: bool | None = None):
        self.root = root
        self._prefix = prefix
        if prefix is None:
            self._prefix = True if os.path.exists(f"{root}/{MARKER}") else detect(root)
        if create and (prefix or self._prefix is None):
            self._prefix = True
            _write_marker(root)

    @property
    def prefix(self) -> bool:
        """Whether buffers are in subdirectories named by their first two digits."""
        if self._prefix is None:
            self._prefix = detect(self.root)
        return self._prefix is not False

    def directory(self, hexsum: str) -> str:
        """Return the directory that holds a buffer."""
        return f"{self.root}/{hexsum[:2]}" if self.prefix else self.root

    def base(self, hexsum: str) -> str:
        """Return the path of the plain form; the other names add something to it."""
        return f"{self.root}/{hexsum[:2]}/{hexsum}" if self.prefix else f"{self.root}/{hexsum}"

    def directories(self) -> list[str]:
        """Return the existing directories that hold buffers."""
        if not self.prefix:
            return [self.root]
        with os.scandir(self.root) as entries:
            return sorted(e.path for e in entries if len(e.name) == 2 and _HEX_DIGITS.issuperset(e.name) and e.is_dir())

    def entries(self) -> Iterator[os.DirEntry[str]]:
        """Give every entry of every directory that holds buffers."""
        for directory in self.directories():
            with os.scandir(directory) as entries:
                yield from entries


def detect(root: str) -> bool | None:
    """Tell whether `root` has the prefix layout (True), the flat one (False), or no buffers yet (None).

    Subdirectories with buffers are no answer: only the marker makes them a buffer directory.
    """
    if os.path.exists(f"{root}/{MARKER}"):
        return True
    with os.scandir(root) as entries:
        for entry in entries:
            if buffer_of(entry.name):
                return False
    return None


def buffer_of(name: str) -> str | None:
    """Return the hex checksum of the buffer that a file with this name is a form of, or None."""
    hexsum = name[:64]
    return hexsum if name[64:] in FORMS and len(hexsum) == 64 and _HEX_DIGITS.issuperset(hexsum) else None


def is_temporary(name: str) -> bool:
    """Tell whether a file with this name is one that is being written."""
    base, _, random = name.rpartition("-")
    return len(random) == 8 and random.isascii() and (base == INCOMING or (len(base) == 64 and buffer_of(base) == base))


def _write_marker(root: str) -> None:
    try:
        fd = os.open(f"{root}/{MARKER}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return
    try:
        os.write(fd, b"1\n")
    finally:
        os.close(fd)


def make_subdirectory(path: str) -> None:
    """Create a directory for buffers, for the whole group where that is permitted."""
    try:
        os.mkdir(path)
    except FileExistsError:
        return
    try:
        os.chmod(path, _SUBDIRECTORY_MODE)
    except PermissionError:  # some file systems refuse the special bits; the umask decides then
        os.chmod(path, _SUBDIRECTORY_MODE & 0o777)
