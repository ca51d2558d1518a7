"""Evaluate the templates of keys and commands: the text of an f-string, with few and harmless expressions.

Nothing is executed: the expressions are interpreted from their syntax tree. Names, constants, indexing, a fixed list
of methods of str and dict, comparison, `and`/`or`/`not`, conditional and `+` are all there is.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

MAX_LENGTH = 64 << 10  # characters of any text that comes up

_STR_METHODS = frozenset(
    ("strip", "lstrip", "rstrip", "lower", "upper", "capitalize", "title", "split", "rsplit", "partition")
    + ("rpartition", "startswith", "endswith", "removeprefix", "removesuffix", "find", "count", "isdigit")
)
_SPEC = re.compile(r"(?:[^{}]?[<>=^])?[-+ ]?#?0?(\d{0,3}),?(?:\.\d{1,2})?[bdeEfFgGnosxX%]?")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "Eq": lambda a, b: bool(a == b),
    "Lt": lambda a, b: bool(a < b),
    "LtE": lambda a, b: bool(a <= b),
    "Gt": lambda a, b: bool(a > b),
    "GtE": lambda a, b: bool(a >= b),
    "In": lambda a, b: a in b,
    "Is": lambda a, b: a is b,
}
_CONVERSIONS: dict[str, Callable[[Any], str]] = {"": str, "s": str, "r": repr, "a": ascii}


class TemplateError(ValueError):
    """The template cannot be evaluated; the text says why."""


def evaluate(template: str, names: Mapping[str, Any]) -> str:
    """Return the text that `template` stands for. Raises TemplateError.

    >>> evaluate("{a.strip('/').replace('/', '--')}{{}} {config.get('n', 0) + 1:03d}", {"a": "/x/y/", "config": {}})
    'x--y{} 001'
    """
    if "{" not in template and "}" not in template:
        return template
    try:
        return _render(template, names)
    except TemplateError:
        raise
    except (ValueError, TypeError, LookupError, ArithmeticError, SyntaxError, RecursionError, MemoryError) as exc:
        raise TemplateError(f"{type(exc).__name__}: {exc}") from exc


def _render(template: str, names: Mapping[str, Any]) -> str:
    parts = []
    for literal, expression, conversion, spec in _pieces(template):
        parts.append(literal)
        if expression is not None:
            tree = ast.parse(f"({expression.strip()}\n)", mode="eval")
            parts.append(_formatted(_value(tree.body, names), conversion, spec))
    return _bounded("".join(parts))


# --- the text ---------------------------------------------------------------------------------------


def _pieces(text: str, *, empty: bool = False) -> Iterator[tuple[str, str | None, str, str]]:
    """Yield (literal, expression or None, conversion, format) from left to right. `empty`: fields may be empty."""
    literal, i = "", 0
    while i < len(text):
        char = text[i]
        if char in "{}" and text[i : i + 2] == char * 2:
            literal, i = literal + char, i + 2
        elif char == "{":
            expression, conversion, spec, i = _field(text, i + 1)
            if not expression.strip() and not empty:
                raise TemplateError("empty expression between braces")
            yield literal, expression, conversion, spec
            literal = ""
        elif char == "}":
            raise TemplateError("single '}' is not allowed; write '}}' for the character")
        else:
            literal, i = literal + char, i + 1
    yield literal, None, "", ""


def _field(text: str, start: int) -> tuple[str, str, str, int]:
    """Return expression, conversion and format of the field that begins at `start`, and the index after it."""
    end = _end_of_expression(text, start)
    expression = text[start:end]
    conversion = spec = ""
    if text[end] == "!":
        stop = min((k for k in (text.find(":", end), text.find("}", end)) if k >= 0), default=-1)
        if stop < 0:
            raise TemplateError("'{' was never closed")
        conversion, end = text[end + 1 : stop].strip(), stop
        if not conversion:
            raise TemplateError("a conversion is missing after '!'")
    if text[end] == ":":
        stop = text.find("}", end)
        if stop < 0:
            raise TemplateError("'{' was never closed")
        spec, end = text[end + 1 : stop], stop
    return expression, conversion, spec, end + 1


def _end_of_expression(text: str, start: int) -> int:
    """Return the index of the `}`, `:` or `!` that ends the expression; those in quotes and brackets do not."""
    depth, quote, i = 0, "", start
    while i < len(text):
        char = text[i]
        if quote:
            if char == "\\":
                i += 1
            elif char == quote:
                quote = ""
        elif char in "'\"":
            quote = char
        elif char in "([{":
            depth += 1
        elif depth and char in ")]}":
            depth -= 1
        elif not depth and (char in "}:" or (char == "!" and text[i + 1 : i + 2] != "=")):
            return i
        i += 1
    raise TemplateError("'{' was never closed")


def _formatted(value: Any, conversion: str, spec: str) -> str:
    if conversion not in _CONVERSIONS:
        raise TemplateError(f"unknown conversion '!{conversion}'; there are !s, !r and !a")
    if conversion or not isinstance(value, (str, int, float)) or isinstance(value, bool):
        value = _CONVERSIONS[conversion](value)
    if not _SPEC.fullmatch(spec):
        raise TemplateError(f"format {spec!r} is not allowed")
    return format(value, spec)


def _bounded(value: Any) -> Any:
    if isinstance(value, (str, list, tuple)) and len(value) > MAX_LENGTH:
        raise TemplateError(f"a text of more than {MAX_LENGTH} characters")
    return value


# --- the expressions --------------------------------------------------------------------------------


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """Return the value of one expression."""
    rule = _RULES.get(type(node))
    if rule is None:
        raise TemplateError(f"{ast.unparse(node)!r} is not allowed in a template ({type(node).__name__})")
    return _bounded(rule(node, names))


def _constant(node: Any, names: Mapping[str, Any]) -> Any:
    return node.value


def _name(node: Any, names: Mapping[str, Any]) -> Any:
    if node.id not in names or node.id.startswith("_"):
        raise TemplateError(f"name '{node.id}' is not defined; there are: {', '.join(sorted(names))}")
    return names[node.id]


def _sequence(node: Any, names: Mapping[str, Any]) -> Any:
    return [_value(item, names) for item in node.elts]


def _conditional(node: Any, names: Mapping[str, Any]) -> Any:
    return _value(node.body if _value(node.test, names) else node.orelse, names)


def _boolean(node: Any, names: Mapping[str, Any]) -> Any:
    value: Any = None
    for item in node.values:
        value = _value(item, names)
        if bool(value) is isinstance(node.op, ast.Or):
            break
    return value


def _unary(node: Any, names: Mapping[str, Any]) -> Any:
    value = _value(node.operand, names)
    if isinstance(node.op, ast.Not):
        return not value
    if isinstance(node.op, ast.USub):
        return -value
    raise TemplateError(f"{ast.unparse(node)!r} is not allowed in a template")


def _sum(node: Any, names: Mapping[str, Any]) -> Any:
    if not isinstance(node.op, ast.Add):
        raise TemplateError(f"{ast.unparse(node)!r} is not allowed in a template: of the operators there is only '+'")
    left, right = _value(node.left, names), _value(node.right, names)
    return left + right


def _comparison(node: Any, names: Mapping[str, Any]) -> Any:
    left = _value(node.left, names)
    for operator, item in zip(node.ops, node.comparators, strict=True):
        right = _value(item, names)
        name = type(operator).__name__  # with "Not" for the negated ones
        if _COMPARE[name.replace("Not", "")](left, right) is ("Not" in name):
            return False
        left = right
    return True


def _item(node: Any, names: Mapping[str, Any]) -> Any:
    value = _value(node.value, names)
    if isinstance(node.slice, ast.Slice):
        bounds = (node.slice.lower, node.slice.upper, node.slice.step)
        return value[slice(*(None if bound is None else _value(bound, names) for bound in bounds))]
    return value[_value(node.slice, names)]


def _text(node: Any, names: Mapping[str, Any]) -> str:
    """Return the value of an f-string inside an expression."""
    parts = []
    for piece in node.values:
        if isinstance(piece, ast.Constant):
            parts.append(str(piece.value))
        else:
            spec = _text(piece.format_spec, names) if piece.format_spec is not None else ""
            conversion = chr(piece.conversion) if piece.conversion >= 0 else ""
            parts.append(_formatted(_value(piece.value, names), conversion, spec))
    return "".join(parts)


def _call(node: Any, names: Mapping[str, Any]) -> Any:
    function = node.func
    if not isinstance(function, ast.Attribute):
        raise TemplateError(f"{ast.unparse(node)!r} is not allowed in a template: there are no functions")
    target, method = _value(function.value, names), function.attr
    if any(isinstance(argument, ast.Starred) for argument in node.args) or any(k.arg is None for k in node.keywords):
        raise TemplateError(f"{ast.unparse(node)!r}: '*' is not allowed in a template")
    arguments = [_value(argument, names) for argument in node.args]
    if isinstance(target, str) and method == "format":
        return _str_format(target, arguments, {k.arg: _value(k.value, names) for k in node.keywords})
    if node.keywords:
        raise TemplateError(f"{ast.unparse(node)!r}: only 'format' takes keywords")
    if isinstance(target, dict) and method == "get":
        return target.get(*arguments)
    if isinstance(target, str) and method == "replace":
        old, new = str(arguments[0]), str(arguments[1])
        if (target.count(old) * len(new)) > MAX_LENGTH:
            raise TemplateError(f"a text of more than {MAX_LENGTH} characters")
        return target.replace(*arguments)
    if isinstance(target, str) and method == "join":
        items = [str(item) if isinstance(item, int) else item for item in arguments[0]]
        if len(target) * len(items) > MAX_LENGTH:
            raise TemplateError(f"a text of more than {MAX_LENGTH} characters")
        return target.join(items)
    if isinstance(target, str) and method in _STR_METHODS:
        return getattr(target, method)(*arguments)
    raise TemplateError(f"{type(target).__name__}.{method} is not allowed in a template")


def _str_format(text: str, arguments: list[Any], keywords: dict[str, Any]) -> str:
    """Do what `text.format(...)` does, without attributes and items in the fields."""
    parts, number = [], 0
    for literal, field, conversion, spec in _pieces(text, empty=True):
        parts.append(literal)
        if field is None:
            continue
        name = field.strip()
        if not name:
            name, number = str(number), number + 1
        if name.isdigit():
            value = arguments[int(name)]
        elif name.isidentifier():
            value = keywords[name]
        else:
            raise TemplateError(f"field {name!r} is not allowed in format(): a number or a name is expected")
        parts.append(_formatted(value, conversion, spec))
    return _bounded("".join(parts))


_RULES: dict[type, Callable[[Any, Mapping[str, Any]], Any]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.List: _sequence,
    ast.Tuple: _sequence,
    ast.IfExp: _conditional,
    ast.BoolOp: _boolean,
    ast.UnaryOp: _unary,
    ast.BinOp: _sum,
    ast.Compare: _comparison,
    ast.Subscript: _item,
    ast.JoinedStr: _text,
    ast.Call: _call,
}
