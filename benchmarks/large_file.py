"""A file of a gigabyte through the checksum and into the store, against sha256sum and cp; memory must stay flat."""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Child, Row, run_child, script

TITLE = "large file"
MEGABYTE = 1_000_000
FLAT = 100 * MEGABYTE

INGEST = """
import sys
from seamless.stores.embedded import open_embedded
open_embedded(sys.argv[1]).buffers.ingest(sys.argv[2])
"""

REMOVE = """
import sys
from seamless.checksum import Checksum
from seamless.stores.embedded import open_embedded
store = open_embedded(sys.argv[1])
for checksum in list(store.buffers.iter_checksums()):
    store.buffers.remove(Checksum(checksum))
"""


def make_input(path: Path, size: int) -> None:
    """Write `size` bytes that no file system can compress away or share."""
    block = os.urandom(1 << 20)
    with open(path, "wb") as f:
        for number in range(size >> 20):
            f.write(number.to_bytes(8, "big") + block[8:])
        f.flush()
        os.fsync(f.fileno())


def median(children: Sequence[Child]) -> float:
    return statistics.median(child.seconds for child in children)


def run(place: Path, quick: bool) -> list[Row]:
    size = (64 if quick else 1024) << 20
    source = place / "input.bin"
    make_input(source, size)
    store = str(place / "cache")
    copy = place / "copy.bin"
    rivals: dict[str, list[Child]] = {"sha256sum": [], "cp": [], "checksum": [], "store": []}
    for _ in range(3):
        rivals["sha256sum"].append(run_child(["sha256sum", source]))
        rivals["checksum"].append(run_child([script("seamless-checksum"), source]))
        # The store promises that its bytes survive a loss of power, so that the copy has to be as durable.
        rivals["cp"].append(run_child(["sh", "-c", 'cp --reflink=never "$1" "$2" && sync "$2"', "-", source, copy]))
        copy.unlink()
        rivals["store"].append(run_child([sys.executable, "-c", INGEST, store, str(source)]))
        run_child([sys.executable, "-c", REMOVE, store])
    times = {name: median(children) for name, children in rivals.items()}
    peaks = {name: max(child.peak_bytes for child in children) for name, children in rivals.items()}
    slower = max(("sha256sum", "cp"), key=lambda name: times[name])
    label = f"{size >> 20} MiB"
    return [
        Row(f"seamless-checksum, {label}", times["checksum"], "sha256sum", times["sha256sum"], 1.3, None,
            peaks["checksum"], FLAT),
        Row(f"into the store, {label}", times["store"], f"{slower}, the slower", times[slower], 1.3, None,
            peaks["store"], FLAT),
    ]  # fmt: skip
