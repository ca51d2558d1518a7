"""The helpers that stop and remove: rhl-stop, rhl-rm, rhl-clear; and rhl-ps-persistent, which looks at data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seamless.launcher import run
from seamless.launcher.guarded import OPTION, Guarded
from seamless.launcher.safe_open import resolve
from tests.launcher.support import KEY, change

if TYPE_CHECKING:
    from tests.launcher.conftest import LaunchDict
    from tests.launcher.helpers.conftest import Helper


def judged(*paths: Path, markers: tuple[str, ...] = ()) -> tuple[str, str]:
    """Return the arguments by which the guard hands on what it has seen."""
    return OPTION, Guarded(tuple(resolve(str(path)) for path in paths), markers).text()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    (path / "x").mkdir(parents=True)
    (path / "y").write_text("12345")
    return path


def test_stop_reports_each_key(helper: Helper, launch_dict: LaunchDict, state_file: Path) -> None:
    run(launch_dict())
    assert helper("stop", KEY, "nothing") == (0, f"{KEY}: stopped\nnothing: missing state\n", "")
    assert helper("stop", KEY) == (0, f"{KEY}: already gone\n", "")
    change(state_file, pid=-1)
    status, _, err = helper("stop", KEY)
    assert status == 1 and "invalid PID" in err


def test_rm_removes_records_and_keeps_the_log(
    helper: Helper, launch_dict: LaunchDict, state_file: Path, connection_file: Path
) -> None:
    run(launch_dict())
    helper("stop", KEY)
    assert helper("rm", KEY, "--client") == (0, f"removed {connection_file}\n", "")
    assert helper("rm", KEY) == (0, f"removed {state_file}\n", "")
    assert helper("rm", KEY) == (0, f"{KEY}: not found\n", "")
    assert helper("logs", KEY).out.startswith("hello from ok\n")


def test_rm_warns_of_a_service_that_runs(helper: Helper, launch_dict: LaunchDict) -> None:
    run(launch_dict())
    assert "still runs" in helper("rm", "--server", KEY).err


def test_clear_says_how_much_is_gone(helper: Helper, base: Path, data: Path) -> None:
    assert helper("clear", str(data)) == (0, f"removed 2 item(s) from {data}\n", "")


def test_clear_refuses_the_directory_of_a_service_that_runs_unless_forced(
    helper: Helper, launch_dict: LaunchDict, workdir: Path
) -> None:
    run(launch_dict())
    status, out, err = helper("clear", str(workdir))
    assert (status, out) == (1, "")
    assert err.startswith(f"rhl-clear: service {KEY} is running in {workdir}")
    assert helper("clear", "--force", str(workdir)).status == 0


def test_what_the_guard_has_judged_is_what_is_cleared(helper: Helper, base: Path, data: Path, tmp_path: Path) -> None:
    arguments = judged(data)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("")
    data.rename(tmp_path / "moved")
    outside.rename(data)
    status, _, err = helper("clear", *arguments, str(data))
    assert status == 1 and "replaced" in err
    assert (data / "precious").exists()


def test_a_link_put_in_the_place_of_what_was_judged_is_not_followed(
    helper: Helper, base: Path, data: Path, tmp_path: Path
) -> None:
    clear, look = judged(data), judged(data)
    data.rename(tmp_path / "moved")
    data.symlink_to(tmp_path / "moved")
    assert helper("clear", *clear, str(data)).status == 1
    assert helper("ps-persistent", *look, str(data)).status == 1
    assert {path.name for path in (tmp_path / "moved").iterdir()} == {"x", "y"}


def test_under_a_marker_policy_a_directory_without_marker_is_not_cleared(
    helper: Helper, base: Path, data: Path
) -> None:
    status, _, err = helper("clear", *judged(data, markers=("m",)), str(data))
    assert (status, err) == (1, f"rhl-clear: path does not contain required marker file (m): {data}\n")
    assert (data / "y").exists()


def test_the_marker_that_allows_clearing_survives_it(helper: Helper, base: Path, data: Path) -> None:
    (data / "m").write_text("mark")
    (data / "seamless.db").write_text("results")
    arguments = judged(data, markers=("m", "seamless.db"))
    assert helper("clear", *arguments, str(data)) == (0, f"removed 3 item(s) from {data}\n", "")
    assert {path.name: path.read_text() for path in data.iterdir()} == {"m": "mark", "seamless.db": ""}
    assert helper("clear", *arguments, str(data)).out == f"removed 0 item(s) from {data}\n"


def test_ps_persistent_prints_a_table_or_json(helper: Helper, tmp_path: Path) -> None:
    missing = str(tmp_path / "x")
    table = helper("ps-persistent", missing).out
    assert table.split() == ["PATH", "STATE", "SIZE", "MODIFIED", missing, "absent", "-", "-"]
    row = {"path": missing, "state": "absent", "size": None, "modified": None}
    assert json.loads(helper("ps-persistent", "--json", missing).out) == row


def test_ps_persistent_descends_and_selects(helper: Helper, data: Path) -> None:
    (data / "x" / "seamless.db").write_text("123")
    out = helper("ps-persistent", "--json", "--level", "1", "--file", "seamless.db", str(data)).out
    rows = [json.loads(line) for line in out.splitlines()]
    assert [(row["path"], row["state"], row["size"]) for row in rows] == [
        (str(data), "empty", None),
        (f"{data}/x", "populated", 3),
    ]
    marked = helper("ps-persistent", "--json", "--level=1", "--marker=seamless.db", str(data)).out
    assert [json.loads(line)["path"] for line in marked.splitlines()] == [f"{data}/x"]
