"""Names that a function uses but that will not exist where it is executed.

Decides from the text alone (`symtable`); the function object is looked at only to give better advice.
Annotations do not count: those that cannot be evaluated are kept as text at execution.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Collection, Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any, Literal, NamedTuple

from seamless.errors import UsageError
from seamless.transformer.source import LocatedSource, located_source
from seamless.util.python_ast import python_tree

# What every execution namespace offers besides pins, modules and globals.
ALWAYS_KNOWN = frozenset({"PINS", "OUTPUTPIN", "FILESYSTEM", "__name__", "__package__", "__builtins__"})

Kind = Literal["closure", "module", "global", "undefined"]


class Undeclared(NamedTuple):
    """A name that the code uses and nobody provides; `line` counts from 1 in the source text."""

    name: str
    line: int
    kind: Kind


def undeclared_names(func_or_source: FunctionType | str, *, known: Collection[str] = ()) -> list[Undeclared]:
    """Return the names that are neither defined in the code, nor builtins, nor in `known`, in order of line.

    Names whose use is guarded by a handler for NameError are left out. Code that defines names in ways
    that cannot be seen (`from m import *`, `exec`, `globals()`) has no undeclared names.
    """
    if isinstance(func_or_source, str):
        return _undeclared(func_or_source, known, None)
    return _undeclared(located_source(func_or_source).text, known, func_or_source)


def check_declared(
    func: FunctionType,
    *,
    known: Collection[str] = (),
    located: LocatedSource | None = None,
    step: str | None = None,
) -> None:
    """Raise UsageError if `func` uses names that will not exist where it is executed.

    `known`: the declared globals and modules. `located`: the source, if the caller has it already.
    `step`: where to declare what is missing, if not at `func` itself.
    """
    if located is None:
        located = located_source(func)
    found = _undeclared(located.text, known, func)
    if not found:
        return
    name = func.__name__ if func.__name__ != "<lambda>" else "lambda"
    lines = [
        f"{located.filename}:{located.first_line + item.line - 1}: function '{name}' uses "
        f"{_description(item)} '{item.name}', which does not exist where it is executed: "
        f"{_advice(item, step or name, func)}"
        for item in found
    ]
    raise UsageError("\n".join(lines))


def check_globals(values: Mapping[str, Any], *, known: Collection[str], step: str) -> None:
    """Raise UsageError if a declared global, a function or a class, uses names that nobody provides.

    `known`: everything that is declared. `step`: the transformer, for the advice.
    """
    from seamless.transformer.source import block_source, class_source

    if not step.isidentifier():
        step = "transformer"  # of a lambda
    for name, value in values.items():
        if type(value) is FunctionType and value.__name__ != "<lambda>":
            code = value.__code__
            located = LocatedSource(block_source(value), code.co_filename, code.co_firstlineno)
            check_declared(value, known={*known, value.__name__}, located=located, step=step)
        elif type(value) is FunctionType:
            check_declared(value, known=known, step=step)
        elif isinstance(value, type) and value.__module__ != "builtins":
            found = undeclared_names(class_source(value), known={*known, value.__name__})
            if found:
                names = ", ".join(f"'{item.name}' (line {item.line})" for item in found)
                raise UsageError(
                    f"global '{name}', a class, uses {names}, which does not exist where it is executed: "
                    f"declare it with '{step}.globals.NAME = NAME', or put the class, with its imports, into a "
                    f"module of your own and declare that: '{step}.modules.NAME = NAME'"
                )


def global_names(source: str, *, annotations: bool = False) -> frozenset[str] | None:
    """Return the names that `source` takes from outside itself, builtins not included.

    None: the code defines names in ways that cannot be seen. `annotations`: count those names, too.
    Raises SyntaxError.
    """
    import symtable

    prefix = "" if annotations else "from __future__ import annotations\n"
    try:
        top = symtable.symtable(prefix + source, "<code>", "exec")
    except SyntaxError:
        # A lambda of several lines is an expression only within parentheses.
        top = symtable.symtable(f"{prefix}({source}\n)", "<code>", "exec")
    used: set[str] = set()
    defined: set[str] = set()
    pending = [top]
    while pending:
        table = pending.pop()
        pending.extend(table.get_children())
        at_top = table is top
        for symbol in table.get_symbols():
            # At top level every assignment makes a global, elsewhere only under a `global` statement.
            if (at_top or symbol.is_declared_global()) and (symbol.is_assigned() or symbol.is_imported()):
                defined.add(symbol.get_name())
            elif symbol.is_referenced() and symbol.is_global():
                used.add(symbol.get_name())
    if "exec" in used or "globals" in used or ("import *" in source and _has_star_import(source)):
        return None
    return frozenset(used - defined - vars(builtins).keys())


def defined_names(source: str) -> frozenset[str]:
    """Return the public names that `source`, the text of a module, defines at top level. Raises SyntaxError.

    Those of the embedded module `main` are known to the code.
    """
    import symtable

    symbols = symtable.symtable(source, "<code>", "exec").get_symbols()
    defined = (s.get_name() for s in symbols if s.is_assigned() or s.is_imported())
    return frozenset(name for name in defined if not name.startswith("_"))


def _undeclared(source: str, known: Collection[str], func: FunctionType | None) -> list[Undeclared]:
    names = global_names(source)
    if not names:
        return []
    names = names - ALWAYS_KNOWN - frozenset(known)
    if not names:
        return []
    lines: dict[str, int] = {}
    for node in _loads(_parse(source), guarded=False):
        if node.id in names:
            lines[node.id] = min(node.lineno, lines.get(node.id, node.lineno))
    found = [Undeclared(name, line, _kind(name, func)) for name, line in lines.items()]
    return sorted(found, key=lambda item: (item.line, item.name))


def _parse(source: str) -> ast.Module:
    try:
        return python_tree(source)
    except SyntaxError:
        return python_tree(f"({source}\n)")


def _has_star_import(source: str) -> bool:
    nodes = ast.walk(_parse(source))
    return any(isinstance(n, ast.ImportFrom) and n.names[0].name == "*" for n in nodes)


def _loads(node: ast.AST, *, guarded: bool) -> Iterator[ast.Name]:
    """Yield the names that are read, except in annotations and where a NameError is handled."""
    if isinstance(node, ast.Name):
        if not guarded and not isinstance(node.ctx, ast.Store):
            yield node
        return
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns"):
            continue
        inside = guarded or (field == "body" and isinstance(node, ast.Try) and _handles_name_error(node))
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _loads(child, guarded=inside)


def _handles_name_error(node: ast.Try) -> bool:
    for handler in node.handlers:
        if handler.type is None:
            return True
        types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        if any(isinstance(t, ast.Name) and t.id in ("NameError", "Exception", "BaseException") for t in types):
            return True
    return False


def _value(name: str, func: FunctionType) -> tuple[bool, Any]:
    """Return whether the name has a value around `func`, and the value."""
    while isinstance(inner := getattr(func, "__wrapped__", None), FunctionType):
        func = inner
    if name in func.__code__.co_freevars and func.__closure__:
        cell = func.__closure__[func.__code__.co_freevars.index(name)]
        try:
            return True, cell.cell_contents
        except ValueError:  # not assigned yet
            return True, None
    return name in func.__globals__, func.__globals__.get(name)


def _kind(name: str, func: FunctionType | None) -> Kind:
    if func is None:
        return "undefined"
    exists, value = _value(name, func)
    if not exists:
        return "undefined"
    if isinstance(value, ModuleType):
        return "module"
    return "closure" if name in func.__code__.co_freevars else "global"


def _description(item: Undeclared) -> str:
    return {
        "closure": "the variable of the surrounding function",
        "module": "the module",
        "global": "the global name",
        "undefined": "the unknown name",
    }[item.kind]


def _advice(item: Undeclared, function: str, func: FunctionType) -> str:
    name = item.name
    if item.kind == "undefined":
        return f"define it, or declare it with '{function}.globals.{name} = ...', or pass it as an argument"
    if item.kind == "module":
        module = _value(name, func)[1].__name__
        statement = f"import {module}" if module == name else f"import {module} as {name}"
        return (
            f"write '{statement}' inside the function, "
            f"or, if it is code of your own, declare it with '{function}.modules.{name} = {name}'"
        )
    declare = f"declare it with '{function}.globals.{name} = {name}', or pass it as an argument"
    importable = _import_statement(name, _value(name, func)[1], func)
    if importable is None:
        return declare
    return f"write '{importable}' inside the function, or, if it is code of your own, {declare}"


def _import_statement(name: str, value: Any, func: FunctionType) -> str | None:
    """Return how `value` can be imported if it comes from another module, from the shortest package that has it."""
    own_name, home = getattr(value, "__name__", None), getattr(value, "__module__", None)
    if not isinstance(own_name, str) or not isinstance(home, str) or home == func.__module__:
        return None
    parts = home.split(".")
    for length in range(1, len(parts) + 1):
        package = ".".join(parts[:length])
        if getattr(sys.modules.get(package), own_name, None) is value:
            return f"from {package} import {own_name}" + (f" as {name}" if name != own_name else "")
    return None
