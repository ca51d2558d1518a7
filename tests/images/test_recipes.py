"""The definitions and locks of the images, judged without building anything."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.images.support import COMMANDS, ROOT

IMAGES = ROOT / "images"
# What the Python of the base and its platform are, for the conditions of requirements.
SURROUNDINGS = {"python_version": "3.11", "python_full_version": "3.11.2", "sys_platform": "linux"}


def check(directory: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, directory / "build.py", "--check"]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of images/, to be spoilt."""
    shutil.copytree(IMAGES, tmp_path / "images", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "images"


def pins(name: str) -> dict[str, str]:
    text = (IMAGES / f"{name}.lock").read_text()
    return {canonicalize_name(package): version for package, version in re.findall(r"^([\w.-]+)==(\S+)", text, re.M)}


def test_the_definitions_and_locks_have_no_mistakes() -> None:
    done = check(IMAGES)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("name", "old", "new", "complaint"),
    [
        ("base.def", "20260712T000000Z/", "", "is not a dated state of an archive"),
        ("base.def", "MirrorURL: {{ mirror }}\n", "", "the header lacks 'mirrorurl'"),
        ("base.def", "Bootstrap: debootstrap", "Bootstrap: docker", "Bootstrap is 'docker'"),
        ("base.def", "Bootstrap: debootstrap", "Bootstrap", "base.def:3: expected 'Key: value'"),
        ("hashserver.def", "From: {{ base }}", "From: {{ bas }}", "{{ bas }} is not declared"),
        ("hashserver.def", "%post\n", "%post\n    curl -O https://example.org\n", "%post uses a network: curl"),
        ("hashserver.def", "    exec hashserver", "    if exec hashserver", "is no shell script"),
        ("hashserver.def", "install.sh /opt", "setup.sh /opt", "%files names setup.sh"),
        ("hashserver.def", "seamless.service", "service", "there is no label seamless.service"),
        ("hashserver.def", "%test\n", "%help\n", "there is no %test"),
        ("hashserver.def", "%startscript\n", "%runscript\n", "%runscript is there twice"),
        ("hashserver.def", "    export LC_ALL", "    export LD_PRELOAD", "%environment sets LD_PRELOAD"),
        ("hashserver.lock", "aiohttp==", "aiohttp>=", "expected NAME==VERSION"),
        ("hashserver.lock", "aiohttp==3", "aiohttp==2", "hashserver.lock: aiohttp is 2"),
        ("hashserver.lock", " --hash=sha256:", " --hash=sha1:", "expected NAME==VERSION"),
    ],
)
def test_a_mistake_is_found(copy: Path, name: str, old: str, new: str, complaint: str) -> None:
    text = (copy / name).read_text()
    assert old in text
    (copy / name).write_text(text.replace(old, new))
    done = check(copy)
    assert done.returncode == 1
    assert complaint in done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_a_lock_has_what_the_extras_of_its_image_ask_for(name: str) -> None:
    namespace: dict[str, dict[str, tuple[str, ...]]] = {}
    source = (IMAGES / "recipes.py").read_text()
    exec(re.search(r"^EXTRAS = \{.*?^\}", source, flags=re.M | re.S)[0], namespace)  # type: ignore[index]
    places = [{**SURROUNDINGS, "extra": extra} for extra in namespace["EXTRAS"][name]]
    locked = pins(name)
    missing = []
    for requirement in map(Requirement, requires("seamless") or ()):
        if requirement.marker is not None and not any(map(requirement.marker.evaluate, places)):
            continue
        version = locked.get(canonicalize_name(requirement.name))
        if version is None or not requirement.specifier.contains(version):
            missing.append(f"{requirement} (locked: {version})")
    assert missing == []


@pytest.mark.parametrize("name", ["base", *COMMANDS])
def test_another_tool_reads_the_sections(name: str, tmp_path: Path, require: Callable[[object, str], None]) -> None:
    parsers = pytest.importorskip("spython.main.parse.parsers")
    text = (IMAGES / f"{name}.def").read_text()
    # It knows only one kind of base, and no build arguments.
    path = tmp_path / f"{name}.def"
    path.write_text(
        re.sub(r"^Bootstrap:.*?^(?=%post|%files)", "Bootstrap: docker\nFrom: debian\n\n", text, flags=re.M | re.S)
    )
    (recipe,) = parsers.get_parser("Singularity")(str(path)).parse().values()
    assert recipe.fromHeader == "debian"
    assert f"org.opencontainers.image.title {name if name != 'base' else 'seamless-base'}" in recipe.labels
    assert "PYTHONNOUSERSITE=1" in recipe.environ
    assert any("/opt/seamless" in line for line in recipe.install)
    assert recipe.test is not None


@pytest.mark.parametrize("name", ["base", *COMMANDS])
def test_the_scripts_of_a_definition_satisfy_shellcheck(name: str, tmp_path: Path) -> None:
    sections = re.split(r"^%", (IMAGES / f"{name}.def").read_text(), flags=re.M)[1:]
    scripts = []
    for section in sections:
        title, _, body = section.partition("\n")
        if title.split()[0] in ("post", "runscript", "startscript", "test", "apprun"):
            scripts.append(tmp_path / f"{len(scripts)}-{title.replace(' ', '-')}.sh")
            scripts[-1].write_text(f"#!/bin/sh\n{body}")
    words = [Path(sys.executable).parent / "shellcheck", *scripts]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert scripts
    assert done.stdout == ""


def test_every_option_of_the_script_is_in_the_manual() -> None:
    manual = (ROOT / "docs" / "howto" / "images.md").read_text()
    done = subprocess.run(
        [sys.executable, IMAGES / "build.py", "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    options = set(re.findall(r"(--[a-z-]+)", done.stdout)) - {"--help"}
    assert len(options) > 5
    assert [option for option in sorted(options) if option not in manual] == []
