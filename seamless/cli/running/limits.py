"""How much a result may bring into the current directory before somebody is asked."""

from __future__ import annotations

import os
import sys

from seamless.cli.common import format_size, is_terminal, parse_size
from seamless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from seamless.cli.common import Messages
    from seamless.cli.storage import Storage

    class Wanted(Protocol):
        """A file or directory that is to be brought to `local`."""

        local: str
        files: dict[str, str]

        def size(self, store: Storage, /) -> int | None: ...


_MAX_FILES = 2000
_MAX_SIZE = 500_000_000
_UNKNOWN = 10_000_000_000  # bytes; what a result of unknown length counts as


class DownloadLimits:
    """Decides target by target: `confirm` is "yes", "no" or "ask" (on the terminal; without one as "no").

    The limits are `SEAMLESS_MAX_DOWNLOAD_FILES` and `SEAMLESS_MAX_DOWNLOAD_SIZE`.
    """

    def __init__(self, confirm: str):
        self.confirm = confirm
        self.max_files, self.max_size = _MAX_FILES, _MAX_SIZE
        if text := os.environ.get("SEAMLESS_MAX_DOWNLOAD_FILES"):
            if not (text.isascii() and text.isdigit()):
                raise UsageError(f"SEAMLESS_MAX_DOWNLOAD_FILES: {text!r} is not a number")
            self.max_files = int(text)
        if text := os.environ.get("SEAMLESS_MAX_DOWNLOAD_SIZE"):
            self.max_size = parse_size(text, "SEAMLESS_MAX_DOWNLOAD_SIZE")

    def allow(self, result: Wanted, store: Storage, messages: Messages) -> bool:
        """Tell whether to bring the files of `result` here."""
        if self.confirm == "yes":
            return True
        known = result.size(store)
        size = _UNKNOWN if known is None else known
        if len(result.files) <= self.max_files and size <= self.max_size:
            return True
        amount = f"{result.local}: {len(result.files)} files, total {format_size(size)}"
        if self.confirm == "no":
            messages.message(1, f"skip download of {amount}")
            return False
        if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
            messages.message(0, f"no terminal to ask on: skip download of {amount}; use -y to download it")
            return False
        return self._ask(amount)

    def _ask(self, amount: str) -> bool:
        while True:
            sys.stderr.write(f"Confirm download of {amount}? ([y]/n/all)? ")
            sys.stderr.flush()
            answer = sys.stdin.readline()
            if not answer:  # end of input
                return False
            word = answer.strip().lower()
            if word in ("a", "all"):
                self.confirm = "yes"
                return True
            if word in ("", "y", "yes"):
                return True
            if word in ("n", "no"):
                return False
