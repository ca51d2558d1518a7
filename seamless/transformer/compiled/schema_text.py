"""The text of a schema as plain lists and dicts that know the lines they were written on. Knows nothing of schemas."""

from __future__ import annotations

from typing import Any

from seamless.util.yaml_safety import CONSTRUCTION_ERRORS, fast_loader, is_too_deep


class Mapping(dict[Any, Any]):
    """A mapping of the text: the line it begins on, and that of each key."""

    def __init__(self, line: int):
        super().__init__()
        self.line = line
        self.lines: dict[Any, int] = {}


class Sequence(list[Any]):
    """A list of the text: the line it begins on, and that of each entry."""

    def __init__(self, line: int):
        super().__init__()
        self.line = line
        self.lines: list[int] = []


def line_of(container: Any, key: Any = None) -> int | None:
    """Return the line of a container, or of one of its entries; None if it comes from no text."""
    if isinstance(container, Mapping):
        return container.lines.get(key, container.line)
    if isinstance(container, Sequence):
        return container.lines[key] if isinstance(key, int) and key < len(container.lines) else container.line
    return None


def read_text(text: str) -> Any:
    """Return what the YAML text says. Raises yaml.YAMLError, which often has the place, also for a repeated key."""
    import yaml

    base: Any = fast_loader()
    if is_too_deep(text, base):
        raise yaml.YAMLError("it is nested too deeply")

    class Loader(base):  # type: ignore[misc]
        """Safe YAML whose containers know their lines."""

        def construct_mapping_with_lines(self, node: Any) -> Mapping:
            found = Mapping(node.start_mark.line + 1)
            written: set[Any] = set()
            for key_node, _ in node.value:
                if key_node.tag == "tag:yaml.org,2002:merge":
                    continue
                key = self.construct_object(key_node, deep=True)
                if key in written:
                    problem = f"the key {key!r} is there twice"
                    raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
                written.add(key)
            self.flatten_mapping(node)
            for key_node, value_node in node.value:
                key = self.construct_object(key_node, deep=True)
                found.lines[key] = key_node.start_mark.line + 1
                found[key] = self.construct_object(value_node, deep=True)
            return found

        def construct_sequence_with_lines(self, node: Any) -> Sequence:
            found = Sequence(node.start_mark.line + 1)
            for child in node.value:
                found.lines.append(child.start_mark.line + 1)
                found.append(self.construct_object(child, deep=True))
            return found

    Loader.add_constructor("tag:yaml.org,2002:map", Loader.construct_mapping_with_lines)
    Loader.add_constructor("tag:yaml.org,2002:seq", Loader.construct_sequence_with_lines)
    try:
        return yaml.load(text, Loader=Loader)
    except CONSTRUCTION_ERRORS as exc:
        raise yaml.YAMLError(f"a value does not fit its tag, or is no key: {exc}") from exc
