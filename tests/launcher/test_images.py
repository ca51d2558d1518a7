"""Services in images: the argument list, the pinned digest; with a stand-in for the runtime."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from seamless.launcher import Configuration, LauncherError, run, stop
from seamless.launcher.images import container_argv, verify
from tests.launcher.support import KEY

if TYPE_CHECKING:
    from tests.launcher.conftest import LaunchDict

# Stays the parent of what it runs, as the real one does, and hands signals on.
RUNTIME = f"""#!{sys.executable} -IS
import os, signal, subprocess, sys
if sys.argv[1:] == ["--version"]:
    print("apptainer version VERSION")
    sys.exit()
words = sys.argv[1:]
image = next(i for i, word in enumerate(words) if word.endswith(".sif"))
child = subprocess.Popen(words[image + 1:])
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda number, frame: child.send_signal(number))
sys.exit(child.wait())
"""


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "bin" / "apptainer"
    path.parent.mkdir()
    path.write_text(RUNTIME.replace("VERSION", "1.4.5"))
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")
    return path


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "services.sif"
    path.write_bytes(b"an image")
    return path


def configuration(sif: Path, *, workdir: str = "/data/p", **fields: Any) -> Configuration:
    block = {"runtime": "auto", "path": str(sif), **fields.pop("image", {})}
    mapping = {"workdir": workdir, "key": "k", "command": "x", "image": block, **fields}
    return Configuration.from_mapping(mapping)


def test_the_argument_list_is_that_of_the_documentation(runtime: Path, image: Path, base: Path) -> None:
    block = {"binds": ["/ref:/ref:ro", "~/x:/x"], "env": {"A": "1"}, "options": ["--nv"]}
    argv = container_argv(configuration(image, image=block), ["serve", "a b"], "/data/p", {})
    server = str(base / "server")
    assert argv == [
        str(runtime), "exec", "--cleanenv", "--no-home", "--pwd", "/data/p",
        "--bind", f"{server}:{server}", "--bind", "/data/p:/data/p", "--bind", "/ref:/ref:ro",
        "--bind", f"{Path.home()}/x:/x", "--env", "A=1", "--nv", str(image), "serve", "a b",
    ]  # fmt: skip


def binds(config: Configuration, workdir: str) -> list[str]:
    argv = container_argv(config, ["serve"], workdir, {})
    return [argv[i + 1] for i, word in enumerate(argv) if word == "--bind"][1:]


@pytest.mark.usefixtures("runtime", "base")
def test_a_read_only_hashserver_gets_its_data_read_only(image: Path) -> None:
    meta = {"service": "hashserver", "mode": "ro"}
    assert binds(configuration(image, meta=meta), "/data/p") == ["/data/p:/data/p:ro"]


@pytest.mark.usefixtures("runtime", "base")
def test_a_jobserver_gets_the_buffer_directories_of_its_clients(image: Path, tmp_path: Path) -> None:
    parameters = {"buffer": [{"remote_directory": str(tmp_path)}, {"url": "http://x"}], "database": []}
    assert binds(configuration(image, file_parameters=parameters), "/tmp") == [f"{tmp_path}:{tmp_path}:ro"]


@pytest.mark.usefixtures("runtime", "base")
def test_what_a_service_needs_of_the_environment_goes_inside(image: Path) -> None:
    environment = {"SEAMLESS_DEBUG": "1", "https_proxy": "p", "HOME": "/h", "TZ": "UTC"}
    container_argv(configuration(image, image={"env": {"LIST": "a,b"}}), ["serve"], "/tmp", environment)
    inside = {name.removeprefix("APPTAINERENV_") for name in environment if name.startswith("APPTAINERENV_")}
    assert inside == {"SEAMLESS_DEBUG", "https_proxy", "TZ", "REMOTE_HTTP_LAUNCHER_DIR", "LIST"}


@pytest.mark.usefixtures("runtime", "base")
def test_what_the_clients_of_a_batch_system_need_is_bound_where_they_are_used(image: Path) -> None:
    config = configuration(image, submit="bind", submit_binds=["/etc/slurm", "/run/munge:/run/munge:ro"])
    assert binds(config, "/tmp") == ["/etc/slurm", "/run/munge:/run/munge:ro"]


@pytest.mark.usefixtures("base")
def test_a_forwarder_of_submissions_becomes_the_runtime(runtime: Path, image: Path) -> None:
    argv = container_argv(configuration(image, submit="proxy"), ["serve"], "/tmp", {})
    before = argv[: argv.index(str(runtime))]
    assert before[0] == sys.executable
    assert before[-1] == "seamless.launcher.submit.forwarder"


@pytest.mark.usefixtures("runtime", "base")
@pytest.mark.parametrize("bind", ["relative:/x", "/a,/b", "/a:/b:ro:x"])
def test_a_bind_that_is_none_is_refused(image: Path, bind: str) -> None:
    with pytest.raises(LauncherError, match="is no bind"):
        container_argv(configuration(image, image={"binds": [bind]}), ["serve"], "/tmp", {})


@pytest.mark.usefixtures("base")
def test_a_pinned_image_must_be_that_image(image: Path) -> None:
    verify(str(image), hashlib.sha256(b"an image").hexdigest())
    with pytest.raises(LauncherError, match="is not the pinned one"):
        verify(str(image), "0" * 64)


def test_the_digest_of_an_unchanged_image_is_remembered(image: Path, base: Path) -> None:
    verify(str(image), hashlib.sha256(b"an image").hexdigest())
    cache = base / "image-digests.json"
    known = json.loads(cache.read_text())
    known[str(image)]["sha256"] = "1" * 64
    cache.write_text(json.dumps(known))
    verify(str(image), "1" * 64)
    os.utime(image, (1, 1))
    with pytest.raises(LauncherError):
        verify(str(image), "1" * 64)


@pytest.mark.parametrize(("path", "text"), [("rel.sif", "must be absolute"), ("/nope.sif", "cannot read the image")])
def test_an_image_that_is_not_there_is_named(path: str, text: str) -> None:
    with pytest.raises(LauncherError, match=text):
        verify(path, None)


def test_a_missing_runtime_is_named(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(LauncherError, match="no container runtime"):
        container_argv(configuration(image, image={"runtime": "nosuchruntime"}), ["serve"], "/tmp", {})


def test_an_old_runtime_is_refused(runtime: Path, image: Path) -> None:
    runtime.write_text(RUNTIME.replace("VERSION", "1.0.3"))
    with pytest.raises(LauncherError, match="at least 1.1"):
        container_argv(configuration(image), ["serve"], "/tmp", {})


@pytest.mark.usefixtures("runtime")
def test_a_service_in_an_image_is_launched_and_stopped(launch_dict: LaunchDict, image: Path) -> None:
    config = launch_dict(image={"runtime": "auto", "path": str(image)})
    first = run(config)
    assert run(config) == first
    assert stop(KEY) == "stopped"
