"""The main job at real size: neither a shell pipeline over 100 MB nor a Python step over a CSV runs twice."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

SIZE = 100_000_000


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A text of at least 100 MB: the sources of the Python library, again and again with line numbers."""
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    library = Path(sysconfig.get_paths()["stdlib"])
    texts = [p.read_bytes() for p in sorted(library.glob("*.py"))]
    with open(path, "wb") as f:
        number = 0
        while f.tell() < SIZE:
            for text in texts:
                f.write(b"# part %d\n" % number)
                f.write(text)
                number += 1
    return path


@pytest.fixture
def place(tmp_path, corpus):
    (tmp_path / "corpus.txt").hardlink_to(corpus)
    return tmp_path


PIPELINE = r"tr -cs A-Za-z '\n' < corpus.txt | sort | uniq -c | sort -rn | head -5"


def shell(command, place):
    done = subprocess.run(["bash", "-c", command], cwd=place, capture_output=True, check=True, env={"LC_ALL": "C"})
    return done.stdout


def run(place, *words, **env):
    script = Path(sys.executable).parent / "seamless-run"
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(place / "home"), "LC_ALL": "C", **env}
    return subprocess.run([script, *words], cwd=place, capture_output=True, env=environ, timeout=100)


def test_a_pipeline_over_100_mb_executes_once_and_again_for_a_changed_input(place):
    counter = place / "counter"
    line = f"echo ran >> {counter}; {PIPELINE}"
    expected = shell(PIPELINE, place)
    first = run(place, "--primary", "2", "-c", line)
    assert first.returncode == 0, first.stderr
    assert first.stdout == expected
    for _ in range(2):
        assert run(place, "--primary", "2", "-c", line).stdout == expected
    assert counter.read_text() == "ran\n"

    changed = place / "corpus.txt"
    content = changed.read_bytes()
    changed.unlink()
    changed.write_bytes(content + b"zebra " * 2_000_000)
    again = run(place, "--primary", "2", "-c", line)
    assert again.stdout == shell(PIPELINE, place) != expected
    assert counter.read_text() == "ran\nran\n"


def test_a_large_result_file_is_delivered_byte_for_byte_from_both_runs(place):
    for _ in range(2):
        done = run(place, "tac corpus.txt > reversed.txt")
        assert done.returncode == 0, done.stderr
        digest = hashlib.sha256((place / "reversed.txt").read_bytes()).hexdigest()
        assert digest == hashlib.sha256(shell("tac corpus.txt", place)).hexdigest()
        assert (place / "reversed.txt.CHECKSUM").read_text() == digest + "\n"
        (place / "reversed.txt").unlink()


PROGRAM = """
import sys
import seamless
from seamless import Buffer
from seamless.transformer import direct

@direct
def summary(table, counter):
    import csv, io, collections
    with open(counter, "a") as f:
        f.write("ran\\n")
    totals = collections.Counter()
    for row in csv.DictReader(io.StringIO(table)):
        totals[row["station"]] += int(row["count"])
    return dict(totals.most_common(3))

summary.celltypes.table = "text"
print(summary(open(sys.argv[1]).read(), sys.argv[2]))
seamless.close()
"""


def test_a_python_step_over_a_csv_executes_once_in_fresh_processes(tmp_path):
    rng = random.Random(7)
    rows = [f"s{rng.randrange(50):02d},{rng.randrange(1000)}" for _ in range(200_000)]
    (tmp_path / "table.csv").write_text("station,count\n" + "\n".join(rows) + "\n")
    (tmp_path / "program.py").write_text(PROGRAM)
    counter = tmp_path / "counter"

    def once():
        command = [sys.executable, "program.py", "table.csv", str(counter)]
        env = {"SEAMLESS_CACHE": str(tmp_path / "cache"), "PATH": "/usr/bin:/bin"}
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, env=env).stdout

    totals = {}
    for row in rows:
        station, count = row.split(",")
        totals[station] = totals.get(station, 0) + int(count)
    best = dict(sorted(totals.items(), key=lambda item: -item[1])[:3])
    assert once() == f"{best}\n" == once()
    assert counter.read_text() == "ran\n"
    with open(tmp_path / "table.csv", "a") as f:
        f.write("s99,100000000\n")
    assert "s99" in once()
    assert counter.read_text() == "ran\nran\n"
