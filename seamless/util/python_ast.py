"""Parse Python source into a syntax tree, one thread at a time.

The interpreter (3.11 at least) counts the depth of a growing tree for all threads together, and fails with
SystemError when two of them build one at once.
"""

from __future__ import annotations

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_one_at_a_time = threading.Lock()
_ATTEMPTS = 5


def python_tree(source: str, filename: str = "<unknown>", *, mode: str = "exec", flags: int = 0) -> Any:
    """Return the tree: ast.Module for mode `exec`, ast.Expression for `eval`. Raises SyntaxError, ValueError."""
    import ast

    for attempt in range(_ATTEMPTS):
        try:
            with _one_at_a_time:
                return compile(source, filename, mode, ast.PyCF_ONLY_AST | flags, dont_inherit=True)
        except SystemError:  # code that is not ours was parsing meanwhile
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("not reached")
