"""The command language of project files: which commands exist, what each accepts, and the list of a file as commands.

Checks everything that can be checked without evaluating: also blocks of stages that are not active.
"""

from __future__ import annotations

from seamless.config import names
from seamless.config.cluster import read_clusters
from seamless.config.cluster_schema import CLUSTER, LOCAL_CLUSTER
from seamless.config.declarations import Bool, Int, Nullable, OneOf, Report, Str, Type, name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from seamless.config.cluster import Cluster
    from seamless.config.nodes import Node

EXECUTIONS = ("process", "spawn", "remote")
REMOTES = ("daskserver", "jobserver")
INHERIT = "inherit_from_parent"
BLOCKS = ("stage", "substage")
_EXAMPLE = "'- project: myproject'"


def _node_complaint(text: str) -> str | None:
    if not text.strip():
        return "node must not be empty"
    return None if text.isprintable() else f"node must not contain control characters, found {text!r}"


# Commands that set one value each: the type of it, and what the JSON Schema says about it.
VALUES: dict[str, tuple[Type, str]] = {
    "project": (name("project"), "the project: a directory of its own in each store"),
    "subproject": (name("subproject", nested=True), "a part of the project, or several joined by '/'"),
    "cluster": (Nullable(name("cluster")), "the cluster that stores and executes; null: none"),
    "execution": (OneOf(*EXECUTIONS), "where transformations are executed"),
    "queue": (Str(), "the queue of the cluster"),
    "remote": (Nullable(OneOf(*REMOTES)), "what executes transformations if a cluster offers both"),
    "persistent": (Bool(), "whether buffers and results are kept by the cluster"),
    "record": (Bool(), "write full execution records"),
    "node": (Nullable(Str("a string", _node_complaint, complete=True)), "the node that a batch job should run on"),
    "nparallel": (Int(1), "how many transformations `parallel` keeps in flight"),
}
COMMANDS = (*VALUES, "clusters", INHERIT)


class Command:
    """A command with its checked value. `node` is that of its name, `argument` that of its value."""

    __slots__ = ("argument", "clusters", "local", "name", "node", "value")

    def __init__(self, name: str, node: Node, argument: Node | None, value: Any = None):
        self.name, self.node, self.argument, self.value = name, node, argument, value
        self.clusters: dict[str, Cluster] = {}  # of a `clusters` command
        self.local: Node | None = None


class Block:
    """Commands for one stage or substage (`kind`)."""

    __slots__ = ("items", "kind", "name", "node")

    def __init__(self, kind: str, name: str, node: Node, items: list[Command | Block]):
        self.kind, self.name, self.node, self.items = kind, name, node, items


def read_commands(root: Node | None, path_node: Node | None, report: Report) -> list[Command | Block]:
    """Return the commands of a file. `root` is None for an empty one; `path_node` gives the place then."""
    if root is None or root.kind != "list":
        found = "nothing" if root is None or root.is_null else root.describe()
        report.error(
            f"expected a YAML list of commands, found {found}. Example: {_EXAMPLE}",
            root or path_node,
            code="not-a-list",
        )
        return []
    return _read_items(root, report)


def _read_items(node: Node, report: Report) -> list[Command | Block]:
    items = []
    for child in node.value:
        item = _read_item(child, report)
        if item is not None:
            items.append(item)
    return items


def _read_item(node: Node, report: Report) -> Command | Block | None:
    key, argument = node, None
    if node.kind == "mapping" and len(node.value) == 1:
        key, argument = node.value[0]
        if not isinstance(key.value, str):
            report.error(f"the name of a command must be a string, found {key.describe()}", key)
            return None
    elif not isinstance(node.value, str):
        found = f"a mapping with {len(node.value)} keys" if node.kind == "mapping" else node.describe()
        report.error(f"a command is a string or a mapping with a single key, found {found}", node)
        return None
    words = key.value.split(None, 1)
    if words and words[0] in BLOCKS:
        return _read_block(key, words, argument, report)
    return _read_command(key, argument, report)


def _read_block(key: Node, words: list[str], argument: Node | None, report: Report) -> Block | None:
    kind = words[0]
    if len(words) == 1:
        report.error(f"'{kind}' needs a name: '- {kind} NAME:' followed by a list of commands", key)
        return None
    block_name = words[1].strip()
    problem = names.complaint(kind, block_name)
    if problem:
        report.error(problem, key)
    if argument is None or argument.kind != "list":
        found = "" if argument is None else f", found {argument.describe()}"
        report.error(f"'{kind} {block_name}' must be followed by a list of commands{found}", key)
        return None
    return Block(kind, block_name, key, _read_items(argument, report))


