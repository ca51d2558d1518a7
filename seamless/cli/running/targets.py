"""Result targets: from the index of a result to sidecars (`L.CHECKSUM`, `L.INDEX`) and local files.

Every file appears under a temporary name and is renamed. Names are relative to the current directory.
"""

from __future__ import annotations

import os

from seamless.checksum import Checksum
from seamless.errors import CacheMissError, SeamlessError
from seamless.stores.filesystem import remove_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import Any

    from seamless.cli.commandline.plan import Target
    from seamless.cli.common import Messages
    from seamless.cli.running.limits import DownloadLimits
    from seamless.cli.storage import Storage


class TargetResult:
    """What a transformation has returned for one target: `kind` is "file", "directory" or "absent"."""

    __slots__ = ("checksum", "earlier", "files", "index_bytes", "kind", "local", "name")

    def __init__(self, target: Target, index: dict[str, str]):
        self.name = target.name
        self.local = os.path.normpath(os.path.expanduser(target.local or target.name))
        self.files: dict[str, str] = {}  # path below `local` ("" for a file): checksum
        self.earlier: dict[str, str] = {}  # index of the result that was here before
        self.index_bytes: bytes | None = None
        self.checksum: str | None = None
        key = os.path.normpath(target.name)
        if key in index:
            self.kind, self.checksum, self.files = "file", index[key], {"": index[key]}
            return
        self.files = {path[len(key) + 1 :]: value for path, value in index.items() if path.startswith(key + "/")}
        self.kind = "directory" if self.files else "absent"
        if self.files:
            from seamless.celltypes import canonical_json

            self.index_bytes = canonical_json(self.files)
            self.checksum = Checksum.of(self.index_bytes).hex()

    def size(self, store: Storage) -> int | None:
        """Return the bytes of all files, None if a length is unknown."""
        total = 0
        for checksum in self.files.values():
            length = store.buffers.length(Checksum(checksum))
            if length is None:
                return None
            total += length
        return total


def target_results(targets: Sequence[Target], index: dict[str, str], inputs: Collection[str]) -> list[TargetResult]:
    """Return what there is for each target; a pattern gives one result for each name, `inputs` left out."""
    found: list[TargetResult] = []
    for target in targets:
        found += [TargetResult(one, index) for one in _expanded(target, index, {t.name for t in targets} | {*inputs})]
    return found


def _expanded(target: Target, index: dict[str, str], others: set[str]) -> list[Target]:
    from seamless.cli.commandline.data import Target
    from seamless.cli.commandline.results import is_pattern, matches

    if not is_pattern(target.name) or target.name in index:
        return [target]
    depth = target.name.count("/") + 1
    heads = {"/".join(path.split("/")[:depth]) for path in index}
    names = sorted(name for name in heads - others if matches(name, target.name))
    if target.local is None:
        return [Target(name) for name in names] or [target]
    directory = os.path.dirname(target.local)
    return [Target(name, os.path.join(directory, os.path.basename(name))) for name in names] or [target]


def read_index(data: bytes) -> dict[str, str]:
    """Return the index that a result buffer holds."""
    from seamless.celltypes import parse

    index = parse(data, "plain")
    if not isinstance(index, dict):
        raise SeamlessError(f"the result is no index of files, but {type(index).__name__}")
    return index


def write_sidecars(results: Sequence[TargetResult], store: Storage) -> None:
    """Write `L.CHECKSUM` (and `L.INDEX`) of each target; the index buffers are stored, for the next step to find."""
    indices = [
        (Checksum(r.checksum), r.index_bytes) for r in results if r.checksum is not None and r.index_bytes is not None
    ]
    present = store.buffers.has([checksum for checksum, _ in indices])
    missing = [pair for pair, there in zip(indices, present, strict=True) if not there]
    if missing:
        store.buffers.put(missing)
    for result in results:
        if result.checksum is None:
            continue
        if result.index_bytes is not None:
            result.earlier = _earlier_index(result.local)
            replace_file(result.local + ".INDEX", result.index_bytes)
        elif os.path.lexists(result.local + ".INDEX"):
            os.unlink(result.local + ".INDEX")  # left by an earlier result that was a directory
        replace_file(result.local + ".CHECKSUM", result.checksum.encode() + b"\n")


