"""The golden vectors of the configuration: files, calls, and what is configured after each."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import pytest

import seamless.config as config

VECTORS = json.loads((Path(__file__).parent / "vectors" / "config.json").read_text(encoding="utf-8"))
CASES = VECTORS["cases"]


def write_files(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("{ROOT}", str(root)), encoding="utf-8")


def call(root: Path, function: str, arguments: list[Any]) -> None:
    if function == "write":
        write_files(root, {arguments[0]: arguments[1]})
    else:
        getattr(config, function)(*arguments)


def check_error(root: Path, step: dict[str, Any], function: str, arguments: list[Any]) -> None:
    expected = step["error"]
    with warnings.catch_warnings(), pytest.raises(Exception) as caught:
        warnings.simplefilter("ignore", config.SeamlessConfigWarning)
        call(root, function, arguments)
    assert expected["class"] in [kind.__name__ for kind in type(caught.value).__mro__]
    text = str(caught.value)
    assert [part for part in expected["mentions"] + expected["should_mention"] if part not in text] == []


def check_step(root: Path, step: dict[str, Any]) -> None:
    function, arguments = step["call"][0], (step["call"][1:] or [[]])[0]
    if step["error"] is not None:
        check_error(root, step, function, arguments)
        return
    with warnings.catch_warnings(record=True) as issued:
        warnings.simplefilter("always")
        call(root, function, arguments)
    described = config.describe()
    assert {name: described["state"][name] for name in step["state"]} == step["state"]
    assert set(described["active"]) == set(step["active"])
    codes = {warning.message.code for warning in issued if isinstance(warning.message, config.SeamlessConfigWarning)}
    assert codes == set(step["warnings"])
    assert {warning["code"] for warning in described["warnings"]} == codes


def check_service(name: str, expected: dict[str, Any]) -> None:
    service, _, mode = name.partition(":")
    configure = getattr(config, f"configure_{service}")
    arguments = [mode or "rw"] if service in ("hashserver", "database") else []
    if "error" in expected:
        with pytest.raises(config.ConfigurationError):
            configure(*arguments)
        return
    launch = configure(*arguments)
    meta = launch.pop("meta")
    assert {key: meta[key] for key in expected["meta"]} == expected["meta"]
    assert launch == {key: value for key, value in expected.items() if key != "meta"}


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_a_case_of_the_vectors_gives_what_is_expected(
    case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    workdir = root / case["workdir"]
    workdir.mkdir(parents=True)
    (root / "home").mkdir()
    write_files(root, case["files"])
    monkeypatch.setenv("HOME", str(root / "home"))
    monkeypatch.setenv("SEAMLESS_NO_LAUNCH", "1")
    for name, value in case["env"].items():
        monkeypatch.setenv(name, value.replace("{ROOT}", str(root)))
    monkeypatch.chdir(workdir)
    config.set_workdir(workdir)
    for step in case["expect"]["steps"]:
        check_step(root, step)
    services = json.loads(json.dumps(case["expect"]["services"]).replace("{ROOT}", str(root)))
    for name, expected in services.items():
        check_service(name, expected)
    assert not os.listdir(root / "home") or case["files"]  # nothing was started, nothing created
