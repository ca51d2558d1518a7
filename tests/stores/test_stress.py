"""Two processes write one store while one of them is killed again and again."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

from seamless.checksum import Checksum
from seamless.stores.embedded import open_embedded

WRITER = """
import os, random, sys
from seamless.checksum import Checksum
from seamless.stores.embedded import open_embedded
store, seed = open_embedded(sys.argv[1]), sys.argv[2]
rng, source = random.Random(seed), sys.argv[1] + "/source-" + seed
for n in range(int(sys.argv[3])):
    batch = [rng.randbytes(rng.choice([0, 10, 5000, 300000])) for _ in range(rng.randrange(1, 5))]
    if n % 7 == 6:
        with open(source, "wb") as f:
            f.write(rng.randbytes(5000000))
        batch = [open(source, "rb").read()]
        store.buffers.ingest(source, move=n % 2 == 0)
    else:
        store.buffers.put((Checksum.of(d), d) for d in batch)
    pairs = [(Checksum.of(b"%d " % n + seed.encode() + d), Checksum.of(d)) for d in batch]
    with store.results.claim(pairs[0][0]):
        assert all(store.results.set_results(pairs))
    os.write(1, "".join(f"{t} {r}\\n" for t, r in pairs).encode())
os.write(1, b"done\\n")
"""

KILLS = 30


def writer(path: Path, seed: str, rounds: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), seed, str(rounds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_nothing_acknowledged_is_lost_when_a_writer_is_killed_again_and_again(tmp_path):
    rng = random.Random(1)
    acknowledged: list[str] = []
    steady = writer(tmp_path, "steady", 300)
    steady_output: list[str] = []
    reader = threading.Thread(target=lambda: steady_output.extend(steady.communicate(timeout=90)))
    reader.start()
    for kill in range(KILLS):
        victim = writer(tmp_path, f"victim{kill}", 10_000)
        lines = [victim.stdout.readline() for _ in range(rng.randrange(1, 12))]
        victim.kill()
        rest, errors = victim.communicate(timeout=60)
        assert errors == ""
        acknowledged += "".join([*lines, rest]).splitlines(keepends=True)
    reader.join(90)
    assert steady_output[1] == ""
    assert steady_output[0].endswith("done\n")
    acknowledged += steady_output[0].splitlines(keepends=True)
    pairs = [line.split() for line in acknowledged if len(line) == 130]
    assert len(pairs) > 200

    store = open_embedded(tmp_path)
    assert [r for t, r in pairs if store.results.get_result(Checksum(t)) != r] == []
    assert [r for _, r in pairs if store.buffers.get(Checksum(r)) is None] == []
    for checksum in store.buffers.iter_checksums():
        with store.buffers.open(checksum) as f:  # raises if the bytes are not what the name says
            assert f is not None
    assert store.buffers.stats()["corrupt"] == 0
    store.buffers.sweep(older_than=0)
    assert store.buffers.stats()["temporary"] == 0
    store.results.close()
    connection = sqlite3.connect(tmp_path / "seamless.db")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    missing = "SELECT count(*) FROM transformation t WHERE NOT EXISTS"
    reverse = "(SELECT 1 FROM rev_transformation r WHERE r.result = t.result AND r.checksum = t.checksum)"
    assert connection.execute(f"{missing} {reverse}").fetchone() == (0,)
    connection.close()
