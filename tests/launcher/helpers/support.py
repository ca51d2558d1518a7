"""Arguments of the helpers that start services."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.launcher.support import KEY

SERVICE = Path(__file__).parents[1] / "service.py"
DEFAULT_STATUS_FILE = f"~/.remote-http-launcher/server/{KEY}.json"


def service(mode: str = "ok", *arguments: str, status_file: str = DEFAULT_STATUS_FILE) -> list[str]:
    """Return the words of the small service, with the status file that another machine names."""
    return [sys.executable, "-I", "-S", str(SERVICE), mode, "--status-file", status_file, *arguments]


def launch(workdir: Path, words: list[str] | None = None, *options: str, key: str = KEY) -> list[str]:
    """Return the arguments of rhl-launch-service or rhl-ensure."""
    return ["--key", key, "--workdir", str(workdir), *options, "--", *(service() if words is None else words)]


HEALTH = ("--network-interface", "127.0.0.1", "--handshake", '"healthcheck"')
