"""Seamless 1.4 and this project on one cache: what one has computed is a hit for the other."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

OURS = Path(sys.executable).parent
pytestmark = pytest.mark.timeout(700)  # the first test installs the reference


def environment(commands: Path, home: Path, **more: str) -> dict[str, str]:
    return {"PATH": f"{commands}:/usr/bin:/bin", "HOME": str(home), "LC_ALL": "C.UTF-8", **more}


def run(commands: Path, place: Path, *words: str, **more: str) -> bytes:
    env = environment(commands, place.parent / "home", **more)
    (place.parent / "home").mkdir(exist_ok=True)
    done = subprocess.run(
        [str(commands / words[0]), *words[1:]], cwd=place, env=env, capture_output=True, timeout=120,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture(autouse=True)
def no_services_left(place: Path) -> Iterator[None]:
    """Stop the services that the reference has launched."""
    yield
    for state in (place.parent / "home" / ".remote-http-launcher").rglob("server/*.json"):
        pid = json.loads(state.read_text()).get("pid")
        if pid:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


@pytest.mark.parametrize("first", ["reference", "ours"])
def test_a_command_run_by_one_is_a_hit_for_the_other(first: str, reference: Path, place: Path) -> None:
    count = place.parent / "count"
    line = f"echo ran >> {count}; tac a.txt"
    order = [reference, OURS] if first == "reference" else [OURS, reference]
    for commands in order:
        output = run(
            commands, place, "seamless-run", "-i", "a.txt", "-c", line, SEAMLESS_CACHE=str(place.parent / "cache")
        )
        assert output == b"beta\nalpha\n"
    assert count.read_text() == "ran\n"


PROGRAM = """
import sys
{init}
from seamless.transformer import direct

def step(x, counter):
    with open(counter, "a") as f:
        f.write("ran\\n")
    return {{"doubled": [2 * i for i in x], "text": "\\u00e9"}}

