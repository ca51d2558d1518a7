"""Steps with an embedded store: fresh processes, scratch, fingertip, two at once, a full or damaged store."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from seamless.transformer import direct, delayed

@direct
def step(x, counter):
    with open(counter, "a") as f:
        f.write("x")
    return [x, "result"]

print(step(int(sys.argv[1]), sys.argv[2]))
import seamless
seamless.close()
"""


@pytest.fixture
def program(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)

    def run(*args, **env):
        environ = {"SEAMLESS_CACHE": str(tmp_path / "cache"), "PATH": "/usr/bin:/bin", **env}
        command = [sys.executable, str(tmp_path / "program.py"), *map(str, args)]
        return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return run


def finish(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out, err


def test_a_fresh_process_finds_the_result(program, tmp_path):
    counter = tmp_path / "counter"
    for _ in range(2):
        out, err = finish(program(3, counter))
        assert out == "[3, 'result']\n"
        assert err == ""
    assert counter.read_text() == "x"
    finish(program(4, counter))
    assert counter.read_text() == "xx"


def test_two_processes_at_once_execute_it_once(program, tmp_path):
    counter = tmp_path / "counter"
    for process in [program(5, counter) for _ in range(4)]:
        finish(process)
    assert counter.read_text() == "x"


def test_without_a_cache_directory_nothing_is_written(program, tmp_path):
    counter = tmp_path / "counter"
    finish(program(6, counter, SEAMLESS_CACHE=""))
    assert not (tmp_path / "cache").exists()


def test_records_are_written_with_exactly_the_minimal_keys(program, tmp_path):
    import json
    import sqlite3

    finish(program(7, tmp_path / "counter"))
    with sqlite3.connect(tmp_path / "cache" / "__TOPLEVEL__" / "seamless.db") as db:
        ((checksum, result, text),) = db.execute("select checksum, result, metadata from meta_data").fetchall()
    record = json.loads(text)
    assert list(record) == [
        "schema_version",
        "tf_checksum",
        "result_checksum",
        "seamless_version",
        "execution_mode",
        "remote_target",
        "wall_time_seconds",
        "cpu_time_user_seconds",
        "cpu_time_system_seconds",
        "memory_peak_bytes",
        "gpu_memory_peak_bytes",
    ]
    assert (record["tf_checksum"], record["result_checksum"]) == (checksum, result)
    assert record["execution_mode"] == "process"


def test_inputs_and_definition_are_stored_with_the_result(program, tmp_path, monkeypatch):
    import sqlite3

    from seamless import Checksum

    finish(program(8, tmp_path / "counter"))
    with sqlite3.connect(tmp_path / "cache" / "__TOPLEVEL__" / "seamless.db") as db:
        ((tf, result),) = db.execute("select checksum, result from transformation").fetchall()
    monkeypatch.setenv("SEAMLESS_CACHE", str(tmp_path / "cache"))
    definition = Checksum(tf).resolve("plain")
    for key, value in definition.items():
        if not key.startswith("__"):
            assert Checksum(value[2]).resolve() is not None
    assert Checksum(result).resolve("mixed") == [8, "result"]


def test_a_lost_result_buffer_is_recomputed(program, tmp_path):
    import sqlite3

    counter = tmp_path / "counter"
    finish(program(9, counter))
    root = tmp_path / "cache" / "__TOPLEVEL__"
    with sqlite3.connect(root / "seamless.db") as db:
        ((result,),) = db.execute("select result from transformation").fetchall()
    (root / result[:2] / result).unlink()
    out, _ = finish(program(9, counter))
    assert out == "[9, 'result']\n"
    assert counter.read_text() == "xx"


def test_an_unusable_cache_directory_is_one_clear_message(program, tmp_path):
    (tmp_path / "file").write_text("")
    process = program(1, tmp_path / "counter", SEAMLESS_CACHE=str(tmp_path / "file"))
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert str(tmp_path / "file") in err.splitlines()[-1]


CONSTRUCT = """
import sys, seamless, seamless.config
from seamless.transformer import delayed

seamless.config.init()

@delayed
def add(a, b):
    return a + b

tf = add(19, 23)
print(tf.is_cached() if sys.argv[1] == "look" else tf.construct())
seamless.close()
"""

COMPUTE = """
import sys, seamless, seamless.config
from seamless import Checksum
from seamless.transformer import transformation_from_dict

seamless.config.init()
definition = Checksum(sys.argv[1]).resolve("plain")
print(transformation_from_dict(definition).run())
seamless.close()
"""


def test_a_constructed_step_can_be_computed_by_who_knows_its_checksum_only(program, tmp_path):
    (tmp_path / "program.py").write_text(CONSTRUCT)
    checksum, _ = finish(program("construct"))
    (tmp_path / "program.py").write_text(COMPUTE)
    out, _ = finish(program(checksum.strip()))
    assert out == "42\n"


def test_looking_whether_a_step_is_cached_stores_nothing(program, tmp_path):
    (tmp_path / "program.py").write_text(CONSTRUCT)
    assert finish(program("look"))[0] == "False\n"
    stored = [path for path in (tmp_path / "cache").rglob("*") if len(path.name) == 64]
    assert stored == []


def test_a_new_step_is_written_in_one_transaction_and_looked_up_no_more_than_needed(tmp_path):
    from seamless.config.embedded import activate_embedded
    from seamless.transformer import direct

    def plus(a, b):
        return a + b

    store = activate_embedded(directory=tmp_path / "cache")
    step = direct(plus)
    assert step(1, 2) == 3  # the first one makes the tables
    seen = []
    store.results._database.run(lambda connection: connection.set_trace_callback(seen.append))
    assert step(20, 30) == 50
    words = [text.split()[0] for text in seen]
    assert words.count("BEGIN") == words.count("COMMIT") == 1
    assert len(words) <= 8
