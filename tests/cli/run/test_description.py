"""The transformation dict of a plan: keys, identity, buffers, what stays outside."""

from __future__ import annotations

import json
from typing import Any

import pytest

from seamless.checksum import Checksum
from seamless.cli.commandline.plan import Input, Plan, Target
from seamless.cli.running.description import Description
from seamless.cli.running.inputs import HashedInput
from seamless.errors import UsageError


def make_plan(**changes: Any) -> Plan:
    parts: dict[str, Any] = {
        "command": "cat a.txt",
        "code": "(\ncat a.txt\n) > RESULT\n",
        "inputs": [],
        "targets": [],
        "capture_stdout": False,
        "variables": {},
        "metavars": {},
        "environment": {},
        "warnings": [],
    }
    return Plan(**{**parts, **changes})


A_TXT = HashedInput(Input("a.txt", "file", "a.txt"), Checksum.of(b"alpha\nbeta\n").hex(), 11)


def test_a_file_pin_gives_the_checksum_of_the_vectors() -> None:
    description = Description(make_plan(), [A_TXT])
    assert description.checksum.hex() == "370a0f1a1d160aa5fdde16381cdbc6e55a201274bd33b6d4ac329090321a993e"
    assert Checksum.of(description.identity) == description.checksum


def test_the_code_buffer_ends_in_one_newline_whether_or_not_the_plan_has_it() -> None:
    plan = make_plan(code="(\ncat a.txt\n) > RESULT")
    assert Description(plan, [A_TXT]).checksum == Description(make_plan(), [A_TXT]).checksum


def test_a_directory_pin_is_mixed_with_the_format_of_a_deepfolder() -> None:
    entry = HashedInput(Input("d", "directory", "d"), "ab" * 32, 1)
    transformation = Description(make_plan(), [entry]).transformation
    assert transformation["d"] == ["mixed", None, "ab" * 32]
    assert transformation["__format__"] == {
        "d": {"celltype": "deepfolder", "filesystem": {"mode": "directory", "optional": True}}
    }


def test_with_targets_the_result_is_a_deepfolder() -> None:
    assert Description(make_plan(targets=[Target("o")]), []).transformation["__output__"][1] == "deepfolder"
    assert Description(make_plan(), []).transformation["__output__"][1] == "bytes"


def test_without_pins_there_is_no_format() -> None:
    assert "__format__" not in Description(make_plan(), []).transformation


def test_a_variable_is_a_pin_and_its_buffer_is_known() -> None:
    description = Description(make_plan(variables={"n": ("str", "42"), "k": ("int", 3)}), [])
    for name, celltype, data in (("n", "str", b'"42"\n'), ("k", "int", b"3\n")):
        assert description.transformation[name] == [celltype, None, Checksum.of(data).hex()]
        assert description.buffers[Checksum.of(data)] == data


def test_a_metavar_and_an_environment_stay_outside_the_identity() -> None:
    plain = Description(make_plan(), [A_TXT])
    more = Description(make_plan(metavars={"T": "8"}, environment={"conda_environment": "e"}), [A_TXT])
    assert more.checksum == plain.checksum
    assert more.pins == {"META__T": ["str", None, Checksum.of(b'"8"\n').hex()]}
    assert more.environment == {"conda_environment": "e"}
    pin = more.environment_pin()
    assert pin is not None
    assert json.loads(more.buffers[Checksum(pin)]) == {"conda_environment": "e"}


def test_without_an_environment_there_is_no_pin_for_it() -> None:
    assert Description(make_plan(), []).environment_pin() is None


def test_a_container_image_has_the_form_of_the_reference() -> None:
    assert Description(make_plan(environment={"docker_image": "i:1"}), []).environment == {"docker": {"name": "i:1"}}


@pytest.mark.parametrize("change", [{"code": "cat \udcff\n"}, {"variables": {"n": ("str", "\udcff")}}])
def test_what_is_not_utf_8_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="UTF-8"):
        Description(make_plan(**change), [])
