"""The error for an environment that cannot be had."""

from __future__ import annotations

from typing import NoReturn

from seamless.errors import TransformationError


class UnavailableError(TransformationError):
    """What a step asks for cannot be had here. The text is complete and ends with a newline."""


def refuse(reason: str) -> NoReturn:
    """Raise UnavailableError with this sentence."""
    raise UnavailableError(reason + ".\n")
