"""Definitions of modules and packages."""

from __future__ import annotations

import hashlib
import importlib
import json
import math
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from seamless.errors import UsageError
from seamless.transformer.modules import module_definition

VECTORS = Path(__file__).parents[1] / "vectors" / "transformations.json"
CASES = {case["id"]: case for case in json.loads(VECTORS.read_text(encoding="utf-8"))["cases"] if case.get("modules")}

Import = Callable[..., ModuleType]


def plain_checksum(value: Any) -> str:
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def import_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Import]:
    """Return import_from(files, name): write the files, import the module, forget it at the end."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)

    def do(files: dict[str, str], name: str) -> ModuleType:
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield do
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.mark.parametrize("name", CASES)
def test_the_definition_has_the_checksum_of_the_vector(name: str, import_from: Import) -> None:
    case = CASES[name]
    for pin, module in case["modules"].items():
        definition = module_definition(
            import_from(case.get("files", {}), module) if isinstance(module, str) else module
        )
        assert plain_checksum(definition) == case["expected"]["transformation"][pin][2]


def test_leading_and_trailing_newlines_of_a_file_are_not_part_of_it(import_from: Import) -> None:
    module = import_from({"one_file.py": "\n\nX = 1 \n\n\n"}, "one_file")
    assert module_definition(module) == {"code": "X = 1 ", "language": "python", "type": "interpreted"}


NESTED = {
    "nest/__init__.py": "from . import low\nfrom .sub.deep import D\nimport os\n",
    "nest/low.py": "L = 1\n",
    "nest/unloaded.py": "raise RuntimeError\n",
    "nest/sub/__init__.py": "from ..low import L\nfrom .deep import D\n",
    "nest/sub/deep.py": "D = 2\n",
    "nesting.py": "N = 3\n",
}


def test_a_package_has_its_loaded_submodules_and_no_namesakes(import_from: Import) -> None:
    import_from(NESTED, "nesting")
    definition = module_definition(import_from(NESTED, "nest"))
    assert {key: entry["dependencies"] for key, entry in definition["code"].items()} == {
        "__init__": [".low", ".sub.deep"],
        "low": [],
        "sub.__init__": ["..low", ".deep"],
        "sub.deep": [],
    }


def test_dependencies_inside_functions_do_not_count(import_from: Import) -> None:
    files = {"lazy/__init__.py": "def f():\n    from .x import y\n"}
    assert module_definition(import_from(files, "lazy"))["code"]["__init__"]["dependencies"] == []


def test_a_package_without_init_can_be_embedded(import_from: Import) -> None:
    import_from({"bare/x.py": "X = 1\n"}, "bare.x")
    code = module_definition(sys.modules["bare"])["code"]
    assert {key: entry["code"] for key, entry in code.items()} == {"__init__": "", "x": "X = 1"}


def test_an_empty_module_can_be_embedded(import_from: Import) -> None:
    assert module_definition(import_from({"nothing.py": ""}, "nothing"))["code"] == ""


def test_a_module_in_a_zip_file_can_be_embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr("zipped_module.py", "X = 1\n")
    monkeypatch.syspath_prepend(tmp_path / "z.zip")
    module = importlib.import_module("zipped_module")
    try:
        assert module_definition(module)["code"] == "X = 1"
    finally:
        del sys.modules["zipped_module"]


def test_a_module_without_file_is_rendered_from_its_names() -> None:
    module = ModuleType("made")
    module.K = 3  # type: ignore[attr-defined]
    module._private = object()  # type: ignore[attr-defined]
    assert module_definition(module)["code"].endswith("\n\nK = 3")


def test_a_module_without_text_is_refused() -> None:
    with pytest.raises(UsageError, match="'math'.*(no Python source text|built into Python)"):
        module_definition(math)
    with pytest.raises(UsageError, match="'sys' is built into Python"):
        module_definition(sys)


GOOD = {"language": "python", "type": "interpreted"}


def test_a_definition_passes_through() -> None:
    package = {**GOOD, "code": {"__init__": {"language": "python", "code": "", "dependencies": [".a"]}}}
    assert module_definition(package) == package
    assert module_definition({**GOOD, "code": "X = 1\n\n"}) == {**GOOD, "code": "X = 1\n\n"}


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ({}, "'language' is None, not 'python'"),
        ({"language": "python", "code": "x"}, "'type' is None, not 'interpreted'"),
        ({"language": "c", "type": "interpreted", "code": "x"}, "'language' is 'c'"),
        ({**GOOD, "code": 3}, "'code' is of type 'int'"),
        ({**GOOD, "code": {}}, "no '__init__'"),
        ({**GOOD, "code": {"__init__": "text"}}, "'__init__': not a mapping"),
        ({**GOOD, "code": {"a/b": {"code": ""}}}, "'a/b': not the dotted name"),
        ({**GOOD, "code": {"__init__": {"code": "", "dependencies": "x"}}}, "'dependencies' is not a list"),
        (3, "expected a module or a module definition, not 'int'"),
        (len, "not 'builtin_function_or_method'"),
    ],
)
def test_what_is_no_definition_is_a_type_error(definition: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        module_definition(definition)
