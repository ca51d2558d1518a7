"""What `seamless-upload` was asked for: targets (a file or directory that was named) and their items (files).

Reads directories and sidecars; hashes nothing, stores nothing.
"""

from __future__ import annotations

import os
import stat

from seamless.cli.checksum import directory_stem, read_sidecar, sidecar_stem
from seamless.cli.common import describe
from seamless.cli.transfer.report import about
from seamless.compression_utils import strip_compression_suffix
from seamless.errors import SeamlessError, UsageError
from seamless.util.directory_index import list_directory


class Item:
    """A file to store. `checksum` (hex) is empty until it is known; `hint`: what a sidecar says it is.

    `state` is that of the file when it was hashed: (device, inode, size, mtime).
    """

    __slots__ = ("checksum", "error", "hint", "path", "size", "state", "stored", "suffix")

    def __init__(self, path: str, size: int, hint: str = ""):
        self.path, self.size, self.hint = path, size, hint
        self.suffix = strip_compression_suffix(path)[1]
        self.checksum = ""
        self.state: tuple[int, int, int, int] | None = None
        self.stored = False
        self.error: str | None = None


class UploadTarget:
    """A file or directory that was named. `stem`: what its sidecars begin with; `keys`: of the items in the index."""

    def __init__(self, name: str):
        self.name = name
        self.path = name.rstrip("/") or name
        self.kind = "file"
        self.stem = ""
        self.items: list[Item] = []
        self.keys: list[str] = []
        self.checksum = ""
        self.problems: list[str] = []  # complete messages

    @property
    def failed(self) -> bool:
        """Whether something of it was not stored, or has no sidecar."""
        return bool(self.problems)

    def fail(self, text: str) -> None:
        """Note what is wrong with the target as a whole."""
        self.problems.append(f"cannot upload {about(self.name, text)}")

    @property
    def size(self) -> int:
        """The bytes of its files, as they are on disk."""
        return sum(item.size for item in self.items)


def find_targets(names: list[str]) -> list[UploadTarget]:
    """Return the targets; what is wrong with one is in its `problems`. Sidecars are passed over."""
    targets = [UploadTarget(name) for name in names if not name.rstrip("/").endswith(".CHECKSUM")]
    stems: dict[str, UploadTarget] = {}
    for target in targets:
        try:
            _look_at(target)
            other = stems.setdefault(target.stem, target)
            if other is not target and not _same_thing(other, target):
                raise UsageError(
                    f"{other.name!r} has the same sidecar {target.stem + '.CHECKSUM'!r}; rename one of them"
                )
        except (SeamlessError, OSError) as exc:
            target.fail(describe(exc))
    return targets


def _same_thing(first: UploadTarget, second: UploadTarget) -> bool:
    return os.path.realpath(first.path) == os.path.realpath(second.path)


def _look_at(target: UploadTarget) -> None:
    status = os.stat(target.path)
    if stat.S_ISDIR(status.st_mode):
        target.kind = "directory"
        target.stem = directory_stem(target.path)
        hints = _hints_of_directory(target.stem)
        for member in list_directory(target.path):
            target.keys.append(member.key)
            target.items.append(Item(member.path, member.size, hints.get(member.key, "")))
        return
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"{target.path!r} is neither a file nor a directory")
    target.stem = sidecar_stem(target.path)
    if os.path.isdir(target.stem):
        raise UsageError(
            f"the sidecar {target.stem + '.CHECKSUM'!r} belongs to the directory {target.stem!r}; rename one"
        )
    target.items.append(Item(target.path, status.st_size, _hint_of_file(target.stem)))


def _hint_of_file(stem: str) -> str:
    try:
        return read_sidecar(stem + ".CHECKSUM")
    except (SeamlessError, OSError):
        return ""  # none, or none that tells anything


def _hints_of_directory(stem: str) -> dict[str, str]:
    from seamless.cli.transfer.index import parse_index

    try:
        with open(stem + ".INDEX", "rb") as file:
            return parse_index(file.read(), stem + ".INDEX")
    except (SeamlessError, OSError):
        return {}  # none, or none that tells anything
