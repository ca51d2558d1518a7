"""Short steps on their way to Dask: those that wait at the same time go as one task.

Which steps are short is learned from those that were executed before, for each code. A group that fails as a whole,
takes too long or loses a member that was canceled is given up, and each of its steps is sent alone: what goes wrong is
found out, and told, there.
"""

from __future__ import annotations

import pickle
import threading
import uuid
from typing import TYPE_CHECKING, Any

from seamless.transformer.recording.mode import PROBE, recording
from seamless.transformer.resources import PLACE
from seamless.transformer.workers.step import pack_step
from seamless.util.together import Together

if TYPE_CHECKING:
    from seamless.remote.dask_client import SeamlessDaskClient
    from seamless.transformer.execution import ExecutionAnswer, ExecutionRequest

MOST = 32  # steps of a group
SHORT = 0.05  # seconds of a step
_TOGETHER = 0.5  # seconds of all steps of a group, as far as can be known
_WEIGHT = 0.2  # of the last step in what is known of a code
_CODES = 1000  # remembered
_USUAL = frozenset(("transformer_path", "local", "__direct_print__"))  # in __meta__

Told = dict[str, Any]


class _Wanted:
    """A step that is to go with others."""

    def __init__(self, request: ExecutionRequest, along: list[bytes]) -> None:
        self.request, self.along = request, along
        self.group: _Group | None = None

    def cancel(self) -> None:
        """Give the group up, if it is under way: the step is not wanted any more."""
        group = self.group
        if group is not None:
            group.give_up(self.request.tf.hex())


class _Group:
    """Steps that are executed by one task."""

    def __init__(self, client: Any, members: list[_Wanted], priority: int) -> None:
        from dask import annotate

        from seamless.transformer.dask_group_step import run_group
        from seamless.transformer.dask_step import MEMBERS

        steps = [pack_step(m.request.transformation, m.request.tf, m.request.envelope) for m in members]
        along = {content for member in members for content in member.along}
        self._client, self._members, self._name = client, members, uuid.uuid4().hex
        with annotate(**{MEMBERS: [member.request.tf.hex() for member in members]}):  # for `cancel` by others
            self._future = client.submit(
                run_group,
                pickle.dumps((steps, along), 5),
                self._name,
                key=f"group_{code_of(members[0].request)}-{self._name}",
                pure=True,
                priority=priority,
                resources={PLACE: 1},
                retries=0,
            )
        for member in members:
            member.group = self

    def told(self) -> list[Told | None]:
        """Return what came of each step; None for one that is to be sent alone. Blocks."""
        told: list[Told | None] = pickle.loads(self._future.result())
        return told

    def give_up(self, tf: str) -> None:
        """End the group for all; the step with this checksum is ended, unless somebody else wants it."""
        from seamless.transformer.dask_group_step import leave_group

        self._future.cancel()
        self._client.run(leave_group, self._name, tf, wait=False)

    def release(self) -> None:
        """Let the scheduler forget it: there is nothing to be given up any more."""
        for member in self._members:
            member.group = None
        self._future.release()


class Groups:
    """The groups of one connection. Thread-safe. `priority`: of their tasks."""

    def __init__(self, client: SeamlessDaskClient, priority: int) -> None:
        self._client, self._priority = client, priority
        self._lock = threading.Lock()
        self._seconds: dict[str, float] = {}  # of a step with this code
        self._gathering: dict[str, Together] = {}

    def takes(self, request: ExecutionRequest) -> bool:
        """Tell whether a step may go with others: it is known to be short, and is nothing special."""
        envelope = request.envelope
        if request.refresh or envelope.direct_print or envelope.timeout is not None or PROBE in envelope.pins:
            return False
        if recording.mode.record or envelope.env or not self._client.shares or not _USUAL.issuperset(envelope.meta):
            return False
        return self._seconds.get(code_of(request), SHORT) < SHORT

    def learn(self, request: ExecutionRequest, answer: ExecutionAnswer) -> None:
        """Note how long a step has taken that was executed now."""
        if answer.usage.wall_time_seconds:
            self._note(code_of(request), answer.usage.wall_time_seconds)

    def execute(self, request: ExecutionRequest, along: list[bytes]) -> Told | None:
        """Have a step executed with others; None if it is to be sent alone. `along`: inputs. Blocks."""
        from seamless.transformer.daskserver import cancellations

        code = code_of(request)
        with self._lock:
            gathering = self._gathering.get(code)
            if gathering is None:
                gathering = self._gathering[code] = Together(self._send, most=MOST, rounds=max(2, self._client.most))
            gathering.most = max(1, min(MOST, int(_TOGETHER / max(self._seconds.get(code, SHORT), 1e-3))))
        wanted = _Wanted(request, along)

        def stop() -> None:
            cancellations.send(wanted.cancel)

        request.canceled.add_callback(stop)
        try:
            told: Told | None = gathering.do(wanted)
            return told
        finally:
            request.canceled.remove_callback(stop)

    def _send(self, members: list[_Wanted]) -> list[Told | None]:
        """Execute a group: a round of Together."""
        import logging

        wanted = [member for member in members if not member.request.canceled.is_set()]
        if not wanted:
            return [None] * len(members)
        try:
            group = _Group(self._client.client, wanted, self._priority)
            try:
                told = group.told()
            finally:
                group.release()
        except Exception as exc:  # noqa: BLE001  whatever it is, each of them meets it again alone, and says so
            logging.getLogger(__name__).info("a group of %d steps is given up: %s", len(wanted), exc)
            told = [None] * len(wanted)
            _note_canceled(wanted, exc)
        if None in told:
            self._note(code_of(members[0].request), SHORT)
        found = dict(zip(map(id, wanted), told, strict=True))
        return [found.get(id(member)) for member in members]

    def _note(self, code: str, seconds: float) -> None:
        with self._lock:
            if len(self._seconds) >= _CODES and code not in self._seconds:
                self._seconds.clear()
                self._gathering.clear()
            known = self._seconds.get(code, seconds)
            self._seconds[code] = seconds if seconds >= SHORT else known + _WEIGHT * (seconds - known)


def _note_canceled(members: list[_Wanted], failure: Exception) -> None:
    """Cancel the step that somebody else has canceled, if the group has failed for that."""
    from seamless.transformer.dask_step import CANCELED

    text = str(failure)
    for member in members if CANCELED in text else ():
        if member.request.tf.hex() in text:
            member.request.canceled.set()


def code_of(request: ExecutionRequest) -> str:
    """Return what tells steps with the same code."""
    code = request.transformation.get("code")
    return str(code[2]) if code else ""