print(direct(step)([1, 2.5], sys.argv[1]))
import seamless
seamless.close()
"""


@pytest.mark.parametrize("first", ["reference", "ours"])
def test_a_python_step_run_by_one_is_a_hit_for_the_other(first: str, reference: Path, place: Path) -> None:
    count = place.parent / "count"
    (place / "program.py").write_text(PROGRAM.format(init="import seamless.config; seamless.config.init()"))
    for commands in [reference, OURS] if first == "reference" else [OURS, reference]:
        output = run(commands, place, "python", "program.py", str(count), SEAMLESS_CACHE=str(place.parent / "cache"))
        assert output.decode() == "{'doubled': [2, 5.0], 'text': 'é'}\n"
    assert count.read_text() == "ran\n"


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@contextmanager
def served(commands: Path, *words: str) -> Iterator[str]:
    """Run a server of either side on a port of this machine; gives its URL."""
    port = free_port()
    env = environment(commands, Path("/nonexistent"))
    command = [str(commands / words[0]), *words[1:], "--port", str(port), "--host", "127.0.0.1"]
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(url + "/healthcheck", timeout=5):
                    break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, f"{words[0]} did not start"
                time.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.communicate(timeout=30)


def ask(url: str, method: str, body: Any) -> str:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data=json.dumps(body).encode(), method=method, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(answer.read().decode())


def test_the_servers_of_the_reference_serve_our_cache(reference: Path, place: Path) -> None:
    cache = place.parent / "cache"
    run(OURS, place, "seamless-run", "cat a.txt", SEAMLESS_CACHE=str(cache))
    tf = "370a0f1a1d160aa5fdde16381cdbc6e55a201274bd33b6d4ac329090321a993e"
    directory = cache / "__TOPLEVEL__"
    # --writable: without it the reference does not start with the peewee of today
    with served(reference, "seamless-database", str(directory / "seamless.db"), "--writable") as url:
        result = ask(url + "/", "GET", {"type": "transformation", "checksum": tf})
        record = json.loads(ask(url + "/", "GET", {"type": "metadata", "checksum": tf}))
    assert record["result_checksum"] == result
    with served(reference, "hashserver", str(directory)) as url:
        with urllib.request.urlopen(f"{url}/{result}", timeout=30) as answer:
            assert answer.read() == b"alpha\nbeta\n"
        assert ask(url + "/has", "GET", [result, tf, "0" * 64]) == "[true,true,false]"


@pytest.mark.parametrize("side", ["reference", "ours"])
def test_the_reference_computes_with_the_servers_of_either_side(side: str, reference: Path, place: Path) -> None:
    commands = reference if side == "reference" else OURS
    insecure = ["--insecure"] if side == "ours" else []
    store = place.parent / "store"
    store.mkdir()
    count = place.parent / "count"
    line = f"echo ran >> {count}; tac a.txt"
    with (
        served(commands, "hashserver", str(store), "--writable", *insecure) as buffers,
        served(commands, "seamless-database", str(store / "seamless.db"), "--writable", *insecure) as results,
    ):
        clients = json.dumps(
            {
                kind: [{"readonly": False, "url": url, "remote_url": url}]
                for kind, url in (("buffer", buffers), ("database", results))
            }
        )
        for _ in range(2):
            output = run(
                reference, place, "seamless-run", "-y", "-i", "a.txt", "-c", line, SEAMLESS_REMOTE_CLIENTS=clients
            )
            assert output == b"beta\nalpha\n"
    assert count.read_text() == "ran\n"
    # what the servers have stored is an embedded cache for us
    (place.parent / "cache").mkdir()
    store.rename(place.parent / "cache" / "__TOPLEVEL__")
    cache = str(place.parent / "cache")
    assert run(OURS, place, "seamless-run", "-i", "a.txt", "-c", line, SEAMLESS_CACHE=cache) == b"beta\nalpha\n"
    assert count.read_text() == "ran\n"


def test_our_clients_compute_with_the_servers_of_the_reference(reference: Path, place: Path) -> None:
    store = place.parent / "store"
    store.mkdir()
    count = place.parent / "count"
    line = f"echo ran >> {count}; tac a.txt"
    with (
        served(reference, "hashserver", str(store), "--writable") as buffers,
        served(reference, "seamless-database", str(store / "seamless.db"), "--writable") as results,
    ):
        clients = json.dumps(
            {
                kind: [{"readonly": False, "url": url, "remote_url": url}]
                for kind, url in (("buffer", buffers), ("database", results))
            }
        )
        for commands in (OURS, OURS, reference):
            output = run(
                commands, place, "seamless-run", "-y", "-i", "a.txt", "-c", line, SEAMLESS_REMOTE_CLIENTS=clients
            )
            assert output == b"beta\nalpha\n"
        (place / "program.py").write_text(PROGRAM.format(init="import seamless.config; seamless.config.init()"))
        for _ in range(2):
            run(OURS, place, "python", "program.py", str(count), SEAMLESS_REMOTE_CLIENTS=clients)
    assert count.read_text() == "ran\nran\n"


def test_our_servers_serve_the_cache_of_the_reference(reference: Path, place: Path) -> None:
    cache = place.parent / "cache"
    run(reference, place, "seamless-run", "cat a.txt", SEAMLESS_CACHE=str(cache))
    tf = "370a0f1a1d160aa5fdde16381cdbc6e55a201274bd33b6d4ac329090321a993e"
    directory = cache / "__TOPLEVEL__"
    with served(OURS, "seamless-database", str(directory / "seamless.db"), "--insecure") as url:
        result = ask(url + "/", "GET", {"type": "transformation", "checksum": tf})
        assert json.loads(ask(url + "/", "GET", {"type": "metadata", "checksum": tf}))["result_checksum"] == result
    with served(OURS, "hashserver", str(directory), "--insecure") as url:
        with urllib.request.urlopen(f"{url}/{result}", timeout=30) as answer:
            assert answer.read() == b"alpha\nbeta\n"
