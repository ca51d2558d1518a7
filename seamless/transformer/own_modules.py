"""Modules of the user that a step imports without a declaration: nobody notices when their text changes.

Only looks; executes and imports nothing. Installed packages do not count: their versions are no part of a step either.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Collection, Iterator
from typing import NamedTuple

from seamless.util.python_ast import python_tree

_INSTALLED = frozenset({"site-packages", "dist-packages"})


class UndeclaredModuleWarning(UserWarning):
    """A step imports a module of the user that is not part of it."""


class OwnImport(NamedTuple):
    """An import of a module that stands in a file of the user; `line` counts from 1 in the source text."""

    name: str
    path: str
    line: int


def own_imports(source: str, declared: Collection[str]) -> list[OwnImport]:
    """Return the undeclared imports of modules of the user, one for each module. Raises SyntaxError."""
    found: dict[str, OwnImport] = {}
    for name, line in _imports(python_tree(source)) if "import" in source else ():
        if name in declared or name in found or name in sys.stdlib_module_names or name.startswith("seamless"):
            continue
        path = _own_file(name)
        if path is not None:
            found[name] = OwnImport(name, path, line)
    return list(found.values())


def warn_of_own_imports(source: str, declared: Collection[str], *, step: str, filename: str, first_line: int) -> None:
    """Warn of each of them, at the place where it is. Text that is no Python is left to who executes it."""
    try:
        imports = own_imports(source, declared)
    except SyntaxError:
        return
    for item in imports:
        import warnings

        declaration = f"{step if step.isidentifier() else 'transformer'}.modules.{item.name} = {item.name}"
        warnings.warn_explicit(
            f"the step '{step}' imports '{item.name}' ({item.path}), which is not part of it: after an edit of that "
            f"file the old result is still given. Declare it: {declaration}",
            UndeclaredModuleWarning,
            filename,
            first_line + item.line - 1,
        )


def _imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Give the first part of the name of each module that is imported absolutely, with the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.partition(".")[0], node.lineno
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0], node.lineno


def _own_file(name: str) -> str | None:
    """Return the file or directory of a module with Python text, unless it belongs to Python or is installed."""
    module = sys.modules.get(name)
    if module is not None:
        path, parts = getattr(module, "__file__", None), getattr(module, "__path__", ())
    else:
        from importlib.machinery import PathFinder

        # Not where packages are installed: those directories can be large, and far away.
        spec = PathFinder.find_spec(name, [directory for directory in sys.path if not _is_installed(directory)])
        if spec is None or not spec.has_location:  # a directory without text may as well hide an installed package
            return None
        path, parts = spec.origin, spec.submodule_search_locations or ()
    if path is None:
        path = next(iter(parts), None)
    elif path.endswith(".py"):
        path = os.path.dirname(path) if parts else path
    else:
        return None
    return None if path is None or _is_installed(path) else path


def _is_installed(path: str) -> bool:
    """Tell whether a path is in the library of Python, or among its packages."""
    real = os.path.realpath(path)
    library = os.path.dirname(os.path.realpath(os.__file__))
    return f"{real}/".startswith(f"{library}/") or not _INSTALLED.isdisjoint(real.split(os.sep))
