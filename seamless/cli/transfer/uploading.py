"""The order of things in one upload: look, hash, ask what is stored, confirm, store, write sidecars, perhaps delete."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from seamless.checksum import Checksum
from seamless.cli.common import FAILURE, OK, describe, format_size
from seamless.cli.storage import as_directory
from seamless.cli.transfer.files import write_sidecar
from seamless.cli.transfer.hashing import Hashing
from seamless.cli.transfer.items import find_targets
from seamless.cli.transfer.limits import UploadLimits
from seamless.cli.transfer.report import about, show_problems
from seamless.cli.transfer.sending import Sender, verify_stored
from seamless.errors import BufferCorruptionError, CacheMissError, StoreReadOnlyError, UsageError
from seamless.stores.filesystem import remove_file
from seamless.util.directory_index import index_bytes

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from seamless.cli.common import Messages
    from seamless.cli.storage import Storage
    from seamless.cli.transfer.items import Item, UploadTarget


class Upload:
    """One call of `seamless-upload`."""

    def __init__(self, options: argparse.Namespace, names: list[str], storage: Storage, messages: Messages):
        self.options, self.storage, self.messages = options, storage, messages
        self.started = time.monotonic()
        self.store = storage.buffers
        self.directory = as_directory(storage.buffers)
        self.mode = options.mode or "copy"
        if self.directory is None and options.mode is not None:
            raise UsageError(
                f"--{options.mode} needs a buffer directory on this machine, but buffers go to {storage.where}; "
                "leave it out, or use --destination"
            )
        confirm = options.confirm or ("yes" if self.directory is not None else "ask")
        self.limits = UploadLimits(confirm)
        self.targets = find_targets(names)
        self.files = self.bytes = 0  # stored now

    def run(self) -> int:
        """Do it; return the exit status. Raises SeamlessError for what concerns all targets, KeyboardInterrupt."""
        if not self.store.writable:
            raise StoreReadOnlyError(f"{self.storage.where} may not be written: nothing can be uploaded there")
        self._hash()
        to_send = self._missing()
        self._send(to_send)
        for target in self.targets:
            self._settle(target)
        if self.options.move:
            from seamless.cli.transfer.moving import delete_originals

            for target in self.targets:
                if not target.failed:
                    delete_originals(target, self.store, self.messages)
        return self._report()

    # --- the steps ---------------------------------------------------------------------------

    def _hash(self) -> None:
        good = [target for target in self.targets if not target.failed]
        count, size = sum(len(t.items) for t in good), sum(t.size for t in good)
        # A question about the upload has to know what is stored already.
        defer = self.directory is not None and self.mode == "copy" and not self.limits.exceeded(count, size)
        with self.messages.progress("hash", size) as progress:
            hashing = Hashing(self.store, progress, defer=defer, place=self._place())
            for target in good:
                hashing.hash_target(target)

    def _place(self) -> Callable[[str, str], str] | None:
        """Return where the store has a form of a buffer, for --incremental."""
        if not self.options.incremental or self.directory is None:
            return None
        from seamless.cli.transfer.linking import layout_of

        layout = layout_of(self.directory)
        return lambda checksum, form: layout.base(checksum) + form

    def _items(self) -> list[Item]:
        return [item for target in self.targets if not target.failed for item in target.items]

    def _missing(self) -> list[Item]:
        """Return the items to store: each buffer once. What is stored is trusted, or verified with the options."""
        first: dict[str, Item] = {}
        missing = []
        for item in self._items():
            if not item.checksum:
                missing.append(item)
            elif not item.stored:
                first.setdefault(item.checksum, item)
        present = self.store.has([Checksum(checksum) for checksum in first])
        bad = {c for c, there in zip(first, present, strict=True) if there and not self._acceptable(first[c])}
        for item, there in zip(first.values(), present, strict=True):
            if not there or item.checksum in bad:
                missing.append(item)
        return [item for item in missing if item.error is None]

    def _acceptable(self, item: Item) -> bool:
        """Tell whether a buffer that is there can stay; with --dest-verify a bad one is an error of the item."""
        if self.options.policy in (None, "skip"):
            return True
        try:
            verify_stored(self.store, Checksum(item.checksum))
        except (BufferCorruptionError, CacheMissError) as exc:
            if self.options.policy == "verify":
                item.error = f"what is stored is damaged, --dest-repair replaces it: {exc}"
            else:
                self.messages.message(0, f"{exc}; it is stored again")
            return False
        return True

    def _send(self, items: list[Item]) -> None:
        size = sum(item.size for item in items)
        self.limits.confirm_upload(len(items), size)
        with self.messages.progress("upload", size) as progress:
            Sender(self.store, self.mode, progress).send(items)
        stored = [item for item in items if item.stored]
        self.files, self.bytes = len(stored), sum(item.size for item in stored)
        failed = {item.checksum: item.error for item in self._items() if item.error is not None and item.checksum}
        for item in self._items():
            if item.error is None and not item.stored and item.checksum in failed:
                item.error = failed[item.checksum]
        if stored:
            self.messages.message(0, f"Upload {self.files} files, total {format_size(self.bytes)}")
        elif self._items():
            self.messages.message(1, f"everything is stored already in {self.storage.where}")

    def _settle(self, target: UploadTarget) -> None:
        """Write the sidecars of a target whose items are all stored."""
        failed = [item for item in target.items if item.error is not None]
        if not target.failed:
            target.problems += [f"cannot upload {about(item.path, str(item.error))}" for item in failed]
        if target.failed:
            return
        try:
            if target.kind == "directory":
                self._settle_directory(target)
            else:
                target.checksum = target.items[0].checksum
                if not target.path.endswith(".INDEX"):
                    remove_file(target.stem + ".INDEX")  # of an earlier directory of this name
            write_sidecar(target.stem + ".CHECKSUM", target.checksum.encode() + b"\n")
        except OSError as exc:
            target.fail(f"everything is stored, but has no sidecar: {describe(exc)}")

    def _settle_directory(self, target: UploadTarget) -> None:
        data = index_bytes({key: item.checksum for key, item in zip(target.keys, target.items, strict=True)})
        checksum = Checksum.of(data)
        self.store.put([(checksum, data)])
        target.checksum = checksum.hex()
        write_sidecar(target.stem + ".INDEX", data)

    # --- the report --------------------------------------------------------------------------

    def _report(self) -> int:
        failed = [target for target in self.targets if target.failed]
        for target in failed:
            show_problems(self.messages, target.problems)
        if failed and len(self.targets) > 1:
            self.messages.error(f"{len(failed)} of {len(self.targets)} targets were not uploaded")
        status = FAILURE if failed else OK
        if self.options.json:
            from seamless.cli.transfer.report import print_object

            print_object(
                command="seamless-upload",
                exit_status=status,
                store=self.storage.where,
                targets=list(map(_described, self.targets)),
                uploaded={"files": self.files, "bytes": self.bytes},
                wall_s=round(time.monotonic() - self.started, 3),
            )
        return status


def _described(target: UploadTarget) -> dict[str, Any]:
    return {
        "name": target.name,
        "kind": target.kind,
        "checksum": target.checksum or None,
        "files": len(target.items),
        "size": target.size,
        "error": "\n".join(target.problems) or None,
    }
