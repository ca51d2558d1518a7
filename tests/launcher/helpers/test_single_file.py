"""All helpers as one file, on a machine that has nothing but Python."""

from __future__ import annotations

import ast
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from seamless.launcher import single_file
from seamless.launcher.errors import LauncherError
from seamless.launcher.grammar import HELPERS
from seamless.launcher.single_file import FILE_NAME, build, compiled, install
from tests.launcher.helpers.support import HEALTH, launch
from tests.launcher.support import KEY

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / FILE_NAME
    path.write_bytes(build())
    path.chmod(0o755)
    return path


@pytest.fixture
def isolated(file: Path, base: Path, tmp_path: Path) -> Run:
    """Return run(*words): the file in a Python that has no packages, with an almost empty environment."""

    def run(*words: str, program: Path = file) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-I", "-S", str(program), *words]
        environment = {"HOME": os.environ["HOME"], "PATH": "/usr/bin:/bin"}
        return subprocess.run(
            argv, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def sources(content: bytes) -> dict[str, str]:
    """Return the modules in the file."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist() if name.endswith(".py")}


def test_the_same_sources_give_the_same_bytes() -> None:
    first = build()
    build.cache_clear()
    assert build() == first


def test_the_file_has_all_that_it_imports() -> None:
    found = sources(build())
    modules = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in found}
    wanted = set()
    for name, source in found.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("seamless"):
                assert node.level == 0, name
                wanted |= {node.module}
            elif isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names if alias.name.startswith("seamless")}
    assert wanted - modules == set()


@pytest.mark.parametrize("name", sorted(HELPERS))
def test_every_helper_explains_itself_without_any_package(isolated: Run, name: str) -> None:
    done = isolated(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: {name}")


def test_a_service_is_launched_listed_stopped_and_forgotten(isolated: Run, workdir: Path) -> None:
    done = isolated("rhl-ensure", *launch(workdir, None, *HEALTH))
    assert (done.returncode, done.stderr) == (0, "")
    port = json.loads(done.stdout.splitlines()[-1])["state"]["port"]
    assert isolated("rhl-launch-service", *launch(workdir, None)).returncode == 0
    assert isolated("rhl-ps").stdout.split() == ["KEY", "STATUS", "PORT", KEY, "running", str(port)]
    assert isolated("rhl-verify-port", "127.0.0.1", str(port)).returncode == 0
    assert isolated("rhl-handshake", f"http://127.0.0.1:{port}/healthcheck").returncode == 0
    assert isolated("rhl-stop", KEY).stdout == f"{KEY}: stopped\n"
    assert isolated("rhl-rm", KEY).returncode == 0
    assert isolated("rhl-inspect", KEY).stderr == f"rhl-inspect: no state file for '{KEY}'\n"


def test_installed_under_its_name_the_file_is_a_helper(isolated: Run, file: Path, tmp_path: Path) -> None:
    done = isolated("install", "--bin", str(tmp_path / "bin"))
    assert (done.returncode, done.stderr) == (0, "")
    links = sorted(tmp_path.joinpath("bin").iterdir())
    assert [link.name for link in links] == sorted([FILE_NAME, *HELPERS, "rhl-guard"])
    assert done.stdout.splitlines()[0] == str(tmp_path / "bin" / FILE_NAME)
    assert sources((tmp_path / "bin" / FILE_NAME).read_bytes()) == sources(file.read_bytes())
    assert isolated(program=tmp_path / "bin" / "rhl-ps").stdout.split() == ["KEY", "STATUS", "PORT"]
    own = subprocess.run([tmp_path / "bin" / "rhl-ps", "--key"], capture_output=True, check=False)
    assert (own.returncode, own.stderr) == (0, b"")
    assert isolated("install", "--bin", str(tmp_path / "bin")).returncode == 0


def test_an_installed_file_runs_byte_code_of_the_python_that_has_installed_it(isolated: Run, tmp_path: Path) -> None:
    isolated("install", "--bin", str(tmp_path))
    installed = tmp_path / FILE_NAME
    assert installed.read_bytes().partition(b"\n")[0] == os.fsencode(f"#!{sys.executable}")
    program = (
        f"import sys; sys.path.insert(0, {str(installed)!r}); import seamless.launcher.grammar as found\n"
        "print(found.__file__)"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, check=True, timeout=60)
    assert done.stdout.decode().strip() == f"{installed}/seamless/launcher/grammar.pyc"
    assert sources(compiled(installed.read_bytes())) == sources(build())


def test_a_copy_under_the_name_of_a_helper_is_that_helper(isolated: Run, file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "rhl-pid-alive"
    copy.write_bytes(file.read_bytes())
    assert isolated(str(os.getpid()), program=copy).returncode == 0
    assert isolated("x", program=copy).stderr == "rhl-pid-alive: PID must be a positive integer\n"


def test_an_installation_replaces_nothing_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "rhl-ps").write_text("precious")
    with pytest.raises(LauncherError, match="rhl-ps is something else"):
        install(str(tmp_path), build(), tuple(HELPERS))
    assert [path.name for path in tmp_path.iterdir()] == ["rhl-ps"]


def test_the_file_explains_itself(isolated: Run) -> None:
    done = isolated("--help")
    assert (done.returncode, done.stdout) == (0, "")
    assert "HELPER [ARG...]" in done.stderr
    assert isolated().returncode == 2
    assert isolated("ls").returncode == 2


def test_within_the_file_what_is_built_is_the_file_itself(file: Path) -> None:
    program = f"import sys; sys.path.insert(0, {str(file)!r})\n" + (
        "from seamless.launcher.single_file import build\nsys.stdout.buffer.write(build())"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, check=True, timeout=60)
    assert done.stdout == file.read_bytes()


def test_an_old_python_is_told_what_is_needed() -> None:
    source = single_file._START.decode().partition("from seamless")[0]
    program = "import collections, sys\nsys.version_info = (3, 6)\n" + source.replace("import sys\n", "", 1)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("Python 3.10 or newer is needed")
