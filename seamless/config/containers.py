"""Types of lists and mappings in configuration files, made of other types."""

from __future__ import annotations

from seamless.config import names
from seamless.config.declarations import Nullable, Report, Type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from seamless.config.nodes import Node


class ListOf(Type):
    """A list."""

    def __init__(self, item: Type, *, minimum: int = 0, expected: str = "a list"):
        self.item, self.minimum, self.expected = item, minimum, expected

    def read(self, node: Node, what: str, report: Report) -> Any:
        if node.kind != "list":
            return self.refuse(node, what, report)
        if len(node.value) < self.minimum:
            report.error(f"{what} is empty; expected at least {self.minimum} item", node)
            return None
        return [self.item.read(child, f"{what}[{i}]", report) for i, child in enumerate(node.value)]

    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "array", "items": self.item.schema()}
        return {**schema, "minItems": self.minimum} if self.minimum else schema


class MapOf(Type):
    """A mapping from strings to values of one type. `key` returns what is wrong with a key, or None."""

    def __init__(self, item: Type, *, key: Callable[[str], str | None] | None = None, expected: str = "a mapping"):
        self.item, self.expected, self._key = item, expected, key

    def read(self, node: Node, what: str, report: Report) -> Any:
        if node.kind != "mapping":
            return self.refuse(node, what, report)
        result = {}
        for key, value in node.items():
            if not isinstance(key.value, str):
                report.error(f"{what}: expected a string as the key, found {key.describe()}", key)
                continue
            problem = self._key(key.value) if self._key is not None else None
            if problem:
                report.error(f"{what}: {problem}", key)
            result[key.value] = self.item.read(value, f"{what}.{key.value}", report)
        return result

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": self.item.schema()}


class Field:
    """A field of a record; `doc` is its description in the JSON Schema."""

    __slots__ = ("doc", "required", "type")

    def __init__(self, type: Type, doc: str, *, required: bool = False):
        self.type, self.doc, self.required = type, doc, required


class Fields(Type):
    """A mapping with known keys. `hyphens`: they may be written with `-` instead of `_`."""

    expected = "a mapping"

    def __init__(
        self,
        fields: Mapping[str, Field],
        *,
        hyphens: bool = False,
        hints: Mapping[str, str] | None = None,
        null_is_unset: bool = True,
    ):
        self.fields, self._hyphens, self._hints = fields, hyphens, hints or {}
        self._null_is_unset = null_is_unset

    def canonical(self, key: str) -> str:
        """Return the name of a field that may be written with hyphens."""
        return key.replace("-", "_") if self._hyphens else key

    def read(self, node: Node, what: str, report: Report) -> Any:
        if node.kind != "mapping":
            return self.refuse(node, what, report)
        result: dict[str, Any] = {}
        for key, value in node.items():
            field_name = self._known(key, what, report)
            if field_name is None:
                continue
            if field_name in result:
                report.error(f"{what}: the field '{field_name}' is there twice, with hyphens and without", key)
                continue
            result[field_name] = None
            if not (value.is_null and self._null_is_unset):
                result[field_name] = self.fields[field_name].type.read(value, f"{what}.{key.value}", report)
        for field_name, field in self.fields.items():
            if field.required and (field_name not in result or self._is_null(node, field_name)):
                report.error(f"{what}: '{field_name}' is missing", node)
        return result

    def _is_null(self, node: Node, field_name: str) -> bool:
        value = node.get(field_name)
        return value is not None and value.is_null and self._null_is_unset

    def _known(self, key: Node, what: str, report: Report) -> str | None:
        if not isinstance(key.value, str):
            report.error(f"{what}: expected a string as the key, found {key.describe()}", key)
            return None
        canonical = self.canonical(key.value)
        if canonical in self.fields:
            return canonical
        hint = self._hints.get(canonical) or names.suggestion(key.value, self.fields)
        report.error(f"{what}: unknown field '{key.value}'{hint}", key, code="unknown-field")
        return None

    def schema(self) -> dict[str, Any]:
        properties = {}
        for field_name, field in self.fields.items():
            type_ = field.type.schema()
            schema = type_ if field.required or not self._null_is_unset else Nullable(_Fixed(type_)).schema()
            properties[field_name] = {**schema, "description": field.doc}
            if self._hyphens and "_" in field_name:
                properties[field_name.replace("_", "-")] = {**schema, "description": field.doc}
        required = [field_name for field_name, field in self.fields.items() if field.required]
        result: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
        return {**result, "required": required} if required else result


class _Fixed(Type):
    """A schema as a type."""

    def __init__(self, schema: dict[str, Any]):
        self._schema = schema

    def schema(self) -> dict[str, Any]:
        return self._schema


class Either(Type):
    """One of several types, told apart by the kind of the node (scalar, list, mapping)."""

    def __init__(self, expected: str, by_kind: Mapping[str, Type]):
        self.expected, self._by_kind = expected, by_kind

    def read(self, node: Node, what: str, report: Report) -> Any:
        type_ = self._by_kind.get(node.kind)
        return self.refuse(node, what, report) if type_ is None else type_.read(node, what, report)

    def schema(self) -> dict[str, Any]:
        schemas: Sequence[dict[str, Any]] = [type_.schema() for type_ in self._by_kind.values()]
        return {"anyOf": list(schemas)}
