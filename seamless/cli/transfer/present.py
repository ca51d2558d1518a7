"""What is here before a download: files that need not be fetched, files in the way, files that do not belong there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from seamless.checksum import Checksum
from seamless.cli.common import describe
from seamless.cli.running.inputs import files_below
from seamless.cli.transfer.files import has_content, is_special, same_file
from seamless.errors import SeamlessError

if TYPE_CHECKING:
    from seamless.cli.transfer.wanted import DownloadTarget
    from seamless.session import BufferStore

_ADVICE = "--dest-repair replaces it, --dest-skip keeps it"


class Present:
    """Compares local files with what they are to be.

    `policy`: "skip" trusts them, "repair" has those with other content replaced; otherwise they are an error.
    `incremental`: a file that the store shares is taken for right without reading it.
    """

    def __init__(self, store: BufferStore, policy: str | None, *, incremental: bool):
        self._store, self._policy, self._incremental = store, policy, incremental

    def look(self, target: DownloadTarget) -> None:
        """Divide the files of a target into those that are here (`done`) and those to fetch (`pending`)."""
        for key, checksum in target.files.items():
            path = target.path(key)
            try:
                is_here = os.path.lexists(path) and not is_special(path) and self._stays(path, checksum, target.suffix)
            except (SeamlessError, OSError) as exc:
                target.fail_file(path, describe(exc))
                continue
            if is_here:
                target.done += 1
            else:
                target.pending[key] = checksum

    def _stays(self, path: str, checksum: str, suffix: str | None) -> bool:
        if os.path.isdir(path):
            raise SeamlessError("a directory is in its place")
        if self._policy == "skip":
            return True
        if self._incremental and self._is_shared(path, checksum):
            return True
        if os.path.exists(path) and has_content(path, checksum, self._length(checksum, suffix), suffix):
            return True
        if self._policy == "repair":
            return False
        raise SeamlessError(f"it is there with other content; {_ADVICE}")

    def _length(self, checksum: str, suffix: str | None) -> int | None:
        return self._store.length(Checksum(checksum)) if suffix is None else None

    def _is_shared(self, path: str, checksum: str) -> bool:
        from seamless.cli.storage import as_directory
        from seamless.cli.transfer.linking import layout_of
        from seamless.stores.layout import FORMS

        directory = as_directory(self._store)
        if directory is None:
            return False
        base = layout_of(directory).base(checksum)
        return any(same_file(path, base + form) for form in FORMS)


def strangers(target: DownloadTarget, *, sidecars: bool) -> list[str]:
    """Return the files below a local directory that the index does not have.

    `sidecars`: also the `.CHECKSUM` files of those that it has.
    """
    if target.kind != "directory" or not os.path.isdir(target.local):
        return []
    expected = {target.path(key) for key in target.files}
    if not sidecars:
        expected |= {os.path.join(target.local, key) + ".CHECKSUM" for key in target.files}
    return sorted(path for path in files_below(target.local) if path not in expected)


def remove_strangers(target: DownloadTarget) -> int:
    """Delete what `strangers` finds, and the directories that are empty then; return the number of files."""
    found = strangers(target, sidecars=True)
    for path in found:
        os.unlink(path)
    root = os.path.normpath(target.local)
    for directory in sorted({os.path.dirname(path) for path in found}, key=len, reverse=True):
        while os.path.normpath(directory) != root and not os.listdir(directory):
            os.rmdir(directory)
            directory = os.path.dirname(directory)
    return len(found)
