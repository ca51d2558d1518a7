"""Input files and directories: their checksums, their agreement with `.CHECKSUM` files, their way into the store.

Hashing never stores anything: a cache hit only reads the inputs.
"""

from __future__ import annotations

import os
import stat

from seamless.checksum import Checksum
from seamless.checksum.sha256 import file_digest
from seamless.cli.commandline.data import PROMISED
from seamless.errors import CacheMissError, SeamlessError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from seamless.cli.commandline.plan import Input
    from seamless.cli.common import Messages
    from seamless.cli.storage import Storage

_SMALL = 1 << 20  # bytes; files up to this size are hashed in one go


class HashedInput:
    """An input and its checksum (hex), which is None for a promised one.

    Of a directory that is here, `index` maps keys and `paths` the paths of its files to their checksums; `raw`: its
    compressed files are taken as they are.
    """

    __slots__ = ("checksum", "index", "kind", "name", "path", "paths", "raw", "size")

    def __init__(self, entry: Input, checksum: str | None, size: int | None):
        self.name, self.kind, self.path = entry.name, entry.kind, entry.path
        self.checksum = checksum
        self.size = size  # bytes on disk; None if only the checksum is known
        self.index: dict[str, str] | None = None
        self.paths: dict[str, str] = {}
        self.raw = False


def hash_inputs(entries: Sequence[Input], messages: Messages) -> list[HashedInput]:
    """Return the inputs with their checksums.

    Raises UsageError when a file cannot be read or contradicts its sidecar.
    """
    try:
        return [_hash_input(entry, messages) for entry in entries]
    except OSError as exc:
        from seamless.cli.common import describe

        raise UsageError(f"cannot read input {describe(exc)}") from exc
    except ValueError as exc:  # a compressed file that is none, two files of one name in an index
        raise UsageError(f"cannot read input: {exc}") from exc


def _hash_input(entry: Input, messages: Messages) -> HashedInput:
    if entry.checksum == PROMISED:
        return HashedInput(entry, None, None)
    if entry.path is None:
        assert entry.checksum is not None
        return HashedInput(entry, entry.checksum, None)
    hashed = _hash_directory(entry, messages) if entry.kind == "directory" else _hash_file(entry, messages)
    if entry.checksum is not None and hashed.checksum != entry.checksum:
        raw = _hash_raw_directory(entry, hashed.size) if entry.kind == "directory" else None
        if raw is None:
            raise UsageError(_disagreement(entry, hashed.checksum))
        return raw
    return hashed


def _disagreement(entry: Input, found: str | None) -> str:
    from seamless.compression_utils import strip_compression_suffix

    assert entry.path is not None
    base = strip_compression_suffix(entry.path.rstrip("/"))[0]
    return (
        f"Argument exists as {entry.kind} and .CHECKSUM file, but the checksums are not the same:\n"
        f"  {entry.path} has {found}\n"
        f"  {base}.CHECKSUM says {entry.checksum}\n"
        f"If the {entry.kind} is right, delete {base}.CHECKSUM"
        + (f" and {base}.INDEX" if entry.kind == "directory" else "")
        + f"; if the .CHECKSUM file is right, delete the {entry.kind}."
    )


def _hash_file(entry: Input, messages: Messages) -> HashedInput:
    """Hash the (decompressed) content; small files in one go, others in the constant memory of `hash_file`."""
    from seamless.compression_utils import strip_compression_suffix

    path = entry.path
    assert path is not None
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        kind = "a directory" if stat.S_ISDIR(status.st_mode) else "no regular file"
        raise UsageError(f"cannot use input '{path}': it is {kind}; an input must be a file or directory with content")
    if status.st_size <= _SMALL and strip_compression_suffix(path)[1] is None:
        with open(path, "rb", buffering=0) as f:
            data = f.readall()
        return HashedInput(entry, Checksum.of(data).hex(), len(data))
    from seamless.util.directory_index import hash_file

    with messages.progress(f"hash {path}", status.st_size) as progress:
        return HashedInput(entry, hash_file(path, progress=progress.update), status.st_size)


def _hash_directory(entry: Input, messages: Messages) -> HashedInput:
    from seamless.util.directory_index import index_bytes, index_members, list_directory

    assert entry.path is not None
    members = list_directory(entry.path)
    size = sum(member.size for member in members)
    with messages.progress(f"hash {entry.path}", size) as progress:
        index = index_members(members, progress=progress.update)
    hashed = HashedInput(entry, Checksum.of(index_bytes(index)).hex(), size)
    hashed.index = index
    hashed.paths = {member.path: index[member.key] for member in members}
    return hashed


def files_below(path: str) -> list[str]:
    """Return the files below `path`; links to directories are left out."""
    found = []
    for directory, _, names in os.walk(path):
        found += [os.path.join(directory, name) for name in names]
    return [name for name in found if not os.path.isdir(name)]


