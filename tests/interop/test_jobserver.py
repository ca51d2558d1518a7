"""Programs of either side and the jobserver of either side, on the same stores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.interop.test_reference import OURS, run, served

pytestmark = pytest.mark.timeout(700)  # the first test installs the reference

STEP = """
def step(x, counter):
    with open(counter, "a") as f:
        f.write("ran\\n")
    if x == "fail":
        raise ValueError("this never works")
    return [x, x]
"""

THEIRS = """
import sys
import seamless.config
seamless.config.init()
import json, os
import seamless_config.select
from seamless_remote import buffer_remote, database_remote, jobserver_remote
clients = json.loads(os.environ["SEAMLESS_REMOTE_CLIENTS"])
for module, kind, type_ in ((buffer_remote, "buffer", "hashserver"), (database_remote, "database", "database")):
    module.define_extern_client(kind, type_, url=clients[kind][0]["url"], readonly=False)
    module.activate(extern_clients=[kind], no_main=True)
jobserver_remote.define_extern_client("js", "jobserver", url={url!r})
jobserver_remote.activate(extern_clients=["js"], no_main=True)
seamless_config.select.select_execution("remote")
seamless_config.select.select_remote("jobserver")
from seamless.transformer import delayed
"""

OUR = """
import sys
import seamless.config
seamless.config.init()
from seamless.remote import jobserver_remote
from seamless.transformer.executors import use_remote
jobserver_remote.define_extern_client("js", "jobserver", url={url!r})
jobserver_remote.activate(extern_clients=["js"], no_main=True)
use_remote("jobserver")
from seamless.transformer import delayed
"""

USE = """
handle = delayed(step)({x!r}, sys.argv[1])
handle.compute()
print(handle.value if handle.exception is None else "failed: " + str("this never works" in handle.exception))
if handle.exception and "this never works" not in handle.exception: print(handle.exception, file=sys.stderr)
import seamless
seamless.close()
"""


class Services(NamedTuple):
    clients: str  # for SEAMLESS_REMOTE_CLIENTS
    jobserver: str  # URL


@contextmanager
def services(commands: Path, place: Path) -> Iterator[Services]:
    """Run the three servers of one side."""
    store = place.parent / "store"
    store.mkdir()
    insecure = ["--insecure"] if commands == OURS else []
    with ExitStack() as stack:
        buffers = stack.enter_context(served(commands, "hashserver", str(store), "--writable", *insecure))
        results = stack.enter_context(
            served(commands, "seamless-database", str(store / "seamless.db"), "--writable", *insecure)
        )
        clients = {
            kind: [{"readonly": False, "url": url, "remote_url": url}]
            for kind, url in (("buffer", buffers), ("database", results))
        }
        status = place.parent / "status.json"
        status.write_text(json.dumps({"parameters": {**clients, "record": False}}))
        jobserver = served(commands, "seamless-jobserver", "--workers", "2", "--status-file", str(status), *insecure)
        yield Services(json.dumps(clients), stack.enter_context(jobserver))


def program(place: Path, commands: Path, on: Services, x: str, count: Path) -> str:
    text = (OUR if commands == OURS else THEIRS).format(url=on.jobserver) + STEP + USE.format(x=x)
    path = place / "program.py"
    path.write_text(text)
    return run(commands, place, "python", str(path), str(count), SEAMLESS_REMOTE_CLIENTS=on.clients).decode()


def test_the_reference_has_steps_executed_by_our_jobserver(reference: Path, place: Path) -> None:
    count = place.parent / "count"
    with services(OURS, place) as on:
        assert program(place, reference, on, "a", count) == "['a', 'a']\n"
        assert program(place, reference, on, "a", count) == "['a', 'a']\n"
        assert program(place, OURS, on, "a", count) == "['a', 'a']\n"
        assert count.read_text() == "ran\n"
        assert program(place, reference, on, "fail", count) == "failed: True\n"
        assert count.read_text() == "ran\nran\n"  # once, although the client asks again and again


def test_our_programs_have_steps_executed_by_the_jobserver_of_the_reference(reference: Path, place: Path) -> None:
    count = place.parent / "count"
    with services(reference, place) as on:
        assert program(place, OURS, on, "a", count) == "['a', 'a']\n"
        assert program(place, reference, on, "a", count) == "['a', 'a']\n"
        assert count.read_text() == "ran\n"
        assert program(place, OURS, on, "fail", count) == "failed: True\n"
        assert count.read_text() == "ran\nran\n"
