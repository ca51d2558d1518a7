"""How much may go into a store before somebody is asked. (What may come out of one: `seamless.cli.running.limits`.)"""

from __future__ import annotations

import os
import sys

from seamless.cli.common import format_size, is_terminal, parse_size
from seamless.errors import SeamlessError, UsageError

MAX_FILES = 400
MAX_SIZE = 100_000_000


class UploadLimits:
    """`confirm` is "yes", "no" or "ask" (on the terminal; without one as "no").

    The limits are `SEAMLESS_MAX_UPLOAD_FILES` and `SEAMLESS_MAX_UPLOAD_SIZE`.
    """

    def __init__(self, confirm: str):
        self.confirm = confirm
        self.max_files, self.max_size = MAX_FILES, MAX_SIZE
        if text := os.environ.get("SEAMLESS_MAX_UPLOAD_FILES"):
            if not (text.isascii() and text.isdigit()):
                raise UsageError(f"SEAMLESS_MAX_UPLOAD_FILES: {text!r} is not a number")
            self.max_files = int(text)
        if text := os.environ.get("SEAMLESS_MAX_UPLOAD_SIZE"):
            self.max_size = parse_size(text, "SEAMLESS_MAX_UPLOAD_SIZE")

    def exceeded(self, files: int, size: int) -> bool:
        """Tell whether an upload of so many files and bytes is to be confirmed."""
        return self.confirm != "yes" and (files > self.max_files or size > self.max_size)

    def confirm_upload(self, files: int, size: int) -> None:
        """Return if the upload may go on; raise SeamlessError if not."""
        if not self.exceeded(files, size):
            return
        amount = f"upload of {files} files, total {format_size(size)}"
        if self.confirm == "no":
            raise SeamlessError(f"Cannot confirm {amount}. Exiting.")
        if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
            raise SeamlessError(f"Cannot confirm {amount}: there is no terminal to ask on; -y confirms it. Exiting.")
        sys.stderr.write(f"Confirm {amount}? (y/[n])? ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise SeamlessError("Exiting.")
