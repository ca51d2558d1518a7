"""What a Dask worker does with a task of several short steps: all at once, each as if it had come alone."""

from __future__ import annotations

import pickle
import threading
from typing import TYPE_CHECKING, Any

from seamless.errors import TransformationError
from seamless.transformer import runner
from seamless.transformer.dask_step import hold, is_starved, kills_before, told_of
from seamless.transformer.workers.step import unpack_step

if TYPE_CHECKING:
    from seamless.transformer.outcome import Envelope, Outcome
    from seamless.transformer.submission import Submission

_SECONDS = 2.0  # for which the steps of a group are waited for

_groups: dict[str, dict[str, Submission]] = {}


class _Steps:
    """The submissions of a group; None for a step that is to come again, alone."""

    def __init__(self, packed: bytes) -> None:
        self.members: list[tuple[Submission, Envelope] | None] = []
        self._finished = threading.Event()
        self._counting = threading.Lock()
        steps, along = pickle.loads(packed)
        self._held = hold(along)
        for step in steps:
            transformation, tf, envelope = unpack_step(step)
            try:
                self.members.append((runner.submit(transformation, tf, envelope), envelope))
            except (RuntimeError, TransformationError):  # it is told to who sends it alone
                self.members.append(None)
        self.submissions = {member[0].tf.hex(): member[0] for member in self.members if member is not None}
        self._left = len(self.submissions)

    def run(self) -> None:
        """Execute all; return when they have ended, or after some time: then they go on."""
        for submission in self.submissions.values():
            submission.add_done_callback(self._one_less)
            submission.start()
        if self.submissions:
            self._finished.wait(_SECONDS)

    def _one_less(self, _: Outcome) -> None:
        with self._counting:
            self._left -= 1
            if not self._left:
                self._finished.set()


def run_group(packed: bytes, name: str) -> bytes:
    """Do what `run_step` does for several steps; give a pickled list, None for each that is to come again, alone."""
    killed = kills_before()
    steps = _Steps(packed)
    _groups[name] = steps.submissions
    try:
        steps.run()
    finally:
        del _groups[name]
    return pickle.dumps([_told(member, killed) for member in steps.members], 5)


def _told(member: tuple[Submission, Envelope] | None, killed: int | None) -> dict[str, Any] | None:
    outcome = None if member is None else member[0].outcome
    if member is None or outcome is None or is_starved(outcome, killed):
        return None
    return told_of(outcome, member[1])


async def leave_group(name: str, tf: str) -> None:
    """Take the wish of a group for a step back. Called on all workers."""
    submission = _groups.get(name, {}).get(tf)
    if submission is not None:
        submission.leave()
