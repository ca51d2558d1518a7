"""What the thread of a wrapper tells the scheduler in its process, and what workers ask of the wrapper through it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Any

from seamless.remote.dask_client import JOBS, LOST


class Steering:
    """The scheduler of a cluster, from outside of its event loop. Methods block, unless they say that they do not."""

    def __init__(self, cluster: Any) -> None:
        self._cluster, self._scheduler = cluster, cluster.scheduler
        self._asked: deque[tuple[str, str, asyncio.Future[str]]] = deque()
        self._scheduler.extensions[JOBS] = self

    def retire(self, names: Collection[str]) -> None:
        """Have workers hand over what they hold, and end."""
        self._cluster.sync(self._scheduler.retire_workers, names=list(names), remove=True)

    def drain(self, names: Collection[str]) -> None:
        """Have workers begin nothing more; what they are executing goes on."""

        async def drain() -> None:
            from distributed.core import Status

            stimulus = f"seamless-drain-{time.time()}"
            for worker in [each for each in self._scheduler.workers.values() if str(each.name) in names]:
                self._scheduler.handle_worker_status_change(Status.closing_gracefully, worker, stimulus)
                message = {"op": "worker-status-change", "status": worker.status.name, "stimulus_id": stimulus}
                self._scheduler.stream_comms[worker.address].send(message)

        self._cluster.sync(drain)

    def fail(self, texts: Mapping[str, str]) -> None:
        """End unfinished steps, whoever wants them; the texts say why."""

        async def fail() -> None:
            for key, text in texts.items():
                task = self._scheduler.tasks.get(key)
                if task is not None and task.who_wants and task.state not in ("memory", "erred"):
                    client = next(iter(task.who_wants)).client_key
                    self._scheduler.stimulus_cancel([key], client=client, force=True, reason=LOST, msg=text)

        self._cluster.sync(fail)

    async def lacks_memory(self, worker: str, key: str) -> str:
        """Return "" when a step that has run out of memory on this worker is to be tried again, else why it is not.

        Called in the loop of the scheduler; the thread of the wrapper answers.
        """
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._asked.append((worker, key, answer))
        return await answer

    def answer(self, lacks_memory: Callable[[str, str], str]) -> None:
        """Answer the workers that have asked. Does not block itself."""
        while self._asked:
            worker, key, future = self._asked.popleft()
            self._cluster.loop.add_callback(_set, future, lacks_memory(worker, key))


def _set(future: asyncio.Future[str], text: str) -> None:
    if not future.done():
        future.set_result(text)
