"""Two operating-system users with two homes share results: by services and their token, and by one directory.

The other users run Seamless with the Python of the system, in an environment that everybody can read, and with no
package that is not needed for a hit or a plain command.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import seamless
from tests.integration.place import DEADLINE, PROGRAM, Done, Place, eventually, words_of

GROUP = 47110
GUEST = 65534
PYTHON = "/usr/bin/python3"
INITIALISED = PROGRAM.replace("import seamless.config\n", "import seamless.config\nseamless.config.init()\n")


class User:
    """Somebody who is not the user of this test, with a home and a working directory of their own."""

    def __init__(self, uid: int, group: int, public: Path):
        self.uid, self.group, self.public = uid, group, public
        self.home = public / f"home-{uid}-{group}"
        self.home.mkdir(mode=0o700)
        for name, text in (("a.txt", "b\na\n"), ("program.py", PROGRAM + "print(step(21, sys.argv[1]))\n")):
            (self.home / name).write_text(text)
        os.chown(self.home, uid, group)

    def start(self, *command: object, **more: str) -> subprocess.Popen[str]:
        """Start a command as this user; the caller waits for it."""
        binaries = self.public / "venv" / "bin"
        name, *arguments = map(str, command)
        env = {"HOME": str(self.home), "PATH": f"{binaries}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", **more}
        return subprocess.Popen(
            [str(binaries / name), *arguments], cwd=self.home, env=env, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            user=self.uid, group=self.group, extra_groups=[], umask=0o002,
        )  # fmt: skip

    def attempt(self, *command: object, **more: str) -> Done:
        """Run a command as this user; there may be no traceback."""
        process = self.start(*command, **more)
        return Done([*map(str, command)], *finished(process))


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for a process; return its exit status and what it has said."""
    try:
        out, err = process.communicate(timeout=DEADLINE)
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in err, err
    return process.returncode, out, err


@pytest.fixture
def public(require: Callable[[object, str], None]) -> Iterator[Path]:
    """Return a directory that every user can reach, with an environment that has Seamless."""
    require(os.geteuid() == 0, "acting as other users needs root")
    require(os.path.exists(PYTHON), f"other users need {PYTHON}")
    version = subprocess.run(
        [PYTHON, "-c", "import sys; print(sys.version_info >= (3, 10))"], capture_output=True, text=True, timeout=60
    )
    require(version.stdout == "True\n", f"{PYTHON} is older than Python 3.10")
    path = Path(tempfile.mkdtemp(prefix="seamless-users-"))
    path.chmod(0o755)
    venv = path / "venv"
    made = subprocess.run(
        [PYTHON, "-m", "venv", "--without-pip", str(venv)], capture_output=True, text=True, timeout=60
    )
    require(made.returncode == 0, f"{PYTHON} cannot make a virtual environment: {made.stderr[-200:]}")
    (site,) = venv.glob("lib/python*/site-packages")
    package = Path(seamless.__file__).parent
    shutil.copytree(package, site / "seamless", ignore=shutil.ignore_patterns("__pycache__"))
    script = venv / "bin" / "seamless-run"
    script.write_text(f"#!{venv}/bin/python\nimport sys\nfrom seamless.cli.run import main\nsys.exit(main())\n")
    script.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def guest(public: Path) -> User:
    """Return a user who has nothing in common with the one of this test."""
    return User(GUEST, GUEST, public)


@pytest.fixture
def place(tmp_path: Path, public: Path) -> Iterator[Place]:
    """Return the place of the user whose services are shared; the counter is where everybody may write."""
    place = Place(tmp_path)
    place.counter = public / "count"
    place.counter.touch()
    place.counter.chmod(0o666)
    yield place
    place.kill()


def all_clients(place: Place, **token: str | None) -> str:
    """Return the text that makes the services of a place known, with another token if one is given."""
    clients = place.clients()
    for entry in (*clients["buffer"], *clients["database"]):
        entry |= token
        if entry["token"] is None:
            del entry["token"]
    return json.dumps(clients)


# --- services ---------------------------------------------------------------------------------------


def test_a_second_user_with_the_token_gets_the_result_of_the_first(place: Place, guest: User) -> None:
    line = place.counted("sort a.txt")
    assert place.run("seamless-run", "-i", "a.txt", "-c", line) == "a\nb\n"
    shared = {"SEAMLESS_REMOTE_CLIENTS": all_clients(place)}
    done = guest.attempt("seamless-run", "-i", "a.txt", "-c", line, **shared)
    assert (done.returncode, done.stdout) == (0, "a\nb\n"), done.stderr
    assert place.ran == 1
    other = place.counted("tac a.txt")
    done = guest.attempt("seamless-run", "-i", "a.txt", "-c", other, **shared)
    assert (done.returncode, done.stdout) == (0, "a\nb\n"), done.stderr
    assert place.run("seamless-run", "-i", "a.txt", "-c", other) == "a\nb\n"
    assert place.ran == 2


