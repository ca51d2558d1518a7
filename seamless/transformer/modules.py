"""From an imported module or package to its definition: the plain value that travels as a module pin.

A definition is either one text or, for a package, a text for each submodule that is loaded.
Never imports anything: what is not loaded is not part of the package.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from seamless.errors import UsageError
from seamless.util.python_ast import python_tree

# The attribute by which a module that was built from a definition gives it back.
DEFINITION_ATTRIBUTE = "__seamless_definition__"

_SHAPE = (
    "a module definition is {'language': 'python', 'type': 'interpreted', 'code': TEXT}, or for a package with "
    "'code': {SUBMODULE: {'language': 'python', 'code': TEXT, 'dependencies': [...]}}"
)


def module_definition(module: ModuleType | Mapping[str, Any]) -> dict[str, Any]:
    """Return the definition of `module`; a definition is checked and returned as it is.

    Raises TypeError if `module` is neither, UsageError if its text cannot be had.
    """
    if isinstance(module, Mapping):
        return _checked(module)
    if not isinstance(module, ModuleType):
        raise TypeError(f"expected a module or a module definition, not {type(module).__name__!r}")
    known = vars(module).get(DEFINITION_ATTRIBUTE)
    if known is not None:
        return _checked(known)
    if hasattr(module, "__path__"):
        return {"language": "python", "type": "interpreted", "code": _package_code(module)}
    return text_definition(_text(module).strip("\n"))


def text_definition(text: str) -> dict[str, Any]:
    """Return the definition of a module that consists of one text, taken as it is."""
    return {"language": "python", "type": "interpreted", "code": text}


def _package_code(package: ModuleType) -> dict[str, Any]:
    members = {"__init__": package}
    prefix = package.__name__ + "."
    for full_name, module in sorted(sys.modules.copy().items()):
        if full_name.startswith(prefix) and isinstance(module, ModuleType):
            key = full_name[len(prefix) :]
            members[key + ".__init__" if hasattr(module, "__path__") else key] = module
    code = {}
    for key, module in sorted(members.items()):
        text = _text(module).strip("\n")
        code[key] = {"language": "python", "code": text, "dependencies": _dependencies(text, module.__name__)}
    return code


def _dependencies(text: str, name: str) -> list[str]:
    """Return the relative imports at top level, sorted."""
    try:
        tree = python_tree(text)
    except SyntaxError as exc:
        raise UsageError(f"cannot embed module '{name}': line {exc.lineno}: {exc.msg}") from None
    found = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.level:
            dots = "." * node.level
            found.update([dots + node.module] if node.module else [dots + alias.name for alias in node.names])
    return sorted(found)


def _text(module: ModuleType) -> str:
    """Return the text of one module, newlines normalised."""
    name = module.__name__
    filename = getattr(module, "__file__", None)
    if filename is None:
        if hasattr(module, "__path__"):  # a namespace package has no text of its own
            return ""
        return _rendered(module)
    loader = getattr(module, "__loader__", None)
    get_source = getattr(loader, "get_source", None)
    text = None
    if get_source is not None:
        try:
            text = get_source(getattr(loader, "name", name))
        except (ImportError, OSError, SyntaxError) as exc:
            raise UsageError(f"cannot read the source text of module '{name}' ({filename}): {exc}") from None
    if text is None:
        import linecache

        text = "".join(linecache.getlines(filename)) if not filename.endswith((".so", ".pyd", ".pyc")) else ""
    if not text and not _is_empty_file(filename):
        raise UsageError(
            f"module '{name}' ({filename}) has no Python source text and cannot be embedded: "
            "install it where the transformation is executed, and import it inside the function"
        )
    return text


def _is_empty_file(filename: str) -> bool:
    import os

    try:
        return os.path.getsize(filename) == 0 and not filename.endswith(".pyc")
    except OSError:
        return False


def _rendered(module: ModuleType) -> str:
    """Return a text for a module that was never a file."""
    # Inside the function: rendering transformers needs module definitions in turn.
    from seamless.transformer.globals_text import render_globals

    if module.__name__ in sys.builtin_module_names:
        raise UsageError(
            f"module '{module.__name__}' is built into Python: import it inside the function instead of embedding it"
        )
    public = {key: value for key, value in vars(module).items() if not key.startswith("_")}
    try:
        text, data = render_globals(public)
    except UsageError as exc:
        raise UsageError(f"cannot embed module '{module.__name__}', which has no file: {exc}") from None
    if data:
        raise UsageError(
            f"cannot embed module '{module.__name__}', which has no file: the value of '{min(data)}' is not a "
            "Python literal; pass it as an argument"
        )
    return text


def _checked(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plain copy of a definition. Raises TypeError unless it has the shape of one."""
    for key, expected in (("language", "python"), ("type", "interpreted")):
        if definition.get(key) != expected:
            raise TypeError(f"module definition: {key!r} is {definition.get(key)!r}, not {expected!r}; {_SHAPE}")
    code = definition.get("code")
    if isinstance(code, str):
        return dict(definition)
    if not isinstance(code, Mapping):
        raise TypeError(f"module definition: 'code' is of type {type(code).__name__!r}; {_SHAPE}")
    checked = {}
    for key, entry in code.items():
        where = f"module definition: 'code' -> {key!r}"
        if not isinstance(key, str) or not all(part.isidentifier() for part in key.split(".")):
            raise TypeError(f"{where}: not the dotted name of a submodule; {_SHAPE}")
        if not isinstance(entry, Mapping) or not isinstance(entry.get("code"), str):
            raise TypeError(f"{where}: not a mapping with a text as 'code'; {_SHAPE}")
        if entry.get("language", "python") != "python":
            raise TypeError(f"{where}: 'language' is {entry['language']!r}, not 'python'; {_SHAPE}")
        dependencies = entry.get("dependencies", [])
        if not isinstance(dependencies, (list, tuple)) or not all(isinstance(d, str) for d in dependencies):
            raise TypeError(f"{where}: 'dependencies' is not a list of names; {_SHAPE}")
        checked[key] = {k: list(v) if isinstance(v, tuple) else v for k, v in entry.items()}
    if "__init__" not in checked:
        raise TypeError(f"module definition: the package has no '__init__'; {_SHAPE}")
    return {**definition, "code": checked}
