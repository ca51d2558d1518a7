"""The commands of a batch system for a service in an image, with a stand-in for the runtime and for the commands."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seamless.launcher.programs import module_command
from seamless.launcher.submit import PROGRAMS, frames
from seamless.launcher.submit.shim import install

FORWARDER = module_command("seamless.launcher.submit.forwarder")

# Does what the runtime does with variables and binds, and executes what comes after the image.
RUNTIME = f"""#!{sys.executable} -IS
import os, sys
words = sys.argv[1:]
environment = {{**os.environ}}
for name in list(environment):
    if name.startswith("APPTAINERENV_"):
        environment[name.removeprefix("APPTAINERENV_")] = environment.pop(name)
environment["BOUND"] = words[words.index("--bind") + 1]
inner = words[words.index("image.sif") + 1:]
os.execvpe(inner[0], inner, environment)
"""
SBATCH = """#!/bin/sh
echo "$# $1 in $PWD"
cat
echo problem >&2
exit 3
"""
DEADLINE = 30.0


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "this did not happen in time"
        time.sleep(0.005)


class Host:
    """A machine with a batch system and a runtime; `shims` is what its image has in place of the former."""

    def __init__(self, root: Path):
        self.root, self.bin, self.shims = root, root / "bin", root / "shims"
        self.bin.mkdir()
        self.runtime = self.script("apptainer", RUNTIME)
        for name in ("bash", "cat", "mv", "seq", "sh", "sleep"):  # and no batch system that this machine may have
            (self.bin / name).symlink_to(shutil.which(name) or f"/bin/{name}")
        self.environment = {**os.environ, "PATH": str(self.bin)}
        install(str(self.shims))

    def script(self, name: str, text: str) -> Path:
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def start(self, *inner: object) -> subprocess.Popen[bytes]:
        """Start a service in the image, with the forwarder beside it."""
        words = [*FORWARDER, str(self.runtime), "exec", "image.sif", *map(str, inner)]
        return subprocess.Popen(
            words, cwd=self.root, env=self.environment, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *inner: object, given: bytes = b"") -> tuple[int, str, str]:
        """Run something in the image; return its status and what it has said."""
        process = self.start(*inner)
        try:
            out, err = process.communicate(given, timeout=DEADLINE)
        finally:
            process.kill()
            process.wait()
        return process.returncode, out.decode(), err.decode()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture
def service(host: Host) -> Iterator[subprocess.Popen[bytes]]:
    """A service that says where its socket is, and goes on until it is ended."""
    process = host.start("sh", "-c", "echo $SEAMLESS_SUBMIT_SOCKET; exec sleep 600")
    yield process
    process.kill()
    process.communicate()


def socket_of(service: subprocess.Popen[bytes]) -> Path:
    assert service.stdout is not None
    return Path(service.stdout.readline().decode().strip())


def asked(path: Path, call: dict[str, object]) -> tuple[str, bytes]:
    """Send a call that is refused; return the reason and the status."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(DEADLINE)
        connection.connect(str(path))
        frames.send(connection, frames.CALL, json.dumps(call).encode())
        said, status = frames.receive(connection), frames.receive(connection)
    assert said is not None and said[0] == frames.ERROR
    assert status is not None and status[0] == frames.STATUS
    return said[1].decode(), status[1]


def test_a_command_is_executed_outside_with_its_arguments_input_and_directory(host: Host) -> None:
    host.script("sbatch", SBATCH)
    status, out, err = host.run(host.shims / "sbatch", "a b; c", "*", given=b"script\n")
    assert (status, out, err) == (3, f"2 a b; c in {host.root}\nscript\n", "problem\n")


def test_much_output_arrives_whole(host: Host) -> None:
    host.script("squeue", "#!/bin/sh\nseq 200000\n")
    status, out, _ = host.run(host.shims / "squeue")
    assert (status, out) == (0, "".join(f"{n}\n" for n in range(1, 200001)))


def test_input_that_is_not_read_is_no_error(host: Host) -> None:
    host.script("scancel", "#!/bin/sh\nexit 0\n")
    assert host.run(host.shims / "scancel", "1", given=b"x" * 3_000_000) == (0, "", "")


def test_the_end_by_a_signal_is_told(host: Host) -> None:
    host.script("oarstat", "#!/bin/sh\nkill -9 $$\n")
    assert host.run(host.shims / "oarstat")[0] == 128 + signal.SIGKILL


