"""The two stores of a directory against two dictionaries, through any sequence of operations."""

from __future__ import annotations

import shutil
import tempfile

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from seamless.checksum import Checksum
from seamless.stores.embedded import open_embedded
from tests.campaign.effort import examples

DATA = [b"", b"a", b"some text\n", bytes(range(256)) * 20]
STEPS = [Checksum.of(b"step %d" % n) for n in range(4)]
data_of = st.sampled_from(DATA)
step_of = st.sampled_from(STEPS)


class Stores(RuleBasedStateMachine):
    """What is stored, what is known, and a store that is opened again now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.mkdtemp(prefix="seamless-test-")
        self.store = open_embedded(self.directory)
        self.buffers: dict[Checksum, bytes] = {}
        self.results: dict[Checksum, Checksum] = {}

    @rule(items=st.lists(data_of, max_size=4))
    def put(self, items: list[bytes]) -> None:
        self.store.buffers.put((Checksum.of(d), d) for d in items)
        self.buffers.update((Checksum.of(d), d) for d in items)

    @rule(data=data_of)
    def remove(self, data: bytes) -> None:
        assert self.store.buffers.remove(Checksum.of(data)) == (self.buffers.pop(Checksum.of(data), None) is not None)

    @rule(step=step_of, data=data_of)
    def set_result(self, step: Checksum, data: bytes) -> None:
        kept = self.results.setdefault(step, Checksum.of(data))
        assert self.store.results.set_result(step, Checksum.of(data)) == (kept == Checksum.of(data))

    @rule(step=step_of)
    def delete_result(self, step: Checksum) -> None:
        assert self.store.results.delete_result(step) == (self.results.pop(step, None) is not None)

    @rule()
    def open_again(self) -> None:
        self.store.results.close()
        self.store = open_embedded(self.directory)

    @rule()
    def sweep(self) -> None:
        assert self.store.buffers.sweep(older_than=0) == 0

    @invariant()
    def the_buffers_are_those_of_the_model(self) -> None:
        names = [Checksum.of(d) for d in DATA]
        assert self.store.buffers.has(names) == [name in self.buffers for name in names]
        assert [self.store.buffers.get(name) for name in names] == [self.buffers.get(name) for name in names]
        assert set(self.store.buffers.iter_checksums()) == set(self.buffers)

    @invariant()
    def the_results_are_those_of_the_model(self) -> None:
        assert self.store.results.get_results(STEPS) == [self.results.get(step) for step in STEPS]
        for data in DATA:
            giving = {step for step, result in self.results.items() if result == Checksum.of(data)}
            assert set(self.store.results.get_transformations(Checksum.of(data))) == giving

    def teardown(self) -> None:
        self.store.results.close()
        shutil.rmtree(self.directory)


TestStores = Stores.TestCase
TestStores.settings = examples(15, steps=20)
