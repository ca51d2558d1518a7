"""The images, built once by the product's own script and kept for the next run as long as they are up to date."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.images.support import IMAGES, ROOT, Images, Inhabitant

# Users without privileges reach it, and it outlives a run; pip and the isolation of builds are none of the images.
PLACE = Path(f"/var/tmp/seamless-images-{os.getuid()}")
BUILD_SECONDS = 900


@functools.cache
def mirror_of_this_machine() -> str:
    """Return the archive that this machine installs from; empty if there is none."""
    if shutil.which("apt-get") is None:
        return ""
    words = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    found = [line for line in done.stdout.splitlines() if "security" not in line and "updates" not in line]
    return found[0] if found else ""


@pytest.fixture(scope="session")
def built() -> Callable[[], str]:
    """Return built(): build what is out of date, at the first call; what is wrong, or nothing."""
    results: list[str] = []

    def build() -> str:
        if not results:
            words = [
                sys.executable,
                ROOT / "images" / "build.py",
                "--output",
                PLACE,
                "--mirror",
                mirror_of_this_machine(),
            ]
            words += [word for name in IMAGES for word in ("--only", name)]
            done = subprocess.run(words, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
            results.append(done.stderr if done.returncode else "")
        return results[0]

    return build


@pytest.fixture
def images(require: Callable[[object, str], None], built: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> Images:
    """Return the images."""
    require("apptainer", "the command apptainer is missing")
    require("debootstrap", "the command debootstrap is missing")
    require(bool(mirror_of_this_machine()), "no archive of Debian is known here")
    if os.geteuid() == 0:
        monkeypatch.setenv("APPTAINER_NO_PRIVS", "1")  # also where root lacks a capability
    problem = built()
    assert problem == ""
    return Images(PLACE)


@pytest.fixture
def inhabitant(require: Callable[[object, str], None], images: Images) -> Iterator[Inhabitant]:
    """Return a user without any privilege, with a directory of their own."""
    require(os.geteuid() == 0, "acting as another user needs root")
    directory = Path(tempfile.mkdtemp(prefix="seamless-inhabitant-", dir="/var/tmp"))
    try:
        yield Inhabitant(directory, images)
    finally:
        shutil.rmtree(directory)
