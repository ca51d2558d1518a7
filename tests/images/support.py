"""Which images there are, and how the tests run what is in them."""

from __future__ import annotations

import json
import os
import subprocess
from importlib.metadata import distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 90
NOBODY = 65534

COMMANDS = {
    "hashserver": "hashserver",
    "seamless-database": "seamless-database",
    "seamless-jobserver": "seamless-jobserver",
    "seamless-dask": "seamless-dask-wrapper",
    "seamless": "seamless-run",
}
SCRIPTS = {entry.name for entry in distribution("seamless").entry_points if entry.group == "console_scripts"}
IMAGES = [name for name, command in COMMANDS.items() if command in SCRIPTS]
SERVICES = [name for name in IMAGES if name != "seamless"]

Done = subprocess.CompletedProcess[str]


class Images:
    """The directory with the images."""

    def __init__(self, place: Path):
        self.place = place

    @property
    def mirror(self) -> str:
        """The archive that the base was built from."""
        return self.labels("base")["org.label-schema.usage.singularity.deffile.mirrorurl"]

    @property
    def wheel(self) -> Path:
        """The wheel of Seamless that the images were built from."""
        return next((self.place / "wheels").glob("seamless-*.whl"))

    def labels(self, name: str) -> dict[str, str]:
        """Return the labels of an image."""
        done = self.apptainer("inspect", "--json", "--labels", self.path(name))
        found: dict[str, str] = json.loads(done.stdout)["data"]["attributes"]["labels"]
        return found

    def path(self, name: str) -> Path:
        """Return the file of an image."""
        return self.place / f"{name}.sif"

    def apptainer(self, *words: object, **more: str) -> Done:
        """Run apptainer, whatever comes of it."""
        return subprocess.run(
            ["apptainer", *map(str, words)], env={**os.environ, **more}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip

    def inside(self, name: str, *words: object) -> str:
        """Return what a command in an image prints; it must succeed."""
        done = self.apptainer("exec", "--cleanenv", "--no-home", self.path(name), *words)
        assert done.returncode == 0, done.stderr
        return done.stdout


class Inhabitant:
    """Somebody without privileges, with a home and a cache, who has only images."""

    def __init__(self, home: Path, images: Images):
        self.home, self.images = home, images
        os.chown(home, NOBODY, NOBODY)

    def attempt(self, *words: object) -> Done:
        """Run apptainer as this user, in the home, whatever comes of it."""
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.home)}
        environment["SEAMLESS_CACHE"] = str(self.home / "cache")
        return subprocess.run(
            ["apptainer", *map(str, words)], cwd=self.home, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=SECONDS, check=False,
            user=NOBODY, group=NOBODY, extra_groups=[],
        )  # fmt: skip

    def run(self, *words: object) -> str:
        """Run a command of the image `seamless`, which must succeed; return its output."""
        done = self.attempt("run", self.images.path("seamless"), *words)
        assert done.returncode == 0, done.stderr
        return done.stdout