def test_a_command_that_is_not_there_is_named(host: Host) -> None:
    status, out, err = host.run(host.shims / "oarsub")
    assert (status, out) == (127, "")
    assert "no command oarsub on PATH outside of the image" in err


def test_a_directory_that_is_only_inside_is_named(host: Host, service: subprocess.Popen[bytes]) -> None:
    host.script("sbatch", SBATCH)
    inside = str(host.root / "only" / "inside")
    assert asked(socket_of(service), {"program": "sbatch", "arguments": [], "cwd": inside}) == (
        f"cannot execute sbatch in {inside} outside of the image: [Errno 2] No such file or directory: '{inside}'\n",
        b"126",
    )


def test_an_argument_that_cannot_be_one_is_refused(host: Host, service: subprocess.Popen[bytes]) -> None:
    host.script("sbatch", SBATCH)
    said, status = asked(socket_of(service), {"program": "sbatch", "arguments": ["a\0b"], "cwd": "/"})
    assert "embedded null byte" in said
    assert status == b"126"


def test_other_programs_are_refused(service: subprocess.Popen[bytes]) -> None:
    path = socket_of(service)
    for program in ("sh", "/bin/sh", "../bin/sbatch", "", None, ["sbatch"]):
        said, status = asked(path, {"program": program, "arguments": ["-c", "echo"], "cwd": "/"})
        assert "is none of sbatch, squeue" in said
        assert status == b"126"


@pytest.mark.parametrize("sent", [b"nonsense", b"C\xff\xff\xff\xff", b"I\0\0\0\0", b"C\0\0\0\2[]", b"C\0\0\0\1{"])
def test_nonsense_ends_one_connection_and_nothing_else(
    host: Host, service: subprocess.Popen[bytes], sent: bytes
) -> None:
    path = socket_of(service)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(DEADLINE)
        connection.connect(str(path))
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):  # what has not been read is dropped
            assert connection.recv(100) == b""
    host.script("squeue", "#!/bin/sh\necho well\n")
    environment = {**host.environment, "SEAMLESS_SUBMIT_SOCKET": str(path)}
    done = subprocess.run([host.shims / "squeue"], env=environment, capture_output=True, timeout=DEADLINE, check=True)
    assert done.stdout == b"well\n"


def test_only_this_user_reaches_the_socket(service: subprocess.Popen[bytes]) -> None:
    assert socket_of(service).parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_the_forwarder_when_the_service_ends(
    service: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    path = socket_of(service)
    assert path.exists()
    service.send_signal(number)
    service.wait(DEADLINE)
    eventually(lambda: not path.parent.exists())


def test_a_service_that_is_told_to_end_can_still_cancel_its_jobs(host: Host) -> None:
    host.script("scancel", "#!/bin/sh\necho cancelled $1\n")
    script = f"trap '{host.shims}/scancel 7; exit 5' TERM; echo up; while :; do sleep 0.01; done"
    process = host.start("bash", "-c", script)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    os.killpg(process.pid, signal.SIGTERM)  # as `rhl-stop` does
    out, _ = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out) == (5, b"cancelled 7\n")


def test_a_command_ends_with_the_one_that_called_it(host: Host, service: subprocess.Popen[bytes]) -> None:
    mark = host.root / "pid"
    host.script("sacct", f"#!/bin/sh\necho $$ >{mark}.new; mv {mark}.new {mark}; exec sleep 600\n")
    environment = {**host.environment, "SEAMLESS_SUBMIT_SOCKET": str(socket_of(service))}
    caller = subprocess.Popen([host.shims / "sacct"], env=environment, stdin=subprocess.PIPE)
    eventually(mark.exists)
    caller.kill()
    caller.communicate()
    eventually(lambda: _has_ended(int(mark.read_text())))


def _has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_command_without_a_launcher_says_what_is_missing(host: Host) -> None:
    done = subprocess.run(
        [host.shims / "sbatch"], env=host.environment, capture_output=True, text=True, timeout=DEADLINE
    )
    assert done.returncode == 127
    assert done.stderr.startswith("sbatch: this image has no batch system")


def test_every_command_has_a_shim(host: Host) -> None:
    assert sorted(path.name for path in host.shims.iterdir()) == sorted(PROGRAMS)
