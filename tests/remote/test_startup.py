"""What is loaded for a hit that comes from services: nothing that takes long."""

from __future__ import annotations

import subprocess
import sys

from seamless.checksum import Checksum
from tests.remote.servers import FakeDatabase, FakeHashserver

HEAVY = {
    "socket", "ssl", "http", "http.client", "email", "urllib", "urllib.parse", "asyncio", "aiohttp", "json", "logging",
    "random", "tempfile", "subprocess", "importlib.util", "backports.zstd", "seamless.launcher", "sqlite3",
}  # fmt: skip

HIT = """
import sys
before = set(sys.modules)
from seamless.checksum import Checksum
from seamless.remote.buffer_client import HashserverClient
from seamless.remote.database_client import DatabaseClient
result = DatabaseClient(sys.argv[1]).get_result(Checksum(sys.argv[3]))
assert HashserverClient(sys.argv[2]).get(result) == b"some text"
print(*sorted(set(sys.modules) - before))
"""


def test_a_hit_loads_no_heavy_module(hashserver: FakeHashserver, database: FakeDatabase) -> None:
    tf, result = Checksum.of(b"transformation"), Checksum.of(b"some text")
    database.results[tf.hex()] = result.hex()
    hashserver.stored[result.hex()] = b"some text"
    done = subprocess.run(
        [sys.executable, "-c", HIT, database.url, hashserver.url, tf.hex()],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = set(done.stdout.split())
    assert "seamless.remote.connection" in loaded
    assert loaded & HEAVY == set()
