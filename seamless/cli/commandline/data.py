"""The data that goes into and comes out of the analysis of a command line.

Plain classes with slots: `dataclasses` and `typing` would cost more to import than a whole analysis takes.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

    Kind = Literal["file", "directory"]
    Mapping = Literal["literal", "strip", "extension"]

# In the place of the checksum of an input that a step of a queue is still to make.
PROMISED = "promised"


class Record:
    """Base of the data classes: equality and repr by the slots."""

    __slots__: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.__slots__)})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]


class PlanOptions(Record):
    """What the options of the command line say about the analysis; every field but `command` has a default."""

    __slots__ = (
        "command",
        "unquote",
        "guess1",
        "guess2",
        "base_directory",
        "mapping",
        "captures",
        "inputs",
        "input_files",
        "variables",
        "metavars",
        "prologues",
        "primary",
        "exact",
        "conda",
        "docker",
        "pipefail",
        "lenient",
    )

    def __init__(
        self,
        command: list[str],
        unquote: bool = False,
        guess1: bool = True,
        guess2: bool = True,
        base_directory: str | None = None,
        mapping: Mapping = "literal",
        captures: list[str] | None = None,
        inputs: list[str] | None = None,
        input_files: list[str] | None = None,
        variables: list[str] | None = None,
        metavars: list[str] | None = None,
        prologues: list[str] | None = None,
        primary: int = 1,
        exact: bool = False,
        conda: str | None = None,
        docker: str | None = None,
        pipefail: bool = False,
        lenient: bool = False,
    ) -> None:
        self.command = list(command)
        self.unquote = unquote
        self.guess1 = guess1
        self.guess2 = guess2
        self.base_directory = base_directory
        self.mapping: Mapping = mapping
        self.captures = list(captures or ())
        self.inputs = list(inputs or ())
        self.input_files = list(input_files or ())
        self.variables = list(variables or ())
        self.metavars = list(metavars or ())
        self.prologues = list(prologues or ())
        self.primary = primary
        self.exact = exact
        self.conda = conda
        self.docker = docker
        self.pipefail = pipefail
        self.lenient = lenient


class Input(Record):
    """A file or directory pin.

    `path`: the local path, None if there is only a sidecar; `checksum`: hex from the sidecar or interface file, None
    if the caller has to compute it, PROMISED if there is none yet; with both, a file must agree with its sidecar (a
    directory is not compared).
    `position`: 1-based number of the argument, None if it is no word of the command line.
    """

    __slots__ = ("name", "kind", "path", "checksum", "executable", "position")

    def __init__(
        self,
        name: str,
        kind: Kind,
        path: str | None,
        checksum: str | None = None,
        executable: bool = False,
        position: int | None = None,
    ) -> None:
        self.name = name
        self.kind: Kind = kind
        self.path = path
        self.checksum = checksum
        self.executable = executable
        self.position = position


class Target(Record):
    """A result: its `name` below RESULT/ and the `local` name to deliver it under (None: the same name)."""

    __slots__ = ("name", "local")

    def __init__(self, name: str, local: str | None = None) -> None:
        self.name = name
        self.local = local


class Plan(Record):
    """Everything the transformation of a command line is made of.

    `command`: the command line after rewriting, with prologues; `code`: the complete text of the code buffer;
    `variables`: name -> (celltype, value); `metavars`: name without META__ -> value;
    `environment`: "conda_environment" and "docker_image", each only if set; `warnings`: complete sentences.
    """

    __slots__ = (
        "command",
        "code",
        "inputs",
        "targets",
        "capture_stdout",
        "variables",
        "metavars",
        "environment",
        "warnings",
    )

    def __init__(
        self,
        command: str,
        code: str,
        inputs: list[Input],
        targets: list[Target],
        capture_stdout: bool,
        variables: dict[str, tuple[str, Any]],
        metavars: dict[str, str],
        environment: dict[str, str],
        warnings: list[str],
    ) -> None:
        self.command = command
        self.code = code
        self.inputs = inputs
        self.targets = targets
        self.capture_stdout = capture_stdout
        self.variables = variables
        self.metavars = metavars
        self.environment = environment
        self.warnings = warnings
