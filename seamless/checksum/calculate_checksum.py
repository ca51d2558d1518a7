"""SHA-256 of bytes, files and dicts, as hex; and the buffers that always resolve."""

from __future__ import annotations

import os

from seamless.checksum.sha256 import file_digest, quick

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NO_FILES = ("/dev/stdout", "/dev/stderr")

TRIVIAL_CHECKSUMS = {quick[0](content).hexdigest(): content for content in (b"", b"{}", b"{}\n", b"[]", b"[]\n")}


def calculate_checksum(content: bytes | str) -> str:
    """Return the SHA-256 of bytes-like content, or of text as UTF-8."""
    hexsum: str = quick[0](content.encode() if isinstance(content, str) else content).hexdigest()
    return hexsum


def calculate_file_checksum(filename: str | os.PathLike[str]) -> str | None:
    """Return the SHA-256 of a file, read in pieces; None for /dev/stdout and /dev/stderr."""
    if os.fspath(filename) in _NO_FILES:
        return None
    with open(filename, "rb", buffering=0) as f:
        return file_digest(f).hex()


def calculate_dict_checksum(value: dict[str, Any]) -> str:
    """Return the SHA-256 of the `plain` bytes of a dict."""
    from seamless.celltypes import canonical_json

    hexsum: str = quick[0](canonical_json(value)).hexdigest()
    return hexsum
