"""The locks in conda/: closed, complete, accepted and rendered by the real conda-lock, and true to pyproject.toml."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.conda

ROOT = Path(__file__).resolve().parents[2]
CONDA = ROOT / "conda"
ENVIRONMENTS = ("hashserver", "seamless", "seamless-dask", "seamless-database", "seamless-jobserver")
EXTRAS = {
    "hashserver": ("services",),
    "seamless-database": ("services",),
    "seamless-jobserver": ("services", "arrays", "progress", "compiled", "shell"),
    "seamless-dask": ("services", "arrays", "progress", "compiled", "shell", "dask", "hpc"),
    "seamless": ("services", "arrays", "progress", "compiled", "shell", "dask", "hpc", "ipython"),
}
# the name on conda-forge, where it is not that on PyPI
CONDA_NAMES = {"prometheus-client": "prometheus_client", "dask": "dask-core", "pyyaml": "pyyaml"}


def program(*words: str | Path, cwd: Path | None = None, status: int = 0) -> str:
    """Run a program of this interpreter's environment; return what it says."""
    directory = Path(sys.executable).parent
    done = subprocess.run(
        [str(directory / str(words[0])), *map(str, words[1:])],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == status, done.stdout
    return done.stdout


def lock_tool(*words: str, status: int = 0, directory: Path = CONDA) -> str:
    return program("python", directory / "lock.py", *words, status=status)


def read(path: Path) -> Any:
    return yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of conda/ with one environment, to be spoilt."""
    shutil.copytree(CONDA / "hashserver", tmp_path / "conda" / "hashserver")
    shutil.copy(CONDA / "lock.py", tmp_path / "conda")
    return tmp_path / "conda"


def test_the_environments_are_those_that_the_manual_names() -> None:
    assert tuple(sorted(path.parent.name for path in CONDA.glob("*/environment.yml"))) == ENVIRONMENTS


def test_every_lock_is_closed_complete_and_made_from_its_environment_file() -> None:
    assert lock_tool("check") == ""


def test_a_package_that_is_not_needed_is_found(copy: Path) -> None:
    lock = copy / "hashserver" / "conda-lock.yml"
    content = read(lock)
    content["package"].append(
        next(p for p in read(CONDA / "seamless" / "conda-lock.yml")["package"] if p["name"] == "bokeh")
    )
    lock.write_text(yaml.safe_dump(content))
    assert "bokeh is locked on linux-64, but not needed" in lock_tool("check", status=1, directory=copy)


def test_a_package_that_is_missing_is_found(copy: Path) -> None:
    lock = copy / "hashserver" / "conda-lock.yml"
    content = read(lock)
    content["package"] = [p for p in content["package"] if (p["name"], p["platform"]) != ("starlette", "linux-64")]
    lock.write_text(yaml.safe_dump(content))
    said = lock_tool("check", status=1, directory=copy)
    assert "no solution for linux-64" in said and "starlette" in said


def test_a_changed_environment_file_is_found(copy: Path) -> None:
    environment = copy / "hashserver" / "environment.yml"
    environment.write_text(environment.read_text() + "  - tqdm\n")
    assert "environment.yml has changed since the lock was made" in lock_tool("check", status=1, directory=copy)


def test_a_package_from_elsewhere_or_without_hash_is_found(copy: Path) -> None:
    lock = copy / "hashserver" / "conda-lock.yml"
    content = read(lock)
    content["package"][0]["url"] = content["package"][0]["url"].replace(
        "https://conda.anaconda.org", "http://example.org"
    )
    content["package"][1]["hash"].pop("sha256")
    lock.write_text(yaml.safe_dump(content))
    said = lock_tool("check", status=1, directory=copy)
    assert "is not from conda-forge: http://example.org" in said and "lacks a sha256" in said


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_conda_lock_renders_the_lock_for_every_platform(name: str, tmp_path: Path) -> None:
    program("conda-lock", "render", "-k", "explicit", CONDA / name / "conda-lock.yml", cwd=tmp_path)
    entries = read(CONDA / name / "conda-lock.yml")["package"]
    for platform in ("linux-64", "linux-aarch64", "osx-64", "osx-arm64"):
        urls = [
            line for line in (tmp_path / f"conda-{platform}.lock").read_text().splitlines() if line.startswith("http")
        ]
        assert len(urls) == sum(entry["platform"] == platform for entry in entries) > 50


def requirement(text: str) -> tuple[str, str]:
    """Return name and lower bound of a requirement."""
    name, bound = re.match(r"([A-Za-z0-9._-]+)(?:\[.*\])?\s*(?:>=([0-9.]+))?", text).groups()  # type: ignore[union-attr]
    return name.lower(), bound or "0"


def extra_requirements(extras: tuple[str, ...]) -> dict[str, str]:
    """Return what pyproject.toml asks for, by name."""
    tomllib = pytest.importorskip("tomllib", reason="tomllib came with Python 3.11")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = list(project["dependencies"])
    for extra in extras:
        texts += project["optional-dependencies"][extra]
    return dict(requirement(text) for text in texts if not text.startswith("seamless["))


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_requirement_of_the_extras_is_locked_at_a_version_that_they_accept(name: str) -> None:
    locked = {p["name"]: str(p["version"]) for p in read(CONDA / name / "conda-lock.yml")["package"]}
    for package, bound in extra_requirements(EXTRAS[name]).items():
        found = locked.get(CONDA_NAMES.get(package, package))
        assert found is not None, f"{package} is not in {name}"
        assert version(found) >= version(bound), f"{package} {found} is older than {bound}"
