"""The private names by which the tests of the reference's transformers end worker processes, played by ours."""

from __future__ import annotations

from types import SimpleNamespace

import seamless_transformer.worker as worker

if hasattr(worker, "alias_sources"):  # not the reference itself
    vars(worker)["_worker_manager"] = SimpleNamespace(close=worker.shutdown_workers)
    vars(worker)["_set_has_spawned"] = lambda value: None