def _read_command(key: Node, argument: Node | None, report: Report) -> Command | None:
    command = key.value
    if command == INHERIT:
        return Command(command, key, argument, _inherits(argument, report))
    if command == "clusters":
        return _read_clusters_command(key, argument, report)
    if command not in VALUES:
        _unknown(key, argument, report)
        return None
    value_type = VALUES[command][0]
    if argument is None:
        if not isinstance(value_type, Nullable):
            report.error(f"'{command}' expects {value_type.expected}, found nothing", key)
            return None
        return Command(command, key, None)
    before = len(report.findings)
    value = value_type.read(argument, f"'{command}'", report)
    return Command(command, key, argument, value) if len(report.findings) == before else None


def _inherits(argument: Node | None, report: Report) -> bool:
    if argument is None or argument.is_null:
        return True
    if isinstance(argument.value, bool):
        return argument.value
    report.error(f"'{INHERIT}' expects true, false or nothing, found {argument.describe()}", argument)
    return False


def _read_clusters_command(key: Node, argument: Node | None, report: Report) -> Command | None:
    if argument is None or argument.kind != "mapping":
        found = "nothing" if argument is None else argument.describe()
        report.error(f"'clusters' expects a mapping from names to clusters, found {found}", argument or key)
        return None
    command = Command("clusters", key, argument)
    command.clusters, command.local = read_clusters(argument, report)
    for cluster in command.clusters.values():  # this file belongs to the project: its mistakes are its own
        report.findings += [finding for finding in cluster.findings if finding.severity == "error"]
    return command


def _unknown(key: Node, argument: Node | None, report: Report) -> None:
    command = key.value
    for kind in sorted(BLOCKS, key=len, reverse=True):
        if command.startswith(kind) and argument is not None and argument.kind == "list":
            report.error(
                f"unknown command '{command}' (did you mean '{kind} {command[len(kind) :].lstrip('-_:')}'?)",
                key,
                code="unknown-command",
            )
            return
    near = names.suggestion(command, [*COMMANDS, *BLOCKS])
    if not near:
        near = f"; commands: {', '.join(sorted([*COMMANDS, *(f'{kind} NAME' for kind in BLOCKS)]))}"
    report.error(f"unknown command '{command}'{near}", key, code="unknown-command")


def active(items: list[Command | Block], stage: str | None, substage: str | None) -> Iterator[Command]:
    """Yield the commands that apply in a stage and substage, in order."""
    for item in items:
        if isinstance(item, Command):
            yield item
        elif item.name == (stage if item.kind == "stage" else substage):
            yield from active(item.items, stage, substage)


def project_schema() -> dict[str, Any]:
    """Return the JSON Schema of a project file."""
    properties = {name: {**type_.schema(), "description": doc} for name, (type_, doc) in VALUES.items()}
    properties["clusters"] = {**clusters_body(), "description": "definitions of clusters, for this project only"}
    properties[INHERIT] = {"type": ["boolean", "null"], "description": "read the parent directory first"}
    bare = [name for name, (type_, _) in VALUES.items() if isinstance(type_, Nullable)]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Seamless project file (seamless.yaml, seamless.profile.yaml)",
        "$ref": "#/$defs/commands",
        "$defs": {
            "commands": {
                "type": "array",
                "items": {
                    "anyOf": [
                        {"enum": [INHERIT, *bare]},
                        {
                            "type": "object",
                            "minProperties": 1,
                            "maxProperties": 1,
                            "properties": properties,
                            "patternProperties": {
                                rf"^\s*(stage|substage)\s+{names.PATTERN}\s*$": {"$ref": "#/$defs/commands"}
                            },
                            "additionalProperties": False,
                        },
                    ]
                },
            }
        },
    }


def clusters_body() -> dict[str, Any]:
    """Return the JSON Schema of a mapping from names to clusters."""
    return {
        "type": "object",
        "properties": {LOCAL_CLUSTER: {"type": ["string", "null"], "description": "the cluster that is this machine"}},
        "additionalProperties": CLUSTER.schema(),
    }


def clusters_schema() -> dict[str, Any]:
    """Return the JSON Schema of a cluster file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Seamless cluster file (clusters.yaml, clusters/*.yaml)",
        **clusters_body(),
        "type": ["object", "null"],
    }
