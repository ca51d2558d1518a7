"""The two ways in which the guard says no."""

from __future__ import annotations

from seamless.errors import SeamlessError


class Rejected(SeamlessError):
    """The command of the client is not allowed."""


class BadSetting(SeamlessError):
    """The guard itself is configured wrongly: nothing is allowed."""
