"""The runner of the reference's tests, on small trees."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_reference_tests", ROOT / "scripts" / "run_reference_tests.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


runner = load()


def tree(directory: Path, text: str) -> Path:
    path = directory / "some_package-1.2.3" / "tests" / "test_it.py"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def test_each_test_has_its_outcome_and_the_last_line_of_why(tmp_path: Path) -> None:
    tree(
        tmp_path,
        "import pytest, seamless_config\n"
        "def test_good(): assert seamless_config.init\n"
        "def test_bad(): assert 1 == 2, 'not equal'\n"
        "@pytest.mark.skip(reason='not here')\ndef test_not(): pass\n"
        "class TestGroup:\n    def test_in(self): pass\n",
    )
    outcomes = runner.run_all(tmp_path, sys.executable)
    name = "some-package/tests/test_it.py::"
    assert {test: outcome.result for test, outcome in outcomes.items()} == {
        name + "test_good": "passed",
        name + "test_bad": "failed",
        name + "test_not": "skipped",
        name + "TestGroup::test_in": "passed",
    }
    assert outcomes[name + "test_bad"].message == "assert 1 == 2"


def test_a_file_that_cannot_be_imported_is_an_error(tmp_path: Path) -> None:
    path = tree(tmp_path, "import there_is_no_such_module\n")
    ((_, outcome),) = runner.run_file(path, sys.executable).items()
    assert outcome.result == "error"
    assert "there_is_no_such_module" in outcome.message


def test_a_file_that_does_not_end_is_killed(tmp_path: Path) -> None:
    path = tree(tmp_path, "import threading\nthreading.Event().wait()\n")
    assert runner.run_file(path, sys.executable, timeout=1)["file"].result == "timeout"


def test_code_beside_the_tests_is_not_found_and_home_is_empty(tmp_path: Path) -> None:
    path = tree(
        tmp_path,
        "import os, pathlib\n"
        "def test_it():\n"
        "    assert not pathlib.Path('../beside.py').exists()\n"
        "    assert not os.listdir(os.environ['HOME'])\n",
    )
    (path.parents[1] / "beside.py").touch()
    assert [outcome.result for outcome in runner.run_file(path, sys.executable).values()] == ["passed"]
    assert [found.name for found in path.parent.iterdir()] == ["test_it.py"]


def test_a_comparison_names_new_changed_and_missing_tests() -> None:
    outcomes = {
        name: runner.Outcome(result, "why") for name, result in (("a", "failed"), ("b", "passed"), ("c", "failed"))
    }
    expected = {name: {"outcome": "failed"} for name in "bcd"}
    assert runner.compare(outcomes, expected) == [
        "a: failed, which is not in the list: why",
        "b: passed, the list says failed",
        "d: in the list, but was not run",
    ]
