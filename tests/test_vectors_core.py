"""The golden vectors of the data layer: which bytes a value has, which value bytes have, what must be refused."""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from seamless import Buffer, Checksum
from seamless.errors import SeamlessError

if TYPE_CHECKING:
    from tests.conftest import RunCli

VECTORS = json.loads((Path(__file__).parent / "vectors" / "core.json").read_text(encoding="utf-8"))
REFUSALS = (ValueError, TypeError, SeamlessError)


# --- value descriptions -------------------------------------------------------------------------


def make_dtype(description: Any, align: bool) -> Any:
    import numpy as np

    if isinstance(description, str):
        return np.dtype(description)
    fields = [tuple(tuple(part) if isinstance(part, list) else part for part in field) for field in description]
    return np.dtype(fields, align=align)


def make_array(d: dict[str, Any]) -> Any:
    import numpy as np

    dtype = make_dtype(d["dtype"], bool(d.get("align")))
    array = np.frombuffer(base64.b64decode(d["b64"]), dtype).reshape(tuple(d["shape"])).copy()
    if d.get("order") == "F":
        array = np.asfortranarray(array)
    if "step" in d:
        array = array[:: d["step"]]
    return array[()] if d.get("void") else array


def make_scalar(d: dict[str, Any]) -> Any:
    import numpy as np

    return np.frombuffer(base64.b64decode(d["b64"]), make_dtype(d["dtype"], bool(d.get("align"))))[0]


def make_nest(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


MAKERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "json": lambda d: d["v"],
    "int": lambda d: int(d["v"]),
    "float": lambda d: float(d["v"]) if d["v"].lstrip("-") in ("nan", "inf") else float.fromhex(d["v"]),
    "bytes": lambda d: base64.b64decode(d["b64"]),
    "bytearray": lambda d: bytearray(base64.b64decode(d["b64"])),
    "str16": lambda d: bytes.fromhex(d.get("hex", d.get("v", ""))).decode("utf-16-be", "surrogatepass"),
    "checksum": lambda d: Checksum(d["hex"]),
    "list": lambda d: [make(item) for item in d["items"]],
    "tuple": lambda d: tuple(make(item) for item in d["items"]),
    "set": lambda d: {make(item) for item in d["items"]},
    "dict": lambda d: {make(key): make(value) for key, value in d["items"]},
    "ndarray": make_array,
    "npscalar": make_scalar,
    "datetime": lambda d: datetime.datetime.fromisoformat(d["v"]),
    "repeat": lambda d: d["unit"] * d["n"],
    "nest": lambda d: make_nest(d["n"]),
    "range": lambda d: list(range(d["n"])),
}


def make(description: dict[str, Any]) -> Any:
    """Return the value that a description of the vectors stands for."""
    return MAKERS[description["t"]](description)


