"""Who may be active: never more than there are slots, those first whose work others wait for."""

import threading

import pytest

from seamless.transformer.execution import Cancellation
from seamless.transformer.workers.slots import Hold, Slots
from tests.transformer.workers.support import eventually


class Waiting:
    """A thread that waits for a slot."""

    def __init__(self, slots, lane, canceled=None):
        self.grant = None
        self.thread = threading.Thread(target=self._wait, args=(slots, lane, canceled))
        before = len(slots._lanes[lane])
        self.thread.start()
        eventually(lambda: len(slots._lanes[lane]) > before or self.grant is not None)

    def _wait(self, slots, lane, canceled):
        self.grant = slots.acquire(lane, canceled)

    def result(self):
        self.thread.join(60)
        return self.grant


def test_as_many_as_there_are_slots_get_one_at_once():
    slots = Slots(2, most=10)
    assert [slots.acquire("fresh"), slots.acquire("fresh")] == ["process"] * 2
    third = Waiting(slots, "fresh")
    assert third.grant is None
    slots.release()
    assert third.result() == "process"


def test_returning_steps_come_before_nested_ones_and_those_before_fresh_ones():
    slots = Slots(1, most=10)
    slots.acquire("fresh")
    waiting = {lane: Waiting(slots, lane) for lane in ("fresh", "nested", "returning")}
    for lane in ("returning", "nested", "fresh"):
        slots.release()
        assert waiting.pop(lane).result() == "process"
        assert [other.grant for other in waiting.values()] == [None] * len(waiting)


def test_when_too_many_have_begun_nested_work_borrows_and_fresh_work_waits():
    slots = Slots(5, most=2)
    assert [slots.acquire("fresh"), slots.acquire("nested")] == ["process"] * 2
    fresh = Waiting(slots, "fresh")
    assert slots.acquire("nested") == "borrowed"
    assert fresh.grant is None
    slots.finished()
    assert fresh.result() == "process"


def test_whoever_waits_can_be_canceled():
    slots, canceled = Slots(1, most=10), Cancellation()
    slots.acquire("fresh")
    waiting = Waiting(slots, "fresh", canceled)
    canceled.set()
    assert waiting.result() == "none"
    slots.release()
    assert slots.acquire("fresh") == "process"


def test_nobody_waits_any_more_after_the_end():
    slots = Slots(1, most=10)
    slots.acquire("fresh")
    waiting = Waiting(slots, "fresh")
    slots.close()
    assert waiting.result() == "none"
    assert slots.acquire("fresh") == "none"


def test_a_lent_slot_is_used_by_others_and_taken_back_afterwards():
    slots = Slots(1, most=10)
    slots.acquire("fresh")
    hold = Hold(slots)
    hold.lend()
    assert slots.acquire("nested") == "process"
    returning = threading.Thread(target=hold.take_back)
    returning.start()
    eventually(lambda: slots._lanes["returning"])
    slots.release()
    returning.join(60)
    assert slots._active == 1
    hold.end()
    assert slots._active == 0


def test_a_slot_is_lent_once_for_any_number_of_nested_steps():
    slots = Slots(1, most=10)
    slots.acquire("fresh")
    hold = Hold(slots)
    hold.lend()
    hold.lend()
    hold.take_back()
    assert slots._active == 0
    hold.take_back()
    assert slots._active == 1


@pytest.mark.parametrize("returns", [True, False])
def test_a_step_that_ends_while_its_slot_is_lent_gives_it_back_once(returns):
    slots = Slots(1, most=10)
    slots.acquire("fresh")
    hold = Hold(slots)
    hold.lend()
    hold.end()
    if returns:
        hold.take_back()
    assert slots._active == 0
