"""Interface files: what a tool declares about its arguments, in TOOL.SEAMLESS.yaml and by a program TOOL.SEAMLESS.py.

Every mistake in them is reported with file and line. Nothing is imported for tools that have none.
"""

from __future__ import annotations

import os

from seamless.cli.commandline.data import Record
from seamless.cli.commandline.typing import extension
from seamless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Path = tuple[str | int, ...]

KEYS = ("argtypes", "files", "directories", "values", "results", "environment", "shim", "canonical")
KINDS = ("file", "directory", "value")
ENVIRONMENT_KEYS = ("conda_environment", "docker_image")
CANONICAL_CELLTYPES = ("int", "float", "bool", "str")


class Declared(Record):
    """A declared argument or input: `kind` may be "value"; `mapping` is its local path, `place` for messages."""

    __slots__ = ("kind", "name", "mapping", "checksum", "place")

    def __init__(self, kind: str, name: str, mapping: str | None, checksum: str | None, place: str) -> None:
        self.kind = kind
        self.name = name
        self.mapping = mapping
        self.checksum = checksum
        self.place = place


class Canonical(Record):
    """A command in which every `$name` stands for a variable of a celltype."""

    __slots__ = ("command", "variables", "place")

    def __init__(self, command: str, variables: dict[str, str], place: str) -> None:
        self.command = command
        self.variables = variables
        self.place = place


class Interface(Record):
    """All that a tool declares. `tool`: its path; `has_program`: its words are not guessed."""

    __slots__ = (
        "tool",
        "has_program",
        "argtypes",
        "inputs",
        "results",
        "environment",
        "shim",
        "canonical",
    )

    def __init__(self, tool: str) -> None:
        self.tool = tool
        self.has_program = False
        self.argtypes: dict[str, Declared] = {}
        self.inputs: dict[str, Declared] = {}
        self.results: dict[str, str | None] = {}
        self.environment: dict[str, str] = {}
        self.shim: str | None = None
        self.canonical: list[Canonical] = []

    def located(self, name: str) -> str:
        """Return a local name as the interface means it: a leading `./` is relative to the tool's directory."""
        return os.path.normpath(os.path.join(os.path.dirname(self.tool), name)) if name.startswith("./") else name


def load_interface(tool: str, arguments: list[str], *, cwd: str | None = None) -> Interface | None:
    """Read the interface of the file `tool`, running its program with `arguments`; None if it has neither.

    Raises UsageError for a mistake in the interface.
    """
    local = os.path.join(cwd, tool) if cwd else tool
    yaml_file = local + ".SEAMLESS.yaml"
    has_yaml = os.path.isfile(yaml_file)
    suffix = extension(local)
    stem = local[: -len(suffix)] if suffix else local
    program = (local if has_yaml else stem) + ".SEAMLESS.py"
    has_program = os.path.isfile(program)
    if not has_yaml and not has_program:
        return None
    interface = Interface(tool)
    if has_yaml:
        data, lines = _read_yaml(yaml_file)
        _Reader(interface, yaml_file, lines).read(data)
    if has_program:
        interface.has_program = True
        _Reader(interface, program, {}).read(_run_program(program, arguments, cwd))
    return interface


def _read_yaml(path: str) -> tuple[Any, dict[Path, int]]:
    """Return the data of a YAML file, and the line of each of its parts."""
    import yaml

    lines: dict[Path, int] = {}

    def build(node: Any, at: Path) -> Any:
        lines[at] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            result: dict[Any, Any] = {}
            for key_node, value_node in node.value:
                key = constructor.construct_object(key_node, deep=True)
                if not isinstance(key, str):
                    key = key_node.value
                if key in result:
                    raise UsageError(f"{path}:{key_node.start_mark.line + 1}: '{key}' is there twice")
                result[key] = build(value_node, at + (key,))
                lines[at + (key,)] = key_node.start_mark.line + 1
            return result
        if isinstance(node, yaml.SequenceNode):
            return [build(child, (*at, index)) for index, child in enumerate(node.value)]
        return constructor.construct_object(node, deep=True)

    try:
        with open(path, encoding="utf-8") as file:
            constructor = yaml.SafeLoader(file)
            root = constructor.get_single_node()
            return (build(root, ()) if root is not None else {}), lines
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else path
        raise UsageError(f"{where}: not valid YAML: {getattr(exc, 'problem', None) or exc}") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"{path}: cannot be read: {exc}") from exc


