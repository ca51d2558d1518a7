"""Steps for workers, and ways to see what becomes of processes."""

import os
import subprocess
import sys
import time

DEADLINE = 60.0


def eventually(condition):
    """Return what `condition` returns as soon as that is true; fail if it never is."""
    deadline = time.monotonic() + DEADLINE
    while not (value := condition()):
        assert time.monotonic() < deadline, "this did not happen in time"
        time.sleep(0.005)
    return value


def state(pid):
    """Return the letter for what a process does; "Z" if there is none."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def is_alive(pid):
    return state(pid) != "Z"


def run_program(*arguments, status=0, stdin="", **environment):
    """Run the interpreter; return what it has printed on stdout and stderr."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        input=stdin, capture_output=True, text=True, timeout=DEADLINE, env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == status, (done.returncode, done.stderr)
    return done.stdout, done.stderr


def add(a, b):
    return a + b


def pid_of_step(x):
    import os

    return os.getpid()


def gate(path, begun=None):
    import os
    import time

    if begun is not None:
        with open(begun, "a") as file:
            file.write(f"{os.getpid()}\n")
    while not os.path.exists(path):
        time.sleep(0.002)
    return "through"


def pids_in(path):
    """Return what `gate` has written: the processes in which it has begun."""
    return [int(line) for line in path.read_text().split()] if path.exists() else []
