"""The services that are in use for days: a hashserver, a database and a jobserver, and the clients of this program."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.services.client import TOKEN
from benchmarks.services.servers import OURS, Server, seamless_server
from benchmarks.soak.watch import WAL, Sample, files_below, measure, size_of
from seamless.remote.buffer_client import HashserverClient
from seamless.remote.database_client import DatabaseClient
from seamless.remote.jobserver_client import JobserverClient
from seamless.stores.layout import is_temporary

WORKERS = 2


class Place:
    """Servers that run, and clients of them. `root`: an empty directory, where everything is kept."""

    def __init__(self, root: Path, servers: dict[str, Server]):
        self.root, self.servers = root, servers
        self.store, self.temporary = root / "store", root / "tmp"
        urls = {name: f"http://127.0.0.1:{server.port}" for name, server in servers.items()}
        self.buffers = HashserverClient(urls["hashserver"], token=TOKEN, readonly=False)
        self.results = DatabaseClient(urls["database"], token=TOKEN, readonly=False)
        self.jobs = JobserverClient(urls["jobserver"], token=TOKEN, readonly=False)

    def sample(self) -> Sample:
        """Return what everything takes now."""
        processes = {"program": os.getpid(), **{name: server.pid for name, server in self.servers.items()}}
        directories: dict[str, Callable[[], float]] = {
            "temporary files": lambda: files_below(self.temporary),
            "unfinished uploads": self._unfinished,
            WAL: lambda: size_of(self.store / "seamless.db-wal"),
            "claims": self._claims,
        }
        return measure(processes, directories)

    def _unfinished(self) -> int:
        return sum(is_temporary(name) for _, _, names in os.walk(self.store) for name in names)

    def _claims(self) -> float:
        return entries_of(self.store / ".running")

    def close_clients(self) -> None:
        """Give up all connections, as after a day's work."""
        from seamless.remote.client import close_all_clients

        close_all_clients()

    def rows(self) -> int:
        """Return how many results the database has."""
        with contextlib.closing(sqlite3.connect(f"file:{self.store}/seamless.db?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT COUNT(*) FROM transformation").fetchone()[0])


def entries_of(directory: Path) -> float:
    """Return how many files a directory has; 0 if it is not there."""
    return float(len(list(directory.iterdir()))) if directory.is_dir() else 0.0


def entry(server: Server) -> dict[str, Any]:
    """Return how another process reaches a server."""
    url = f"http://127.0.0.1:{server.port}"
    return {"readonly": False, "url": url, "remote_url": url, "token": TOKEN}


@contextlib.contextmanager
def running(root: Path) -> Iterator[Place]:
    """Run the three servers in an empty directory."""
    store, temporary = root / "store", root / "tmp"
    store.mkdir()
    temporary.mkdir()
    more = {"TMPDIR": str(temporary)}
    with contextlib.ExitStack() as stack:

        def serve(*words: str, **environment: str) -> Server:
            return stack.enter_context(seamless_server(OURS, *words, place=root, environment={**more, **environment}))

        servers = {
            "hashserver": serve("hashserver", str(store), "--writable"),
            "database": serve("seamless-database", str(store / "seamless.db"), "--writable"),
        }
        clients = {"buffer": [entry(servers["hashserver"])], "database": [entry(servers["database"])]}
        servers["jobserver"] = serve(
            "seamless-jobserver", "--workers", str(WORKERS), SEAMLESS_REMOTE_CLIENTS=json.dumps(clients)
        )
        yield Place(root, servers)
