"""A workflow of many steps in dependent stages, interrupted in every way there is, gives what a plain shell gives."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.cli.queueing.conftest import Place
from tests.cli.run.processes import wait_for

TEXTS = 24
WORKERS = 3
LETTERS = "acgt"


def write_texts(directory: Path) -> None:
    """Write sequences, the same every time: as many lines of words of one to four letters."""
    source = random.Random(20)
    for i in range(TEXTS):
        words = ["".join(source.choice(LETTERS) for _ in range(source.randint(1, 4))) for _ in range(2000)]
        lines = [" ".join(words[k : k + 10]) for k in range(0, len(words), 10)]
        (directory / f"seq{i:02}.txt").write_text("\n".join(lines) + "\n")


def workflow() -> list[str]:
    """Return the lines of the workflow: words, their numbers, the commonest of each two texts, and all of those."""
    lines = [f"tr ' ' '\\n' < seq{i:02}.txt | sort > words{i:02}.txt" for i in range(TEXTS)]
    lines += [f"uniq -c words{i:02}.txt > counts{i:02}.txt" for i in range(TEXTS)]
    for i in range(0, TEXTS, 2):
        lines.append(f"sort -rn counts{i:02}.txt counts{i + 1:02}.txt | head -n 20 > top{i // 2:02}.txt")
    tops = " ".join(f"top{i:02}.txt" for i in range(TEXTS // 2))
    return [*lines, f"sort -u {tops} > all.txt"]


def submission(lines: list[str], count: Path) -> str:
    """Return the script that submits all lines; each step appends its number when it is executed."""
    script = ["set -e"]
    for number, line in enumerate(lines, 1):
        prologue = f"echo {number} >> {count}; sleep 0.1"
        script.append(f'seamless-run --qsubmit --prologue "{prologue}" -c "{line}"'.replace("'\\n'", "'\\\\n'"))
    return "\n".join(script) + "\n"


def results(directory: Path) -> dict[str, bytes]:
    names = [path for kind in ("words", "counts", "top", "all") for path in directory.glob(f"{kind}*.txt")]
    return {path.name: path.read_bytes() for path in names}


def done_so_far(place: Place) -> set[int]:
    """Return the numbers of the steps that the queue calls done."""
    rows = place.run("seamless-queue", "--status", "--json").stdout.splitlines()
    return {row["job"] for row in map(json.loads, rows) if row["state"] == "done"}


def commands_under_way(place: Place) -> list[int]:
    """Return the process ids of the shells that execute steps of this place."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            directory = os.readlink(f"/proc/{name}/cwd")
            command = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if directory.startswith(place.environment["TMPDIR"]) and b"transform.sh" in command:
            found.append(int(name))
    return found


@pytest.mark.timeout(300)
def test_an_interrupted_workflow_gives_what_a_plain_shell_gives_and_repeats_nothing(place: Place) -> None:
    lines = workflow()
    assert len(lines) >= 60
    plain = place.root / "plain"
    plain.mkdir()
    for directory in (plain, place.work):
        write_texts(directory)
    subprocess.run(["bash", "-e", "-c", "\n".join(lines)], cwd=plain, check=True)

    seed = int.from_bytes(os.urandom(4), "big")
    moments = random.Random(seed)
    print(f"seed {seed}")
    finished: Counter[str] = Counter()  # how often the steps had been executed that were done at an interruption

    def note_finished() -> None:
        done = {str(number) for number in done_so_far(place)}
        executions = Counter(place.executions())
        finished.update({number: executions[number] for number in done - finished.keys()})

    def after(executions: int) -> None:
        wait_for(lambda: len(place.executions()) >= executions)

    script = place.start("bash", "-c", submission(lines, place.count))
    server = place.start("seamless-queue", "-q", "--workers", str(WORKERS))
    after(moments.randint(2, 15))
    server.kill()
    server.wait(30)
    note_finished()

    server = place.start("seamless-queue", "-q", "--workers", str(WORKERS))
    after(len(place.executions()) + moments.randint(3, 15))
    server.send_signal(signal.SIGINT)
    server.wait(30)
    note_finished()

    server = place.start("seamless-queue", "-q", "--workers", str(WORKERS))
    after(len(place.executions()) + moments.randint(3, 10))
    wait_for(lambda: commands_under_way(place))
    for pid in commands_under_way(place)[:1]:
        os.kill(pid, signal.SIGKILL)
    note_finished()

    script.wait(120)
    assert script.returncode == 0
    assert place.run("seamless-queue-finish", timeout=120).returncode == 0
    assert server.wait(30) == 0
    assert finished
    assert results(place.work) == results(plain)
    assert place.files() == {path.name for path in plain.iterdir()} | {"a.txt"}
    executions = Counter(place.executions())
    assert {number: executions[number] for number in finished} == dict(finished)
    assert sum(executions.values()) <= len(lines) + 2 * WORKERS + 1
