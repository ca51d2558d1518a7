"""Two workers, and the proof that nothing of them is left."""

import pytest

from seamless.transformer import worker
from tests.transformer.workers import support


@pytest.fixture
def workers():
    """Execute the steps of the test in two workers; nothing of them may be left behind."""
    worker.spawn(2)
    pool = worker._spawned.executor.workers
    yield pool
    nursery = pool.nursery()
    pids = [*pool.pids(), nursery]
    worker.shutdown_workers()
    assert [pid for pid in pids if support.is_alive(pid)] == []


@pytest.fixture
def pool():
    """Make pools that are closed after the test."""
    from seamless.transformer.workers.pool import WorkerPool

    made = []

    def make(*arguments, **options):
        made.append(WorkerPool(*arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()
