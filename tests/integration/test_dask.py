"""Steps on a daskserver of this machine: programs and command lines as ever, with another line of YAML."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.dask_place import DaskPlace, end
from tests.integration.place import eventually, processes

pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskPlace]:
    """A place whose services several tests use."""
    place = DaskPlace(tmp_path_factory.mktemp("dask"))
    yield place
    end(place)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[DaskPlace]:
    """A place for one test."""
    place = DaskPlace(tmp_path / "place")
    yield place
    end(place)


def run_program(place: DaskPlace, text: str, name: str) -> list[str]:
    return place.run(sys.executable, place.program(text, f"{name}.py")).splitlines()


def test_a_python_step_is_executed_by_a_dask_worker_and_found_afterwards(shared: DaskPlace, tmp_path: Path) -> None:
    counter = tmp_path / "count"
    program = f"tf = where(1, {str(counter)!r})\nprint(tf.run()['x'], tf.run()['pid'] != os.getpid())\n"
    first = run_program(shared, program, "first")
    second = run_program(shared, program, "second")
    assert (first, second, counter.read_text()) == (["2 True"], ["2 True"], "ran\n")


def test_many_steps_at_once_give_their_own_results(shared: DaskPlace, tmp_path: Path) -> None:
    counter = tmp_path / "count"
    program = (
        f"made = [where(i, {str(counter)!r}) for i in range(50)]\n"
        "print([tf.value['x'] for tf in parallel(made)] == [2 * i for i in range(50)])\n"
    )
    assert run_program(shared, program, "many") == ["True"]
    assert counter.read_text().count("ran") == 50


def test_a_command_is_executed_there_and_its_status_comes_back(shared: DaskPlace) -> None:
    assert shared.run("seamless-run", "echo $SEAMLESS_DASK_WORKERS").strip() == "2"
    done = shared.attempt("seamless-run", "echo bad >&2; exit 7")
    assert (done.returncode, "bad" in done.stderr) == (7, True)


def test_a_failing_step_is_executed_once_and_says_where(shared: DaskPlace, tmp_path: Path) -> None:
    counter = tmp_path / "count"
    program = f"""
@delayed
def failing(counter):
    with open(counter, "a") as f:
        f.write("ran\\n")
    raise ValueError("no such luck")

tf = failing({str(counter)!r})
tf.compute()
print(tf.exception)
"""
    printed = "\n".join(run_program(shared, program, "failing"))
    assert "ValueError: no such luck" in printed and "failing.py" in printed or "<transformer" in printed
    assert counter.read_text() == "ran\n"


def test_steps_that_want_steps_do_not_wait_for_each_other_for_ever(shared: DaskPlace) -> None:
    program = """
@direct
def leaf(i, j):
    return i * 10 + j

@direct
def middle(i, j):
    return leaf(i, j) + leaf(i, j + 1)

@delayed
def outer(i):
    return sum(middle(i, j) for j in range(4))

outer.globals.middle = middle
middle.globals.leaf = leaf
print([tf.value if tf.exception is None else tf.exception for tf in parallel([outer(i) for i in range(6)])])
"""
    expected = [sum(i * 20 + 2 * j + 1 for j in range(4)) for i in range(6)]
    assert run_program(shared, program, "nested") == [str(expected)]


def test_a_scratch_result_comes_back_though_no_store_has_it(shared: DaskPlace) -> None:
    program = """
@delayed
def large(n):
    return "x" * n

large.scratch = True
tf = large(100_000)
print(len(tf.run()))
"""
    assert run_program(shared, program, "scratch") == ["100000"]


def test_a_step_whose_dask_worker_is_killed_is_executed_by_the_next_one(place: DaskPlace, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    program = f"""
@delayed
def step(victim):
    import os, signal, time
    first = not os.path.exists(victim)
    worker = os.environ["SEAMLESS_DASK_WORKER_PID"]
    with open(victim, "a") as f:
        f.write(f"{{worker}}\\n")
    if first:
        os.kill(int(worker), signal.SIGKILL)
        time.sleep(60)
    return "survived"

tf = step({str(victim)!r})
tf.compute()
print(tf.value if tf.exception is None else tf.exception)
"""
    assert run_program(place, program, "killed") == ["survived"]
    assert len(victim.read_text().splitlines()) == 2


def test_a_wrapper_that_is_killed_is_launched_again_and_the_step_executed(place: DaskPlace, tmp_path: Path) -> None:
    mark, go = tmp_path / "mark", tmp_path / "go"
    program = f"""
