#!/usr/bin/env python3
"""Build the Apptainer images of this directory that are out of date: `build.py [--only IMAGE]... [--output DIR]`.

Needs apptainer, debootstrap and pip; no privileges. The network is used for the archive of Debian and the wheels that
are not there yet, by this program; nothing inside an image ever asks it. `--lock` needs uv.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import recipes

HERE = recipes.HERE
ROOT = HERE.parent
PYTHON = "3.11"  # of the Debian release of base.def
GLIBC = (5, 12, 17, 24, 26, 27, 28, 31, 34, 35, 36)  # wheels for glibc 2.N run there
DIGEST = "seamless.input-digest"
COMPRESSION = "-comp zstd -Xcompression-level 6"  # half the time of gzip, and the same size
LOCK_HEADER = "# The Python packages of {name}.sif. Made by `images/build.py --lock`; do not edit.\n"


class Problem(Exception):
    """Why there is no image; the text says what to do."""


def run(*words: str | Path, cwd: Path = HERE, env: dict[str, str] | None = None) -> str:
    """Run a program and return what it prints. Raises Problem with the end of what it said."""
    try:
        done = subprocess.run(
            [str(word) for word in words], cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
        )  # fmt: skip
    except FileNotFoundError as exc:
        raise Problem(f"the command {words[0]} is missing") from exc
    if done.returncode != 0:
        said = "\n".join(done.stdout.splitlines()[-30:])
        raise Problem(f"{words[0]} failed with status {done.returncode}:\n{said}")
    return done.stdout


def say(text: str) -> None:
    """Tell on stderr what is going on."""
    print(f"build.py: {text}", file=sys.stderr, flush=True)


def digest(*parts: str | bytes | Path) -> str:
    """Return one SHA-256 of texts and of files."""
    total = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part.encode() if isinstance(part, str) else part
        total.update(hashlib.sha256(data).digest())
    return total.hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file that may be large."""
    total = hashlib.sha256()
    with open(path, "rb") as f:
        while piece := f.read(1 << 20):
            total.update(piece)
    return total.hexdigest()


