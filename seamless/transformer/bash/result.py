"""From the file or directory RESULT to the result buffer. Never reads a raw result into memory."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Any

from seamless.celltypes import canonical_json, parse, serialize
from seamless.checksum import Checksum
from seamless.errors import MissingDependencyError
from seamless.transformer.bash.access import BufferAccess
from seamless.transformer.bash.failure import ResultProblem

RESULT = "RESULT"

_NPY_MAGIC = b"\x93NUMPY"
_TEXT_CELLTYPES = ("text", "python", "ipython", "yaml")
_WRITE_ADVICE = "The command must write its result to the file RESULT, or put its files into the directory RESULT."
_KINDS = (
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, "a directory"),
)


def collect_result(directory: str, celltype: str, buffers: BufferAccess) -> Checksum:
    """Add what the command left in `directory` as RESULT; return the checksum of the result in `celltype`.

    Consumes the files. Raises ResultProblem.
    """
    root = os.path.realpath(directory)
    path = os.path.join(root, RESULT)
    if not os.path.lexists(path):
        raise ResultProblem(f"Result file/folder {RESULT} does not exist", _WRITE_ADVICE)
    if os.path.isdir(path):
        return _collect_directory(root, _real_directory(root, path), celltype, buffers)
    return _collect_file(root, path, celltype, buffers)


def _collect_file(root: str, path: str, celltype: str, buffers: BufferAccess) -> Checksum:
    if celltype == "bytes":
        return buffers.add_file(_private_file(root, path))
    if celltype in ("folder", "deepfolder"):
        raise ResultProblem(
            f"Result {RESULT} is a file, but the result celltype {celltype!r} is a directory",
            "Put the files into a directory: mkdir RESULT; mv FILE... RESULT",
        )
    return _add_value(_read_value(root, path, celltype), celltype, buffers)


def _collect_directory(root: str, folder: str, celltype: str, buffers: BufferAccess) -> Checksum:
    paths = sorted(_regular_files(folder))
    if not paths:
        raise ResultProblem(f"Result file/folder {RESULT} is empty", _WRITE_ADVICE)
    if celltype in ("folder", "deepfolder"):
        index = {
            _utf8_name(relative): buffers.add_file(_private_file(root, os.path.join(folder, relative))).hex()
            for relative in paths
        }
        return buffers.add(canonical_json(index))
    if celltype not in ("mixed", "plain", "deepcell"):
        raise ResultProblem(
            f"Result {RESULT} is a directory, but the result celltype {celltype!r} is one file",
            f"Write to a file called {RESULT}, or give the result the celltype 'folder' or 'mixed'.",
        )
    values = {_utf8_name(relative): _read_value(root, os.path.join(folder, relative), celltype) for relative in paths}
    return _add_value(values, celltype, buffers)


# --- files -----------------------------------------------------------------------------------


def _real_directory(root: str, path: str) -> str:
    """Return the directory that RESULT is or links to. Raises ResultProblem if it is not one of the command's own."""
    real = os.path.realpath(path)
    if os.path.commonpath((real, root)) != root or real == root:
        raise ResultProblem(
            f"Result {RESULT} is a link to the directory {os.readlink(path)!r}, which is not inside the workspace",
            "Copy what is wanted into a directory RESULT.",
        )
    return real


def _regular_files(folder: str) -> Iterator[str]:
    """Yield the relative paths of all files below; links to directories are left out. Raises ResultProblem."""
    pending = [""]
    while pending:
        relative = pending.pop()
        with os.scandir(os.path.join(folder, relative)) as entries:
            for entry in entries:
                path = f"{relative}/{entry.name}" if relative else entry.name
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
                elif not entry.is_dir():
                    yield path


def _file_status(root: str, path: str) -> os.stat_result:
    """Return the status of a regular file or of what a link leads to. Raises ResultProblem for anything else."""
    try:
        status = os.stat(path)
    except OSError as exc:
        kind = "a link to nothing" if os.path.islink(path) else f"unreadable ({exc.strerror})"
    else:
        if stat.S_ISREG(status.st_mode):
            return status
        kind = next((text for test, text in _KINDS if test(status.st_mode)), "no file")
    raise ResultProblem(f"Result {os.path.relpath(path, root)} is {kind}", "A result can hold regular files only.")


def _private_file(root: str, path: str) -> str:
    """Return a path of the content that the store may consume: nothing else must refer to that file."""
    status = _file_status(root, path)
    if status.st_nlink == 1 and not os.path.islink(path):
        return path
    import shutil

    copy = os.path.join(root, f".{RESULT}.copy")
    while os.path.lexists(copy):
        copy += "~"
    shutil.copyfile(path, copy)
    return copy


def _utf8_name(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ResultProblem(
            f"Result {RESULT} holds a file whose name is not UTF-8: {os.fsencode(name)!r}", "Rename the file."
        ) from None
    return name


# --- values ----------------------------------------------------------------------------------


def _read_value(root: str, path: str, celltype: str) -> Any:
    """Return the value of a file: array, JSON value, text, or the array of its bytes, whichever fits first."""
    _file_status(root, path)
    with open(path, "rb") as f:
        content = f.read()
    name = os.path.relpath(path, root)
    try:
        if celltype in _TEXT_CELLTYPES:
            return content.decode()
        if content.startswith(_NPY_MAGIC):
            return parse(content, "binary")
    except (TypeError, ValueError) as exc:
        raise ResultProblem(f"Result {name} cannot be read: {exc}", "") from exc
    try:
        text = content.decode()
    except UnicodeDecodeError as exc:
        if celltype == "str":
            raise ResultProblem(f"Result {name} cannot be read: {exc}", "") from exc
        return _byte_array(content)
    try:
        value = parse(content, "plain")
    except (ValueError, RecursionError):
        if celltype == "bool":
            raise ResultProblem(
                f"Result {name} cannot be read as celltype 'bool': {text[:80]!r}", "Write 'true' or 'false'."
            ) from None
        return text
    if celltype == "str" and (isinstance(value, (bool, dict, list)) or value is None):
        # A str result is the text of the file, not Python's spelling of a JSON value.
        return text
    return value


def _byte_array(content: bytes) -> Any:
    try:
        import numpy
    except ImportError:
        raise MissingDependencyError("numpy", extra="arrays", purpose="a binary result of a command") from None
    return numpy.frombuffer(content, dtype=numpy.uint8)


def _add_value(value: Any, celltype: str, buffers: BufferAccess) -> Checksum:
    """Serialise and add a value. Raises ResultProblem if the celltype cannot hold it."""
    try:
        if celltype == "deepcell":
            from seamless.transformer.deliver import pack_deep

            return buffers.add(pack_deep(value, celltype, buffers.add))
        return buffers.add(serialize(value, celltype))
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise ResultProblem(
            f"Result {RESULT} cannot be stored with celltype {celltype!r}: {exc}",
            "Change what the command writes, or the result celltype ('bytes' takes any file).",
        ) from exc
