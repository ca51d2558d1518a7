"""The command seamless-config: output, exit statuses, and that it starts nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from seamless.cli.config import build_parser, main, split_stage
from seamless.errors import UsageError
from tests.config.conftest import HPC, WS, Project

CLEAN = "- project: p\n- cluster: ws\n- execution: process\n- stage big:\n  - cluster: hpc\n  - execution: remote\n"


@pytest.fixture
def clean(project: Project) -> Project:
    project.clusters(HPC + WS)
    project.write(CLEAN)
    return project


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    status = main(argv)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_show_prints_the_state_of_a_stage(clean: Project, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "show", "--stage", "big:gpu")
    values = dict(line.split(None, 1) for line in out.splitlines())
    assert (status, err) == (0, "")
    assert (values["cluster"], values["substage"], values["remote_effective"]) == ("hpc", "gpu", "daskserver")
    assert (values["persistent"], values["queue"], values["active"]) == ("true", "-", "buffer, database, daskserver")


def test_show_tells_where_a_value_comes_from(clean: Project, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "show", "--origin", "--stage", "big")
    lines = [line.split() for line in out.splitlines()]
    assert ["cluster", "hpc", "seamless.yaml:5:5"] in lines
    assert ["node", "-", "default"] in lines


def test_show_gives_json_with_everything(clean: Project, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "show", "--json", "--services", "--workdir", str(clean.root))
    described = json.loads(out)
    assert status == 0
    assert list(described) == [
        "state", "active", "warnings", "local_cluster", "clusters", "workdir", "files", "origin", "services",
    ]  # fmt: skip
    assert described["clusters"] == ["hpc", "ws"]
    assert described["files"] == [{"path": str(clean.root / "seamless.yaml"), "commands": 4}]
    assert described["services"]["hashserver"]["key"] == "hashserver-ws-rw-p"
    assert "no queue is chosen" in described["services"]["daskserver"]["error"]


def test_show_prints_the_services(clean: Project, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "show", "--services")
    assert "\nhashserver\n" in out
    assert "  key: hashserver-ws-rw-p\n" in out
    assert '  file_parameters: {"database": [], "buffer": [], "record": false}\n' in out


def test_warnings_go_to_standard_error(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write("- record: true\n")
    status, out, err = run(capsys, "show")
    assert status == 0
    assert err.count("seamless-config: warning: ") == 2
    assert "warning" not in out
    assert run(capsys, "-q", "show")[2] == ""


def test_a_mistake_is_told_without_a_traceback(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write("- projct: p\n")
    for command in ("show", "clusters"):
        status, out, err = run(capsys, command)
        assert (status, out) == (2, "")
        assert err == (
            "Error: seamless.yaml:1:3: unknown command 'projct' (did you mean 'project'?)\n"
            "  1 | - projct: p\n    |   ^^^^^^\n"
        )


def test_directory_and_stage_come_from_the_environment(
    clean: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAMLESS_WORKDIR", str(clean.root))
    monkeypatch.setenv("SEAMLESS_STAGE", "big")
    monkeypatch.chdir("/")
    assert json.loads(run(capsys, "show", "--json")[1])["state"]["cluster"] == "hpc"
    assert json.loads(run(capsys, "show", "--json", "--stage", "")[1])["state"]["cluster"] == "ws"


@pytest.mark.parametrize(
    ("text", "stage"), [("a", ("a", None)), ("a:b", ("a", "b")), ("a:", ("a", None)), (None, (None, None))]
)
def test_a_stage_is_split_from_its_substage(text: str | None, stage: tuple[str | None, str | None]) -> None:
    assert split_stage(text) == stage


def test_a_substage_alone_is_refused() -> None:
    with pytest.raises(UsageError, match=r"Invalid --stage value ':b'"):
        split_stage(":b")


# --- check ----------------------------------------------------------------------------------------


def test_check_is_silent_about_what_is_right(clean: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "check", "--strict") == (0, "", "seamless-config: errors: 0, warnings: 0\n")


def test_warnings_count_only_if_strict(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write("- execution: process\n")
    status, out, _ = run(capsys, "check")
    assert (status, out.startswith("warning: no cluster; running without persistence")) == (0, True)
    assert run(capsys, "check", "--strict")[0] == 1
    assert run(capsys, "-q", "check", "--strict") == (1, "", "")


def test_errors_are_told_in_three_forms(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write("- projct: p\n")
    status, out, _ = run(capsys, "check")
    assert (status, out.splitlines()[0]) == (
        2,
        "seamless.yaml:1:3: error: unknown command 'projct' (did you mean 'project'?)",
    )
    status, out, _ = run(capsys, "check", "--format", "json")
    found = json.loads(out)
    assert (status, found["line"], found["column"], found["severity"]) == (2, 1, 3, "error")
    assert found["path"] == str(project.root / "seamless.yaml")
    status, out, _ = run(capsys, "check", "--format", "github")
    assert out.startswith("::error file=seamless.yaml,line=1,col=3::unknown command 'projct'")


def test_single_files_can_be_checked(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write("- projct: p\n")
    path = project.write("c: {}\n", "some.yaml")
    status, out, _ = run(capsys, "check", path)
    assert status == 2
    assert out.startswith("some.yaml:1:4: error: clusters.c: 'frontends' is missing")


# --- the others -----------------------------------------------------------------------------------


def test_clusters_are_listed_with_their_place(clean: Project, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "clusters")
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["CLUSTER", "TYPE", "QUEUES", "USABLE", "ORIGIN"]
    place = f"{clean.home}/.seamless/clusters.yaml:2:1"
    assert rows[1] == ["hpc", "slurm", "standard,highmem", "true", place]
    _, out, _ = run(capsys, "clusters", "--json")
    assert [json.loads(line)["cluster"] for line in out.splitlines()] == ["hpc", "ws"]


@pytest.mark.parametrize("kind", ["project", "clusters"])
def test_a_schema_is_printed(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "schema", kind)
    assert status == 0
    assert json.loads(out)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_two_stages_are_compared(clean: Project, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "diff", "--stage", "", "--stage", "big")
    changes = [line.split(None, 1) for line in out.splitlines()]
    assert status == 0
    assert [name for name, _ in changes] == ["cluster", "stage", "execution", "remote_effective", "active"]
    _, out, _ = run(capsys, "diff", "--stage", "", "--stage", "big", "--json")
    assert json.loads(out)["cluster"] == ["ws", "hpc"]
    assert run(capsys, "diff", "--stage", "a", "--stage", "a")[1] == ""
    assert run(capsys, "diff", "--stage", "big")[0] == 2


def test_a_file_is_migrated_on_paper_and_then_in_place(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    path = project.write("c: {frontends: [{hashserver: {bufferdir: /b, conda: hs}}]}  # x\n", "c.yaml")
    new = "c: {frontends: [{hashserver: {bufferdir: /b, image: storage}}]}  # x\n"
    status, out, err = run(capsys, "migrate", path, "--image", "hs=storage")
    assert (status, out) == (0, new)
    assert "'conda: hs' -> 'image: storage'" in err
    assert "conda" in Path(path).read_text()
    assert run(capsys, "-q", "migrate", path, "--image", "hs=storage", "--write") == (0, "", "")
    assert Path(path).read_text() == new
    assert run(capsys, "migrate", path, "--image", "hs")[0] == 2


@pytest.mark.parametrize("argv", [[], ["nothing"], ["show", "--nothing"], ["check", "--format", "xml"]])
def test_wrong_arguments_have_status_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, *argv)[0] == 2


@pytest.mark.parametrize("command", ["show", "check", "clusters", "schema", "diff", "migrate"])
def test_every_option_of_every_command_has_a_help_text(command: str) -> None:
    actions: Any = next(action for action in build_parser()._actions if action.dest == "command")
    assert all(action.help for action in actions.choices[command]._actions)


def test_a_path_that_is_not_utf8_is_printed_all_the_same(
    project: Project, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = project.root / "\udcff.yaml"
    path.write_text("3\n")
    assert main(["check", str(path)]) == 2
    assert b"udcff.yaml:1:1: error" in capsysbinary.readouterr().out
