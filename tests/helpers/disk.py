"""A small file system of its own, to fill."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_disk(directory: Path, require: Callable[[object, str], None], mebibytes: int) -> Iterator[Path]:
    """Give a directory, made in `directory`, that is a file system of so many MiB. `require`: the fixture."""
    require(os.geteuid() == 0, "mounting a small file system needs root")
    disk = directory / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "none", str(disk)]
    require(subprocess.run(mount, check=False, capture_output=True).returncode == 0, "mounting is not permitted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
