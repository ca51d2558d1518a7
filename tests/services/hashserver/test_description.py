"""Requests made up from the description of the API: whatever they hold, the answer is never an internal error."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance"


@pytest.mark.parametrize("writable", [False, True])
def test_made_up_requests_get_the_answers_that_are_described(
    start_server: Callable[..., Any], tmp_path: Path, require: Any, writable: bool
) -> None:
    require(find_spec("schemathesis"), "schemathesis is not installed")
    server = start_server(*(["--writable"] if writable else []), "--durability", "none")
    url = f"http://127.0.0.1:{server.port}"
    options = ["--url", url, "--checks", CHECKS, "--max-examples", "15", "--phases", "examples,coverage,fuzzing"]
    # A GET of what was promised waits for it.
    options += ["--exclude-path", "/promise/{checksum}", "--no-color", "--request-timeout", "20", "--seed", "1"]
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert "Traceback" not in server.log
