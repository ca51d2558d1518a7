"""What the tests with another machine share; that machine is this one, behind a real sshd."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.sshd import Sshd
from tests.helpers.sshd import make_sshd as make_sshd
from tests.helpers.sshd import sshd as sshd
from tests.launcher.conftest import LaunchDict
from tests.launcher.support import KEY

RemoteDict = Callable[..., dict[str, Any]]


@pytest.fixture
def remote_dict(launch_dict: LaunchDict) -> RemoteDict:
    """Return remote_dict(mode, *arguments, **fields): a launch dict for a service that is reached through a tunnel."""

    def make(mode: str = "ok", *arguments: str, **fields: Any) -> dict[str, Any]:
        place = {"hostname": "127.0.0.1", "ssh_hostname": "plain", "tunnel": True}
        return launch_dict(mode, *arguments, **{**place, **fields})

    return make


@pytest.fixture
def remote_state(sshd: Sshd) -> Path:
    """Return the state file of the service on the other machine."""
    return sshd.home / ".remote-http-launcher" / "server" / f"{KEY}.json"
