"""The order of things in one download: find out what is wanted, what is here, what is lost; confirm, fetch, report."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from seamless.checksum import Checksum
from seamless.cli.common import FAILURE, OK, describe, format_size, is_terminal
from seamless.cli.storage import as_directory
from seamless.cli.transfer.files import write_sidecar
from seamless.cli.transfer.present import Present, remove_strangers, strangers
from seamless.cli.transfer.report import show_problems
from seamless.cli.transfer.wanted import find_wanted
from seamless.errors import SeamlessError, UsageError
from seamless.util.safe_paths import SafeRoot

if TYPE_CHECKING:
    import argparse

    from seamless.cli.common import Messages
    from seamless.cli.storage import Storage
    from seamless.cli.transfer.wanted import DownloadTarget


class Download:
    """One call of `seamless-download`."""

    def __init__(self, options: argparse.Namespace, storage: Storage, messages: Messages):
        self.options, self.storage, self.messages = options, storage, messages
        self.started = time.monotonic()
        self.mode = options.mode or "copy"
        if self.mode != "copy" and as_directory(storage.buffers) is None:
            raise UsageError(
                f"--{self.mode} needs a buffer directory on this machine, but buffers come from {storage.where}; "
                "leave it out, or use --destination"
            )
        self.files = self.bytes = 0
        self.targets: list[DownloadTarget] = []

    def run(self) -> int:
        """Do it; return the exit status. Raises SeamlessError for what concerns all targets, KeyboardInterrupt."""
        self.targets = find_wanted(self.options.paths, self.options, self.storage)
        if self.options.stdout:
            return self._to_stdout()
        good = [target for target in self.targets if not target.failed]
        for target in good:
            self._write_sidecars(target)
        if not self.options.index:
            self._fetch([target for target in good if not target.failed])
        return self._report()

    def _to_stdout(self) -> int:
        from seamless.cli.transfer.fetching import write_to_stdout

        [target] = self.targets
        if target.failed:
            raise SeamlessError(target.problems[0])
        if target.kind == "directory":
            raise UsageError(f"{target.name!r} is a directory, which cannot be written to standard output")
        write_to_stdout(self.storage, target)
        return OK

    # --- sidecars ----------------------------------------------------------------------------

    def _write_sidecars(self, target: DownloadTarget) -> None:
        """Write what is known of a target before anything of it is fetched; with --index, also of its members."""
        try:
            for path, data in target.sidecars.items():
                write_sidecar(path, data)
            if self.options.index and target.kind == "directory":
                root = SafeRoot(target.local)
                for key, checksum in target.files.items():
                    write_sidecar(root.place(key + ".CHECKSUM"), checksum.encode() + b"\n")
                    target.done += 1
            elif self.options.index:
                raise UsageError(f"{target.name!r} is no directory: it has no index")
        except (SeamlessError, OSError) as exc:
            target.fail(describe(exc))

    # --- content -----------------------------------------------------------------------------

    def _fetch(self, targets: list[DownloadTarget]) -> None:
        from seamless.cli.running.limits import DownloadLimits
        from seamless.cli.transfer.fetching import Fetcher

        present = Present(self.storage.buffers, self.options.policy, incremental=self.options.incremental)
        limits = DownloadLimits(self.options.confirm or "ask")
        allowed, size = [], 0
        for target in targets:
            if not self._prepare(target, present):
                continue
            asked, known = limits.confirm == "ask", target.size(self.storage)
            if limits.allow(target, self.storage, self.messages):
                allowed.append(target)
                size += known or 0
                continue
            target.skipped = True
            if asked and not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
                target.fail("it is large, and there is no terminal to ask on; use -y")
        with self.messages.progress("download", size) as progress:
            fetcher = Fetcher(self.storage, self.mode, progress)
            fetcher.fetch(allowed)
        self.files, self.bytes = fetcher.files, fetcher.bytes
        if self.files:
            self.messages.message(1, f"Download {self.files} files, total {format_size(self.bytes)}")

    def _prepare(self, target: DownloadTarget, present: Present) -> bool:
        """Find out what is to be fetched; False if nothing can be."""
        try:
            extra = strangers(target, sidecars=self.options.dest_rm)
            if extra and not self.options.dest_rm:
                more = f" and {len(extra) - 1} more" if len(extra) > 1 else ""
                target.fail(f"the directory holds {extra[0]!r}{more}, not in its index; --dest-rm removes such files")
                return False
            if extra and all(self.storage.buffers.has([Checksum(c) for c in target.files.values()])):
                count = remove_strangers(target)
                self.messages.message(1, f"removed {count} files from {target.local!r} that the index does not have")
            present.look(target)
            self._drop_lost(target)
        except (SeamlessError, OSError) as exc:
            target.fail(describe(exc))
            return False
        return True

    def _drop_lost(self, target: DownloadTarget) -> None:
        """Take out what is not in the store: it is a problem of the target, and the rest is fetched."""
        present = self.storage.buffers.has([Checksum(checksum) for checksum in target.pending.values()])
        for key, there in zip(list(target.pending), present, strict=True):
            if not there:
                del target.pending[key]
                target.lose(key, self.storage.where)

    # --- the report --------------------------------------------------------------------------

    def _report(self) -> int:
        failed = [target for target in self.targets if target.failed]
        for target in failed:
            show_problems(self.messages, target.problems)
        if failed and len(self.targets) > 1:
            self.messages.error(f"{len(failed)} of {len(self.targets)} targets are not complete")
        status = FAILURE if failed else OK
        if self.options.json:
            from seamless.cli.transfer.report import print_object

            print_object(
                command="seamless-download",
                exit_status=status,
                store=self.storage.where,
                targets=list(map(_described, self.targets)),
                downloaded={"files": self.files, "bytes": self.bytes},
                wall_s=round(time.monotonic() - self.started, 3),
            )
        return status


def _described(target: DownloadTarget) -> dict[str, Any]:
    return {
        "name": target.name,
        "kind": target.kind,
        "local": os.path.normpath(target.path("")) if target.local and target.kind == "file" else target.local or None,
        "checksum": target.checksum or None,
        "files": len(target.files),
        "done": target.done,
        "skipped": target.skipped,
        "error": "\n".join(target.problems) or None,
    }