class Builder:
    """One run: where images go, and what they are made from."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.output: Path = options.output.resolve()
        self.wheels = self.output / "wheels"
        self.wheels.mkdir(parents=True, exist_ok=True)
        self.temporary = self.output / "tmp"
        self.temporary.mkdir(exist_ok=True)
        # Builds unpack whole images: beside the results, not in /tmp, which may be small.
        self.environment = {"APPTAINER_TMPDIR": str(self.temporary), **os.environ}

    def image(self, name: str) -> Path:
        """Return where an image is to be."""
        return self.output / f"{name}.sif"

    # --- the base -----------------------------------------------------------------------------

    def base(self) -> None:
        """Build the base unless it is there; compare its packages with those that are written down."""
        recipe = recipes.read(HERE / "base.def")
        given = {"mirror": self.options.mirror, "release": self.options.release}
        arguments = {name: value or recipe.arguments[name] for name, value in given.items()}
        wanted = digest(recipe.text, *arguments.values(), platform.machine())
        if self.is_current("base", wanted):
            return
        if self.options.offline:
            raise Problem(f"{self.image('base')} is not there or out of date, and --offline forbids to make it")
        self.build("base", {**arguments, "input_digest": wanted})
        self.compare_packages(dated=arguments["mirror"] == recipe.arguments["mirror"])

    def compare_packages(self, *, dated: bool) -> None:
        """See whether the packages of the base are those of base.packages.lock; from a dated archive they must be."""
        path = HERE / "base.packages.lock"
        found = set(self.inside("base", "cat", "/opt/seamless/packages.lock").splitlines())
        if self.options.lock:
            path.write_text("".join(f"{line}\n" for line in sorted(found)), encoding="utf-8")
            return
        drift = sorted(found ^ set(path.read_text(encoding="utf-8").splitlines()))
        if not drift or platform.machine() != "x86_64":
            return
        text = f"the packages of the base are not those of {path.name}: {', '.join(drift[:10])}"
        if dated:
            self.image("base").unlink()
            raise Problem(f"{text}\nif that is what you want: images/build.py --lock --only base")
        say(f"warning: {text}")

    # --- the others ---------------------------------------------------------------------------

    def services(self, names: Sequence[str], wheel: Path) -> None:
        """Build images on the base, two at a time, except those that are there."""
        wanted = {name: self.inputs(name, wheel) for name in names}
        outdated = [name for name in names if not self.is_current(name, wanted[name])]
        for name in outdated:
            self.fetch(HERE / f"{name}.lock")
        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(self.service, name, wheel, wanted[name]) for name in outdated]:
                done.result()

    def inputs(self, name: str, wheel: Path) -> str:
        """Return the digest of all that an image is made from."""
        files = [HERE / file for file in (f"{name}.def", "install.sh", "check.py", f"{name}.lock")]
        return digest(*files, wheel, self.label("base", DIGEST) or "")

    def service(self, name: str, wheel: Path, wanted: str) -> None:
        """Build an image on the base."""
        self.build(
            name,
            {
                "base": str(self.image("base")),
                "wheel": wheel.name,
                "version": wheel.name.split("-")[1],
                "revision": revision(),
                "source": self.options.source,
                "input_digest": wanted,
            },
            "--bind",
            f"{self.wheels}:/mnt:ro",
        )

    def own_wheel(self) -> Path:
        """Return the wheel of this repository, or the one that is given, among the others."""
        given: Path | None = self.options.wheel
        directory = self.temporary / "wheel"
        if given is None:
            say("packing Seamless")
            for old in directory.glob("*.whl"):
                old.unlink()
            isolation = ["--no-build-isolation"] if self.options.offline else []
            run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", *isolation, "-w", directory, ROOT)
            (given,) = directory.glob("seamless-*.whl")
        content = given.read_bytes()
        for old in self.wheels.glob("seamless-*.whl"):
            old.unlink()
        target = self.wheels / given.name
        target.write_bytes(content)
        return target

    def fetch(self, lock: Path) -> None:
        """Put the wheels of a lock beside the others; their hashes are compared."""
        machine = platform.machine()
        words = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
        words += ["--only-binary=:all:", "--implementation", "cp", "--python-version", PYTHON]
        words += [word for glibc in GLIBC for word in ("--platform", f"manylinux_2_{glibc}_{machine}")]
        if self.options.offline:
            words += ["--no-index", "--find-links", str(self.wheels)]
        run(sys.executable, *words, "-r", lock, "-d", self.wheels)

    # --- apptainer ----------------------------------------------------------------------------

    def build(self, name: str, arguments: dict[str, str], *more: str) -> None:
        """Build one image; it gets its name when it is complete."""
        say(f"building {name}.sif")
        unfinished = self.temporary / f"{name}.sif"
        words = [word for pair in arguments.items() for word in ("--build-arg", "=".join(pair))]
        run(
            "apptainer", "build", "--force", "--fakeroot", "--mksquashfs-args", COMPRESSION, *words, *more,
            unfinished, f"{name}.def",
            env=self.environment,
        )  # fmt: skip
        os.replace(unfinished, self.image(name))

    def is_current(self, name: str, wanted: str) -> bool:
        """Tell whether an image is there that was made from the same."""
        return not self.options.force and self.image(name).exists() and self.label(name, DIGEST) == wanted

    def label(self, name: str, label: str) -> str | None:
        """Return a label of an image."""
        found = json.loads(run("apptainer", "inspect", "--json", "--labels", self.image(name)))
        value: str | None = found["data"]["attributes"]["labels"].get(label)
        return value

    def inside(self, name: str, *words: str) -> str:
        """Return what a command in an image prints."""
        return run("apptainer", "--quiet", "exec", "--no-home", "--cleanenv", self.image(name), *words)

    def write_list(self) -> None:
        """Write what a definition of a cluster says about these images, with their digests."""
        paths = [self.image(name) for name in recipes.EXTRAS if self.image(name).exists()]
        lines = [f"  {path.stem}: {{path: {path}, sha256: {file_digest(path)}}}\n" for path in paths]
        (self.output / "images.yaml").write_text("images:\n" + "".join(lines), encoding="utf-8")
        sys.stdout.write("images:\n" + "".join(lines))


def revision() -> str:
    """Return the commit of this repository, with a mark if there are changes; `unknown` outside of one."""
    try:
        commit = run("git", "rev-parse", "HEAD", cwd=ROOT).strip()
        return f"{commit}-modified" if run("git", "status", "--porcelain", cwd=ROOT) else commit
    except Problem:
        return "unknown"


def lock(names: Sequence[str]) -> None:
    """Write the locks anew: all with the same versions, with the hashes of every published file."""
    whole = HERE / "seamless.lock"
    for name in ("seamless", *(name for name in names if name not in ("seamless", "base"))):
        words = [word for extra in recipes.EXTRAS[name] for word in ("--extra", extra)]
        if name != "seamless":
            words += ["--constraint", str(whole)]
        text = run(
            "uv", "pip", "compile", "--quiet", "--no-config", "--generate-hashes", "--no-annotate", "--no-header",
            "--no-emit-index-url", "--no-emit-find-links", "--only-binary", ":all:", "--python-version", PYTHON,
            "--python-platform", f"{platform.machine()}-manylinux_2_34", *words, ROOT / "pyproject.toml",
        )  # fmt: skip
        (HERE / f"{name}.lock").write_text(LOCK_HEADER.format(name=name) + text, encoding="utf-8")
        say(f"{name}.lock: {len(recipes.pins(HERE / f'{name}.lock'))} packages")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    found = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    add = found.add_argument
    add("--only", metavar="IMAGE", action="append", choices=recipes.NAMES, help="only this image, and its base")
    add("--output", metavar="DIR", type=Path, default=ROOT / "build" / "images", help="default: build/images")
    add("--mirror", metavar="URL", help="the archive of Debian (default: a dated state of it, see base.def)")
    add("--release", metavar="NAME", help="the release of Debian (default: see base.def)")
    add("--wheel", metavar="FILE", type=Path, help="the wheel of Seamless (default: made from this repository)")
    add("--source", metavar="URL", default="unknown", help="the address of the sources, for the label")
    add("--offline", action="store_true", help="ask no network: base.sif and all wheels must be in DIR")
    add("--force", action="store_true", help="build also what is up to date")
    add("--check", action="store_true", help="build nothing: look for mistakes in the definitions and locks")
    add("--lock", action="store_true", help="write the locks anew, then build nothing but, with --only base, the base")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Return 1, and say why, if something cannot be had."""
    options = parser().parse_args(argv)
    names = options.only or list(recipes.NAMES)
    try:
        if options.lock and names != ["base"]:
            lock(names)
            return 0
        problems = recipes.check()
        if problems:
            raise Problem("\n".join(problems))
        if options.check:
            return 0
        builder = Builder(options)
        with open(builder.output / ".lock", "w", encoding="utf-8") as held:
            fcntl.flock(held, fcntl.LOCK_EX)  # another run waits, then finds what this one has built
            builder.base()
            services = [name for name in names if name != "base"]
            if services:
                builder.services(services, builder.own_wheel())
            builder.write_list()
    except (Problem, OSError, ValueError) as exc:
        say(str(exc))
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
