"""Write a dict of path -> value as a tree of files, as `folder` and `deepfolder` are delivered on disk.

Never writes or deletes outside the directory, whatever the paths say and whatever links are in the way.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from seamless.checksum import Checksum
from seamless.compression_utils import SUFFIXES, compress_bytes
from seamless.errors import CacheMissError
from seamless.util.files import write_atomically
from seamless.util.safe_paths import SafeRoot, check_keys, remove


def write_to_directory(
    directory: str | os.PathLike[str],
    data: Mapping[str, Any],
    *,
    cleanup: bool,
    deep: bool,
    text_only: bool,
    compression_suffix: str | None = None,
    resolve: Callable[[Checksum], Any] | None = None,
) -> None:
    """Write each value of `data` to its path below `directory`, which is created if missing. Blocks.

    deep: the values are checksums, looked up with `resolve` (default: the active stores). Otherwise a Buffer
    or bytes are written as they are, str as `text`, anything else as `mixed`.
    text_only: leave out values that are not UTF-8 text; write the others without the final newline.
    compression_suffix: compress each file and append this suffix to its name.
    cleanup: then delete everything else in `directory`; a file in the place of a directory is replaced.

    Raises UsageError for an unsafe path before anything is written, CacheMissError for an unknown checksum;
    nothing has been cleaned up then.
    """
    if compression_suffix is not None and compression_suffix not in SUFFIXES:
        raise ValueError(f"unknown compression suffix {compression_suffix!r}; known are {', '.join(SUFFIXES)}")
    names = {key: key + (compression_suffix or "") for key in _checked(data)}
    check_keys(names.values())
    root = SafeRoot(directory)
    for key, name in names.items():
        content = _resolved(data[key], resolve) if deep else _content(data[key])
        if text_only:
            text = _as_text(content)
            if text is None:
                continue
            content = text
        path = root.place(name, replace=cleanup)
        write_atomically(path, content if compression_suffix is None else compress_bytes(content, compression_suffix))
    if cleanup:
        _clean(root.path, names.values())


def _checked(data: Mapping[str, Any]) -> list[str]:
    keys = list(data)
    check_keys(keys)
    return keys


def _resolved(value: Any, resolve: Callable[[Checksum], Any] | None) -> Any:
    """Return the bytes behind a checksum."""
    checksum = Checksum(value)
    found = checksum.resolve() if resolve is None else resolve(checksum)
    if found is None:
        raise CacheMissError(checksum)
    return getattr(found, "content", found)


def _content(value: Any) -> Any:
    """Return the bytes that stand for a value."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return value
    from seamless.buffer import Buffer
    from seamless.celltypes import serialize

    if isinstance(value, Buffer):
        return value.content
    return serialize(value, "text" if isinstance(value, str) else "mixed")


def _as_text(content: Any) -> bytes | None:
    """Return UTF-8 text without its final newlines, or None if it is not text."""
    data = bytes(content)
    try:
        data.decode()
    except UnicodeDecodeError:
        return None
    return data.rstrip(b"\n")


def _clean(root: str, names: Any) -> None:
    """Delete what is neither one of the files `names` nor a directory above one."""
    kept: set[str] = set()
    for name in names:
        while name:
            kept.add(name)
            name = name.rpartition("/")[0]
    pending = [""]
    while pending:
        prefix = pending.pop()
        with os.scandir(os.path.join(root, prefix)) as entries:
            for entry in list(entries):
                relative = f"{prefix}/{entry.name}" if prefix else entry.name
                if relative not in kept:
                    remove(entry.path)
                elif entry.is_dir(follow_symlinks=False):
                    pending.append(relative)
