"""One run of `seamless-run`: the options, and what has been found out so far. Data only."""

from __future__ import annotations

import os
import time

from seamless.cli.running.description import Description

TYPE_CHECKING = False
if TYPE_CHECKING:
    from seamless.checksum import Checksum
    from seamless.cli.commandline.plan import Plan
    from seamless.cli.common import Messages
    from seamless.cli.run_options import Options
    from seamless.cli.running.detach import Detachment
    from seamless.cli.running.inputs import HashedInput
    from seamless.cli.running.limits import DownloadLimits
    from seamless.cli.running.targets import TargetResult
    from seamless.cli.storage import Storage
    from seamless.transformer.outcome import Envelope, OutputHandler


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
        self.canceled = False
        self.detachment: Detachment | None = None  # of a run that goes on in the background

    @property
    def checksum(self) -> Checksum:
        """The identity of the transformation."""
        return self.description.checksum

    @property
    def on_output(self) -> OutputHandler:
        """Where the output of the command goes while it runs."""
        from seamless.cli.running.execution import show_output

        return show_output

    @property
    def limits(self) -> DownloadLimits:
        """How much may be brought to the current directory without a question."""
        from seamless.cli.running.limits import DownloadLimits

        return DownloadLimits(self.options.confirm)

    @property
    def futures(self) -> dict[str, str]:
        """The local names that need a `.FUTURE` file during the execution, with the names of their targets.

        None for those of a pattern, which nobody knows yet.
        """
        from seamless.cli.commandline.results import is_pattern

        named = [target for target in self.plan.targets if not is_pattern(target.name)]
        return {os.path.normpath(os.path.expanduser(t.local or t.name)): t.name for t in named}

    @property
    def envelope(self) -> Envelope:
        """How the transformation is to be executed."""
        from seamless.cli.running.execution import envelope_of

        return envelope_of(self)

    @property
    def wants_content(self) -> bool:
        """Whether the content of the result is wanted here, not only its checksum."""
        return self.options.download and not self.options.scratch

    @property
    def store(self) -> Storage:
        """The stores of the project and stage, opened at first use. Raises StoreError, UsageError."""
        if self._store is None:
            from seamless.cli.storage import open_storage

            options = self.options
            self._store = open_storage(
                project=options.project,
                stage=options.stage,
                local=options.local,
                queue=options.queue or "",
                node=options.node or "",
            )
        return self._store

    def close(self) -> None:
        """Release the stores, if they were opened."""
        if self._store is not None:
            self._store.close()

    @property
    def journal_path(self) -> str:
        """Where runs in this cache directory are noted."""
        return os.path.join(control_directory(), "run-journal.jsonl")

    @property
    def control_directory(self) -> str:
        """Where other processes of this user find out what runs, and ask for its end."""
        return control_directory()


def control_directory() -> str:
    """Return `$SEAMLESS_CACHE`, or the cache directory of the user: where runs are noted, whatever the stores are."""
    from seamless.config.embedded import cache_from_environment
    from seamless.stores.embedded import default_cache_directory

    return cache_from_environment() or default_cache_directory()
