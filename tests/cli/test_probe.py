"""`seamless-probe`: buckets of the machine and the software, made anew when they are stale."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seamless.stores.embedded import open_embedded


@pytest.fixture
def probe(run_cli: Any, tmp_path: Path) -> Callable[..., Any]:
    """probe(*argv): exit status and stderr."""

    def run(*argv: str) -> tuple[int, str]:
        done = run_cli(["seamless-probe", *argv], env={"SEAMLESS_CACHE": str(tmp_path / "cache")})
        assert done.stdout == b""
        return done.returncode, done.stderr.decode()

    return run


def bucket(tmp_path: Path, kind: str, label: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the entry and the content of a bucket."""
    from seamless.checksum import Checksum

    store = open_embedded(tmp_path / "cache" / "__TOPLEVEL__")
    results: Any = store.results
    entry = results.get_bucket_probe(kind, label)
    data = store.buffers.get(Checksum(entry["bucket_checksum"]))
    results.close()
    assert data is not None
    return entry, json.loads(data)


def test_nothing_is_said_and_the_buckets_are_there(probe: Callable[..., Any], tmp_path: Path) -> None:
    assert probe() == (0, "")
    host = socket.gethostname()
    entry, node = bucket(tmp_path, "node", host)
    assert entry["freshness_tokens"]["hostname"] == host
    assert (node["schema_version"], node["bucket_kind"], node["label"]) == (1, "node", host)
    assert node["contract_ok"] is True and node["memory_total_bytes"] > 0
    env_entry, environment = bucket(tmp_path, "environment", f"python:{sys.prefix}")
    assert environment["python_packages"]["pytest"]
    _, both = bucket(tmp_path, "node_env", f"{entry['bucket_checksum']}:{env_entry['bucket_checksum']}")
    assert both["node_checksum"] == entry["bucket_checksum"]


def test_what_is_up_to_date_stays_unless_forced(probe: Callable[..., Any]) -> None:
    assert probe("-v")[1].count("refreshed") == 3
    assert probe("-v")[1].count("up to date") == 3
    assert probe("-v", "--force")[1].count("refreshed") == 3


def test_the_command_is_not_executed(probe: Callable[..., Any], tmp_path: Path) -> None:
    assert probe("-c", f"touch {tmp_path}/ran")[0] == 0
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "argv", [["--dry"], ["--qsubmit"], ["--write-job", "d"], ["--write-remote-job", "d"], ["--upload"], ["--undo"]]
)
def test_what_would_execute_or_write_is_not_supported(probe: Callable[..., Any], argv: list[str]) -> None:
    status, err = probe(*argv)
    assert status == 2
    assert f"seamless-probe does not support {argv[0]}" in err


def test_secrets_in_the_environment_are_not_noted(
    probe: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", "a-secret-value")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    probe()
    _, environment = bucket(tmp_path, "environment", f"python:{sys.prefix}")
    assert environment["environment_variables"]["OMP_NUM_THREADS"] == "3"
    assert "a-secret-value" not in json.dumps(environment)