def test_a_step_of_a_program_is_shared_by_the_token_as_well(place: Place, guest: User) -> None:
    program = place.write(
        "program.py", INITIALISED + "print(step(21, sys.argv[1]))\nimport seamless\nseamless.close()\n"
    )
    assert place.run("python", program, place.counter) == "42\n"
    theirs = guest.home / "theirs.py"
    theirs.write_text(program.read_text())
    done = guest.attempt("python", theirs, place.counter, SEAMLESS_REMOTE_CLIENTS=all_clients(place))
    assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr
    assert place.ran == 1


@pytest.mark.parametrize("token", [None, "guessed"])
def test_without_the_token_a_second_user_is_refused_and_nothing_is_executed(
    token: str | None, place: Place, guest: User
) -> None:
    line = place.counted("sort a.txt")
    assert place.run("seamless-run", "-i", "a.txt", "-c", line) == "a\nb\n"
    stored = sorted(place.data.rglob("*"))
    without = {"SEAMLESS_REMOTE_CLIENTS": all_clients(place, token=token)}
    for tried in (line, place.counted("tac a.txt")):
        done = guest.attempt("seamless-run", "-i", "a.txt", "-c", tried, **without)
        assert (done.returncode, done.stdout) == (125, ""), done
        assert done.stderr.count("401") == 1 and "token" in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr
    (guest.home / "theirs.py").write_text(INITIALISED + "print(step(21, sys.argv[1]))\n")
    process = guest.start("python", "theirs.py", place.counter, **without)
    out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out) == (1, "")
    assert "UnauthorizedError" in err.splitlines()[-1] and "401" in err.splitlines()[-1], err
    assert place.ran == 1
    assert sorted(place.data.rglob("*")) == stored


def test_the_token_is_in_no_file_that_a_second_user_can_read(place: Place, guest: User) -> None:
    place.run("seamless-run", "sort a.txt")
    tokens = [state["token"] for state in place.states()]
    assert len(set(tokens)) == 2
    files = [path for path in place.root.rglob("*") if path.is_file()]
    holding = [path for path in files if any(token in path.read_bytes().decode("latin-1") for token in tokens)]
    assert holding, "the launcher keeps them"
    assert {path for path in holding if path.stat().st_mode & 0o077} == set()
    assert not any(token.encode() in words_of(pid) for token in tokens for pid in place.pids())


# --- one directory ------------------------------------------------------------------------------------


@pytest.fixture
def cache(public: Path) -> Path:
    """Return a cache directory of a group."""
    cache = public / "cache"
    cache.mkdir()
    os.chown(cache, 0, GROUP)
    cache.chmod(0o2775)
    return cache


@pytest.fixture
def group(public: Path, cache: Path) -> list[User]:
    """Return two users of the group."""
    return [User(47111, GROUP, public), User(47112, GROUP, public)]


def test_two_users_of_a_group_share_a_cache_directory(place: Place, cache: Path, group: list[User]) -> None:
    for users, command in ((group, "sort"), (group[::-1], "tac")):
        for user in users:
            line = place.counted(f"{command} a.txt")
            done = user.attempt("seamless-run", "-i", "a.txt", "-c", line, SEAMLESS_CACHE=str(cache))
            assert (done.returncode, done.stdout, done.stderr) == (0, "a\nb\n", "")
    assert place.ran == 2
    for user in group:
        done = user.attempt("python", "program.py", str(place.counter), SEAMLESS_CACHE=str(cache))
        assert (done.returncode, done.stdout) == (0, "42\n"), done.stderr
    assert place.ran == 3
    (buffers,) = {path.parent.parent for path in cache.rglob("??/*") if len(path.name) == 64}
    assert {path.stat().st_uid for path in buffers.rglob("??/*")} == {47111, 47112}


def test_what_two_users_of_a_group_want_at_once_is_executed_once(
    place: Place, cache: Path, group: list[User], public: Path
) -> None:
    gate = public / "gate"
    script = f"echo ran >> {place.counter}\nuntil [ -e {gate} ]; do sleep 0.02; done\nsort a.txt\n"
    for user in group:
        (user.home / "wait.sh").write_text(script)
    command = ("seamless-run", "-i", "a.txt", "-i", "wait.sh", "-c", "bash wait.sh")
    first = group[0].start(*command, SEAMLESS_CACHE=str(cache))
    eventually(lambda: place.ran)
    second = group[1].start(*command, SEAMLESS_CACHE=str(cache))
    gate.touch()
    assert [finished(process)[:2] for process in (first, second)] == [(0, "a\nb\n")] * 2
    assert place.ran == 1


def test_a_user_outside_the_group_gets_results_and_adds_none(
    place: Place, cache: Path, group: list[User], guest: User
) -> None:
    line = place.counted("sort a.txt")
    group[0].attempt("seamless-run", "-i", "a.txt", "-c", line, SEAMLESS_CACHE=str(cache))
    stored = sorted(cache.rglob("*"))
    done = guest.attempt("seamless-run", "-i", "a.txt", "-c", line, SEAMLESS_CACHE=str(cache))
    assert (done.returncode, done.stdout) == (0, "a\nb\n"), done.stderr
    done = guest.attempt("seamless-run", "-i", "a.txt", "-c", place.counted("tac a.txt"), SEAMLESS_CACHE=str(cache))
    assert done.returncode != 0 and str(cache) in done.stderr, done
    assert place.ran == 1
    assert sorted(cache.rglob("*")) == stored
