"""The servers that are measured, each on a free port of this machine: ours, the reference's, nginx."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.services.client import TOKEN

ROOT = Path(__file__).resolve().parents[2]
OURS = Path(sys.executable).parent
REFERENCE = ROOT / ".venv-reference"
REFERENCE_VERSION = "seamless-suite==1.4.3"
NGINX_PACKAGE = "nginx-light"
_START = 30.0  # seconds in which a server must answer

_NGINX_CONFIGURATION = """
{user}
daemon off;
master_process off;
pid {place}/nginx.pid;
error_log {place}/nginx.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000000;
  default_type application/octet-stream;
  open_file_cache off;
  client_body_temp_path {place}/body;
  proxy_temp_path {place}/proxy;
  fastcgi_temp_path {place}/fastcgi;
  uwsgi_temp_path {place}/uwsgi;
  scgi_temp_path {place}/scgi;
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


@dataclass
class Server:
    """A running server."""

    port: int
    pid: int

    def resident(self, *, peak: bool = False) -> float:
        """Return the resident memory in MB, now or at its greatest."""
        name = "VmHWM:" if peak else "VmRSS:"
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024 / 1e6
        raise OSError(f"process {self.pid} has no {name}")


@dataclass
class Rivals:
    """Who else takes part. `missing` has a line for each who does not."""

    nginx: str | None = None
    reference: Path | None = None
    missing: list[str] = field(default_factory=list)


def find_rivals(*, install: bool) -> Rivals:
    """Find nginx and the commands of the reference. `install`: install them if they are absent."""
    rivals = Rivals()
    rivals.nginx = _find_nginx()
    if rivals.nginx is None and install and os.geteuid() == 0 and shutil.which("apt-get"):
        # Run level 1: the package must not start a server of its own.
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", NGINX_PACKAGE]
        subprocess.run(command, env=environment, capture_output=True, check=False, timeout=300)
        rivals.nginx = _find_nginx()
    if rivals.nginx is None:
        rivals.missing.append(f"nginx left out: the Debian package {NGINX_PACKAGE} is not installed")
    problem = _install_reference() if install else None
    if (REFERENCE / ".complete").exists():
        rivals.reference = REFERENCE / "bin"
    else:
        rivals.missing.append(f"reference left out: {problem or 'it is not installed in ' + REFERENCE.name}")
    return rivals


def _find_nginx() -> str | None:
    return shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")


def _install_reference() -> str | None:
    """Make the virtual environment of the reference once; return what went wrong, if anything."""
    done = REFERENCE / ".complete"
    with open(ROOT / ".venv-reference.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists():
            return None
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(REFERENCE)],
            [str(REFERENCE / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", REFERENCE_VERSION],
        ):
            made = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
            if made.returncode:
                return made.stderr.strip().rpartition("\n")[2] or f"{command[0]} failed"
        done.touch()
    return None


@contextmanager
def seamless_server(
    commands: Path, *words: str, place: Path, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run a server of Seamless, ours or the reference's; the log is in `place`. `environment`: further variables."""
    port = _free_port()
    env = {"PATH": f"{commands}:/usr/bin:/bin", "HOME": str(place), "LC_ALL": "C.UTF-8", "SEAMLESS_TOKEN": TOKEN}
    env.update(environment or {})
    command = [str(commands / words[0]), *words[1:], "--host", "127.0.0.1", "--port", str(port)]
    with _running(command, port, env, place / f"{words[0]}-{port}.log") as server:
        yield server


@contextmanager
def nginx_server(nginx: str, root: Path, place: Path) -> Iterator[Server]:
    """Run nginx in one process, without any log of requests."""
    port = _free_port()
    configuration = place / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    configuration.write_text(_NGINX_CONFIGURATION.format(place=place, port=port, root=root, user=user))
    command = [nginx, "-p", str(place), "-c", str(configuration), "-e", str(place / "nginx.log")]
    with _running(command, port, dict(os.environ), place / "nginx-start.log") as server:
        yield server


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@contextmanager
def _running(command: Sequence[str], port: int, env: dict[str, str], log: Path) -> Iterator[Server]:
    with open(log, "wb") as file:
        process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + _START
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise OSError(f"{command[0]} did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)
        yield Server(port, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    """Tell whether an HTTP server is there, whatever it answers."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
            s.sendall(b"GET /healthcheck HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return s.recv(5) == b"HTTP/"
    except OSError:
        return False
