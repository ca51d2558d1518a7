"""Buffers out of a store into local files: copied, linked or compressed, a few at a time.

Nothing is written outside the directory of a target, whatever its index says. A file appears complete or not at all.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any, cast

from seamless.checksum import Checksum
from seamless.cli.common import describe
from seamless.cli.storage import as_directory, copy_out
from seamless.cli.transfer.files import is_special, replacing, temporary_beside
from seamless.errors import BufferCorruptionError, SeamlessError, StoreError
from seamless.stores.filesystem import remove_file
from seamless.util.safe_paths import SafeRoot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from seamless.cli.common import Progress
    from seamless.cli.storage import Storage
    from seamless.cli.transfer.wanted import DownloadTarget

_WORKERS = 4


class Fetcher:
    """Fetches what is pending in targets. `mode`: "copy", or "hardlink" or "symlink" to the buffers in a directory."""

    def __init__(self, storage: Storage, mode: str, progress: Progress):
        self.files = self.bytes = 0
        self._storage, self._mode, self._progress = storage, mode, progress

    def fetch(self, targets: Iterable[DownloadTarget]) -> None:
        """Fetch; a file that cannot be had or written is a problem of its target. Raises StoreError."""
        from seamless.remote.parallel import for_each

        for_each(lambda job: self._fetch_one(*job), self._jobs(targets), _WORKERS)

    def _jobs(self, targets: Iterable[DownloadTarget]) -> Iterator[tuple[DownloadTarget, str, str]]:
        """Give the path of each file, with the directories that lead to it made. Called by one thread at a time."""
        for target in targets:
            root: SafeRoot | None = None
            try:
                if target.kind == "directory":
                    root = SafeRoot(target.local)
                elif parent := os.path.dirname(target.local):
                    os.makedirs(parent, exist_ok=True)
            except OSError as exc:
                target.fail(describe(exc))
                continue
            for key, checksum in target.pending.items():
                try:
                    path = root.place(key + (target.suffix or "")) if root else _through(target.path(""))
                except (SeamlessError, OSError) as exc:
                    target.fail_file(target.path(key), describe(exc))
                    continue
                yield target, path, checksum

    def _fetch_one(self, target: DownloadTarget, path: str, checksum: str) -> None:
        try:
            self._bring(path, Checksum(checksum), target)
        except StoreError:
            raise
        except (SeamlessError, OSError) as exc:
            target.fail_file(path, describe(exc))
            return
        length = target.lengths.get(checksum) or 0
        target.done += 1
        self.files += 1
        self.bytes += length
        self._progress.update(length)

    def _bring(self, path: str, checksum: Checksum, target: DownloadTarget) -> None:
        if os.path.islink(path) and target.kind == "directory":
            os.unlink(path)  # a file takes the place of a link; nothing is written through it
        if self._mode != "copy" and not is_special(path):
            self._link(path, checksum, target.suffix)
            return
        if target.suffix is not None:
            self._compress(path, checksum, target.suffix)
        elif not copy_out(self._storage.buffers, checksum, path):
            raise self._absent(checksum)

    def _absent(self, checksum: Checksum) -> SeamlessError:
        return SeamlessError(f"its content {checksum} is not in {self._storage.where}")

    def _compress(self, path: str, checksum: Checksum, suffix: str) -> None:
        from seamless.compression_utils import compress_stream

        stream = self._storage.buffers.open(checksum)
        if stream is None:
            raise self._absent(checksum)
        with stream, replacing(path) as file:
            compress_stream(stream, cast(Any, file), suffix, length=self._storage.buffers.length(checksum))

    def _link(self, path: str, checksum: Checksum, suffix: str | None) -> None:
        source = self._form(checksum, suffix)
        temporary = temporary_beside(path)
        try:
            if self._mode == "symlink":
                os.symlink(source, temporary)
            else:
                os.link(os.path.realpath(source), temporary)
            os.replace(temporary, path)
        except OSError as exc:
            if exc.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
                raise SeamlessError(
                    f"it cannot be a link into {self._storage.where}: {exc.strerror}; use --copy"
                ) from exc
            raise
        finally:
            remove_file(temporary)  # still there when both are links to one file, and after an error

    def _form(self, checksum: Checksum, suffix: str | None) -> str:
        """Return the path of the verified form of a buffer that a link is to lead to."""
        directory = as_directory(self._storage.buffers)
        assert directory is not None
        path = directory.path_of(checksum) if suffix is None else None
        if path is not None:
            return path
        stream = directory.open(checksum)  # verifies whichever form there is
        if stream is None:
            raise self._absent(checksum)
        stream.close()
        if suffix is not None:
            from seamless.cli.transfer.linking import layout_of

            path = layout_of(directory).base(checksum.hex()) + suffix
            if os.path.isfile(path):
                return path
        form = "plain" if suffix is None else suffix
        raise SeamlessError(f"{checksum} is not stored in the {form} form that a link could lead to; use --copy")


def _through(path: str) -> str:
    """Return the file that is to be written: behind a link, as the user has put it there."""
    return os.path.realpath(path) if os.path.islink(path) else path


def write_to_stdout(storage: Storage, target: DownloadTarget) -> None:
    """Write the content of a file target to standard output. Raises SeamlessError if it cannot be had."""
    import sys

    from seamless.cli.common import write_stdout

    checksum = Checksum(target.checksum)
    try:
        stream = storage.buffers.open(checksum)
    except BufferCorruptionError as exc:
        raise SeamlessError(f"cannot download {target.name!r}: {exc}") from exc
    if stream is None:
        target.lose("", storage.where)
        raise SeamlessError(target.problems[0])
    with stream:
        if target.suffix is None:
            while chunk := stream.read(1 << 20):
                write_stdout(chunk)
            return
        from seamless.compression_utils import compress_stream

        compress_stream(stream, cast(Any, sys.stdout.buffer), target.suffix, length=storage.buffers.length(checksum))
