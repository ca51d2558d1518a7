"""Failures that are noted for people to look at."""

import pytest

from seamless.session import session
from seamless.stores.embedded import open_embedded
from seamless.stores.failures import failures
from seamless.transformer import delayed, worker
from tests.transformer.workers.support import gate


@pytest.fixture
def noted(tmp_path):
    """Return a function that gives the noted failures, as (step, exit status, error)."""
    store = open_embedded(tmp_path / "cache")
    session.activate([store.buffers], [store.results])
    return lambda: [(e["tf_checksum"], e["exit_status"], e["error"]) for e in failures(store.directory)]


@pytest.fixture(params=["here", "worker"])
def place(request):
    if request.param == "here":
        yield
        return
    worker.spawn(1)
    yield
    worker.shutdown_workers()


def test_a_python_step_that_is_late_is_noted_as_a_failure(noted, place, tmp_path):
    step = delayed(gate)
    step.timeout = 0.1
    late = step(str(tmp_path / "go"), str(tmp_path / "begun"))
    assert late.compute() is None
    ((tf, status, error),) = noted()
    assert (tf, status) == (late.transformation_checksum.hex(), None)
    assert error.startswith("Timeout: not finished after 0.1 s")
    (tmp_path / "go").touch()


def test_a_command_that_is_late_is_noted_as_a_failure(noted, place):
    step = delayed("sleep 100", "bash")
    step.timeout = 0.1
    late = step()
    assert late.compute() is None
    ((tf, status, error),) = noted()
    assert (tf, status) == (late.transformation_checksum.hex(), 124)
    assert "Time limit of 0.1 s exceeded" in error


def test_a_canceled_step_is_not_noted_as_a_failure(noted, tmp_path):
    begun = tmp_path / "begun"
    handle = delayed(f"touch {begun}; sleep 100", "bash")().start()
    submission = handle._submission
    handle.cancel()
    assert submission.idle.wait(60)
    assert noted() == []
