"""The time that the first page of the dashboard takes: its files and what it asks for, one after the other."""

from __future__ import annotations

import os
import subprocess
import time
import urllib.request
from pathlib import Path

from benchmarks.measure import SCRIPTS, script

PARTS = ("/", "/style.css", "/app.js", "/api/overview", "/api/services")


def page_seconds(store: Path, home: Path, runs: int) -> float:
    """Return the middle of `runs` times, from a dashboard that is started for it."""
    environment = {**os.environ, "HOME": str(home), "PATH": f"{SCRIPTS}:{os.environ['PATH']}"}
    command = [script("seamless-dashboard"), "--insecure", "--directory", str(store)]
    server = subprocess.Popen(command, env=environment, cwd=home, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = server.stdout.readline().strip().rstrip("/")
        return sorted(_seconds(address) for _ in range(runs))[runs // 2]
    finally:
        server.terminate()
        server.communicate()


def _seconds(address: str) -> float:
    start = time.perf_counter()
    for part in PARTS:
        with urllib.request.urlopen(address + part) as answer:
            answer.read()
    return time.perf_counter() - start
