"""From pins to files and variables of a command: which file holds what, and what `$name` is.

`plan_pins` decides everything that depends on names alone, so that a bad name is refused before anything is
written; `write_pins` then fills a directory.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from seamless.celltypes import parse
from seamless.checksum import Checksum
from seamless.transformer.bash.access import BufferAccess

# A longer value is only in its file, not in a variable.
MAX_VARIABLE_CHARACTERS = 1000

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_NPY_MAGIC = b"\x93NUMPY"
_MIXED_MAGIC = b"\x94SEAMLESS-MIXED"
_BYTE_ARRAY = re.compile(rb"'descr': '[|<=]?u1', 'fortran_order': (?:True|False), 'shape': \(\d+,\)")
# Source code is not parsed, only read as text; the index of a deepcell is JSON.
_READ_AS = {"python": "text", "ipython": "text", "yaml": "text", "deepcell": "plain", "module": "plain"}
_FOLDER_CELLTYPES = ("folder", "deepfolder")

# bash sets these itself: an assignment is refused or without effect, and the command would silently see another value.
_VARIABLES_OF_BASH = frozenset(
    "BASHOPTS BASHPID BASH_ARGC BASH_ARGV BASH_ARGV0 BASH_CMDS BASH_COMMAND BASH_LINENO BASH_SOURCE BASH_SUBSHELL "
    "BASH_VERSINFO DIRSTACK EPOCHREALTIME EPOCHSECONDS EUID FUNCNAME GROUPS HISTCMD LINENO PIPESTATUS PPID RANDOM "
    "SECONDS SHELLOPTS SRANDOM UID _".split()
)
_NAMES_OF_THE_STEP = ("RESULT", "STDOUT", "transform.sh")
# A file with such a name must not change how commands are found or run; as a value pin it is what the user wants.
_NOT_FOR_FILES = _VARIABLES_OF_BASH | frozenset(
    "BASH_ENV ENV HOME IFS LD_LIBRARY_PATH LD_PRELOAD PATH PWD TMPDIR".split()
)


@dataclass(frozen=True)
class PinFile:
    """One file to be written. `celltype` None: the bytes of the buffer as they are; else its value as text."""

    path: str  # relative to the directory, normalised
    pin: str
    checksum: Checksum | None  # None: the null value
    celltype: str | None = None
    compress: bool = False  # give a file called x.gz or x.zst the form that its name promises


@dataclass
class PinPlan:
    """All files, empty directories and fixed variables. Variables are held as words of bash, quoted."""

    files: dict[str, PinFile] = field(default_factory=dict)
    directories: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)


def plan_pins(transformation: Mapping[str, Any], orthogonal: Mapping[str, Any], buffers: BufferAccess) -> PinPlan:
    """Return where each pin goes; of `orthogonal` only the META__ variables count. Reads directory indices only.

    Raises ValueError for a name that is absolute, leaves the directory or is taken, TypeError for a pin without file.
    """
    plan = PinPlan()
    formats = transformation.get("__format__") or {}
    aliases = transformation.get("__as__") or {}
    for pin, entry in _pins(transformation, orthogonal):
        celltype, _, hexadecimal = entry
        checksum = None if hexadecimal is None else Checksum(hexadecimal)
        name = aliases.get(pin, pin)
        form = formats.get(pin) or {}
        filesystem = form.get("filesystem") or {}
        mode = filesystem.get("mode")
        whole = name == "." and mode == "directory"  # the directory of the step itself: `ls .`
        path = "" if whole else _relative_path(name, f"pin {pin!r}")
        if mode == "directory" or (mode is None and celltype in _FOLDER_CELLTYPES):
            if checksum is not None:
                _plan_directory(plan, pin, path, checksum, buffers)
        elif mode == "file":
            if checksum is not None:
                _add_file(plan, PinFile(path, pin, checksum, compress=True))
                if _is_variable(name) and name not in _NOT_FOR_FILES:
                    plan.variables[name] = '"$PWD"/' + shlex.quote(path)
        else:
            _add_file(plan, PinFile(path, pin, checksum, None if celltype == "bytes" else celltype))
            continue
        if checksum is None and not filesystem.get("optional"):
            raise ValueError(f"pin {pin!r} is a {mode or 'directory'}, but it has no checksum: give it a value")
    _check_nesting(plan)
    return plan


def write_pins(plan: PinPlan, directory: str, buffers: BufferAccess) -> dict[str, str]:
    """Write all files below the existing `directory`; return the variables, as quoted words of bash, by name.

    Raises CacheMissError, OSError, TypeError for a pin that has no form as a file, ValueError for one that does not
    parse or cannot be a variable.
    """
    variables = dict(plan.variables)
    made = {directory}
    for relative in plan.directories:
        _make_directory(os.path.join(directory, relative), made)
    for file in plan.files.values():
        path = os.path.join(directory, file.path)
        _make_directory(os.path.dirname(path), made)
        if file.celltype is None and file.checksum is not None:
            buffers.copy_to(file.checksum, path)
            if file.compress:
                _compress_by_name(path)
            continue
        value = _write_value(file, path, buffers)
        if value is not None and _is_variable(file.path):
            if file.path in _VARIABLES_OF_BASH:
                raise ValueError(f"pin {file.pin!r}: bash sets the variable ${file.path} itself; use another name")
            variables[file.path] = shlex.quote(value)
    return variables


def _compress_by_name(path: str) -> None:
    """Compress the file if its name says so: identity and store know the content without compression."""
    from seamless.compression_utils import compress_stream, strip_compression_suffix

    suffix = strip_compression_suffix(path)[1]
    if suffix is None:
        return
    plain = path + ".plain"
    os.rename(path, plain)
    with open(plain, "rb") as source, open(path, "xb") as target:
        compress_stream(source, target, suffix, length=os.fstat(source.fileno()).st_size)
    os.unlink(plain)


def _pins(transformation: Mapping[str, Any], orthogonal: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield (pin, entry) of everything that becomes a file."""
    for pin, entry in transformation.items():
        if pin != "code" and not pin.startswith("__"):
            yield pin, entry
    for pin, entry in orthogonal.items():
        if pin.startswith("META__") and pin not in transformation:
            yield pin, entry


