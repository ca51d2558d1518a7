"""The JSON layout that celltypes `plain` and `mixed` share: two-space indentation, sorted keys.

What differs (text, numbers, keys, uncommon values) is a Style. One Python frame a container, so that
the nesting limits are reached before the interpreter's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, Protocol

    class Style(Protocol):
        """How one celltype writes what is not layout."""

        celltype: str
        max_containers: int

        def quote(self, text: str, /) -> str:
            """Return `text` as a JSON string."""

        def float_text(self, value: float, /) -> str:
            """Return the JSON number of an exact float."""

        def floats_text(self, values: Sequence[float], separator: str, /) -> str:
            """Return the joined JSON numbers of exact floats."""

        def int_text(self, value: int, /) -> str:
            """Return the JSON number of an exact int."""

        def ints_text(self, values: Sequence[int], separator: str, /) -> str:
            """Return the joined JSON numbers of exact ints."""

        def key_text(self, key: Any, /) -> str:
            """Return a dict key that is not an exact str as a JSON string."""

        def reduce(self, value: Any, /) -> Any:
            """Return a value of an uncommon type as one of an exact basic type, or as Fields."""


# Below this length, looking for a common type costs more than it saves.
_BULK = 8

float_repr = float.__repr__
int_repr = int.__repr__


class Unwritable(Exception):
    """A value that cannot be written. Containers add to `path` as the exception passes through them."""

    def __init__(self, message: str, kind: type[Exception] = TypeError, path: Sequence[Any] = ()):
        super().__init__(message)
        self.kind = kind
        self.path = list(path)

    def as_error(self) -> Exception:
        """Return the exception for the user: it names the place within the value."""
        steps = reversed(self.path[-40:])
        place = "value" + "".join(f"[{step!r}]" for step in steps)
        if len(place) > 300:
            place = place[:200] + "..." + place[-90:]
        return self.kind(f"{place}: {self.args[0]}")


class Fields(list):  # type: ignore[type-arg]
    """Pairs to be written as an object, in this order."""


def too_deep(limit: int) -> Unwritable:
    """Return the error for nesting beyond `limit` containers."""
    return Unwritable(f"nested in more than {limit} containers, or containing itself")


def make_writer(style: Style) -> Callable[[Any, str], str]:
    """Return `write(value, newline) -> JSON text`; `newline` is a newline plus the current indentation."""
    quote, float_text, int_text = style.quote, style.float_text, style.int_text
    key_text, reduce, limit = style.key_text, style.reduce, style.max_containers
    celltype = style.celltype
    leaves: dict[type, Callable[[Any], str]] = {str: quote, int: int_text, float: float_text}
    bulk: dict[type, Callable[[Any, str], str]] = {
        float: style.floats_text,
        int: style.ints_text,
        str: lambda values, separator: separator.join(map(quote, values)),
        bool: lambda values, separator: separator.join(["true" if item else "false" for item in values]),
    }

    def write(value: Any, newline: str) -> str:
        kind = type(value)
        if kind is str:
            return quote(value)
        if kind is int:
            return int_text(value)
        if kind is float:
            return float_text(value)
        if value is None:
            return "null"
        if kind is bool:
            return "true" if value else "false"
        if kind is not dict and kind is not list and kind is not tuple and kind is not Fields:
            return write(reduce(value), newline)
        inner = newline + "  "
        if len(inner) > 2 * limit + 1:  # the indentation tells the depth
            raise too_deep(limit)
        if not value and kind is not Fields:
            return "{}" if kind is dict else "[]"
        parts: list[str] = []
        if kind is list or kind is tuple:
            if len(value) >= _BULK:
                kinds = set(map(type, value))
                if len(kinds) == 1 and (join := bulk.get(kinds.pop())):
                    return f"[{inner}{join(value, ',' + inner)}{newline}]"
            try:
                for item in value:
                    parts.append(write(item, inner))
            except Unwritable as error:
                error.path.append(len(parts))
                raise
            return f"[{inner}{(',' + inner).join(parts)}{newline}]"
        pairs = value if kind is Fields else sorted_items(value, celltype)
        key: Any = None
        try:
            for key, item in pairs:
                leaf = leaves.get(type(item))  # the commonest ones without another call
                text = write(item, inner) if leaf is None else leaf(item)
                parts.append(f"{quote(key) if type(key) is str else key_text(key)}: {text}")
        except Unwritable as error:
            error.path.append(key)
            raise
        return f"{{{inner}{(',' + inner).join(parts)}{newline}}}"

    return write


def sorted_items(value: dict[Any, Any], celltype: str) -> list[tuple[Any, Any]]:
    """Return the items by key. Raises Unwritable if the keys cannot be sorted."""
    try:
        return [(key, value[key]) for key in sorted(value)]
    except TypeError:
        kinds = sorted({type(key).__name__ for key in value})
        raise Unwritable(
            f"dict keys of the types {', '.join(kinds)} cannot be sorted: "
            f"give keys of one type (str) for celltype {celltype!r}"
        ) from None


def raise_at(values: Sequence[Any], check: Callable[[Any], Any]) -> NoReturn:
    """Raise what `check` raises for the first bad one of `values`, with its index in the path."""
    for index, item in enumerate(values):
        try:
            check(item)
        except Unwritable as error:
            error.path.append(index)
            raise
    raise AssertionError("no bad item")


def numpy_scalar(value: Any) -> Any:
    """Return a numpy bool, integer or float scalar as the Python value; anything else unchanged."""
    import sys

    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.generic):
        return value
    if isinstance(value, numpy.bool_):
        return bool(value)
    # timedelta64 counts as a signed integer in numpy
    if isinstance(value, numpy.integer) and not isinstance(value, numpy.timedelta64):
        return int(value)
    if isinstance(value, numpy.floating):
        return float(value)
    return value