@delayed
def slow(mark, go):
    import os, time
    with open(mark, "a") as f:
        f.write("ran\\n")
    while not os.path.exists(go):
        time.sleep(0.01)
    return "done"

tf = slow({str(mark)!r}, {str(go)!r})
tf.compute()
print(tf.value if tf.exception is None else tf.exception)
"""
    running = place.start(sys.executable, place.program(program))
    try:
        eventually(mark.exists)
        place.kill("daskserver")
        go.touch()
        out, err = running.communicate(timeout=100)
    finally:
        running.kill()
        running.communicate()
    assert (out, running.returncode) == ("done\n", 0), err


def test_a_canceled_step_ends_where_it_is_executed(shared: DaskPlace, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    program = f"""
import time

@delayed
def endless(mark):
    import os, time
    with open(mark, "w") as f:
        f.write(str(os.getpid()))
        f.flush()
    time.sleep(1000)

tf = endless({str(mark)!r})
tf.start()
while not (os.path.exists({str(mark)!r}) and open({str(mark)!r}).read()):
    time.sleep(0.01)
tf.cancel()
print(tf.status)
"""
    assert run_program(shared, program, "canceled") == ["Status: canceled"]
    pid = int(mark.read_text())
    eventually(lambda: pid not in processes())


def test_nobody_without_the_certificate_gets_to_the_scheduler(shared: DaskPlace) -> None:
    import socket
    import ssl

    shared.run("seamless-run", "echo there")
    (state,) = shared.states("daskserver")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", state["port"]), timeout=10) as plain:
        with pytest.raises((ssl.SSLError, ConnectionError)), context.wrap_socket(plain) as secured:
            secured.sendall(b"x")
            if not secured.recv(1):
                raise ConnectionError("refused")


def test_the_certificate_is_for_the_user_alone_and_in_no_log(shared: DaskPlace) -> None:
    shared.run("seamless-run", "echo there, too")
    (state,) = shared.states("daskserver")
    logs = list(shared.home.rglob("*.log*"))
    assert state["token"].startswith("dask-tls-")
    assert [path for path in logs if state["token"] in path.read_text(errors="replace")] == []
    assert {oct(path.stat().st_mode & 0o077) for path in shared.records.glob("daskserver*.json")} == {"0o0"}


def test_without_stores_a_program_has_dask_to_itself(place: DaskPlace) -> None:
    place.write("seamless.profile.yaml", "- cluster: ws\n- execution: remote\n- persistent: false\n")
    program = """
from seamless.remote.pure_daskserver import get_client
client = get_client()
print(client.submit(pow, 2, 10).result(), len(client.run(os.getpid)))
"""
    assert run_program(place, program, "pure") == ["1024 4"]


def test_a_wrapper_ends_when_nobody_uses_it(tmp_path: Path) -> None:
    import subprocess

    status = tmp_path / "state.json"
    status.write_text(json.dumps({"parameters": {"cores": 1, "memory": "300MB"}, "pid": 1}))
    command = [
        sys.executable, "-m", "seamless.cli.dask_wrapper", "distributed::LocalCluster", "--host", "127.0.0.1",
        "--status-file", str(status), "--timeout", "0.5",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert (done.returncode, status.exists()) == (0, False)
    assert "idle for more than 0.5 s" in done.stderr


@pytest.mark.parametrize(
    ("cluster", "parameters", "text"),
    [
        ("distributed::LocalCluster", {"cores": 1}, "'memory' is required"),
        ("distributed::NoCluster", {"cores": 1, "memory": "1GB"}, "distributed has no NoCluster"),
        ("no such thing", {"cores": 1, "memory": "1GB"}, "is not MODULE::SYMBOL"),
    ],
)
def test_a_wrapper_that_cannot_start_says_why_in_its_status(
    tmp_path: Path, cluster: str, parameters: dict[str, object], text: str
) -> None:
    import subprocess

    status = tmp_path / "state.json"
    status.write_text(json.dumps({"parameters": parameters}))
    command = [sys.executable, "-m", "seamless.cli.dask_wrapper", cluster, "--status-file", str(status)]
    done = subprocess.run([*command, "--host", "127.0.0.1"], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    state = json.loads(status.read_text())
    assert (state["status"], text in state["error"], text in done.stderr) == ("failed", True, True)
    assert done.returncode != 0