# --- names -----------------------------------------------------------------------------------


def _relative_path(name: str, what: str) -> str:
    """Return `name` as a normalised path below the directory. Raises ValueError."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if "\0" in name:
        problem = "contains a NUL character"
    elif name.startswith("/"):
        problem = "is an absolute path"
    elif ".." in parts:
        problem = "leaves the directory of the step ('..')"
    elif not parts:
        problem = "is empty"
    else:
        return "/".join(parts)
    raise ValueError(f"{what}: the file name {name!r} {problem}; inputs need names below the directory of the step")


def _is_variable(name: str) -> bool:
    return _IDENTIFIER.match(name) is not None


def _add_file(plan: PinPlan, file: PinFile) -> None:
    """Add a file; two pins may name the same one as long as they agree on the content."""
    known = plan.files.setdefault(file.path, file)
    if (known.checksum, known.celltype) != (file.checksum, file.celltype):
        raise ValueError(f"pins {known.pin!r} and {file.pin!r} give different contents for the file {file.path!r}")


def _check_nesting(plan: PinPlan) -> None:
    """Raise ValueError if something must be a file and a directory at once."""
    parents = {parent: path for path in [*plan.files, *plan.directories] for parent in _parents(path)}
    for path, file in plan.files.items():
        if path in parents or path in plan.directories:
            inside = parents.get(path, path)
            raise ValueError(f"pin {file.pin!r} makes {path!r} a file, but {inside!r} needs it as a directory")


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _plan_directory(plan: PinPlan, pin: str, path: str, checksum: Checksum, buffers: BufferAccess) -> None:
    """Add the members of a directory index, and `$name` as the name of the directory."""
    index = parse(buffers.read(checksum), "plain")
    if not isinstance(index, dict):
        raise ValueError(f"pin {pin!r} is a directory, but its buffer {checksum} is not an index of path to checksum")
    if path:
        plan.directories.append(path)
    for member, hexadecimal in index.items():
        inside = _relative_path(member, f"pin {pin!r}, a directory")
        try:
            content = Checksum(hexadecimal)
        except (TypeError, ValueError):
            raise ValueError(f"pin {pin!r}, a directory: the index has no checksum for {member!r}") from None
        if not path and inside.split("/")[0] in _NAMES_OF_THE_STEP:
            raise ValueError(f"pin {pin!r}: the step needs the name {inside!r} for itself; rename or move that file")
        _add_file(plan, PinFile(f"{path}/{inside}" if path else inside, pin, content))
    if _is_variable(path) and path not in _NOT_FOR_FILES:
        plan.variables[path] = shlex.quote(path)


# --- values ----------------------------------------------------------------------------------


def _make_directory(path: str, made: set[str]) -> None:
    if path not in made:
        os.makedirs(path, exist_ok=True)
        made.add(path)


def _write_value(file: PinFile, path: str, buffers: BufferAccess) -> str | None:
    """Write the value of a pin as text or .npy; return what its variable is to hold, None for no variable."""
    if file.checksum is None or file.celltype is None:
        return _write_text(file, path, None)
    if file.celltype in ("mixed", "binary"):
        buffers.copy_to(file.checksum, path)
        return _settle_mixed(file, path)
    content = buffers.read(file.checksum)
    celltype = _READ_AS.get(file.celltype, file.celltype)
    try:
        value = parse(content, celltype)
    except ValueError as exc:
        raise ValueError(f"pin {file.pin!r} cannot be read as celltype {file.celltype!r}: {exc}") from exc
    return _write_text(file, path, value)


def _settle_mixed(file: PinFile, path: str) -> str | None:
    """Turn the copy of a `mixed` or `binary` buffer into the file that a command expects.

    Arrays stay .npy without being read into memory; a byte array is only its bytes; JSON becomes text.
    """
    with open(path, "rb") as f:
        start = f.read(len(_MIXED_MAGIC))
        if start.startswith(_NPY_MAGIC):
            offset = _byte_array_offset(f)
            if offset:
                _drop_start(path, offset)
            return None
        if start == _MIXED_MAGIC:
            raise TypeError(
                f"pin {file.pin!r} has 'mixed-plain' data (arrays inside lists or dicts): no file can hold it"
            )
        if file.celltype == "binary":
            raise TypeError(f"pin {file.pin!r} has celltype 'binary', but its buffer {file.checksum} is no array")
        f.seek(0)
        content = f.read()
    try:
        value = json.loads(content.decode())
    except (ValueError, RecursionError):
        # Arbitrary bytes under the name of `mixed`: they are their own file.
        return None
    return _write_text(file, path, value)


def _byte_array_offset(f: Any) -> int:
    """Return where the data of a one-dimensional uint8 array begin, 0 for any other array."""
    f.seek(len(_NPY_MAGIC))
    version = f.read(2)
    size = 2 if version[:1] == b"\x01" else 4
    length = int.from_bytes(f.read(size), "little")
    header = f.read(min(length, 4096))
    return len(_NPY_MAGIC) + 2 + size + length if _BYTE_ARRAY.search(header) else 0


def _drop_start(path: str, offset: int) -> None:
    """Remove the first `offset` bytes of a file, piece by piece."""
    with open(path, "rb") as source, open(path, "r+b") as target:
        source.seek(offset)
        # Reading is always ahead of writing.
        while chunk := source.read(1024 * 1024):
            target.write(chunk)
        target.truncate()


def _write_text(file: PinFile, path: str, value: Any) -> str | None:
    """Write a JSON-like value; return the text of its variable, None if it has none."""
    variable = None
    if value is None or isinstance(value, (str, bool, int, float)):
        text = str(value)
        stripped = text.rstrip("\n")
        if len(stripped) <= MAX_VARIABLE_CHARACTERS and "\0" not in stripped:
            variable = stripped
        if not text.endswith("\n"):
            text += "\n"
    else:
        text = json.dumps(value)
    try:
        content = text.encode()
    except UnicodeEncodeError as exc:
        raise ValueError(f"pin {file.pin!r} holds a lone surrogate, which no text file can: {exc}") from exc
    with open(path, "wb") as f:
        f.write(content)
    return variable