def same(found: Any, wanted: Any) -> bool:
    """Tell whether two values are equal in type, content and order; for arrays also in dtype and shape."""
    if isinstance(found, Checksum) and isinstance(wanted, (str, Checksum)):
        return found == wanted
    if type(found) is not type(wanted):
        return False
    if hasattr(wanted, "dtype"):
        return bool(found.dtype == wanted.dtype and found.shape == wanted.shape and found.tobytes() == wanted.tobytes())
    if isinstance(wanted, dict):
        return list(found) == list(wanted) and all(same(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, (list, tuple)):
        return len(found) == len(wanted) and all(same(a, b) for a, b in zip(found, wanted, strict=True))
    if isinstance(wanted, float):
        return found.hex() == wanted.hex()
    return bool(found == wanted)


# --- operations ---------------------------------------------------------------------------------


def check_bytes(found: bytes, expect: dict[str, Any]) -> None:
    if "b64" in expect:
        assert found == base64.b64decode(expect["b64"])
    assert len(found) == expect["length"]
    assert Checksum.of(found) == expect["sha256"]


def check_value(found: Any, description: dict[str, Any]) -> None:
    wanted = make(description)
    assert same(found, wanted), f"found {found!r}, wanted {wanted!r}"


def run_serialize(case: dict[str, Any], outcome: dict[str, Any]) -> None:
    buffer = Buffer(make(case["value"]), case["celltype"])
    if "expect" in outcome:
        check_bytes(buffer.content, outcome["expect"])
        assert buffer.get_checksum() == outcome["expect"]["sha256"]


def run_parse(case: dict[str, Any], outcome: dict[str, Any]) -> None:
    value = Buffer(base64.b64decode(case["b64"])).get_value(case["celltype"])
    if "expect_value" in outcome:
        check_value(value, outcome["expect_value"])


def run_roundtrip(case: dict[str, Any], outcome: dict[str, Any]) -> None:
    buffer = Buffer(make(case["value"]), case["celltype"])
    if "expect" in outcome:
        check_bytes(buffer.content, outcome["expect"])
    value = buffer.get_value(case["celltype"])
    if "expect_value" in outcome:
        check_value(value, outcome["expect_value"])


def run_read_as(case: dict[str, Any], outcome: dict[str, Any]) -> None:
    value = Buffer(make(case["value"]), case["source"]).get_value(case["target"])
    content = Buffer(value, case["target"]).content
    if "expect" in outcome:
        check_bytes(content, outcome["expect"])


def run_checksum_new(case: dict[str, Any], outcome: dict[str, Any]) -> None:
    checksum = Checksum(make(case["value"]))
    if "expect_hex" in outcome:
        assert checksum.hex() == outcome["expect_hex"]


IN_PROCESS: dict[str, Callable[[dict[str, Any], dict[str, Any]], None]] = {
    "serialize": run_serialize,
    "parse": run_parse,
    "roundtrip": run_roundtrip,
    "read_as": run_read_as,
    "checksum_new": run_checksum_new,
}


def check_outcome(run: Callable[[dict[str, Any], dict[str, Any]], None], case: dict[str, Any]) -> None:
    """Check a case against its outcome; a marked defect may have the recommended outcome instead."""
    outcomes = [case]
    if case.get("defect"):
        outcomes.append(case["recommended_outcome"])
    failures = []
    for outcome in outcomes:
        try:
            if outcome.get("error"):
                with pytest.raises(REFUSALS):
                    run(case, {})
            else:
                run(case, outcome)
            return
        except (AssertionError, pytest.fail.Exception, *REFUSALS) as failure:
            failures.append(failure)
    raise failures[-1]


def cases(*operations: str) -> list[Any]:
    return [pytest.param(case, id=case["id"]) for case in VECTORS["cases"] if case["op"] in operations]


def test_the_file_of_vectors_is_complete() -> None:
    known = {*IN_PROCESS, "checksum_load", "file_checksum", "index"}
    assert len(VECTORS["cases"]) == VECTORS["count"]
    assert {case["op"] for case in VECTORS["cases"]} <= known


@pytest.mark.parametrize("case", cases(*IN_PROCESS))
def test_a_value_has_the_agreed_bytes_and_bytes_the_agreed_value(case: dict[str, Any]) -> None:
    check_outcome(IN_PROCESS[case["op"]], case)


@pytest.mark.parametrize("case", cases("checksum_load"))
def test_a_checksum_file_is_read_as_agreed(case: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "NAME.CHECKSUM").write_bytes(base64.b64decode(case["b64"]))

    def run(case: dict[str, Any], outcome: dict[str, Any]) -> None:
        checksum = Checksum.load(tmp_path / "NAME")
        if "expect_hex" in outcome:
            assert checksum.hex() == outcome["expect_hex"]

    check_outcome(run, case)


class CommandFailedError(SeamlessError):
    """A command ended with another exit status than 0."""


@pytest.mark.parametrize("case", cases("file_checksum"))
def test_the_checksum_commands_see_the_canonical_bytes_of_a_file(
    case: dict[str, Any], tmp_path: Path, run_cli: RunCli
) -> None:
    (tmp_path / case["filename"]).write_bytes(base64.b64decode(case["b64"]))

    def run(case: dict[str, Any], outcome: dict[str, Any]) -> None:
        printed = run_cli(["seamless-checksum", case["filename"]])
        written = run_cli(["seamless-checksum-file", case["filename"]])
        assert b"Traceback" not in printed.stderr + written.stderr
        assert (printed.returncode == 0) == (written.returncode == 0)
        if printed.returncode:
            raise CommandFailedError(printed.stderr.decode())
        if "expect_hex" in outcome:
            assert printed.stdout.decode() == outcome["expect_hex"] + "\n"
        if "expect_sidecar" in outcome:
            assert (tmp_path / outcome["expect_sidecar"]).read_bytes() == printed.stdout

    check_outcome(run, case)


@pytest.mark.parametrize("case", cases("index"))
def test_the_index_of_a_directory_has_the_agreed_bytes(case: dict[str, Any], tmp_path: Path, run_cli: RunCli) -> None:
    directory = tmp_path / "DIR"
    directory.mkdir()
    for name, content in case["files"].items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(content))
    for name in case.get("empty_dirs", []):
        (directory / name).mkdir(parents=True)

    def run(case: dict[str, Any], outcome: dict[str, Any]) -> None:
        done = run_cli(["seamless-checksum-index", "DIR"])
        assert b"Traceback" not in done.stderr
        if done.returncode:
            raise CommandFailedError(done.stderr.decode())
        if "expect" in outcome:
            check_bytes((tmp_path / "DIR.INDEX").read_bytes(), outcome["expect"])
            assert (tmp_path / "DIR.CHECKSUM").read_text() == outcome["expect"]["sha256"] + "\n"

    check_outcome(run, case)
