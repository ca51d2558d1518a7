"""The end of a session."""

import os
import signal
import subprocess
import sys
import threading

import pytest

import seamless
from seamless import Buffer
from seamless.session import session
from seamless.shutdown import reopen


@pytest.fixture
def closed():
    seamless.close()
    yield
    reopen()


def test_closing_twice_is_once(closed):
    assert seamless.close() is None
    assert seamless._closed is True


def test_after_closing_buffers_can_be_made_and_hashed_but_not_kept(closed):
    buffer = Buffer(b"after")
    assert buffer.get_checksum().resolve() is buffer
    with pytest.raises(RuntimeError, match="Seamless has been closed; cannot perform further operations"):
        buffer.incref()
    with pytest.raises(RuntimeError, match="closed"):
        buffer.write_sync()


def test_transformations_are_refused_after_closing(closed):
    from seamless.transformer import delayed

    with pytest.raises(RuntimeError, match="Seamless has been closed"):
        delayed("1 + 1")()


def test_hooks_run_and_a_failing_one_is_named(capsys):
    ran = []
    seamless.register_close_hook(lambda: ran.append(1))

    def broken():
        raise ValueError("no")

    seamless.register_close_hook(broken)
    try:
        seamless.close()
    finally:
        reopen()
    assert ran == [1]
    assert "broken" in capsys.readouterr().err


def test_a_hook_must_be_callable():
    with pytest.raises(TypeError):
        seamless.register_close_hook(5)


def test_queued_buffers_reach_the_store_at_close(tmp_path):
    code = "import seamless\nb = seamless.Buffer(b'queued')\nb.incref()\nprint(b.checksum)\nseamless.close()\n"
    env = {"SEAMLESS_CACHE": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    hex_ = done.stdout.strip()
    assert (tmp_path / "__TOPLEVEL__" / hex_[:2] / hex_).read_bytes() == b"queued"
    assert done.stderr == ""


def run_program(code, **environment):
    environment = {"PATH": "/usr/bin:/bin", **environment}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)


def test_what_is_queued_when_a_program_just_ends_is_stored_and_said_to_have_been_late(tmp_path):
    code = (
        "import seamless\nfor i in range(300):\n    seamless.Buffer(b'%d' % i).incref()\n"
        "keep = [seamless.Buffer(b'x%d' % i) for i in range(300)]\nfor b in keep: b.incref()\n"
    )
    done = run_program(code, SEAMLESS_CACHE=str(tmp_path))
    assert done.returncode == 0
    assert len([p for p in tmp_path.rglob("*") if len(p.name) == 64]) == 600
    assert done.stderr.count("\n") <= 1
    assert not done.stderr or "call seamless.close() before the end" in done.stderr


def test_a_program_that_used_no_store_ends_without_a_word():
    done = run_program("import seamless\nb = seamless.Buffer(b'a')\nb.incref()\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


class Stuck:
    """A store that never gets anything stored."""

    name, writable = "stuck", True

    def __init__(self, error=None):
        self.error = error

    def put(self, items):
        raise self.error


def test_buffers_that_cannot_be_stored_are_named_and_with_strict_raised(capsys, monkeypatch):
    from seamless.errors import StoreFullError

    monkeypatch.setattr("seamless.shutdown._FLUSH_SECONDS", 0.05)
    session.activate([Stuck(StoreFullError("no space left"))])
    buffer = Buffer(b"lost")
    buffer.incref()
    try:
        with pytest.raises(RuntimeError, match=f"unwritten buffers: {buffer.checksum}.*no space left"):
            seamless.close(strict=True)
    finally:
        reopen()
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("[seamless.close] ")
    assert buffer.checksum.hex() in last


def test_closing_imports_nothing(tmp_path):
    code = (
        "import sys, seamless\nb = seamless.Buffer(b'queued')\nb.incref()\n"
        "close = seamless.close\nfrom seamless.cache.buffer_writer import flush\nflush()\n"
        "before = set(sys.modules)\nclose()\nprint(sorted(set(sys.modules) - before))\n"
    )
    assert run_program(code, SEAMLESS_CACHE=str(tmp_path)).stdout == "[]\n"


@pytest.mark.parametrize("how", ["worker", "process"])
def test_closing_does_nothing_in_a_worker_or_a_child(how, monkeypatch):
    ran = []
    seamless.register_close_hook(lambda: ran.append(1))
    if how == "worker":
        seamless.set_is_worker()
    else:
        import multiprocessing

        monkeypatch.setattr(multiprocessing.current_process(), "_config", {}, raising=False)
        monkeypatch.setattr(multiprocessing.current_process(), "name", "ForkProcess-1")
    seamless.close()
    assert ran == []
    assert not session.closed


def test_a_forked_child_runs_no_hook_of_its_parent(tmp_path):
    code = (
        "import os, sys, seamless\nseamless.register_close_hook(lambda: print('hook', flush=True))\n"
        "seamless.ensure_open()\npid = os.fork()\n"
        "if pid == 0:\n    seamless.close()\n    sys.exit(0)\n"
        "os.waitpid(pid, 0)\nprint('parent', flush=True)\n"
    )
    assert run_program(code).stdout == "parent\nhook\n"


def test_spilled_bytes_are_removed_even_when_closing_is_interrupted(tmp_path, monkeypatch):
    from seamless.cache.buffer_cache import BufferCache

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    session.buffer_cache = BufferCache(soft_cap=10, hard_cap=10)
    Buffer(b"x" * 100).incref(scratch=True)
    assert os.listdir(tmp_path)

    def interrupted():
        raise KeyboardInterrupt

    seamless.register_close_hook(interrupted)
    with pytest.raises(KeyboardInterrupt):
        seamless.close()
    assert os.listdir(tmp_path) == []


def test_debugging_tells_what_closing_does_and_dumps_stacks_on_a_signal():
    code = (
        "import os, signal, seamless\n"
        "def deep_inside():\n    os.kill(os.getpid(), signal.SIGUSR2)\n"
        "deep_inside()\nseamless.close()\n"
    )
    done = run_program(code, SEAMLESS_DEBUG_SHUTDOWN="1")
    assert done.returncode == 0
    assert "deep_inside" in done.stderr
    assert "[seamless.close DEBUG] " in done.stderr


def test_without_debugging_the_signal_keeps_its_meaning():
    code = "import os, signal, seamless\nseamless.close()\nos.kill(os.getpid(), signal.SIGUSR2)\n"
    assert run_program(code).returncode == -signal.SIGUSR2


def test_references_from_many_threads_all_reach_the_store(tmp_path):
    from seamless.cache.buffer_writer import get_writer
    from seamless.stores.directory import BufferDirectory

    store = BufferDirectory(tmp_path, durable=False)
    session.activate([store])
    checksums = []

    def work(i):
        for j in range(50):
            buffer = Buffer(f"{i} {j}".encode())
            buffer.incref()
            checksums.append(buffer.checksum)
            buffer.decref()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert get_writer().flush(20) == []
    assert all(store.has(checksums))
