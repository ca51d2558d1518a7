"""The private state that the tests of the reference's configuration reset, played by ours.

Where they reset it name by name, which has no effect here, each test begins with the state of a process that has just
been started.
"""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
import seamless_config


def record_runtime() -> types.ModuleType:
    """Return a module that tells whether full records are written; nothing is remembered, so nothing is forgotten."""
    from seamless.transformer.recording.mode import recording

    module = types.ModuleType("seamless_transformer.record_runtime")
    vars(module).update(get_record_mode=lambda: recording.mode.record, invalidate_record_mode_cache=lambda: None)
    return module


@pytest.fixture(autouse=True)
def fresh_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin with nothing configured, in an empty directory; leave nothing active."""
    if not hasattr(seamless_config, "alias_sources"):  # the reference itself
        yield
        return
    from seamless.session import session

    monkeypatch.setitem(sys.modules, "seamless_transformer.record_runtime", record_runtime())
    monkeypatch.setenv("SEAMLESS_NO_LAUNCH", "1")  # the tests disable what launches services by a name of theirs
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    session.reset()
    yield
    os.chdir(tmp_path)
    session.reset()
