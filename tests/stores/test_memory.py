from __future__ import annotations

import threading

import pytest

from seamless.checksum import Checksum
from seamless.session import ResultStore
from seamless.stores.errors import ConflictError, MalformedValueError
from seamless.stores.memory import MemoryResults

TF, TF2, TF3, R, R2 = (Checksum.of(name) for name in (b"tf", b"tf2", b"tf3", b"r", b"r2"))


def record(result: Checksum = R, **more: object) -> dict[str, object]:
    return {"schema_version": 1, "tf_checksum": TF.hex(), "result_checksum": result.hex(), **more}


def test_results_in_memory_are_a_result_store():
    assert isinstance(MemoryResults(), ResultStore)


def test_the_first_result_stays():
    results = MemoryResults()
    assert [results.set_result(TF, R), results.set_result(TF, R), results.set_result(TF, R2)] == [True, True, False]
    assert results.get_result(TF) == R
    assert (results.get_transformations(R), results.get_transformations(R2)) == ([TF], [])


def test_a_deleted_result_is_forgotten_with_its_record():
    results = MemoryResults()
    results.set_record(TF, R, record())
    assert [results.delete_result(TF), results.delete_result(TF)] == [True, False]
    assert (results.get_result(TF), results.get_record(TF), results.get_transformations(R)) == (None, None, [])


def test_the_least_recently_used_result_goes_first_and_is_reported():
    gone = []
    results = MemoryResults(2, on_evict=lambda *pair: gone.append(pair))
    results.set_result(TF, R)
    results.set_result(TF2, R)
    results.get_result(TF)
    results.set_result(TF3, R2)
    assert gone == [(TF2, R)]
    assert [results.get_result(t) for t in (TF, TF2, TF3)] == [R, None, R2]
    assert results.get_transformations(R) == [TF]
    assert len(results) == 2


def test_the_first_record_stays():
    results = MemoryResults()
    assert results.set_record(TF, R, record(wall=1)) is True
    assert results.set_record(TF, R, record(wall=1)) is True
    assert results.set_record(TF, R, record(wall=2)) is False
    assert results.get_record(TF) == record(wall=1)
    assert results.get_result(TF) == R
    with pytest.raises(ConflictError):
        results.set_record(TF, R2, record(R2))
    with pytest.raises(MalformedValueError):
        results.set_record(TF2, R, record())


def test_a_limit_below_one_is_refused():
    with pytest.raises(ValueError, match="limit"):
        MemoryResults(0)


def test_a_claim_excludes_other_threads_and_lets_the_same_thread_in():
    results, inside, started = MemoryResults(), [], threading.Event()

    def work() -> None:
        started.set()
        with results.claim(TF):
            inside.append("second")

    with results.claim(TF), results.claim(TF), results.claim(TF2):
        thread = threading.Thread(target=work)
        thread.start()
        started.wait(30)
        inside.append("first")
    thread.join(30)
    assert inside == ["first", "second"]