def _hash_raw_directory(entry: Input, size: int | None) -> HashedInput | None:
    """Return the input if the directory is what its sidecar says when compressed files are taken as they are.

    So it is with the results of a command: a file `x.gz` made by a command is kept byte for byte.
    """
    from seamless.celltypes import parse

    assert entry.path is not None and entry.checksum is not None
    directory = entry.path.rstrip("/")
    try:
        with open(directory + ".INDEX", "rb") as f:
            data = f.read()
    except FileNotFoundError:
        return None
    if Checksum.of(data).hex() != entry.checksum:
        return None
    index: dict[str, str] = parse(data, "plain")
    paths = {os.path.join(directory, key): checksum for key, checksum in index.items()}
    if set(files_below(directory)) != set(paths) or any(raw_checksum(path) != paths[path] for path in paths):
        return None
    hashed = HashedInput(entry, entry.checksum, size)
    hashed.index, hashed.paths, hashed.raw = index, paths, True
    return hashed


def raw_checksum(path: str) -> str:
    """Return the checksum of the bytes of a file, whatever its name."""
    with open(path, "rb", buffering=0) as f:
        return file_digest(f).hex()


# --- into the store -------------------------------------------------------------------------------


def store_inputs(inputs: Sequence[HashedInput], store: Storage, *, again: bool = False) -> tuple[int, int]:
    """Store what is not stored yet; return the number of new buffers and their bytes.

    `again`: store also what seems to be there (after a corrupted buffer was found).
    Raises UsageError for an input known only by a checksum whose buffer nobody has, SeamlessError for a file that
    changes meanwhile, StoreError.
    """
    count = total = 0
    for entry in inputs:
        if entry.checksum is None:
            continue
        if entry.path is None:
            _require(entry, store)
            continue
        if entry.index is not None:
            from seamless.util.directory_index import index_bytes

            store.buffers.put([(Checksum(entry.checksum), index_bytes(entry.index))])
        members = {entry.path: entry.checksum} if entry.kind == "file" else entry.paths
        present = [False] * len(members) if again else store.buffers.has([Checksum(c) for c in members.values()])
        for (path, checksum), there in zip(members.items(), present, strict=True):
            if not there:
                total += _ingest(store, path, checksum, raw=entry.raw)
                count += 1
    return count, total


def _ingest(store: Storage, path: str, checksum: str, *, raw: bool) -> int:
    from seamless.cli.storage import take_in
    from seamless.compression_utils import open_decompressed, strip_compression_suffix

    suffix = None if raw else strip_compression_suffix(path)[1]
    if suffix is None:
        found, length = take_in(store.buffers, path)
    else:
        with open_decompressed(path, suffix) as f:
            found, length = take_in(store.buffers, f)
    if found.hex() != checksum:
        raise SeamlessError(
            f"input '{path}' has changed while it was read ({checksum[:12]}.. -> {found.hex()[:12]}..): "
            "run the command again when nobody writes the file"
        )
    return length


def _require(entry: HashedInput, store: Storage) -> None:
    """Raise UsageError unless the content of an input that is known by its checksum only can be had."""
    assert entry.checksum is not None
    checksum = Checksum(entry.checksum)
    if entry.kind == "file":
        if not store.buffers.has([checksum])[0] and not _recomputed(checksum):
            raise UsageError(
                f"input '{entry.name}' exists only as {entry.name}.CHECKSUM, and its content ({checksum}) is not in "
                f"{store.buffers.name}: bring back the file itself, or run the step that made it again"
            )
        return
    data = store.buffers.get(checksum) or _index_from_sidecar(entry, store) or _recomputed(checksum)
    if data is None:
        raise UsageError(
            f"input '{entry.name}' exists only as {entry.name}.CHECKSUM, and its index ({checksum}) is not in "
            f"{store.buffers.name}: bring back the directory itself, or run the step that made it again"
        )
    from seamless.celltypes import parse

    index: dict[str, str] = parse(data, "plain")
    present = store.buffers.has([Checksum(c) for c in index.values()])
    gone = [name for name, there in zip(index, present, strict=True) if not there]
    if gone:
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        raise UsageError(
            f"input '{entry.name}': the content of '{entry.name}/{gone[0]}'{more} is not in {store.buffers.name}: "
            "bring back the directory itself, or run the step that made it again"
        )


def _recomputed(checksum: Checksum) -> bytes | None:
    """Return the bytes of a result that is known but not kept, by computing it again; None if that is impossible."""
    from seamless.transformer.recompute import recompute

    try:
        content: bytes = recompute(checksum).content
    except CacheMissError:
        return None
    return content


def _index_from_sidecar(entry: HashedInput, store: Storage) -> bytes | None:
    """Store and return the index that `NAME.INDEX` holds, if it is the right one."""
    try:
        with open(entry.name + ".INDEX", "rb") as f:
            data = f.read()
    except OSError:
        return None
    if Checksum.of(data).hex() != entry.checksum:
        return None
    store.buffers.put([(Checksum(entry.checksum), data)])
    return data
