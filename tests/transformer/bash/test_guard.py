"""What becomes of commands when the program that executes them is killed: the guard ends them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from seamless.transformer.bash.groups import noted
from seamless.transformer.bash.guard import Guard
from seamless.transformer.bash.process import run_process
from tests.transformer.workers.support import eventually, is_alive


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that leads a group of its own."""
    process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def let_go(guard: Guard) -> None:
    """Do what the end of this process does."""
    guard._forget()


def test_the_command_of_a_killed_program_is_killed_with_all_its_processes(tmp_path: Path) -> None:
    begun, program = tmp_path / "begun", tmp_path / "program.py"
    program.write_text(
        "from seamless.transformer import delayed\n"
        f"delayed('sleep 1000 & echo $! $$ > {begun}.new; mv {begun}.new {begun}; wait', 'bash')().run()\n"
    )
    running = subprocess.Popen([sys.executable, program], env={**os.environ, "SEAMLESS_CACHE": str(tmp_path / "cache")})
    try:
        child, shell = map(int, eventually(lambda: begun.exists() and begun.read_text()).split())
    finally:
        running.kill()
        running.wait()
    eventually(lambda: not is_alive(shell) and not is_alive(child))


def test_a_command_is_ended_if_the_program_is_interrupted_before_it_has_a_guard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []

    def interrupted(group: int) -> None:
        begun.append(group)
        raise KeyboardInterrupt

    monkeypatch.setattr(noted, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_process(["sleep", "1000"], cwd=str(tmp_path))
    assert len(begun) == 1 and not is_alive(begun[0])


def test_a_group_that_is_known_is_ended(sleeper: subprocess.Popen[bytes]) -> None:
    guard = Guard()
    guard.add(sleeper.pid)
    let_go(guard)
    assert sleeper.wait(60) == -9


def test_a_group_that_has_been_taken_back_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    guard = Guard()
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as other:
        for group in (1 << 30, sleeper.pid, other.pid):
            guard.add(group)
        guard.discard(sleeper.pid)
        guard.discard(123456789)  # one that it has never heard of
        let_go(guard)
        assert other.wait(60) == -9
    assert sleeper.poll() is None


def test_a_forked_child_has_a_guard_of_its_own(sleeper: subprocess.Popen[bytes]) -> None:
    guard = Guard()
    guard.add(sleeper.pid)
    child = os.fork()
    if not child:
        guard.discard(sleeper.pid)  # is not the child's
        os._exit(0)
    os.waitpid(child, 0)
    let_go(guard)
    assert sleeper.wait(60) == -9


def test_it_is_nobodys_child_and_holds_no_output(tmp_path: Path) -> None:
    program = (
        "import os\nfrom seamless.transformer.bash.guard import guard\nguard.add(1 << 30)\n"
        "try:\n    os.waitpid(-1, os.WNOHANG)\n    print('a child')\nexcept ChildProcessError:\n    print('none')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("none\n", "")
