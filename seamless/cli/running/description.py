"""The transformation dict of a planned command line, with the buffers it refers to."""

from __future__ import annotations

from seamless.checksum import Checksum
from seamless.errors import UsageError
from seamless.transformer.identity import transformation_buffer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from seamless.cli.commandline.plan import Plan
    from seamless.cli.running.inputs import HashedInput


class Description:
    """A transformation ready to be looked up or run.

    `transformation` holds the load-bearing keys; `pins` and `environment` are the orthogonal `META__N` pins and
    the low-level environment; `buffers` are the small buffers (code, variables) by checksum.
    """

    __slots__ = ("buffers", "checksum", "code", "code_checksum", "environment", "identity", "pins", "transformation")

    def __init__(self, plan: Plan, inputs: Sequence[HashedInput]):
        self.buffers: dict[Checksum, bytes] = {}
        self.code = _encode(plan.code if plan.code.endswith("\n") else plan.code + "\n")
        self.code_checksum = self._add(self.code)
        transformation: dict[str, Any] = {
            "__language__": "bash",
            "__output__": ["result", "deepfolder" if plan.targets else "bytes", None],
            "code": ["text", None, self.code_checksum],
        }
        if inputs:
            transformation["__format__"] = {entry.name: file_system_format(entry) for entry in inputs}
        for entry in inputs:
            _encode(entry.name)
            transformation[entry.name] = file_system_pin(entry)
        for name, (celltype, value) in plan.variables.items():
            transformation[name] = [celltype, None, self._add_value(value, celltype)]
        self.transformation = transformation
        self.identity = transformation_buffer(transformation)
        self.checksum = Checksum.of(self.identity)
        self.pins = {
            f"META__{name}": ["str", None, self._add_value(value, "str")] for name, value in plan.metavars.items()
        }
        self.environment = environment_of(plan)

    def _add(self, data: bytes) -> str:
        checksum = Checksum.of(data)
        self.buffers[checksum] = data
        return checksum.hex()

    def _add_value(self, value: Any, celltype: str) -> str:
        from seamless.celltypes import serialize

        if isinstance(value, str):
            _encode(value)
        return self._add(serialize(value, celltype))

    def environment_pin(self) -> str | None:
        """Add the environment to `buffers` and return its checksum; None without an environment."""
        if not self.environment:
            return None
        return self._add_value(self.environment, "plain")


def environment_of(plan: Plan) -> dict[str, Any]:
    """Return the low-level environment that the plan asks for."""
    environment: dict[str, Any] = {}
    if plan.environment.get("conda_environment"):
        environment["conda_environment"] = plan.environment["conda_environment"]
    if plan.environment.get("docker_image"):
        environment["docker"] = {"name": plan.environment["docker_image"]}
    return environment


def file_system_pin(entry: HashedInput) -> list[str | None]:
    """Return the pin of an input."""
    return ["bytes" if entry.kind == "file" else "mixed", None, entry.checksum]


def file_system_format(entry: HashedInput) -> dict[str, Any]:
    """Return the `__format__` of the pin of an input."""
    if entry.kind == "file":
        return {"filesystem": {"mode": "file", "optional": True}}
    return {"celltype": "deepfolder", "filesystem": {"mode": "directory", "optional": True}}


def _encode(text: str) -> bytes:
    """Return UTF-8. Raises UsageError for what cannot be part of an identity."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        raise UsageError(f"not valid UTF-8 text, which a transformation must be: {shown[:200]!r}") from None
