"""What `seamless-download` was asked for: from names, sidecars and checksums to targets with the files they consist of.

Reads sidecars, and fetches an index where only its checksum is known. Writes nothing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from seamless.checksum import Checksum
from seamless.cli.checksum import read_sidecar
from seamless.cli.common import describe
from seamless.cli.transfer.index import parse_index
from seamless.cli.transfer.report import about
from seamless.compression_utils import strip_compression_suffix
from seamless.errors import BufferCorruptionError, SeamlessError, UsageError
from seamless.util.directory_index import index_bytes

if TYPE_CHECKING:
    import argparse

    from seamless.cli.storage import Storage


class DownloadTarget:
    """What one argument stands for. `local`: where it goes; `files`: path below it ("" for a file) -> checksum (hex).

    `suffix`: how its files are to be compressed, which their names then say; None: not at all.
    """

    def __init__(self, name: str):
        self.name = name
        self.kind = "file"
        self.local = ""
        self.files: dict[str, str] = {}
        self.suffix: str | None = None
        self.checksum = ""
        self.index: bytes | None = None
        self.sidecars: dict[str, bytes] = {}  # path -> content; what is to be written about it
        self.pending: dict[str, str] = {}  # the part of `files` that has to be fetched
        self.lengths: dict[str, int | None] = {}  # of the buffers behind `pending`, by checksum (hex)
        self.done = 0  # files that are here
        self.skipped = False  # the user did not want so much
        self.problems: list[str] = []  # complete messages

    @property
    def failed(self) -> bool:
        """Whether something of it is not here."""
        return bool(self.problems)

    def fail(self, text: str) -> None:
        """Note what is wrong with the target as a whole."""
        self.problems.append(f"cannot download {about(self.name, text)}")

    def fail_file(self, path: str, text: str) -> None:
        """Note what is wrong with one of its files."""
        self.problems.append(f"cannot download {about(path, text)}")

    def lose(self, key: str, where: str) -> None:
        """Note that the content of one of its files is not in the store."""
        self.problems.append(
            f"Cannot download contents of file {self.path(key)!r}, checksum {self.files[key]}: it is not in {where}"
        )

    def size(self, storage: Storage) -> int | None:
        """Return the bytes of the files to fetch, None if a length is unknown. Fills `lengths`."""
        unknown = [Checksum(c) for c in dict.fromkeys(self.pending.values()) if c not in self.lengths]
        ask_all = getattr(storage.buffers, "lengths", None)
        lengths = ask_all(unknown) if ask_all is not None else map(storage.buffers.length, unknown)
        self.lengths |= {checksum.hex(): length for checksum, length in zip(unknown, lengths, strict=True)}
        total = 0
        for checksum in self.pending.values():
            length = self.lengths[checksum]
            if length is None:
                return None
            total += length
        return total

    def path(self, key: str) -> str:
        """Return where a file goes."""
        path = os.path.join(self.local, key) if key else self.local
        if self.suffix is None or (not key and path.endswith(self.suffix)):
            return path
        return path + self.suffix


def find_wanted(names: list[str], options: argparse.Namespace, storage: Storage) -> list[DownloadTarget]:
    """Return the targets; what is wrong with one is in its `problems`. Raises StoreError."""
    targets = []
    for number, name in enumerate(names):
        target = DownloadTarget(name)
        targets.append(target)
        output = options.outputs[number] if number < len(options.outputs) else None
        try:
            _Finder(target, options, storage, output).find()
        except (SeamlessError, OSError) as exc:
            target.fail(describe(exc))
    _refuse_two_contents_for_one_path(targets)
    return targets


def _refuse_two_contents_for_one_path(targets: list[DownloadTarget]) -> None:
    seen: dict[str, DownloadTarget] = {}
    for target in targets:
        if not target.failed:
            other = seen.setdefault(os.path.realpath(target.path("")), target)
            if other.checksum != target.checksum:
                target.fail(f"{target.local!r} is also where {other.name!r} goes; give one another place with -o")


class _Finder:
    """Finds out what one argument is."""

    def __init__(self, target: DownloadTarget, options: argparse.Namespace, storage: Storage, output: str | None):
        self.target, self.options, self.storage, self.output = target, options, storage, output

    def find(self) -> None:
        name = self.target.name.rstrip("/") or self.target.name
        as_index = self.options.directory or self.options.index
        if name.endswith(".INDEX"):
            self._directory(name.removesuffix(".INDEX"))
            return
        if name.endswith(".CHECKSUM"):
            stem = name.removesuffix(".CHECKSUM")
            if os.path.exists(stem + ".INDEX") or as_index:
                self._directory(stem)
            else:
                self._file(stem, name)
            return
        if os.path.exists(name + ".INDEX"):
            self._directory(name)
        elif checksum := _literal(name):
            if as_index:
                self._raw_directory(name, checksum)
            else:
                self._raw_file(name, checksum)
        elif os.path.exists(name + ".CHECKSUM"):
            if as_index:
                self._directory(name)
            else:
                self._file(name, name + ".CHECKSUM")
        else:
            self._compressed_name(name)

    # --- files ---

    def _file(self, stem: str, sidecar: str) -> None:
        self._single(stem, read_sidecar(sidecar), raw=strip_compression_suffix(stem)[1])

    def _raw_file(self, name: str, checksum: str) -> None:
        self._single(name, checksum, raw=None)

    def _compressed_name(self, name: str) -> None:
        """Find `x.txt.gz`, whose sidecar is `x.txt.CHECKSUM`: it is written compressed."""
        stem, suffix = strip_compression_suffix(name)
        if suffix is None or not os.path.exists(stem + ".CHECKSUM"):
            raise UsageError(f"it is no checksum, and there is neither {name + '.CHECKSUM'!r} nor {name + '.INDEX'!r}")
        if os.path.exists(stem + ".INDEX"):
            raise UsageError(f"{stem!r} is a directory: download it by that name")
        self._single(name, read_sidecar(stem + ".CHECKSUM"), raw=None)

    def _single(self, local: str, checksum: str, *, raw: str | None) -> None:
        """`raw`: the compression that the content has already, by the name it was stored under."""
        target = self.target
        target.local = self.output if self.output is not None else local
        target.checksum, target.files = checksum, {"": checksum}
        if self.options.compression:
            target.suffix = f".{self.options.compression}"
        else:
            suffix = strip_compression_suffix(target.local)[1]
            target.suffix = suffix if suffix != raw else None

    # --- directories ---

    def _directory(self, stem: str) -> None:
        """Take the index from `stem.INDEX`, or else by the checksum in `stem.CHECKSUM`."""
        target = self.target
        data = _content(stem + ".INDEX")
        sidecar = stem + ".CHECKSUM"
        expected = read_sidecar(sidecar) if os.path.exists(sidecar) else None
        if data.strip():
            index = parse_index(data, f"{stem + '.INDEX'!r}")
            if Checksum.of(data).hex() != expected:
                data = index_bytes(index)  # edited by hand: other white space does not matter
            if expected is not None and Checksum.of(data).hex() != expected:
                raise SeamlessError(
                    f"{stem + '.INDEX'!r} does not have the checksum that {sidecar!r} says; delete the wrong one"
                )
        elif expected is None:
            raise SeamlessError(f"there is no index in {stem + '.INDEX'!r}, and no {sidecar!r} to get it by")
        else:
            data = self._fetch_index(expected)
            target.sidecars[stem + ".INDEX"] = data
        self._tree(stem, data)
        if self.output is None:
            target.sidecars[sidecar] = target.checksum.encode() + b"\n"

    def _raw_directory(self, name: str, checksum: str) -> None:
        self._tree(name, self._fetch_index(checksum))
        if self.output is None:
            self.target.sidecars[name + ".CHECKSUM"] = checksum.encode() + b"\n"

    def _tree(self, local: str, data: bytes) -> None:
        target = self.target
        target.kind = "directory"
        target.local = local if self.output is None else self.output.rstrip("/") or self.output
        target.index, target.checksum = data, Checksum.of(data).hex()
        target.files = parse_index(data, f"the index {target.checksum}")
        if self.options.compression:
            target.suffix = f".{self.options.compression}"
        if self.output is not None:
            target.sidecars[target.local + ".INDEX"] = data
            target.sidecars[target.local + ".CHECKSUM"] = target.checksum.encode() + b"\n"

    def _fetch_index(self, checksum: str) -> bytes:
        try:
            data = self.storage.buffers.get(Checksum(checksum))
        except BufferCorruptionError as exc:
            raise SeamlessError(f"cannot read the index: {exc}") from exc
        if data is None:
            raise SeamlessError(f"the index {checksum} is not in {self.storage.where}")
        return data


def _literal(text: str) -> str | None:
    """Return the checksum (hex) that `text` is, or None."""
    if len(text) != 64:
        return None
    try:
        return Checksum(text).hex()
    except ValueError:
        return None


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""
