"""Who this is, as other people should read it: `user@host`. Says nothing about rights."""

from __future__ import annotations

import os


def user_at_host() -> str:
    """Return login name (or uid) and host name; printable ASCII without blanks and parentheses."""
    user = os.environ.get("LOGNAME") or os.environ.get("USER") or f"uid{os.getuid()}"
    return _plain(f"{user}@{os.uname().nodename}")


def _plain(text: str) -> str:
    """Replace what cannot stand in a comment of an HTTP header.

    >>> _plain("anna (lab)@höhle")
    'anna??lab?@h?hle'
    """
    return "".join(c if c.isascii() and c.isprintable() and c not in " ()" else "?" for c in text[:200])
