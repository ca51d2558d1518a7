"""The checksums of the files to upload. Large files that are most likely new are left for the moment of storing.

A file is then read once, hashed while it is copied. Which files are likely new: those no sidecar knows a stored buffer
for, and in a directory those that come after the first that was not stored (an interrupted upload stored the others).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from seamless.checksum import Checksum
from seamless.cli.common import describe
from seamless.errors import SeamlessError
from seamless.stores.layout import FORMS
from seamless.stores.verify import state_of
from seamless.util.directory_index import hash_file, index_members, list_directory

if TYPE_CHECKING:
    from seamless.cli.common import Progress
    from seamless.cli.transfer.items import Item, UploadTarget
    from seamless.session import BufferStore

LARGE = 1 << 22  # bytes; smaller files are read twice rather than stored unhashed


class Hashing:
    """Finds the checksums of items.

    `defer`: large files may be left out. `place`: where a store of this machine has a buffer (checksum, form), if
    files that share an inode with it need not be read.
    """

    def __init__(
        self,
        store: BufferStore,
        progress: Progress,
        *,
        defer: bool,
        place: Callable[[str, str], str] | None = None,
    ):
        self._store, self._progress = store, progress
        self._defer, self._place = defer, place
        self._found_new = False

    def hash_target(self, target: UploadTarget) -> None:
        """Hash the items of a target; what goes wrong is in its `problems`."""
        self._found_new = target.kind == "file"
        try:
            if target.kind == "file":
                self._hash(target.items[0])
                return
            items = {item.path: item for item in target.items}
            members = [m for m in list_directory(target.path) if m.path in items]
            index_members(members, hash_file=lambda path: self._hash(items[path]))
        except (SeamlessError, OSError, ValueError) as exc:
            target.fail(describe(exc))

    def _hash(self, item: Item) -> str:
        """Hash one item; called from two threads."""
        item.state = state_of(os.stat(item.path))
        if item.hint and self._place is not None and self._is_in_place(item):
            item.checksum, item.stored = item.hint, True
        elif not self._left_for_later(item):
            item.checksum = hash_file(item.path, progress=self._progress.update if self._progress.enabled else None)
            if item.size > LARGE and not self._has(item.checksum):
                self._found_new = True
        return item.checksum

    def _is_in_place(self, item: Item) -> bool:
        assert self._place is not None and item.state is not None
        for form in FORMS:
            try:
                status = os.stat(self._place(item.hint, form))
            except OSError:
                continue
            if (status.st_dev, status.st_ino) == item.state[:2]:
                return True
        return False

    def _left_for_later(self, item: Item) -> bool:
        if not self._defer or item.suffix is not None or item.size <= LARGE or not self._found_new:
            return False
        return not (item.hint and self._has(item.hint))

    def _has(self, checksum: str) -> bool:
        return self._store.has([Checksum(checksum)])[0]
