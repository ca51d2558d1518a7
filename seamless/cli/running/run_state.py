"""One run of `seamless-run`: the options, and what has been found out so far. Data only."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from seamless.cli.running.description import Description

if TYPE_CHECKING:
    from seamless.checksum import Checksum
    from seamless.cli.commandline.plan import Plan
    from seamless.cli.common import Messages
    from seamless.cli.run_options import Options
    from seamless.cli.running.inputs import HashedInput
    from seamless.cli.running.targets import TargetResult
    from seamless.cli.storage import Storage


class Run:
    """What the parts of a run share. `store` is None until it is needed."""

    def __init__(self, options: Options, messages: Messages):
        self.options, self.messages = options, messages
        self.started = time.monotonic()
        self.plan: Plan
        self.inputs: list[HashedInput] = []
        self.description: Description
        self._store: Storage | None = None
        self.uploaded = (0, 0)  # buffers, bytes
        self.cached = False
        self.result: Checksum | None = None
        self.targets: list[TargetResult] = []
        self.downloaded: dict[str, bool] = {}
        self.error: str | None = None

    @property
    def checksum(self) -> Checksum:
        """The identity of the transformation."""
        return self.description.checksum

    @property
    def wants_content(self) -> bool:
        """Whether the content of the result is wanted here, not only its checksum."""
        return self.options.download and not self.options.scratch

    @property
    def store(self) -> Storage:
        """The stores of the project and stage, opened at first use. Raises StoreError, UsageError."""
        if self._store is None:
            from seamless.cli.storage import open_storage

            self._store = open_storage(project=self.options.project, stage=self.options.stage, local=self.options.local)
        return self._store

    def close(self) -> None:
        """Release the stores, if they were opened."""
        if self._store is not None:
            self._store.close()

    @property
    def journal_path(self) -> str:
        """Where runs in this cache directory are noted."""
        from seamless.config.embedded import cache_from_environment
        from seamless.stores.embedded import default_cache_directory

        return os.path.join(cache_from_environment() or default_cache_directory(), "run-journal.jsonl")
