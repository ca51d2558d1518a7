"""A submitted step in the shape of a run of `seamless-run`, so that both are executed and delivered alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seamless.checksum import Checksum
from seamless.cli.commandline.data import Input, Plan, Target
from seamless.cli.common import Messages
from seamless.cli.queueing.job import JobError
from seamless.cli.run_options import Options
from seamless.cli.running.description import Description
from seamless.cli.running.inputs import HashedInput
from seamless.cli.running.limits import DownloadLimits
from seamless.cli.running.run_state import Run
from seamless.errors import SeamlessError
from seamless.transformer.from_dict import envelope_of
from seamless.transformer.identity import load_bearing, orthogonal, transformation_buffer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from seamless.cli.queueing.job import Job
    from seamless.cli.queueing.log import JobLog
    from seamless.cli.storage import Storage
    from seamless.transformer.outcome import Envelope, OutputHandler


class SubmittedDescription(Description):
    """The description of a transformation that was submitted with all its parts."""

    __slots__ = ()

    def __init__(self, transformation: Mapping[str, Any], storage: Storage):
        self.transformation = load_bearing(transformation)
        self.identity = transformation_buffer(self.transformation)
        self.checksum = Checksum.of(self.identity)
        self.pins = orthogonal(transformation)
        self.environment = {}
        self.buffers = {}
        self.code_checksum = transformation["code"][2]
        self.code = storage.buffers.get(Checksum(self.code_checksum)) or b""

    def environment_pin(self) -> str | None:
        """Return nothing to be stored: that was done at the submission."""
        return None


class JobRun(Run):
    """A run without command line. Its output goes to a log, and its local names are absolute."""

    def __init__(self, job: Job, transformation: Mapping[str, Any], storage: Storage, log: JobLog):
        parameters = job.parameters
        options = Options()
        options.scratch = bool(parameters.get("scratch"))
        options.download = bool(parameters.get("download", True))
        options.timeout = parameters.get("timeout")
        options.retry = int(parameters.get("retry", 0))
        super().__init__(options, Messages("seamless-queue", 0, stream=log))  # type: ignore[arg-type]
        self._store, self._log, self._parameters = storage, log, parameters
        self.description = SubmittedDescription(transformation, storage)
        self.inputs = _inputs(self.description.transformation)
        self.plan = Plan(
            _command_in(self.description.code.decode(errors="replace"), len(job.targets)),
            self.description.code.decode(errors="replace"),
            [],
            [Target(name, path) for name, path in job.targets.items()],
            bool(parameters.get("capture_stdout")),
            _variables(self.description.transformation, storage),
            {},
            {},
            [],
        )

    @property
    def on_output(self) -> OutputHandler:
        """Where the output of the command goes while it runs."""
        return self._log.output

    @property
    def limits(self) -> DownloadLimits:
        """How much may be brought to the directory of the step; nobody is asked."""
        limits = DownloadLimits("yes" if self._parameters.get("auto_confirm") == "yes" else "no")
        limits.max_files = int(self._parameters.get("max_download_files", limits.max_files))
        limits.max_size = int(self._parameters.get("max_download_size", limits.max_size))
        return limits

    @property
    def futures(self) -> dict[str, str]:
        """Nothing: the server keeps the `.FUTURE` files of all its steps."""
        return {}

    @property
    def envelope(self) -> Envelope:
        """How the transformation is to be executed."""
        meta = {"allow_input_fingertip": True}
        timeout = self.options.timeout
        return envelope_of(self.description.pins, meta=meta, scratch=self.options.scratch, timeout=timeout)

    def close(self) -> None:
        """Leave the stores open: they are those of the server."""


def check(job: Job, run: JobRun) -> None:
    """Raise JobError if the record contradicts itself, or was made for another store."""
    if job.tf is not None and job.tf != run.checksum.hex():
        raise JobError(
            f"the submitted transformation has the checksum {run.checksum}, not {job.tf} as the record says; "
            "submit the command again"
        )
    if not run.description.code and run.store.results.get_result(run.checksum) is None:
        raise JobError(
            f"the code of the step ({run.description.code_checksum}) is not in {run.store.where}: was it submitted "
            "with another SEAMLESS_CACHE, project, stage or cluster than that of the server?"
        )


def _inputs(transformation: Mapping[str, Any]) -> list[HashedInput]:
    """Return the files and directories among the pins; all are in the store."""
    formats = transformation.get("__format__") or {}
    found = []
    for name, form in formats.items():
        kind = (form.get("filesystem") or {}).get("mode")
        if kind in ("file", "directory") and name in transformation:
            checksum = transformation[name][2]
            found.append(HashedInput(Input(name, kind, None, checksum), checksum, None))
    return found


def _variables(transformation: Mapping[str, Any], storage: Storage) -> dict[str, tuple[str, Any]]:
    """Return the variables with their values, for the journal of executions; those that cannot be read are left out."""
    from seamless.celltypes import parse

    found = {}
    for name, pin in transformation.items():
        if not name.startswith("__") and name != "code" and pin[0] in ("str", "int", "float", "bool"):
            try:
                data = storage.buffers.get(Checksum(pin[2]))
                if data is not None:
                    found[name] = (pin[0], parse(data, pin[0]))
            except (SeamlessError, ValueError):
                continue
    return found


def _command_in(code: str, targets: int) -> str:
    """Return the command that the code text of a step with targets is made of.

    >>> _command_in("mkdir -p RESULT/\\nsort a.txt > b.txt\\nmv b.txt RESULT/\\n", 1)
    'sort a.txt > b.txt'
    """
    lines = code.rstrip("\n").split("\n")
    start = next((i for i, line in enumerate(lines) if line.startswith("mkdir -p RESULT/")), -1) + 1
    command: Sequence[str] = lines[start : len(lines) - targets]
    if len(command) > 2 and command[0] == "(" and command[-1] == ") > STDOUT":
        command = command[1:-1]
    return "\n".join(command)
