"""The storeys of the house: a module imports from its own storey or from below, at the top and inside functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]

# From the bottom to the top. The first storey is everything that has no name of its own here.
STOREYS = ("core", "stores", "launcher", "remote", "transformer", "config", "services", "insight", "cli")
CORE = {
    "errors", "checksum", "session", "buffer", "celltypes", "cache", "caching", "util", "compression_utils", "shutdown",
    "version", "buffer_class", "checksum_class",
}  # fmt: skip

# The package itself wires: it names on first use what the storeys offer, and which activation is the default.
WIRING = "seamless"


class Violation(NamedTuple):
    where: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.where}:{self.line}: {self.what}"


def storey_of(module: str) -> int | None:
    """Return the height of the storey that `module` (dotted) is in; None for the package itself or an unknown part."""
    parts = module.split(".")
    if len(parts) < 2:
        return None
    if parts[1] in CORE:
        return 0
    return STOREYS.index(parts[1]) if parts[1] in STOREYS[1:] else None


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def imports(tree: ast.AST) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Yield every import below `tree`, and whether it is only there for type hints."""
    pending: list[tuple[ast.AST, bool]] = [(tree, False)]
    while pending:
        node, hints = pending.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node, hints
        if is_type_checking(node):
            assert isinstance(node, ast.If)
            pending += [(child, True) for child in node.body]
            pending += [(child, hints) for child in node.orelse]
        else:
            pending += [(child, hints) for child in ast.iter_child_nodes(node)]


def imported_names(node: ast.Import | ast.ImportFrom, module: str, is_package: bool) -> list[str]:
    """Return the dotted names that an import statement may load."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        package = module.split(".") if is_package else module.split(".")[:-1]
        package = package[: len(package) - node.level + 1]
        base = ".".join([*package, base] if base else package)
    return [f"{base}.{alias.name}" for alias in node.names]


def violations_in(path: Path, root: Path) -> list[Violation]:
    module = module_name(path, root)
    if module == WIRING:
        return []
    own = storey_of(module)
    where = str(path.relative_to(root))
    if own is None:
        return [Violation(where, 1, f"belongs to no storey; the storeys are {', '.join(STOREYS)}")]
    found = []
    for node, only_hints in imports(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        for name in imported_names(node, module, path.name == "__init__.py"):
            if name.split(".")[0] != "seamless":
                continue
            height = storey_of(name)
            if height is None:
                found.append(
                    Violation(where, node.lineno, f"takes {name} from the package itself, not from its module")
                )
            elif height is not None and height > own and not only_hints:
                upper = STOREYS[height]
                found.append(Violation(where, node.lineno, f"{STOREYS[own]} imports upwards: {name} is in {upper}"))
    return found


SOURCES = sorted((ROOT / "seamless").rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_from_its_own_storey_or_below(path: Path) -> None:
    assert [str(violation) for violation in violations_in(path, ROOT)] == []


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        (
            "stores/disk.py",
            "from seamless.cli.run import main\n",
            "stores imports upwards: seamless.cli.run.main is in cli",
        ),
        ("checksum/x.py", "def f():\n    import seamless.stores.memory\n", "core imports upwards"),
        ("stores/disk.py", "from ..transformer import identity\n", "stores imports upwards"),
        ("transformer/x.py", "from seamless import Checksum\n", "from the package itself"),
        ("transformer/x.py", "import seamless\n", "from the package itself"),
        ("elsewhere/x.py", "import os\n", "belongs to no storey"),
    ],
)
def test_a_forbidden_import_is_noticed(tmp_path: Path, module: str, source: str, complaint: str) -> None:
    path = tmp_path / "seamless" / module
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert [complaint in str(violation) for violation in violations_in(path, tmp_path)] == [True]


@pytest.mark.parametrize(
    "source",
    [
        "from seamless.checksum import Checksum\n",
        "from seamless.stores import directory\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from seamless.cli.run import Options\n",
        "import numpy\n",
    ],
)
def test_a_permitted_import_is_not_noticed(tmp_path: Path, source: str) -> None:
    path = tmp_path / "seamless" / "stores" / "x.py"
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert violations_in(path, tmp_path) == []
