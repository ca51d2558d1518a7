"""The memory on graphics cards, with a stand-in for their driver."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seamless.transformer import delayed


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> types.ModuleType:
    """Return a pynvml with two cards, on which this process and a foreign one take memory."""
    (tmp_path / "version").touch()
    monkeypatch.setattr("seamless.transformer.execute.GPU_DRIVER", str(tmp_path / "version"))
    library: Any = types.ModuleType("pynvml")
    library.NVMLError = type("NVMLError", (Exception,), {})
    library.nvmlInit = lambda: None
    library.nvmlDeviceGetCount = lambda: 2
    library.nvmlDeviceGetHandleByIndex = lambda i: i
    used = [types.SimpleNamespace(pid=os.getpid(), usedGpuMemory=1000), types.SimpleNamespace(pid=1, usedGpuMemory=5)]
    library.nvmlDeviceGetComputeRunningProcesses = lambda card: used
    monkeypatch.setitem(sys.modules, "pynvml", library)
    return library


@pytest.mark.parametrize("code", ["1 + x", "echo 1 > RESULT"])
def test_the_memory_of_the_step_on_all_cards_is_recorded(
    code: str, cards: Any, store: Any, record_of: Callable[[Any], dict[str, Any]]
) -> None:
    step = delayed(code, "python" if "RESULT" not in code else "bash")
    step.celltypes.x = "int"
    assert record_of(step(x=1))["gpu_memory_peak_bytes"] == 2000


def test_a_driver_that_does_not_answer_leaves_it_open(
    cards: Any, store: Any, record_of: Callable[[Any], dict[str, Any]]
) -> None:
    def fails() -> None:
        raise cards.NVMLError

    cards.nvmlInit = fails
    assert record_of(delayed(lambda: 1)())["gpu_memory_peak_bytes"] is None
