"""Where Dask runs: no other user of a machine can put a file there that its processes import."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from seamless.services.dask.clusters import private_directory
from seamless.services.dask.parameters import parse_parameters
from seamless.services.dask.settings import prologue, worker_words
from tests.integration.place import eventually
from tests.services.dask.test_settings import GIVEN, parse

WRAPPER = Path(sys.executable).parent / "seamless-dask-wrapper"
TRAP = "open({sprung!r}, 'a').close()\nraise ImportError('this file is of somebody else')\n"


def scratch_of_job(tmpdir: Path, here: Path) -> tuple[Path, Path]:
    """Return the current directory and the scratch directory of a worker in a job that begins in `here`."""
    lines = [*prologue(parse(tmpdir=str(tmpdir)), "slurm"), 'pwd; echo "$seamless_scratch"']
    command = ["bash", "-c", "\n".join(lines)]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=60, check=True)
    return tuple(map(Path, done.stdout.splitlines()))  # type: ignore[return-value]


def is_private(path: Path) -> bool:
    found = path.lstat()
    return path.is_dir() and not path.is_symlink() and found.st_uid == os.getuid() and found.st_mode & 0o077 == 0


def test_a_worker_in_a_job_runs_in_a_directory_of_root_and_keeps_its_files_to_itself(tmp_path: Path) -> None:
    here, scratch = scratch_of_job(tmp_path / "not there yet", tmp_path)
    assert here == Path("/")
    assert scratch == tmp_path / "not there yet" / f"seamless-dask-{os.getuid()}"
    assert is_private(scratch)
    assert '"$seamless_scratch"' in worker_words(parse(), "slurm")


@pytest.mark.parametrize("made", ["link", "file", "directory"])
def test_what_others_have_made_in_advance_is_not_used(made: str, tmp_path: Path) -> None:
    taken, victim = tmp_path / f"seamless-dask-{os.getuid()}", tmp_path / "victim"
    victim.mkdir()
    if made == "link":
        taken.symlink_to(victim)
    elif made == "file":
        taken.touch()
    else:
        taken.mkdir()
        if os.getuid() == 0:
            os.chown(taken, 65534, 65534)
        taken.chmod(0o777)
    found = [Path(private_directory(str(tmp_path)))]
    if made != "directory" or os.getuid() == 0:  # one's own is closed
        found.append(scratch_of_job(tmp_path, tmp_path)[1])
    assert all(is_private(path) and path != taken for path in found)
    assert os.listdir(victim) == []


def test_one_directory_serves_all_clusters_of_a_user(tmp_path: Path) -> None:
    assert private_directory(str(tmp_path)) == private_directory(str(tmp_path))
    assert scratch_of_job(tmp_path, tmp_path)[1] == Path(private_directory(str(tmp_path)))


def test_nothing_is_imported_from_a_public_directory_in_which_the_wrapper_is_started(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    public, sprung, status = tmp_path / "public", tmp_path / "sprung", tmp_path / "status.json"
    public.mkdir()
    public.chmod(0o1777)
    for name in ("multiprocessing", "distributed", "pickle"):
        (public / f"{name}.py").write_text(TRAP.format(sprung=str(sprung)))
    parameters = {**GIVEN, "maximum_jobs": 1, "tmpdir": str(tmp_path), "cores": 1, "worker_threads": 1}
    assert parse_parameters(parameters, ports=None, system=None)
    status.write_text(json.dumps({"status": "starting", "parameters": parameters}))
    words = [WRAPPER, "distributed::LocalCluster", "--host", "127.0.0.1", "--status-file", status]
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(words, cwd=public, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        eventually(lambda: json.loads(status.read_text())["status"] != "starting" or process.poll() is not None)
        assert json.loads(status.read_text())["status"] == "running", (tmp_path / "log").read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    assert not sprung.exists()
