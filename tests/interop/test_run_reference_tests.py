"""The runner of the reference's tests, on small trees."""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

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


def expected(*rows: tuple[str, int, bool], **totals: int) -> Any:
    """Return a list with differences (pattern, count, run)."""
    return runner.Expected(
        {},
        totals,
        {"decision": "..."},
        tuple(runner.Difference((p,), n, "decision", "because", run) for p, n, run in rows),
    )


def outcomes(**results: str) -> dict[str, tuple[str, str]]:
    return {f"p/tests/test_x.py::{name}": runner.Outcome(result, "why") for name, result in results.items()}


def test_a_comparison_names_what_is_not_listed_and_what_is_listed_for_nothing() -> None:
    found = outcomes(a="failed", b="passed", c="failed", d="skipped", e="passed")
    assert runner.compare(found, expected(("*::b", 1, True), ("*::c", 1, True), ("*::f", 2, True))) == [
        "p/tests/test_x.py::a: failed, and not in the list: why",
        "p/tests/test_x.py::b: passed, but the list has it: because",
        "*::f ...: 0 tests, the list says 2",
    ]


def test_a_star_stands_for_anything_and_nothing_else_is_special() -> None:
    difference = runner.Difference(("p/*::test_it[a-*]",), 1, "decision", "because")
    assert difference.covers("p/tests/test_x.py::test_it[a-1]")
    assert not difference.covers("p/tests/test_x.py::test_it[b-1]")
    assert not difference.covers("p/tests/test_x.py::test_ita")


def test_tests_that_are_left_out_count_for_their_package() -> None:
    listed = expected(("p/tests/test_x.py::slow", 1, False), p=3)
    assert runner.compare(outcomes(a="passed", b="passed"), listed) == []
    assert runner.compare(outcomes(a="passed"), listed) == ["p: 1 tests and 1 left out, the list says 3"]


def test_a_test_that_is_left_out_is_not_run(tmp_path: Path) -> None:
    path = tree(tmp_path, "def test_one(): pass\ndef test_two(): assert 0\n")
    assert [*runner.run_file(path, sys.executable, skip=["test_two"])] == ["test_one"]
    assert runner.run_file(path, sys.executable, skip=["test_one", "test_two"]) == {}


def test_commands_are_found_beside_the_tests_as_in_a_source_tree(tmp_path: Path) -> None:
    path = tree(
        tmp_path,
        "import pathlib, subprocess, sys\n"
        "BIN = pathlib.Path(__file__).parents[1] / 'bin'\n"
        "def test_it():\n"
        "    assert subprocess.run([BIN / 'seamless-checksum', '--version'], capture_output=True).returncode == 0\n"
        "    helper = [sys.executable, '-m', 'ssh_guard.helpers.ps_persistent', '--help']\n"
        "    assert b'usage:' in subprocess.run(helper, capture_output=True).stdout\n",
    )
    assert [outcome.result for outcome in runner.run_file(path, sys.executable).values()] == ["passed"]


def test_what_is_missing_of_the_implementation_fails_only_the_tests_that_use_it(tmp_path: Path) -> None:
    path = tree(
        tmp_path,
        "from seamless_transformer.some.inner import thing\ndef test_with(): thing()\ndef test_without(): pass\n",
    )
    outcome = runner.run_file(path, sys.executable, support=runner.SUPPORT)
    assert outcome["test_without"].result == "passed"
    assert (
        "seamless_transformer.some.inner.thing is part of the reference's implementation"
        in outcome["test_with"].message
    )


def test_services_of_a_test_end_with_its_file(tmp_path: Path) -> None:
    path = tree(
        tmp_path,
        "import subprocess, sys\n"
        "def test_it():\n"
        "    command = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        "    service = subprocess.Popen(command, start_new_session=True)\n"
        f"    open({str(tmp_path / 'pid')!r}, 'w').write(str(service.pid))\n",
    )
    runner.run_file(path, sys.executable)
    status = Path("/proc", (tmp_path / "pid").read_text(), "stat")
    end = time.monotonic() + 60
    while status.exists() and " Z " not in status.read_text():
        assert time.monotonic() < end, "the service goes on"
        time.sleep(0.05)
