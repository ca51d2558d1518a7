"""Files into a store: small ones in groups, large ones as streams, a few at a time.

A file that cannot be read, or changes meanwhile, is an error of its item; a store that fails ends the work.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from seamless.checksum import Checksum
from seamless.cli.common import describe
from seamless.cli.storage import as_directory, put_file, take_in
from seamless.errors import BufferCorruptionError, CacheMissError, SeamlessError, StoreError
from seamless.stores.verify import state_of

if TYPE_CHECKING:
    from seamless.cli.common import Progress
    from seamless.cli.transfer.items import Item
    from seamless.session import BufferStore

_SMALL = 1 << 20  # bytes; such files are stored in groups
_GROUP_FILES, _GROUP_BYTES = 64, 1 << 24
_WORKERS = 4


class Stopped(SeamlessError):
    """The command was interrupted while a file was read."""


class Sender:
    """Stores items. `mode`: "copy", or "hardlink" or "symlink" into a buffer directory of this machine."""

    def __init__(self, store: BufferStore, mode: str, progress: Progress):
        self.stopped = False
        self._store, self._mode, self._progress = store, mode, progress
        self._directory = as_directory(store)

    def send(self, items: Iterable[Item]) -> None:
        """Store the items. Raises StoreError, KeyboardInterrupt."""
        from seamless.remote.parallel import for_each

        for_each(self._send_or_stop, self._groups(items), _WORKERS)

    def _groups(self, items: Iterable[Item]) -> Iterator[list[Item]]:
        from seamless.util.gathering import gathered

        return gathered(items, lambda i: i.size, self._is_alone, most=_GROUP_FILES, most_bytes=_GROUP_BYTES)

    def _is_alone(self, item: Item) -> bool:
        return item.size > _SMALL or item.suffix is not None or self._mode != "copy" or not item.checksum

    def _send_or_stop(self, group: list[Item]) -> None:
        try:
            self._send_group(group)
        except BaseException:
            self.stopped = True  # threads that still read a file end soon
            raise

    def _send_group(self, group: list[Item]) -> None:
        if len(group) == 1 and self._is_alone(group[0]):
            self._send_one(group[0])
            return
        self._store.put(self._read(group))
        for item in group:
            if item.error is None:
                self._done(item)

    def _read(self, group: Sequence[Item]) -> Iterator[tuple[Checksum, bytes]]:
        """Give what is in the files, as long as it is what was hashed."""
        for item in group:
            try:
                with open(item.path, "rb", buffering=0) as file:
                    data = file.readall()
            except OSError as exc:
                item.error = describe(exc)
                continue
            checksum = Checksum.of(data)
            if checksum.hex() != item.checksum:
                item.error = changed(item.path)
                continue
            yield checksum, data

    def _send_one(self, item: Item) -> None:
        try:
            if self._mode != "copy":
                from seamless.cli.transfer.linking import link_in

                assert self._directory is not None
                link_in(self._directory, item, self._mode)
            elif item.suffix is not None:
                self._send_compressed(item)
            elif item.checksum and self._directory is None:
                put_file(self._store, Checksum(item.checksum), item.path)
            else:
                self._send_file(item)
        except BufferCorruptionError:
            item.error = changed(item.path)
        except StoreError:
            raise
        except (SeamlessError, OSError, ValueError) as exc:
            item.error = describe(exc)
        else:
            self._done(item)

    def _send_file(self, item: Item) -> None:
        with _Counted(item.path, self) as file:
            checksum, _ = take_in(self._store, file)
        self._found(item, checksum)
        self._progress.update(-file.counted)  # all of it is counted at the end

    def _found(self, item: Item, checksum: Checksum) -> None:
        if item.checksum and checksum.hex() != item.checksum:
            raise SeamlessError(changed(item.path))
        if state_of(os.stat(item.path)) != item.state:
            raise SeamlessError(changed(item.path))
        item.checksum = checksum.hex()

    def _send_compressed(self, item: Item) -> None:
        """Store a compressed file: as it is in a directory of this machine, decompressed elsewhere."""
        assert item.suffix is not None
        if self._directory is not None:
            from seamless.cli.transfer.linking import copy_compressed

            copy_compressed(self._directory, item)
            return
        from seamless.compression_utils import open_decompressed

        with open_decompressed(item.path, item.suffix) as file:
            checksum, _ = take_in(self._store, file)
        self._found(item, checksum)

    def count(self, amount: int) -> None:
        """Count bytes read of a file that is on its way. Raises Stopped after an interruption."""
        if self.stopped:
            raise Stopped("interrupted")
        self._progress.update(amount)

    def _done(self, item: Item) -> None:
        item.stored = True
        self._progress.update(item.size)


class _Counted(io.FileIO):
    """A file whose reading shows in the progress, and ends when the command is interrupted."""

    def __init__(self, path: str, sender: Sender):
        super().__init__(path)
        self.counted = 0
        self._sender = sender

    def readinto(self, buffer: Any) -> int:
        n = super().readinto(buffer) or 0
        self._sender.count(n)
        self.counted += n
        return n


def changed(path: str) -> str:
    """Return the message for a file that is not what it was a moment ago."""
    return f"{path!r} has changed while it was read: upload it again when nobody writes it"


def verify_stored(store: BufferStore, checksum: Checksum) -> None:
    """Return if the store has the buffer and its bytes are right. Reads them, unless they were verified just now.

    Raises BufferCorruptionError, CacheMissError, StoreError.
    """
    path_of = getattr(store, "path_of", None)
    if path_of is not None and path_of(checksum) is not None:
        return
    file = store.open(checksum)
    if file is None:
        raise CacheMissError(checksum, asked=(store.name,))
    file.close()
