"""A lock made and installed by the real conda-lock, from a channel in a directory: no network, no conda."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.conda

STAND_IN = Path(__file__).with_name("stand_in_conda.py")


def make_package(channel: Path, name: str, depends: list[str], files: dict[str, str], *, noarch: bool) -> None:
    """Put a package into the channel."""
    from conda_package_streaming.create import conda_builder

    subdir = "noarch" if noarch else "linux-64"
    directory = channel / subdir
    directory.mkdir(parents=True, exist_ok=True)
    index = {"name": name, "version": "1.0", "build": "0", "build_number": 0, "depends": depends, "subdir": subdir}
    if noarch:
        index["noarch"] = "generic"
    paths = {
        "paths_version": 1,
        "paths": [
            {"_path": path, "path_type": "hardlink", "sha256": _sha256(text), "size_in_bytes": len(text)}
            for path, text in files.items()
        ],
    }
    entries = {"info/index.json": json.dumps(index), "info/paths.json": json.dumps(paths)} | files
    with conda_builder(f"{name}-1.0-0", directory) as archive:
        for path, text in entries.items():
            _add(archive, path, text)


def _sha256(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()


def _add(archive: object, path: str, text: str) -> None:
    import io
    import tarfile

    member = tarfile.TarInfo(path)
    data = text.encode()
    member.size, member.mode = len(data), 0o755
    archive.addfile(member, io.BytesIO(data))  # type: ignore[attr-defined]


@pytest.fixture
def channel(tmp_path: Path) -> Path:
    """A channel with a command and a library that it needs."""
    directory = tmp_path / "channel"
    make_package(directory, "lib-demo", [], {"share/lib-demo/text": "made here\n"}, noarch=True)
    script = '#!/bin/sh\ncat "$(dirname "$0")/../share/lib-demo/text"\n'
    make_package(directory, "demo", ["lib-demo >=1"], {"bin/demo": script}, noarch=False)
    from rattler.index import index_fs

    asyncio.run(index_fs(directory, force=True))
    return directory


def conda_lock(*words: str, cwd: Path, home: Path) -> str:
    """Run conda-lock with the stand-in for conda."""
    conda = home / "conda"
    conda.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STAND_IN}" "$@"\n')
    conda.chmod(0o755)
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(home / "cache")}
    done = subprocess.run(
        [str(Path(sys.executable).parent / "conda-lock"), *words, "--conda", str(conda)],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_conda_lock_locks_and_installs_from_a_local_channel(channel: Path, tmp_path: Path) -> None:
    work, home = tmp_path / "work", tmp_path / "home"
    work.mkdir()
    home.mkdir()
    (work / "environment.yml").write_text(
        f"name: demo\nchannels: [{channel.as_uri()}]\nplatforms: [linux-64]\ndependencies: [demo]\n"
    )
    conda_lock("lock", "-f", "environment.yml", "--lockfile", "conda-lock.yml", cwd=work, home=home)
    text = (work / "conda-lock.yml").read_text()
    assert "name: demo" in text and "name: lib-demo" in text
    again = conda_lock(
        "lock", "-f", "environment.yml", "--lockfile", "conda-lock.yml", "--check-input-hash", cwd=work, home=home
    )
    assert "Spec hash already locked" in again
    conda_lock("install", "--prefix", str(work / "prefix"), "conda-lock.yml", cwd=work, home=home)
    assert subprocess.check_output([str(work / "prefix/bin/demo")], text=True, timeout=20) == "made here\n"
    shutil.rmtree(work / "prefix")
