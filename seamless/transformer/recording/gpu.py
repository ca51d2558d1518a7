"""The peak of the memory that a process takes on graphics cards: sampled, where the driver and pynvml are there."""

from __future__ import annotations

import os
import threading
from typing import Any

from seamless.launcher.processes import read_stat

_SECONDS = 0.1  # between samples


class GpuMeter:
    """Samples this process and what it has started, from the moment it is made."""

    def __init__(self) -> None:
        self._peak = 0
        self._stopped = threading.Event()
        self._library = _library()
        self._thread: threading.Thread | None = None
        if self._library is not None:
            self._thread = threading.Thread(target=self._sample, name="seamless-gpu", daemon=True)
            self._thread.start()

    def stop(self) -> int | None:
        """Return the peak in bytes, None where it cannot be known."""
        if self._thread is None:
            return None
        self._stopped.set()
        self._thread.join()
        return None if self._library is None else self._peak

    def _sample(self) -> None:
        library: Any = self._library
        try:
            library.nvmlInit()
            cards = [library.nvmlDeviceGetHandleByIndex(i) for i in range(library.nvmlDeviceGetCount())]
            while True:
                self._peak = max(self._peak, sum(map(self._used, cards)))
                if self._stopped.wait(_SECONDS):
                    return
        except library.NVMLError:
            self._library = None  # nobody can tell, then

    def _used(self, card: Any) -> int:
        processes = self._library.nvmlDeviceGetComputeRunningProcesses(card)
        return sum(process.usedGpuMemory or 0 for process in processes if _is_ours(process.pid))


def _is_ours(pid: int) -> bool:
    """Tell whether a process is this one, or was started by it, directly or not."""
    while pid > 1:
        if pid == os.getpid():
            return True
        stat = read_stat(pid)
        pid = stat.parent if stat is not None else 0
    return False


def _library() -> Any:
    """Return pynvml, None without it."""
    from importlib import import_module

    try:
        return import_module("pynvml")
    except ImportError:
        return None
