"""`--move`: delete the originals of an upload, after the store has shown that it has every one of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from seamless.checksum import Checksum
from seamless.cli.common import describe
from seamless.cli.transfer.sending import verify_stored
from seamless.errors import BufferCorruptionError, CacheMissError
from seamless.stores.verify import state_of

if TYPE_CHECKING:
    from seamless.cli.common import Messages
    from seamless.cli.transfer.items import UploadTarget
    from seamless.session import BufferStore


def delete_originals(target: UploadTarget, store: BufferStore, messages: Messages) -> None:
    """Verify in the store everything that the target consists of, then delete its files and the empty directories.

    What was not uploaded stays: files that have changed or appeared since, links to directories. Then, and when
    something cannot be deleted, that is in the `problems` of the target. Raises StoreError.
    """
    try:
        for checksum in dict.fromkeys([*(item.checksum for item in target.items), target.checksum]):
            verify_stored(store, Checksum(checksum))
    except (BufferCorruptionError, CacheMissError) as exc:
        target.fail(f"nothing is deleted: the store does not give it back: {exc}")
        return
    try:
        for item in target.items:
            if state_of(os.stat(item.path)) != item.state:
                target.fail(f"stored, but not deleted: {item.path!r} has changed since")
                return
            os.unlink(item.path)
        if target.kind == "directory":
            left = _remove_empty(target.path)
            if left:
                target.fail(f"stored, but {left!r} is not part of it, and stays")
                return
    except OSError as exc:
        target.fail(f"stored, but not deleted: {describe(exc)}")
        return
    messages.message(1, f"deleted {target.name}")


def _remove_empty(directory: str) -> str | None:
    """Remove the empty directories at and below `directory`; return something that is in the way, if there is."""
    for path, _, names in os.walk(directory, topdown=False):
        left = os.listdir(path)
        if left:
            return os.path.join(path, (names or left)[0])
        os.rmdir(path)
    return None