def _earlier_index(local: str) -> dict[str, str]:
    try:
        with open(local + ".INDEX", "rb") as f:
            return read_index(f.read())
    except (OSError, ValueError, SeamlessError):
        return {}  # none, or none that tells anything


def download(
    results: Sequence[TargetResult], store: Storage, limits: DownloadLimits, messages: Messages
) -> dict[str, bool]:
    """Bring the files of each target here; return {local name: done}. Raises CacheMissError, OSError, StoreError.

    Targets above the limits are asked about, or skipped with a message.
    """
    done = {}
    for result in results:
        if result.kind == "absent":
            continue
        done[result.local] = limits.allow(result, store, messages)
        if not done[result.local]:
            continue
        if result.kind == "file":
            _fetch(store, Checksum(result.files[""]), result.local)
            continue
        _clear_old_files(result, messages)
        for path, checksum in result.files.items():
            _fetch(store, Checksum(checksum), os.path.join(result.local, path))
    return done


def _fetch(store: Storage, checksum: Checksum, local: str) -> None:
    """Have the content of `checksum` at `local`, unless it is there already."""
    path = os.path.realpath(local) if os.path.islink(local) else local
    if os.path.isdir(path):
        raise IsADirectoryError(21, "cannot write the result file, a directory is in its place", local)
    if os.path.isfile(path) and is_content(path, checksum, store):
        return
    make_parent(path)
    from seamless.cli.storage import copy_out

    if not copy_out(store.buffers, checksum, path):
        raise CacheMissError(checksum)


def is_content(path: str, checksum: Checksum, store: Storage | None = None) -> bool:
    """Tell whether the file at `path` holds the content of `checksum`."""
    from seamless.cli.running.inputs import raw_checksum

    try:
        if store is not None and os.stat(path).st_size != store.buffers.length(checksum):
            return False
        return raw_checksum(path) == checksum.hex()
    except PermissionError:
        return False


def _clear_old_files(result: TargetResult, messages: Messages) -> None:
    """Prepare a local directory: no file in its place, nothing left of the result before it.

    Files of the earlier result that nobody has changed go; any other file stays, with a warning.
    """
    if not os.path.isdir(result.local):
        if os.path.lexists(result.local):
            raise NotADirectoryError(20, "cannot write the result directory, a file is in its place", result.local)
        return
    from seamless.cli.running.inputs import files_below

    strangers = []
    for path in files_below(result.local):
        key = os.path.relpath(path, result.local)
        if key not in result.files:
            strangers.append(key)
    for key in list(strangers):
        expected = result.earlier.get(key)
        path = os.path.join(result.local, key)
        if expected is not None and is_content(path, Checksum(expected)):
            os.unlink(path)
            strangers.remove(key)
    if strangers:
        more = f" and {len(strangers) - 1} more" if len(strangers) > 1 else ""
        messages.warning(
            f"directory '{result.local}' also holds '{strangers[0]}'{more}, which the result does not have; "
            f"before '{result.local}' is used as an input, remove it or {result.local}.CHECKSUM"
        )


def make_parent(path: str) -> None:
    """Create the directory that `path` is in."""
    parent = os.path.dirname(path)
    if parent:
        os.makedirs(parent, exist_ok=True)


def temporary_name(path: str) -> str:
    """Return a name beside `path` that no other process or thread uses."""
    directory, base = os.path.split(path)
    return os.path.join(directory, f".{base[:100]}.{os.getpid()}-{os.urandom(4).hex()}.tmp")


def replace_file(path: str, data: Any) -> None:
    """Write `data` to `path` by a rename, creating its directory; a file that has this content stays as it is."""
    try:
        with open(path, "rb") as f:
            if f.read(len(data) + 1) == data:
                return
    except FileNotFoundError:
        make_parent(path)
    temporary = temporary_name(path)
    try:
        with open(temporary, "xb") as f:
            f.write(data)
        os.replace(temporary, path)
    except BaseException:
        remove_file(temporary)
        raise
