"""What tools declare in TOOL.SEAMLESS.yaml and by TOOL.SEAMLESS.py, and how mistakes in them are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seamless.cli.commandline.plan import Plan, PlanOptions, make_plan
from seamless.errors import UsageError

HEX = "e49c81e2d2f84e259d40e2fb8192f3bcd198b355184845d76d8f58807d0d78ee"


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a directory with a tool and a few files the current one."""
    for name in ("a.txt", "plain", "helper.txt", "tool.sh", "tools/t.sh", "tools/lib.txt", "tool.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan(line: str, **options: Any) -> Plan:
    return make_plan(PlanOptions([line], **options))


def declare(text: str, tool: str = "tool.sh") -> None:
    Path(f"{tool}.SEAMLESS.yaml").write_text(text)


def program(text: str, name: str) -> None:
    Path(name).write_text("import json, sys\n" + text)


def pins(found: Plan) -> dict[str, str]:
    return {item.name: item.kind for item in found.inputs}


def test_files_and_results_are_added() -> None:
    declare("files: [helper.txt]\ndirectories: [tools]\nresults: [res.out]\n")
    found = plan("./tool.sh a.txt")
    assert pins(found) == {"tool.sh": "file", "a.txt": "file", "helper.txt": "file", "tools": "directory"}
    assert found.code == (
        "export PATH=./:$PATH\nchmod +x 'tool.sh'\nmkdir -p RESULT/\ntool.sh a.txt\nmv res.out RESULT/\n"
    )


def test_results_of_interfaces_come_before_captures_and_redirections() -> None:
    declare("results: {one: mine, two: null}\n")
    found = plan("./tool.sh > four", captures=["three", "two:yours"])
    assert [(t.name, t.local) for t in found.targets] == [
        ("one", "mine"),
        ("two", "yours"),
        ("three", None),
        ("four", None),
    ]


def test_the_interface_of_a_script_given_to_an_interpreter_counts() -> None:
    declare("files: [helper.txt]\n", "tool.py")
    assert pins(plan("python3 -u tool.py a.txt")) == {"tool.py": "file", "a.txt": "file", "helper.txt": "file"}
    declare("files: [helper.txt]\n")
    assert pins(plan("bash tool.sh a.txt")) == {"tool.sh": "file", "a.txt": "file", "helper.txt": "file"}


def test_names_that_begin_with_a_dot_are_relative_to_the_tool() -> None:
    declare("files: [./lib.txt]\nresults: {./o.txt: ./p.txt}\n", "tools/t.sh")
    found = plan("tools/t.sh")
    assert pins(found) == {"tools/t.sh": "file", "tools/lib.txt": "file"}
    assert [(t.name, t.local) for t in found.targets] == [("tools/o.txt", "tools/p.txt")]


def test_a_declared_file_can_have_another_local_path_or_just_a_checksum() -> None:
    declare(f"files:\n- {{name: in.txt, mapping: a.txt}}\n- {{name: far.txt, checksum: {HEX}}}\n")
    found = {item.name: (item.path, item.checksum) for item in plan("./tool.sh").inputs}
    assert found["in.txt"] == ("a.txt", None)
    assert found["far.txt"] == (None, HEX)


def test_argtypes_override_the_guesses() -> None:
    declare("argtypes: {plain: file, a.txt: value, tools: {type: directory}}\n")
    assert pins(plan("./tool.sh plain a.txt tools")) == {"tool.sh": "file", "plain": "file", "tools": "directory"}


def test_values_are_exempt_from_the_rules() -> None:
    declare("values: [-k1.2, missing.txt, 1.2.3]\n")
    assert pins(plan("./tool.sh -k1.2 missing.txt 1.2.3")) == {"tool.sh": "file"}


def test_a_shim_takes_the_place_of_the_tool() -> None:
    declare("shim: cat\n")
    found = plan("./tool.sh a.txt")
    assert pins(found) == {"a.txt": "file"} and found.code == "(\ncat a.txt\n) > RESULT\n"


def test_a_shim_that_is_a_file_is_an_input() -> None:
    declare("shim: ./t.sh\n", "tools/t.sh")
    declare("shim: ./tools/t.sh\n")
    found = plan("./tool.sh a.txt")
    assert pins(found) == {"tools/t.sh": "file", "a.txt": "file"}
    assert found.code == "chmod +x 'tools/t.sh'\n(\ntools/t.sh a.txt\n) > RESULT\n"


def test_the_environment_of_an_interface_gives_way_to_options() -> None:
    declare("environment: {conda_environment: e1, docker_image: i1}\n")
    assert plan("./tool.sh").environment == {"conda_environment": "e1", "docker_image": "i1"}
    assert plan("./tool.sh", conda="e2").environment == {"conda_environment": "e2", "docker_image": "i1"}


def test_two_different_environments_in_a_line_are_refused() -> None:
    declare("environment: {conda_environment: e1}\n")
    declare("environment: {conda_environment: e2}\n", "tools/t.sh")
    with pytest.raises(UsageError, match="conda_environment: 'e1' and 'e2'.*--conda"):
        plan("./tool.sh | tools/t.sh")


CANONICAL = (
    "canonical:\n- command: tool.sh $n $name\n  variables: [{name: n, celltype: %s}, {name: name, celltype: str}]\n"
)


@pytest.mark.parametrize(
    ("celltype", "word", "value"),
    [("int", "3", 3), ("float", "0.5", 0.5), ("bool", "True", True), ("bool", "0", False), ("str", "'x'", "x")],
)
def test_a_canonical_command_has_its_words_as_variables(celltype: str, word: str, value: object) -> None:
    declare(CANONICAL % celltype)
    found = plan(f"./tool.sh  {word} a.txt")
    assert found.command == "tool.sh $n $name"
    assert found.variables == {"n": (celltype, value), "name": ("str", "a.txt")}


@pytest.mark.parametrize("line", ["./tool.sh 3", "./tool.sh 3 b | cat", "./tool.sh 3 $x", "./tool.sh 3 b c"])
def test_another_command_is_not_canonical(line: str) -> None:
    declare(CANONICAL % "int")
    assert plan(line).variables == {}


def test_a_canonical_value_of_another_celltype_is_refused() -> None:
    declare(CANONICAL % "int")
    with pytest.raises(UsageError, match=r"'three'.*'n'.*int.*tool.sh.SEAMLESS.yaml:2"):
        plan("./tool.sh three x")


def test_a_canonical_variable_cannot_be_given_again() -> None:
    declare(CANONICAL % "int")
    with pytest.raises(UsageError, match="--var n"):
        plan("./tool.sh 3 x", variables=["n=4"])


def test_a_program_says_what_the_inputs_are_and_nothing_is_guessed() -> None:
    declare("files: [helper.txt]\n")
    program(
        "print(json.dumps({'files': [sys.argv[1]], 'results': {'res.out': 'mine'}, '@order': []}))",
        "tool.sh.SEAMLESS.py",
    )
    found = plan("./tool.sh a.txt missing.txt")
    assert pins(found) == {"tool.sh": "file", "helper.txt": "file", "a.txt": "file"}
    assert [(t.name, t.local) for t in found.targets] == [("res.out", "mine")]


def test_a_program_works_without_a_yaml_file() -> None:
    program("print(json.dumps({'argtypes': {'plain': 'file'}}))", "tool.SEAMLESS.py")
    assert pins(plan("bash tool.sh plain missing.txt")) == {"tool.sh": "file", "plain": "file"}


@pytest.mark.parametrize(
    ("text", "mentions"),
    [
        ("sys.exit('cannot do this')", ["exit status 1", "cannot do this"]),
        ("print('hello')", ["must print one JSON object", "hello"]),
        ("print('[]')", ["must be a mapping"]),
        ("print(json.dumps({'file': []}))", ["unknown key 'file'", "'files'"]),
    ],
)
def test_a_program_that_fails_is_named_with_what_it_said(text: str, mentions: list[str]) -> None:
    program(text, "tool.SEAMLESS.py")
    with pytest.raises(UsageError) as info:
        plan("./tool.sh")
    assert all(mention in str(info.value) for mention in [*mentions, "tool.SEAMLESS.py"]), str(info.value)


@pytest.mark.parametrize(
    ("text", "line", "mention"),
    [
        ("files: [a.txt\n", 2, "not valid YAML"),
        ("- a\n", 1, "must be a mapping"),
        ("files: []\nfile: []\n", 2, "Did you mean 'files'?"),
        ("files: []\nfiles: []\n", 2, "twice"),
        ("\nfiles: a.txt\n", 2, "must be a list"),
        ("files:\n  - helper.txt\n  - nope.txt\n", 3, "'nope.txt' does not exist"),
        ("files:\n- helper.txt\n- tools\n", 3, "declared as a file, but is a directory"),
        ("files:\n- {name: ../x, mapping: a.txt}\n", 2, "below the working directory"),
        ("files:\n- {name: x, sum: y}\n", 2, "unknown key 'sum'"),
        ("files:\n- {name: x, checksum: abc}\n", 2, "not a checksum"),
        ("argtypes:\n  a.txt: file\n  b: fil\n", 3, "file, directory, value"),
        ("environment:\n  conda: x\n", 2, "unknown key 'conda'"),
        ("results:\n  a: [b]\n", 2, "must be text"),
        ("shim: [a]\n", 1, "must be text"),
        ("canonical:\n- command: t $x\n  variables: []\n", 2, "'$x'"),
        ("canonical:\n- command: t $x\n  variables:\n  - {name: x, celltype: mixed}\n", 4, "int, float, bool, str"),
    ],
)
def test_a_mistake_in_the_yaml_file_is_told_with_its_line(text: str, line: int, mention: str) -> None:
    declare(text)
    with pytest.raises(UsageError) as info:
        plan("./tool.sh")
    assert f"tool.sh.SEAMLESS.yaml:{line}: " in str(info.value) and mention in str(info.value), str(info.value)


def test_an_empty_interface_file_says_nothing() -> None:
    declare("# nothing\n")
    assert pins(plan("./tool.sh a.txt")) == {"tool.sh": "file", "a.txt": "file"}
