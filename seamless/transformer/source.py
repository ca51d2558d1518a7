"""The source text of a Python function: what becomes its code pin.

Refuses early, with one message that says what to do, whatever a transformation cannot express.
Never executes anything; reads text through `linecache`, so notebooks and doctests work.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import BuiltinFunctionType, CodeType, FunctionType
from typing import Any, NamedTuple

from seamless.errors import UsageError
from seamless.util.python_ast import python_tree

_RESERVED = {
    "result": "the name of the result",
    "code": "the name under which the code itself is stored",
}
# Flags of code objects, as in `inspect` (not imported: start-up).
_VARARGS, _VARKEYWORDS, _GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x04, 0x08, 0x20, 0x80, 0x200


class LocatedSource(NamedTuple):
    """Source text, and the file and line where its first line stands."""

    text: str
    filename: str
    first_line: int


def function_source(func: Any) -> str:
    """Return the text of a function without its decorators, or of a lambda, without a newline at the end.

    Raises TypeError if `func` is not a Python function, UsageError if it cannot become a transformation.
    """
    return located_source(func).text


def located_source(func: Any) -> LocatedSource:
    """Return the text of `function_source`, with its place. Raises the same errors."""
    check_function(func)
    function = _unwrap(func)
    code = function.__code__
    if code.co_name == "<lambda>":
        return _lambda_source(function)
    block, first_line = _block(function)
    text = _dedent(block)
    dropped, text = _without_decorators(text, function)
    return LocatedSource(text.rstrip("\n"), code.co_filename, first_line + dropped)


def block_source(function: FunctionType) -> str:
    """Return the dedented text of a `def` including its decorators, without a newline at the end."""
    block, _ = _block(_unwrap(function))
    return _dedent(block).rstrip("\n")


def class_source(cls: type) -> str:
    """Return the dedented text of a class including its decorators, without a newline at the end."""
    import inspect

    try:
        return _dedent(inspect.getsource(cls)).rstrip("\n")
    except (OSError, TypeError):
        text = _class_source_through_methods(cls)
    if text is None:
        raise UsageError(f"the source text of class '{cls.__qualname__}' is not available{_WRITE_TO_FILE}")
    return text


def check_is_function(func: Any) -> None:
    """Raise TypeError if `func` is not a Python function."""
    if type(func) is FunctionType:
        return
    why = ""
    if type(func) is BuiltinFunctionType:
        name = func.__name__
        why = f": '{name}' is a builtin without source text; use one of yours: def step(x): return {name}(x)"
    raise TypeError("func must be a function" + why)


def check_function(func: Any) -> None:
    """Raise TypeError if `func` is not a Python function, UsageError if its kind or parameters are not supported."""
    check_is_function(func)
    function = _unwrap(func)
    code = function.__code__
    flags = code.co_flags
    if _is_method(function):
        raise UsageError(
            f"{_place(function)} is a method: a step gets exactly the arguments of the call, and no 'self'; "
            "write it as a function outside of the class, and pass what it needs of the object as arguments"
        )
    if flags & (_COROUTINE | _ASYNC_GENERATOR):
        raise UsageError(
            f"{_place(function)} is a coroutine function ('async def'): a transformation needs a plain 'def'; "
            "call asyncio.run(...) inside it"
        )
    if flags & _GENERATOR:
        raise UsageError(
            f"{_place(function)} is a generator ('yield'): a transformation has one result; return a list instead"
        )
    if flags & (_VARARGS | _VARKEYWORDS):
        names = code.co_varnames[code.co_argcount + code.co_kwonlyargcount :]
        star = ("*" if flags & _VARARGS else "**") + names[0]
        raise UsageError(
            f"{_place(function)} has a parameter '{star}': each input of a transformation needs a name of its own; "
            "pass a list or a dict as one named parameter instead"
        )
    if code.co_posonlyargcount:
        raise UsageError(
            f"{_place(function)} has positional-only parameters: inputs are passed by name; "
            "remove the '/' from the parameter list"
        )
    for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
        if name in _RESERVED:
            raise UsageError(f"{_place(function)} has a parameter '{name}', which is {_RESERVED[name]}; rename it")
        if name.startswith("__"):
            raise UsageError(f"{_place(function)} has a parameter '{name}': '__' names are reserved; rename it")


_WRITE_TO_FILE = "; put it in a .py file or a notebook cell, or pass the source text as a string"


def _place(function: FunctionType) -> str:
    code = function.__code__
    return f"{code.co_filename}:{code.co_firstlineno}: '{function.__qualname__}'"


def _is_method(function: FunctionType) -> bool:
    """Tell whether a function is written in the body of a class, to be called with an object."""
    code = function.__code__
    around = function.__qualname__.rpartition(".")[0]
    return bool(around) and not around.endswith("<locals>") and code.co_varnames[: code.co_argcount][:1] == ("self",)


def _unwrap(func: Any) -> FunctionType:
    """Follow `__wrapped__`, as call signatures and source texts conventionally do."""
    seen = set()
    while (inner := getattr(func, "__wrapped__", None)) is not None and id(func) not in seen:
        seen.add(id(func))
        func = inner
    if type(func) is not FunctionType:
        raise TypeError("func must be a function")
    return func


def _lines(function: FunctionType) -> list[str]:
    import linecache

    code = function.__code__
    linecache.checkcache(code.co_filename)
    lines = linecache.getlines(code.co_filename, function.__globals__)
    if len(lines) < code.co_firstlineno:
        raise UsageError(f"the source text of {_place(function)} is not available{_WRITE_TO_FILE}")
    return lines


def _block(function: FunctionType) -> tuple[str, int]:
    """Return the text of the function as it stands in its file, and its first line."""
    import inspect
    import tokenize

    first_line = function.__code__.co_firstlineno
    try:
        lines = inspect.getblock(_lines(function)[first_line - 1 :])
    except (tokenize.TokenError, SyntaxError):
        raise _changed(function) from None
    return "".join(lines), first_line


def _changed(function: FunctionType) -> UsageError:
    return UsageError(
        f"the source text of {_place(function)} does not match the function: "
        "the file has changed since it was loaded; load it again"
    )


def _without_decorators(text: str, function: FunctionType) -> tuple[int, str]:
    """Return how many lines are dropped, and the text without them."""
    lines = text.split("\n")
    simple = 0
    while simple < len(lines) and lines[simple].startswith("@"):
        simple += 1
    candidate = "\n".join(lines[simple:])
    node = _single_def(candidate)
    if node is None or node.decorator_list:
        # A decorator of several lines, or comments in between.
        node = _single_def(text)
        if node is None:
            raise _changed(function)
        simple = node.lineno - 1
        candidate = "\n".join(lines[simple:])
    code = function.__code__
    arguments = tuple(a.arg for a in (*node.args.args, *node.args.kwonlyargs))
    if node.name != code.co_name or arguments != code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
        raise _changed(function)
    return simple, candidate


def _single_def(text: str) -> ast.FunctionDef | None:
    try:
        body = python_tree(text).body
    except SyntaxError:
        return None
    return body[0] if len(body) == 1 and isinstance(body[0], ast.FunctionDef) else None


def _dedent(block: str) -> str:
    import textwrap

    text = textwrap.dedent(block)
    if text[:1] not in (" ", "\t"):
        return text
    # A comment or a string reaches further to the left than the block: take the indentation of the first line
    # away wherever it is not inside a string.
    indent = text[: len(text) - len(text.lstrip(" \t"))]
    inside = _rows_inside_strings(text)
    lines = text.splitlines(keepends=True)
    return "".join(
        line[len(indent) :] if row not in inside and line.startswith(indent) else line
        for row, line in enumerate(lines, 1)
    )


def _rows_inside_strings(text: str) -> set[int]:
    import io
    import tokenize

    rows: set[int] = set()
    starts: list[int] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = tokenize.tok_name[token.type]
        if kind in ("FSTRING_START", "TSTRING_START"):
            starts.append(token.start[0])
        elif kind in ("FSTRING_END", "TSTRING_END"):
            rows.update(range(starts.pop() + 1, token.end[0] + 1))
        elif kind == "STRING":
            rows.update(range(token.start[0] + 1, token.end[0] + 1))
    return rows


def _lambda_source(function: FunctionType) -> LocatedSource:
    code = function.__code__
    text = "".join(_lines(function))
    try:
        # Notebook cells may have `await` at top level.
        tree = python_tree(text, code.co_filename, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except SyntaxError:
        raise _changed(function) from None
    found = [n for n in ast.walk(tree) if isinstance(n, ast.Lambda) and n.lineno == code.co_firstlineno]
    found = [n for n in found if _arguments(n) == code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]]
    if not found:
        raise _changed(function)
    texts = {ast.get_source_segment(text, node) or "": node for node in found}
    if len(texts) > 1:
        node = _lambda_by_position(found, code) or _lambda_by_content(found, code)
        if node is None:
            raise UsageError(
                f"{_place(function)}: several lambdas begin on this line and cannot be told apart; "
                "put each on a line of its own"
            )
        return LocatedSource(ast.get_source_segment(text, node) or "", code.co_filename, node.lineno)
    return LocatedSource(next(iter(texts)), code.co_filename, code.co_firstlineno)


def _arguments(node: ast.Lambda) -> tuple[str, ...]:
    return tuple(a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs))


def _lambda_by_position(found: list[ast.Lambda], code: CodeType) -> ast.Lambda | None:
    """Return the innermost lambda whose body contains the positions of all instructions (Python >= 3.11)."""
    positions = getattr(code, "co_positions", None)
    if positions is None:
        return None
    # The first instructions of a code object stand for the lambda as a whole, at column 0 or without a column.
    spans = [((a, c), (b, d)) for a, b, c, d in positions() if None not in (a, b, c, d) and d > 0]
    if not spans:
        return None
    low, high = min(s[0] for s in spans), max(s[1] for s in spans)
    around = [n for n in found if _span(n.body)[0] <= low and high <= _span(n.body)[1]]
    return max(around, key=lambda n: _span(n.body)[0], default=None)


def _span(node: ast.expr) -> tuple[tuple[int, int], tuple[int, int]]:
    return (node.lineno, node.col_offset), (node.end_lineno or node.lineno, node.end_col_offset or 0)


def _lambda_by_content(found: list[ast.Lambda], code: CodeType) -> ast.Lambda | None:
    def content(c: CodeType) -> tuple[Any, ...]:
        constants = tuple(content(k) if isinstance(k, CodeType) else (type(k), k) for k in c.co_consts)
        # A free variable is a global name when the lambda is compiled by itself.
        return (c.co_varnames, sorted({*c.co_names, *c.co_freevars}), constants, len(c.co_code))

    matching = []
    for node in found:
        compiled = compile(ast.Expression(node), code.co_filename, "eval", dont_inherit=True)
        inner = next(c for c in compiled.co_consts if isinstance(c, CodeType) and c.co_name == "<lambda>")
        if content(inner) == content(code):
            matching.append(node)
    return matching[0] if len(matching) == 1 else None


def _class_source_through_methods(cls: type) -> str | None:
    """Find a class of a module that is not in `sys.modules` through the file name of its methods."""
    for function in vars(cls).values():
        if not isinstance(function, FunctionType) or not function.__qualname__.startswith(cls.__qualname__ + "."):
            continue
        try:
            text = "".join(_lines(function))
            tree = python_tree(text)
        except (UsageError, SyntaxError):
            continue
        for node in _classes(tree.body, cls.__qualname__.split(".")):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if first <= function.__code__.co_firstlineno <= (node.end_lineno or first):
                lines = text.splitlines(keepends=True)
                return _dedent("".join(lines[first - 1 : node.end_lineno])).rstrip("\n")
    return None


def _classes(body: list[ast.stmt], path: list[str]) -> Iterator[ast.ClassDef]:
    """Yield the class statements with this qualified name."""
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name == path[0]:
            if len(path) == 1:
                yield node
            else:
                yield from _classes(node.body, path[1:])
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and path[:2] == [node.name, "<locals>"]:
            yield from _classes(node.body, path[2:])
        elif isinstance(node, (ast.If, ast.Try, ast.With, ast.For, ast.While)):
            yield from _classes([*node.body, *getattr(node, "orelse", [])], path)
