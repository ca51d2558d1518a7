"""The private directory of one execution: made in the temporary directory, gone afterwards, whatever is in it."""

from __future__ import annotations

import os
import stat
from types import TracebackType

PREFIX = "seamless-bash-transformer"

_ATTEMPTS = 4


class Workspace:
    """A context manager; `directory` is where the command runs. Its name tells the process that has made it."""

    def __init__(self) -> None:
        import tempfile

        # TMPDIR of this moment: `tempfile` remembers the one of its first use.
        parent = os.environ.get("TMPDIR")
        parent = parent if parent and os.path.isdir(parent) else None
        self.directory = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent)
        self._script: str | None = None

    def add_script(self, text: str, *, name: str, taken: bool) -> str:
        """Write the script as `name`, or beside the directory if an input has `taken` that name; return its path."""
        path = name if not taken else self.directory + ".sh"
        full = os.path.join(self.directory, path)
        if taken:
            self._script = full
        write_script(full, text)
        return path

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for path in (self._script, self.directory):
            try:
                if path is not None:
                    remove(path)
            except OSError as exc:
                # What the step did is not undone by rubbish that it left.
                import logging

                logging.getLogger(__name__).warning("cannot remove the temporary %s: %s", path, exc)


def write_script(path: str, text: str) -> None:
    """Write an executable file."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755), "wb") as f:
        f.write(text.encode(errors="surrogateescape"))


def left_behind(pid: int) -> list[str]:
    """Return the directories that a process which has ended has left in the temporary directory of this one."""
    import tempfile

    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        parent = os.environ.get("TMPDIR") or tempfile.gettempdir()
        names = os.listdir(parent) if os.path.isdir(parent) else []
        return [os.path.join(parent, name) for name in names if name.startswith(f"{PREFIX}{pid}-")]
    except PermissionError:
        return []  # the number is that of a process of somebody else now
    return []


def remove(path: str) -> None:
    """Remove a file or a whole tree, also with directories that may not be written; links are never followed.

    Raises OSError if something stays.
    """
    import shutil

    if not os.path.isdir(path) or os.path.islink(path):
        os.unlink(path)
        return
    for attempt in range(_ATTEMPTS):
        try:
            shutil.rmtree(path)
            return
        except FileNotFoundError:
            if not os.path.lexists(path):
                return
        except OSError:
            # A read-only directory, or a process that escaped its group and still writes.
            if attempt == _ATTEMPTS - 1:
                raise
            _make_writable(path)


def _make_writable(path: str) -> None:
    """Give the owner all rights to every directory of a tree."""
    pending = [path]
    while pending:
        directory = pending.pop()
        mode = os.lstat(directory).st_mode
        if not stat.S_ISDIR(mode):
            continue
        if mode & 0o700 != 0o700:
            os.chmod(directory, mode | 0o700)
        with os.scandir(directory) as entries:
            pending += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
