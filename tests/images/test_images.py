"""The images as they are used: read-only, without privileges, by hand and by the launcher."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docs.conftest import run_page as run_page
from tests.images.support import COMMANDS, IMAGES, ROOT, SERVICES, Images, Inhabitant
from tests.integration.dask_place import DaskPlace
from tests.integration.place import PROGRAM, Place, eventually, words_of

pytestmark = [pytest.mark.apptainer, pytest.mark.xdist_group("apptainer"), pytest.mark.timeout(1200)]

# --- what they are --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_passes_its_own_test(images: Images, name: str) -> None:
    done = images.apptainer("test", images.path(name))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_package_that_is_not_the_locked_one_fails_the_test_of_an_image(images: Images, tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text((ROOT / "images" / "hashserver.lock").read_text().replace("aiohttp==3", "aiohttp==2"))
    bind = f"{lock}:/opt/seamless/requirements.lock:ro"
    done = images.apptainer("test", "--bind", bind, images.path("hashserver"))
    assert done.returncode != 0
    assert re.search(r"aiohttp 3\S+ is installed, 2\S+ locked", done.stderr)


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_says_what_it_is_and_from_what(images: Images, name: str) -> None:
    labels = images.labels(name)
    assert labels["org.opencontainers.image.title"] == name
    assert labels["seamless.service"] == (name if name != "seamless" else "none")
    assert re.fullmatch(r"[0-9a-f]{64}", labels["seamless.input-digest"])
    assert re.match(r"\d+\.\d+", labels["org.opencontainers.image.version"])
    assert re.fullmatch(r"unknown|[0-9a-f]{40}(-modified)?", labels["org.opencontainers.image.revision"])
    assert labels["org.opencontainers.image.version"] in images.apptainer("run-help", images.path(name)).stdout


def test_all_images_have_the_packages_of_one_base(images: Images) -> None:
    base = images.inside("base", "cat", "/opt/seamless/packages.lock")
    assert {name: images.inside(name, "cat", "/opt/seamless/packages.lock") for name in IMAGES} == dict.fromkeys(
        IMAGES, base
    )
    written_down = {line.partition("=")[0] for line in (ROOT / "images" / "base.packages.lock").read_text().split()}
    assert {line.partition("=")[0] for line in base.split()} == written_down


def test_what_is_up_to_date_is_not_built_again_and_needs_no_network(images: Images) -> None:
    before = {path: path.stat().st_mtime_ns for path in images.place.glob("*.sif")}
    words = [
        sys.executable,
        ROOT / "images" / "build.py",
        "--output",
        images.place,
        "--mirror",
        images.mirror,
        "--offline",
    ]
    words += ["--wheel", images.wheel, *(word for name in IMAGES for word in ("--only", name))]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert {path: path.stat().st_mtime_ns for path in images.place.glob("*.sif")} == before
    assert done.stdout == (images.place / "images.yaml").read_text()


# --- by hand, without privileges ------------------------------------------------------------------


def test_a_project_is_begun_and_a_step_run_once_from_the_image(inhabitant: Inhabitant) -> None:
    (inhabitant.home / "a.txt").write_text("b\na\n")
    inhabitant.run("seamless-init")
    line = f"echo ran >> {inhabitant.home}/count; sort a.txt"
    assert [inhabitant.run("seamless-run", "-i", "a.txt", "-c", line) for _ in range(2)] == ["a\nb\n"] * 2
    assert (inhabitant.home / "count").read_text() == "ran\n"
    assert list((inhabitant.home / "cache").glob("**/seamless.db"))


def test_a_program_in_python_runs_from_the_image(inhabitant: Inhabitant) -> None:
    (inhabitant.home / "program.py").write_text(PROGRAM + "print(step(21, sys.argv[1]))\n")
    count = inhabitant.home / "count"
    assert [inhabitant.run("python", "program.py", count) for _ in range(2)] == ["42\n"] * 2
    assert count.read_text() == "ran\n"


def test_nothing_in_an_image_can_be_changed(inhabitant: Inhabitant) -> None:
    for path in ("/opt/seamless/bin/x", "/etc/x", "/usr/bin/x"):
        done = inhabitant.attempt("exec", inhabitant.images.path("seamless"), "touch", path)
        assert done.returncode != 0
        assert re.search("Read-only file system|Permission denied", done.stderr)


def test_what_a_user_has_installed_does_not_get_into_an_image(inhabitant: Inhabitant) -> None:
    packages = inhabitant.home / ".local" / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "yaml.py").write_text("raise SystemExit('the one of the user')\n")
    assert "site-packages/yaml/" in inhabitant.run("python", "-c", "import yaml; print(yaml.__file__)")


def test_without_a_command_the_commands_are_listed(inhabitant: Inhabitant) -> None:
    done = inhabitant.attempt("run", inhabitant.images.path("seamless"))
    assert done.returncode == 2
    assert {"seamless-run", "seamless-database", "hashserver"} <= set(done.stderr.split())


def test_an_unknown_command_is_named(inhabitant: Inhabitant) -> None:
    done = inhabitant.attempt("run", inhabitant.images.path("seamless"), "no-such-command")
    assert done.returncode == 127
    assert "no-such-command" in done.stderr


def test_every_service_is_an_app_of_the_whole_image(images: Images) -> None:
    listed = images.apptainer("inspect", "--list-apps", images.path("seamless")).stdout.split()
    assert sorted(listed) == ["dask-wrapper", "database", "hashserver", "jobserver"]
    for app in listed:
        command = {"database": "seamless-database", "jobserver": "seamless-jobserver"}.get(app, app)
        command = "seamless-dask-wrapper" if app == "dask-wrapper" else command
        if command in [COMMANDS[name] for name in IMAGES]:
            done = images.apptainer("run", "--app", app, images.path("seamless"), "--help")
            assert done.stdout.startswith(f"usage: {command}")


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_of_a_service_takes_its_options_or_another_command(images: Images, name: str) -> None:
    assert images.apptainer("run", images.path(name), "--help").stdout.startswith(f"usage: {COMMANDS[name]}")
    done = images.apptainer("run", images.path(name), "seamless-checksum", "--help")
    assert done.stdout.startswith("usage: seamless-checksum")


# --- by the launcher ------------------------------------------------------------------------------


@pytest.fixture
def place(images: Images, tmp_path: Path) -> Iterator[Place]:
    """A user whose hashserver and database run from pinned images."""
    place = Place(tmp_path)
    pinned = "".join(f"  {line}\n" for line in (images.place / "images.yaml").read_text().splitlines())
    ports = "network_interface: 127.0.0.1, port_start: 49152, port_end: 65535"
    (place.home / ".seamless" / "clusters.yaml").write_text(
        f"ws:\n  type: local\n  workers: 1\n  require_pinned_images: true\n{pinned}  frontends:\n"
        f"    - hashserver: {{bufferdir: {place.store}, image: hashserver}}\n"
        f"      database: {{database_dir: {place.store}, image: seamless-database}}\n"
        f"      jobserver: {{image: seamless-jobserver, {ports}}}\n"
    )
    yield place
    place.kill()


def settings() -> dict[str, str]:
    """Return what the commands need of the environment beside a home."""
    own = {name: value for name, value in os.environ.items() if name.startswith("APPTAINER_")}
    return {**own, "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"}


def test_the_services_of_a_project_run_from_their_images_and_end_in_order(place: Place) -> None:
    line = place.counted("sort a.txt")
    assert place.run("seamless-run", "-i", "a.txt", "-c", line, **settings()) == "a\nb\n"
    pids = {state["pid"] for state in place.states()}
    assert len(pids) == 2
    assert all(b"apptainer" in words_of(pid).lower() for pid in pids)
    for state in place.states():
        assert state["meta"]["image"]["sha256"] == state["image"]["sha256"]
    assert place.run("seamless-run", "-i", "a.txt", "-c", line, **settings()) == "a\nb\n"
    assert place.ran == 1
    for path in list(place.records.glob("*.json")):
        assert "stopped" in place.run("rhl-stop", path.stem, **settings())  # no kill was required
    assert place.pids() == []
    assert {state["status"] for state in place.states()} == {"stale"}
    assert place.run("seamless-run", "-i", "a.txt", "-c", line, **settings()) == "a\nb\n"
    assert place.ran == 1


def test_a_jobserver_executes_steps_in_its_image(place: Place) -> None:
    place.write("seamless.profile.yaml", "- cluster: ws\n- execution: remote\n")
    line = place.counted("cat /opt/seamless/requirements.lock | head -n 1")
    for _ in range(2):
        said = place.run("seamless-run", "-c", line, **settings())
        assert said.startswith("# The Python packages of seamless-jobserver.sif.")
    assert place.ran == 1
    assert "stopped" in place.run("rhl-stop", next(place.records.glob("jobserver*.json")).stem, **settings())
    assert place.pids("jobserver") == []


def test_an_image_that_has_been_replaced_is_not_started(place: Place) -> None:
    path = place.home / ".seamless" / "clusters.yaml"
    path.write_text(re.sub(r"sha256: \w{8}", "sha256: 00000000", path.read_text()))
    said = place.refused("seamless-run", "sort a.txt", **settings())
    assert "is not the pinned one" in said
    assert place.states() == []


def test_an_instance_serves_until_it_is_stopped(images: Images, tmp_path: Path) -> None:
    name = f"seamless-test-{os.getpid()}"
    status = tmp_path / "status.json"
    status.write_text("{}")
    arguments = [tmp_path / "buffers", "--writable", "--status-file", status]
    (tmp_path / "buffers").mkdir()
    started = images.apptainer("instance", "start", "--bind", tmp_path, images.path("hashserver"), name, *arguments)
    try:
        assert started.returncode == 0, started.stderr
        deadline = time.monotonic() + 60
        while json.loads(status.read_text()).get("status") != "running":
            assert time.monotonic() < deadline, status.read_text()
            time.sleep(0.02)
    finally:
        stopped = images.apptainer("instance", "stop", name)
    assert stopped.returncode == 0, stopped.stderr
    assert json.loads(images.apptainer("instance", "list", "--json").stdout) == {"instances": []}


# --- submissions from inside ----------------------------------------------------------------------


@pytest.mark.slurm
def test_a_program_in_an_image_submits_to_the_batch_system_outside(
    images: Images, tmp_path: Path, slurm: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from seamless.launcher.configuration import Configuration
    from seamless.launcher.images import container_argv

    for name, value in slurm.items():
        monkeypatch.setenv(name, value)
    script = tmp_path / "job.sh"
    script.write_text("#!/bin/sh\ntest -e /opt/seamless || echo outside in $SLURM_JOB_ID > result\n")
    launch = {
        "key": "submits",
        "workdir": str(tmp_path),
        "command": "sbatch",
        "image": {"path": str(images.path("hashserver"))},
        "submit": "proxy",
    }
    environment = dict(os.environ)
    inner = ["sh", "-c", "type sbatch >&2; sbatch --parsable --wait job.sh; scancel -v x7"]
    argv = container_argv(Configuration.from_mapping(launch), inner, str(tmp_path), environment)
    done = subprocess.run(argv, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert "sbatch is /opt/seamless/submit/sbatch" in done.stderr
    assert (tmp_path / "result").read_text() == f"outside in {done.stdout.strip()}\n"
    assert "Invalid job id x7" in done.stderr


@pytest.mark.slurm
@pytest.mark.skipif("seamless-dask" not in IMAGES, reason="there is no Dask wrapper")
def test_a_scheduler_and_its_workers_run_from_their_image(
    images: Images, slurm: dict[str, str], tmp_path: Path
) -> None:
    queue = ", cores: 1, maximum_jobs: 1, partition: main, image: seamless-dask"
    place = DaskPlace(tmp_path / "place", kind="slurm", queue=queue, **slurm, **settings())
    path = place.home / ".seamless" / "clusters.yaml"
    pinned = "".join(f"  {line}\n" for line in (images.place / "images.yaml").read_text().splitlines())
    text = path.read_text().replace("  type: slurm\n", f"  type: slurm\n{pinned}")
    path.write_text(text.replace("daskserver: {", "daskserver: {image: seamless-dask, "))
    try:
        said = place.run("seamless-run", "-c", "ls /opt/seamless/submit | sort | head -n 1; echo $SLURM_JOB_ID")
        first, job = said.splitlines()
        assert first == "oardel"
        assert job.isdigit()
        (state,) = place.states("daskserver")
        assert b"apptainer" in words_of(state["pid"]).lower()
        assert "stopped" in place.run("rhl-stop", next(place.records.glob("daskserver*.json")).stem)
        assert place.pids("daskserver") == []
        eventually(lambda: place.run("squeue", "--noheader") == "")  # it has canceled its jobs before it ended
    finally:
        place.kill()


# --- the manual -----------------------------------------------------------------------------------


def test_the_page_about_images_does_what_it_says(
    images: Images,
    run_page: Callable[[str], list[str]],
    isolation: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # an image has the home of the account, not that of the test
    monkeypatch.setenv("APPTAINERENV_SEAMLESS_CACHE", str(tmp_path / "cache"))
    (isolation / "images").symlink_to(images.place)
    (tmp_path / "work" / "images").symlink_to(ROOT / "images")
    # the archive that this machine can reach, and the wheel that the images have
    known = " ".join(["--mirror", images.mirror, "--wheel", str(images.wheel), *(f"--only {name}" for name in IMAGES)])
    text = (ROOT / "docs" / "howto" / "images.md").read_text(encoding="utf-8")
    problems = run_page(text.replace("$ images/build.py", f"$ {sys.executable} images/build.py {known}"))
    assert problems == [], "\n\n".join(problems)