def _run_program(program: str, arguments: list[str], cwd: str | None) -> Any:
    import json
    import subprocess
    import sys

    run = subprocess.run(
        [sys.executable, program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, cwd=cwd, check=False
    )
    output, errors = run.stdout.decode(errors="replace"), run.stderr.decode(errors="replace")
    if run.returncode:
        last = "\n".join((output + errors).splitlines()[-20:])
        raise UsageError(f"{program}: the interface program failed with exit status {run.returncode}\n{last}")
    try:
        return json.loads(output)
    except ValueError as exc:
        shown = "\n".join((output + errors).splitlines()[:20])
        raise UsageError(f"{program}: the interface program must print one JSON object: {exc}\n{shown}") from exc


class _Reader:
    """Checks the data of one source and adds it to an interface; later sources win."""

    def __init__(self, interface: Interface, path: str, lines: dict[Path, int]) -> None:
        self.interface = interface
        self.path = path
        self.lines = lines

    def place(self, at: Path) -> str:
        while at and at not in self.lines:
            at = at[:-1]
        return f"{self.path}:{self.lines[at]}" if at in self.lines else self.path

    def fail(self, at: Path, what: str) -> UsageError:
        return UsageError(f"{self.place(at)}: {what}")

    def read(self, data: Any) -> None:
        if data is None:
            return
        mapping = self.mapping(data, (), "the interface")
        for key, value in mapping.items():
            if key == "@order":
                continue
            if key not in KEYS:
                raise self.fail((key,), f"unknown key '{key}'.{_suggestion(key, KEYS)} Known: {', '.join(KEYS)}")
            if value is not None:
                getattr(self, f"read_{key}")(value, (key,))

    def mapping(self, value: Any, at: Path, what: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.fail(at, f"{what} must be a mapping, not {_kind_of(value)}")
        return value

    def sequence(self, value: Any, at: Path) -> list[Any]:
        if not isinstance(value, list):
            raise self.fail(at, f"'{at[0]}' must be a list, not {_kind_of(value)}")
        return value

    def text(self, value: Any, at: Path, what: str) -> str:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or not value:
            raise self.fail(at, f"{what} must be text, not {_kind_of(value)}")
        return value

    def optional(self, mapping: dict[str, Any], key: str, at: Path) -> str | None:
        value = mapping.get(key)
        return None if value is None else self.text(value, (*at, key), f"'{key}'")

    def keys(self, mapping: dict[str, Any], known: tuple[str, ...], at: Path) -> None:
        for key in mapping:
            if key not in known:
                raise self.fail((*at, key), f"unknown key '{key}'.{_suggestion(key, known)} Known: {', '.join(known)}")

    def declared(self, kind: str, name: str, entry: dict[str, Any], at: Path) -> Declared:
        checksum = self.optional(entry, "checksum", at)
        if checksum is not None and (len(checksum) != 64 or not set(checksum) <= set("0123456789abcdef")):
            raise self.fail((*at, "checksum"), f"'{checksum}' is not a checksum: 64 hexadecimal digits in lower case")
        return Declared(kind, name, self.optional(entry, "mapping", at), checksum, self.place(at))

    def read_argtypes(self, value: Any, at: Path) -> None:
        for name, entry in self.mapping(value, at, "'argtypes'").items():
            here = (*at, name)
            if name == "@order":
                continue
            if isinstance(entry, dict):
                self.keys(entry, ("type", "mapping", "checksum"), here)
                kind = entry.get("type")
            else:
                kind, entry = entry, {}
            if kind not in KINDS:
                raise self.fail(here, f"the type of '{name}' must be one of {', '.join(KINDS)}, not {kind!r}")
            self.interface.argtypes[name] = self.declared(kind, name, entry, here)

    def read_values(self, value: Any, at: Path) -> None:
        for index, word in enumerate(self.sequence(value, at)):
            name = self.text(word, (*at, index), "a value")
            self.interface.argtypes[name] = Declared("value", name, None, None, self.place((*at, index)))

    def read_files(self, value: Any, at: Path) -> None:
        self.read_inputs("file", value, at)

    def read_directories(self, value: Any, at: Path) -> None:
        self.read_inputs("directory", value, at)

    def read_inputs(self, kind: str, value: Any, at: Path) -> None:
        for index, entry in enumerate(self.sequence(value, at)):
            here = (*at, index)
            if isinstance(entry, dict):
                self.keys(entry, ("name", "mapping", "checksum"), here)
                name = self.text(entry.get("name"), here, "'name'")
            else:
                name, entry = self.text(entry, here, f"a name in '{at[0]}'"), {}
            self.interface.inputs[name] = self.declared(kind, name, entry, here)

    def read_results(self, value: Any, at: Path) -> None:
        if isinstance(value, list):
            value = {self.text(name, (*at, i), "a result"): None for i, name in enumerate(value)}
        for name, local in self.mapping(value, at, "'results'").items():
            if local is not None:
                local = self.interface.located(self.text(local, (*at, name), f"the local name of '{name}'"))
            self.interface.results[self.interface.located(name)] = local

    def read_environment(self, value: Any, at: Path) -> None:
        mapping = self.mapping(value, at, "'environment'")
        self.keys(mapping, ENVIRONMENT_KEYS, at)
        for key in mapping:
            text = self.optional(mapping, key, at)
            if text is not None:
                self.interface.environment[key] = text

    def read_shim(self, value: Any, at: Path) -> None:
        self.interface.shim = self.text(value, at, "'shim'")

    def read_canonical(self, value: Any, at: Path) -> None:
        for index, entry in enumerate(self.sequence(value, at)):
            here = (*at, index)
            entry = self.mapping(entry, here, "a canonical command")
            self.keys(entry, ("command", "variables", "executable", "dummy_command"), here)
            command = self.text(entry.get("command"), here, "'command'")
            variables: dict[str, str] = {}
            for number, item in enumerate(self.sequence(entry.get("variables") or [], at)):
                place = (*here, "variables", number)
                item = self.mapping(item, place, "a variable")
                self.keys(item, ("name", "celltype"), place)
                name = self.text(item.get("name"), place, "'name'")
                if item.get("celltype") not in CANONICAL_CELLTYPES:
                    known = ", ".join(CANONICAL_CELLTYPES)
                    raise self.fail(place, f"the celltype of '{name}' must be one of {known}")
                variables[name] = item["celltype"]
            for word in command.split():
                if word.startswith("$") and word[1:] not in variables:
                    raise self.fail(here, f"'{word}' of the command is not among its variables")
            self.interface.canonical.append(Canonical(command, variables, self.place(here)))


def _kind_of(value: Any) -> str:
    kinds = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}
    return kinds.get(type(value), "a number")


def _suggestion(key: str, known: tuple[str, ...]) -> str:
    import difflib

    close = difflib.get_close_matches(key, known, 1)
    return f" Did you mean '{close[0]}'?" if close else ""
