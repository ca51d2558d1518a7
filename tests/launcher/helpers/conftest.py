"""Calls of the helpers in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from seamless.launcher.helpers.main import main


class Result(NamedTuple):
    """What a helper has left."""

    status: int
    out: str
    err: str


Helper = Callable[..., Result]


@pytest.fixture
def helper(capfdbinary: pytest.CaptureFixture[bytes]) -> Helper:
    """Return helper(name, *arguments), which runs `rhl-NAME`."""

    def call(name: str, *arguments: str) -> Result:
        capfdbinary.readouterr()
        status = main([f"rhl-{name}", *arguments])
        printed = capfdbinary.readouterr()
        return Result(status, printed.out.decode(errors="surrogateescape"), printed.err.decode())

    return call
