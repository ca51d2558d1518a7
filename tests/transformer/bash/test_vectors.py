"""The bash steps of the golden vectors give the result checksums of the reference."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from seamless.celltypes import canonical_json, serialize
from seamless.checksum import Checksum
from seamless.transformer.bash.run import run_bash
from seamless.transformer.outcome import Envelope

VECTORS = Path(__file__).parents[2] / "vectors"


def _python_cases() -> list[Any]:
    cases = json.loads((VECTORS / "transformations.json").read_text())["cases"]
    return [pytest.param(case, id=case["id"]) for case in cases if case.get("language") == "bash"]


def _cli_cases() -> list[Any]:
    """Return the cases with at least one step that is executed to a result."""
    cases = json.loads((VECTORS / "cli.json").read_text())["cases"]
    return [pytest.param(case, id=case["id"]) for case in cases if any(_expected(case))]


def _expected(case: dict[str, Any]) -> list[tuple[list[str], dict[str, Any]]]:
    want = case.get("want", {})
    steps = []
    for number, step in enumerate(case["steps"]):
        overlay = want.get("steps", {}).get(str(number), {}) if "steps" in want else want
        expect = {**step.get("expect", {}), **overlay}
        if "result_checksum" in expect:
            steps.append((step["argv"], expect))
    return steps


def _content(file: dict[str, Any]) -> bytes:
    return file["text"].encode() if "text" in file else base64.b64decode(file.get("base64", ""))


@pytest.mark.parametrize("case", _python_cases())
def test_a_step_of_the_python_api_gives_the_result_of_the_reference(case: dict[str, Any], steps: Any) -> None:
    expected = case["expected"]
    steps.add(serialize(case["code"], "text"))
    for name, value in case["kwargs"].items():
        steps.add(serialize(value["json"], case["celltypes"][name]))
    done = run_bash(expected["transformation"], Envelope(), steps.buffers)
    assert done.result.hex() == expected["result_checksum"]
    assert steps.buffers.read(done.result) == expected["result_text"].encode()


@pytest.mark.parametrize("case", _cli_cases())
def test_a_step_of_the_command_line_gives_the_result_of_the_reference(case: dict[str, Any], steps: Any) -> None:
    folders: dict[str, dict[str, str]] = {}
    for file in case["files"]:
        content = _content(file)
        checksum = steps.add(content)
        folder, slash, rest = file["path"].partition("/")
        if slash:
            folders.setdefault(folder, {})[rest] = checksum
    for index in folders.values():
        steps.add(canonical_json(index))
    for words in ("42", "a.txt"):  # the values of --var and of canonical variables in these cases
        steps.add(serialize(words, "str"))
    results: dict[str, str] = {}
    for argv, expect in _expected(case):
        steps.add(expect["code"].encode())
        pins = {}
        for name, value in re.findall(r"--metavar (\w+)=(\w+)", " ".join(argv)):
            pins[f"META__{name}"] = ["str", None, steps.add(serialize(value, "str"))]
        transformation = expect["transformation"]
        identity = Checksum.of(canonical_json(transformation)).hex()
        if identity not in results:
            results[identity] = run_bash(transformation, Envelope(pins=pins), steps.buffers).result.hex()
            for member in _index_of(steps, results[identity], transformation):
                steps.add(canonical_json(member))
        assert results[identity] == expect["result_checksum"]


def _index_of(steps: Any, result: str, transformation: dict[str, Any]) -> list[dict[str, str]]:
    """Return the indices of the directories in a captured result, which later steps of the case take as inputs."""
    if transformation["__output__"][1] != "deepfolder":
        return []
    folders: dict[str, dict[str, str]] = {}
    for path, checksum in json.loads(steps.buffers.buffers[result]).items():
        folder, slash, rest = path.partition("/")
        if slash:
            folders.setdefault(folder, {})[rest] = checksum
    return list(folders.values())
