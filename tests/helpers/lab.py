"""The batch systems of this machine, for tests: begun once a session, ended at its end."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LAB = Path(__file__).resolve().parents[1] / "lab"
ROOT = Path(__file__).resolve().parents[2]
OAR_USER = "oarlab"
OAR_PACKAGES = (
    "distributed",
    "dask-jobqueue",
    "numpy",
    "cryptography",
    "PyYAML",
    "fastapi",
    "uvicorn",
    "httptools",
    "uvloop",
)
_START_SECONDS = 300


class NoLab(Exception):
    """A part of the lab cannot be had here."""


@contextmanager
def slurm_cluster() -> Iterator[dict[str, str]]:
    """Begin a private SLURM cluster; give the variables with which its commands find it."""
    if os.geteuid() != 0:
        raise NoLab("only root can begin a SLURM cluster")
    directory = tempfile.mkdtemp(prefix="slurm-lab-")
    try:
        _script("slurm.sh", "start", directory)
        yield {"SLURM_CONF": f"{directory}/slurm.conf"}
    finally:
        subprocess.run([LAB / "slurm.sh", "stop", directory], timeout=60, check=False, capture_output=True)
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def oar_cluster() -> Iterator[None]:
    """Begin OAR on this machine, unless it runs."""
    if os.geteuid() != 0:
        raise NoLab("only root can begin OAR")
    running = subprocess.run([LAB / "oar.sh", "status"], capture_output=True, timeout=60, check=False).returncode == 0
    _script("oar.sh", "start")
    try:
        yield
    finally:
        if not running:
            subprocess.run([LAB / "oar.sh", "stop"], capture_output=True, timeout=60, check=False)


def _script(name: str, *arguments: str) -> None:
    try:
        done = subprocess.run(
            [LAB / name, *arguments], capture_output=True, text=True, timeout=_START_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise NoLab(f"{name}: {exc}") from exc
    if done.returncode != 0:
        raise NoLab(f"{name} {' '.join(arguments)}: {done.stderr.strip()[-500:]}")


def world_readable_environment() -> Path:
    """Return a Python environment with Seamless in which every user can work; made once for the same contents."""
    digest = hashlib.sha256()
    for path in sorted([*(ROOT / "seamless").rglob("*.py"), ROOT / "pyproject.toml"]):
        digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    digest.update(" ".join(OAR_PACKAGES).encode())
    base = Path("/opt/seamless-lab")
    packages = base / f"packages-{hashlib.sha256(' '.join(OAR_PACKAGES).encode()).hexdigest()[:16]}"
    target = base / f"environment-{digest.hexdigest()[:16]}"
    if not (packages / "bin" / "python").exists():
        _make_packages(packages)
    if not target.exists():
        for old in base.glob("environment-*"):
            shutil.rmtree(old, ignore_errors=True)
        temporary = Path(tempfile.mkdtemp(prefix="new-", dir=base))
        shutil.copytree(ROOT / "seamless", temporary / "seamless", ignore=shutil.ignore_patterns("__pycache__"))
        (temporary / "bin").mkdir()
        _scripts(temporary / "bin", packages, target)
        subprocess.run(["chmod", "-R", "a+rX", temporary], check=True)
        os.replace(temporary, target)
    _make_importable(packages, target)
    return target


def _make_importable(packages: Path, target: Path) -> None:
    """Have that Python find Seamless without any variable: jobs begin with none."""
    (site,) = packages.glob("lib/python3*/site-packages")
    handle, temporary = tempfile.mkstemp(dir=site)
    os.write(handle, f"{target}\n".encode())
    os.close(handle)
    os.chmod(temporary, 0o644)
    os.replace(temporary, site / "seamless-lab.pth")


def _make_packages(packages: Path) -> None:
    packages.parent.mkdir(parents=True, exist_ok=True)
    packages.parent.chmod(0o755)
    temporary = Path(tempfile.mkdtemp(prefix="new-", dir=packages.parent))
    try:
        subprocess.run(["/usr/bin/python3", "-m", "venv", temporary], check=True, capture_output=True, timeout=120)
        subprocess.run(
            [temporary / "bin" / "python", "-m", "pip", "install", "-q", *OAR_PACKAGES],
            check=True, capture_output=True, timeout=_START_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as exc:
        raise NoLab(f"no environment for {OAR_USER}: {exc}") from exc
    subprocess.run(["chmod", "-R", "a+rX", temporary], check=True)
    if packages.exists():
        shutil.rmtree(temporary)  # somebody else was faster
    else:
        os.replace(temporary, packages)


def _scripts(bin_directory: Path, packages: Path, target: Path) -> None:
    """Write the commands, which use the packages of one place and Seamless of another."""
    python = packages / "bin" / "python"
    commands = {
        "hashserver": "hashserver",
        "seamless-database": "database",
        "seamless-dask-wrapper": "dask_wrapper",
        "seamless-run": "run",
    }
    wrapper = bin_directory / "python"
    wrapper.write_text(f'#!/bin/sh\nPYTHONPATH={target} exec {python} "$@"\n')
    wrapper.chmod(0o755)
    for name, module in commands.items():
        path = bin_directory / name
        path.write_text(f'#!/bin/sh\nexec {target}/bin/python -m seamless.cli.{module} "$@"\n')
        path.chmod(0o755)
