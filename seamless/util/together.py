"""What several threads want at the same time, done by one of them for all.

Nobody waits for others to come: who finds fewer rounds under way than there may be begins one at once, and the others
gather for the next. So the rounds are as large as the load. Knows nothing of what is done.
"""

from __future__ import annotations

import threading

TYPE_CHECKING = False  # that of `typing`, which takes longer to import than all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


class _Wish:
    """One item, and the thread that waits for it."""

    __slots__ = ("answer", "error", "gate", "item", "leads")

    def __init__(self, item: Any) -> None:
        self.item = item
        self.answer: Any = None
        self.error: BaseException | None = None
        self.leads = False  # woken to do the next round, not because it is done
        self.gate = threading.Lock()
        self.gate.acquire()


class Together:
    """`perform(items)` returns as many answers, or exceptions, in order; what it raises is raised to all of the round.

    `most`: items of a round, which may be changed; `rounds`: how many may be under way. Thread-safe; a forked child
    needs a new one.
    """

    def __init__(self, perform: Callable[[list[Any]], Sequence[Any]], *, most: int, rounds: int = 1) -> None:
        self._perform, self.most, self._rounds = perform, most, rounds
        self._lock = threading.Lock()
        self._waiting: list[_Wish] = []
        self._under_way = 0

    def do(self, item: Any) -> Any:
        """Return the answer to one item; blocks. Raises the exception that is its answer."""
        with self._lock:
            if self._under_way < self._rounds:
                self._under_way += 1
                wish = None
            else:
                wish = _Wish(item)
                self._waiting.append(wish)
        if wish is None:
            return self._lead([_Wish(item)])
        try:
            wish.gate.acquire()
        except BaseException:
            self._give_up(wish)
            raise
        if wish.leads:
            with self._lock:
                others = self._waiting[: self.most - 1]
                del self._waiting[: len(others)]
            return self._lead([wish, *others])
        return _result(wish)

    def _lead(self, wishes: list[_Wish]) -> Any:
        """Do a round, the first item of which is that of this thread, and let somebody begin the next."""
        done = False
        try:
            self._do_all(wishes)
            done = True
        finally:
            with self._lock:
                if not done:  # this thread was interrupted: what the others want is still to be done
                    self._waiting[:0] = wishes[1:]
                self._pass_on()
            for wish in wishes[1:] if done else ():
                wish.gate.release()
        return _result(wishes[0])

    def _do_all(self, wishes: list[_Wish]) -> None:
        try:
            answers = self._perform([wish.item for wish in wishes])
        except Exception as exc:  # noqa: BLE001  it belongs to everybody who waits
            for wish in wishes:
                wish.error = exc
            return
        for wish, answer in zip(wishes, answers, strict=True):
            if isinstance(answer, BaseException):
                wish.error = answer
            else:
                wish.answer = answer

    def _pass_on(self) -> None:
        """Wake one who waits to do the next round; if nobody waits there is a round less. The lock is held."""
        if self._waiting:
            wish = self._waiting.pop(0)
            wish.leads = True
            wish.gate.release()
        else:
            self._under_way -= 1

    def _give_up(self, wish: _Wish) -> None:
        """Take back the wish of a thread that was interrupted."""
        with self._lock:
            if wish in self._waiting:
                self._waiting.remove(wish)
            elif wish.leads:
                self._pass_on()


def _result(wish: _Wish) -> Any:
    if wish.error is not None:
        raise wish.error
    return wish.answer
