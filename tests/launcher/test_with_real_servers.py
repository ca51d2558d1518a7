"""The servers of this package under the launcher: they start, prove who they are, say why they fail, and stop."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from seamless.launcher import StartFailed, run, stop
from tests.launcher.support import Recorder


def launch_dict(service: str, arguments: str, workdir: Path) -> dict[str, Any]:
    return {
        "key": service,
        "workdir": str(workdir),
        "command": f"{sys.executable} -m seamless.cli.{service} --status-file {{status_file}} --timeout 60 {arguments}",
        "handshake": "healthcheck",
        "network_interface": "127.0.0.1",
        "log_level": "minimal",
    }


@pytest.mark.parametrize(("service", "data"), [("hashserver", ""), ("database", "seamless.db")])
def test_a_server_is_launched_with_a_token_and_stops_in_order(
    service: str, data: str, base: Path, tmp_path: Path
) -> None:
    config = launch_dict(service, f"--writable {tmp_path / data}", tmp_path)
    recorder = Recorder()
    try:
        payload = run(config)
        assert run(config, observer=recorder) == payload
    finally:
        outcome = stop(service)
    assert recorder.phases[-1] == "done:reused-local"
    assert len(payload["token"]) >= 32
    assert outcome == "stopped"
    assert json.loads((base / "server" / f"{service}.json").read_text())["status"] == "stale"


def test_the_reason_of_a_server_is_reported(base: Path, tmp_path: Path) -> None:
    config = launch_dict("hashserver", f"--port-range 9 8 {tmp_path}", tmp_path)
    with pytest.raises(StartFailed, match="START must not be greater than END"):
        run(config)
