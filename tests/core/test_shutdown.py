"""The end of a session."""

import subprocess
import sys

import pytest

import seamless
from seamless import Buffer
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
