"""The golden vectors of identity: which transformation a call makes, and which result it has."""

from __future__ import annotations

import base64
import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from seamless import Buffer

# An argument of 64 hexadecimal digits that is the checksum of a known buffer is taken as that, with a warning.
pytestmark = pytest.mark.filterwarnings("ignore:argument .* is the checksum of a known buffer:UserWarning")

VECTORS = json.loads((Path(__file__).parent / "vectors" / "transformations.json").read_text(encoding="utf-8"))
CASES: dict[str, dict[str, Any]] = {case["id"]: case for case in VECTORS["cases"]}


class Builder:
    """Makes the transformation of a case, and those that it depends on, with the public Python interface."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.kept: list[Buffer] = []
        self.count = 0

    # --- argument values ---

    def value(self, description: dict[str, Any]) -> Any:
        ((kind, content),) = description.items()
        makers: dict[str, Callable[[Any], Any]] = {
            "json": lambda v: v,
            "float": float,
            "tuple": tuple,
            "bytes_b64": base64.b64decode,
            "numpy": self.array,
            "numpy_scalar": self.scalar,
            "case": lambda v: self.transformation(CASES[v]),
            "checksum_of": lambda v: self.buffer(v).get_checksum(),
            "hex_of": lambda v: self.buffer(v).get_checksum().hex(),
            "buffer": self.buffer,
            "deep": self.deep,
        }
        return makers[kind](content)

    def buffer(self, description: dict[str, Any]) -> Buffer:
        value = self.value(description["value"])
        celltype = description.get("celltype")
        buffer = Buffer(value) if celltype is None else Buffer(value, celltype)
        buffer.get_checksum()
        buffer.incref()
        self.kept.append(buffer)
        return buffer

    def deep(self, description: Any) -> Any:
        if isinstance(description, list):
            return [self.deep(item) for item in description]
        if set(description) == {"$buf"}:
            return self.buffer(description["$buf"]).get_checksum().hex()
        return {key: self.deep(item) for key, item in description.items()}

    def scalar(self, description: dict[str, Any]) -> Any:
        import numpy as np

        return np.dtype(description["dtype"]).type(description["value"])

    def array(self, description: dict[str, Any]) -> Any:
        import numpy as np

        dtype = description["dtype"]
        if isinstance(dtype, list):
            fields = [tuple(tuple(part) if isinstance(part, list) else part for part in field) for field in dtype]
            dtype = np.dtype(fields, align=bool(description.get("align")))
        shape = tuple(description["shape"])
        if "fill_struct" in description:
            array = np.zeros(shape, dtype)
            for name, column in description["fill_struct"].items():
                array[name] = column
        else:
            array = np.array(description["data"], dtype=dtype).reshape(shape)
        return np.asfortranarray(array) if description.get("order") == "F" else array

    # --- transformations ---

    def module(self, case: dict[str, Any]) -> ModuleType | None:
        for name, text in case.get("files", {}).items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        if "source" not in case:
            return None
        self.count += 1
        name = f"vector_case_{self.count}"
        (self.directory / f"{name}.py").write_text(case["source"], encoding="utf-8")
        importlib.invalidate_caches()
        return importlib.import_module(name)

    def transformer(self, case: dict[str, Any], module: ModuleType | None) -> Any:
        from seamless.transformer import delayed

        if case["kind"] == "code":
            return delayed(case["code"], case.get("language"))
        if case["kind"] == "compiled":
            return self.compiled_transformer(case)
        assert case["kind"] == "function"
        return delayed(getattr(module, case["function"]))

    def compiled_transformer(self, case: dict[str, Any]) -> Any:
        from seamless.transformer import CompiledObject, CompiledTransformer

        transformer = CompiledTransformer(case["language"])
        transformer.schema = case["schema"]
        transformer.code = case["code"]
        for definition in case.get("objects", []):
            item = CompiledObject(language=definition["language"])
            item.code = definition["code"]
            transformer.objects.append(item)
        for name, value in case.get("metavars", {}).items():
            setattr(transformer.metavars, name, value)
        for name, value in case.get("compilation", {}).items():
            setattr(transformer.compilation, name, value)
        return transformer

    def transformation(self, case: dict[str, Any]) -> Any:
        module = self.module(case)
        transformer = self.transformer(case, module)
        for pin, celltype in case.get("celltypes", {}).items():
            setattr(transformer.celltypes, pin, celltype)
        for pin, description in case.get("prebound", {}).items():
            transformer.args[pin] = self.value(description)
        for name, description in case.get("globals", {}).items():
            given = getattr(module, description["attr"]) if "attr" in description else self.value(description)
            transformer.globals[name] = given
        for name, definition in case.get("modules", {}).items():
            given = importlib.import_module(definition) if isinstance(definition, str) else definition
            transformer.modules[name] = given
        for name, value in case.get("attributes", {}).items():
            setattr(transformer, name, value)
        for name, value in case.get("environment", {}).items():
            getattr(transformer.environment, f"set_{name}")(value)
        args = [self.value(description) for description in case.get("args", [])]
        kwargs = {name: self.value(description) for name, description in case.get("kwargs", {}).items()}
        return transformer(*args, **kwargs)


@pytest.fixture
def builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Builder]:
    """A Builder whose modules are importable, and forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield Builder(tmp_path)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def parameters(wanted: Callable[[dict[str, Any]], bool]) -> list[Any]:
    found = []
    for case in VECTORS["cases"]:
        if wanted(case):
            found.append(pytest.param(case, id=case["id"]))
    return found


@pytest.mark.parametrize("case", parameters(lambda case: True))
def test_a_call_has_the_agreed_identity(case: dict[str, Any], builder: Builder) -> None:
    transformation = builder.transformation(case)
    transformation.construct()
    assert transformation.exception is None
    checksum = transformation.transformation_checksum
    assert checksum.resolve().get_value("plain") == case["expected"]["transformation"]
    assert checksum.hex() == case["expected"]["tf_checksum"]


@pytest.mark.parametrize("case", parameters(lambda case: not case.get("construct_only")))
def test_a_call_has_the_agreed_result(case: dict[str, Any], builder: Builder) -> None:
    if "environment" in case:  # it names what no machine has: its result must be known from the same step without it
        twins = [c for c in CASES.values() if c["expected"]["tf_checksum"] == case["expected"]["tf_checksum"]]
        builder.transformation(twins[0]).compute()
    transformation = builder.transformation(case)
    computed = transformation.compute()
    assert transformation.exception is None
    assert computed is not None
    expected = case["expected"]
    content = transformation.result_checksum.fingertip_sync().content
    if "result_text" in expected:
        assert content.decode("utf-8") == expected["result_text"]
    if "result_b64" in expected:
        assert content == base64.b64decode(expected["result_b64"])
    assert transformation.result_checksum.hex() == expected["result_checksum"]
    assert transformation.celltype == expected["result_celltype"]


def test_the_golden_identities_differ_wherever_code_or_inputs_do() -> None:
    by_identity: dict[str, dict[str, Any]] = {}
    for case in VECTORS["cases"]:
        expected = case["expected"]
        earlier = by_identity.setdefault(expected["tf_checksum"], expected["transformation"])
        assert earlier == expected["transformation"]
