"""The helpers and the guard as one file that any Python from 3.10 on can run: for machines with nothing but Python.

`python3 FILE rhl-ps ...` runs a helper; under the name `rhl-ps` (a link or a copy) the file is that helper;
`python3 FILE install --bin DIR` makes the links. The same sources give the same bytes.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator

import seamless.launcher

FILE_NAME = "remote-http-launcher.pyz"
# What the launcher takes from the rest of the package.
_OTHERS = ("errors.py", "version.py", "util/__init__.py", "util/files.py")
_PACKAGE = b'"""The part of Seamless that the launcher needs."""\n'
_FIRST_LINE = b"#!/usr/bin/env python3\n"
_MAX_FIRST_LINE = 127  # bytes that every kernel reads
_START = b"""\
import sys
if sys.version_info < (3, 10):
    sys.exit("Python 3.10 or newer is needed to run %s; this is %s" % (sys.argv[0], sys.version.split()[0]))
from seamless.launcher.helpers.main import main_of_file
sys.exit(main_of_file(sys.argv))
"""
_EPOCH = (1980, 1, 1, 0, 0, 0)


@functools.cache
def build() -> bytes:
    """Return the content of the file. Raises OSError if the sources cannot be read."""
    archive = _own_archive()
    if archive is not None:
        with open(archive, "rb") as f:
            return f.read()
    return _packed(_FIRST_LINE, dict(_members()))


def compiled(content: bytes) -> bytes:
    """Return the file for the Python that runs this: it starts that one, and sooner, for its byte code is in it."""
    import io
    import marshal
    import zipfile
    from importlib.util import MAGIC_NUMBER, source_hash

    with zipfile.ZipFile(io.BytesIO(content)) as file:
        members = {name: file.read(name) for name in file.namelist() if name.endswith(".py")}
    for name, source in list(members.items()):
        code = marshal.dumps(compile(source, name, "exec", dont_inherit=True))
        # Flag 1: it is not compared with the source, which cannot change within a file.
        members[f"{name}c"] = MAGIC_NUMBER + (1).to_bytes(4, "little") + source_hash(source) + code
    first = os.fsencode(f"#!{sys.executable}\n")
    usable = len(first) <= _MAX_FIRST_LINE and len(first.split()) == 1 and sys.executable.startswith("/")
    return _packed(first if usable else _FIRST_LINE, members)


def _packed(first_line: bytes, members: dict[str, bytes]) -> bytes:
    import io
    import zipfile

    target = io.BytesIO()
    target.write(first_line)
    with zipfile.ZipFile(target, "a") as file:
        for name, data in sorted(members.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # unix, whatever this is
            file.writestr(entry, data)
    return target.getvalue()


def _own_archive() -> str | None:
    """Return the single file that this module is in, or None."""
    loader = seamless.launcher.__spec__.loader
    archive = getattr(loader, "archive", None)
    return archive if isinstance(archive, str) else None


def _members() -> Iterator[tuple[str, bytes]]:
    yield "__main__.py", _START
    yield "seamless/__init__.py", _PACKAGE
    top = os.path.dirname(os.path.dirname(os.path.abspath(seamless.launcher.__file__)))
    names = list(_OTHERS)
    for directory, below, files in os.walk(os.path.join(top, "launcher")):
        below.sort()
        names += [os.path.relpath(os.path.join(directory, name), top) for name in files if name.endswith(".py")]
    for name in names:
        with open(os.path.join(top, name), "rb") as f:
            yield f"seamless/{name}", f.read()


def install(directory: str, content: bytes, names: tuple[str, ...]) -> list[str]:
    """Put the file into `directory` with a link to it for each of `names`; return the paths.

    Raises LauncherError if something else has one of the names, OSError if the directory cannot be written.
    """
    from seamless.launcher.errors import LauncherError
    from seamless.util.files import write_atomically

    os.makedirs(directory, exist_ok=True)
    links = [os.path.join(directory, name) for name in names]
    for link in links:
        if os.path.lexists(link) and not (os.path.islink(link) and os.path.basename(os.readlink(link)) == FILE_NAME):
            raise LauncherError(f"{link} is something else", hint="remove it, or choose another directory")
    path = os.path.join(directory, FILE_NAME)
    write_atomically(path, content, mode=0o755)
    for link in links:
        if not os.path.lexists(link):
            os.symlink(FILE_NAME, link)
    return [path, *links]
