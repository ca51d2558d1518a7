"""From a command line to pins, targets and code: every rule, and every way to break it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from seamless.cli.commandline.plan import Plan, PlanOptions, make_plan
from seamless.errors import UsageError

HEX = "e49c81e2d2f84e259d40e2fb8192f3bcd198b355184845d76d8f58807d0d78ee"


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a directory with a few files the current one."""
    root = tmp_path / "work"
    (root / "d" / "sub").mkdir(parents=True)
    (root / "e").mkdir()
    for name in ("a.txt", "b.txt", "plain", "a b.txt", "d/x.txt", "d/sub/y.txt", "e/x.txt", "e/z.txt.gz"):
        (root / name).write_text(name)
    for name in ("script.sh", "test", "d/tool.sh"):
        (root / name).write_text("#!/bin/bash\n")
        (root / name).chmod(0o755)
    (tmp_path / "outside.txt").write_text("outside")
    monkeypatch.chdir(root)
    return root


def plan(*command: str, **options: Any) -> Plan:
    return make_plan(PlanOptions(list(command), **options))


def pins(found: Plan) -> dict[str, str]:
    return {item.name: item.kind for item in found.inputs}


def refusal(*command: str, **options: Any) -> str:
    with pytest.raises(UsageError) as info:
        plan(*command, **options)
    return str(info.value)


LINES: list[tuple[str, list[str], str | None]] = [
    # command line, pins, command in the code (None: as it is)
    ("cat a.txt", ["a.txt"], "cat a.txt"),
    ("cat ./a.txt", ["a.txt"], "cat a.txt"),
    ("cat d/../a.txt", ["a.txt"], "cat a.txt"),
    ("ls d/", ["d"], "ls d"),
    ("ls d d/x.txt", ["d", "d/x.txt"], "ls d d/x.txt"),
    ("cat a.txt a.txt ./a.txt", ["a.txt"], "cat a.txt a.txt a.txt"),
    ("cat 'a b.txt'", ["a b.txt"], "cat 'a b.txt'"),
    ('cat "./a b.txt"', ["a b.txt"], "cat 'a b.txt'"),
    ('cat "./a.txt"', ["a.txt"], "cat a.txt"),
    ("cat a.txt | cat - b.txt", ["a.txt", "b.txt"], "cat a.txt | cat - b.txt"),
    ("cat a.txt | cat - ./b.txt; cat ./b.txt", ["a.txt", "b.txt"], "cat a.txt | cat - b.txt; cat ./b.txt"),
    ("cat a.txt; cat b.txt", ["a.txt"], "cat a.txt; cat b.txt"),
    ("(cat a.txt; cat ./b.txt) | sort", ["a.txt", "b.txt"], "(cat a.txt; cat b.txt) | sort"),
    ("cat a.txt | while read x; do ls ./d; done", ["a.txt", "d"], "cat a.txt | while read x; do ls d; done"),
    ("cat a.txt | while read x; do echo $x.txt; done", ["a.txt"], None),
    ("(cat a.txt | sort -k1.2; echo)", ["a.txt"], None),
    ("for x in 1 2; do cat a.txt | sort -k1.2; done", ["a.txt"], None),
    ("cat 2>/dev/null ./a.txt 3>&1", ["a.txt"], "cat 2>/dev/null a.txt 3>&1"),
    ("cat a.txt 2>/dev/null b.txt", ["a.txt"], None),
    ("A=1; B=2; cat ./a.txt", ["a.txt"], "A=1; B=2; cat a.txt"),
    ("echo $(ls ./d)", ["d"], "echo $(ls d)"),
    ('echo "x$(ls ./d)" `ls ./e`', ["d", "e"], 'echo "x$(ls d)" `ls e`'),
    ("x=$(ls ./d); echo $x; ls e", ["d"], "x=$(ls d); echo $x; ls e"),
    ("for f in $(ls ./d); do ls e; done", ["d"], "for f in $(ls d); do ls e; done"),
    ("for f in $(ls d); do echo; done | ls e", ["d", "e"], None),
    ("seq 3 | cat - $(ls d $(ls ./e))", ["d", "e"], "seq 3 | cat - $(ls d $(ls e))"),
    ("diff <(ls d) <(cd d; ls e)", ["d", "e"], None),
    ("echo ${x:-$(ls d)} $((1 + $(ls e)))", [], None),
    ("cat <<E\n$(ls d)\nE", [], None),
    ("echo; echo $(ls d)", [], None),
    ("cat a.txt && cat b.txt", ["a.txt"], "cat a.txt && cat b.txt"),
    ("cat a.txt\ncat b.txt", ["a.txt"], "cat a.txt\ncat b.txt"),
    ("(cat a.txt | cat - b.txt)", ["a.txt", "b.txt"], "(cat a.txt | cat - b.txt)"),
    ("for f in a.txt b.txt; do cat $f; done", [], "for f in a.txt b.txt; do cat $f; done"),
    ("A=1 cat a.txt", ["a.txt"], "A=1 cat a.txt"),
    ("cat < a.txt", ["a.txt"], "cat < a.txt"),
    ("cat < ./a.txt", ["a.txt"], "cat < a.txt"),
    ("cat < plain", ["plain"], "cat < plain"),
    ("cat < missing", [], "cat < missing"),
    ("while read x; do echo $x; done < a.txt", ["a.txt"], "while read x; do echo $x; done < a.txt"),
    ("cat a.txt; cat < b.txt", ["a.txt", "b.txt"], "cat a.txt; cat < b.txt"),
    ("cat <<EOF\na.txt\nEOF", [], "cat <<EOF\na.txt\nEOF"),
    ("cat <<< a.txt", [], "cat <<< a.txt"),
    ("cat a.txt 2>&1", ["a.txt"], "cat a.txt 2>&1"),
    ("cat a.txt >&2", ["a.txt"], "cat a.txt >&2"),
    ("cat a.txt > /dev/null", ["a.txt"], "cat a.txt > /dev/null"),
    ("cat a.txt 2> err", ["a.txt"], "cat a.txt 2> err"),
    ("cat 2>/dev/null b.txt", [], "cat 2>/dev/null b.txt"),
    ("echo 0.5 1e3 -3.5", [], "echo 0.5 1e3 -3.5"),
    ("sed s/a/b/ a.txt", ["a.txt"], "sed s/a/b/ a.txt"),
    ("echo /dev/null .hidden foo.", [], "echo /dev/null .hidden foo."),
    ("exec 3< a.txt; cat <&3", ["a.txt"], "exec 3< a.txt; cat <&3"),
]


@pytest.mark.parametrize(("line", "names", "command"), LINES, ids=[line for line, _, _ in LINES])
def test_the_inputs_of_a_line_become_pins(line: str, names: list[str], command: str | None) -> None:
    found = plan(line)
    assert [item.name for item in found.inputs] == names
    assert found.code == f"(\n{line if command is None else command}\n) > RESULT\n"
    assert found.targets == []


@pytest.mark.parametrize(
    ("line", "target", "code"),
    [
        ("cat a.txt > out", "out", "mkdir -p RESULT/\ncat a.txt > out\nmv out RESULT/\n"),
        ("cat a.txt >> out", "out", "mkdir -p RESULT/\ncat a.txt >> out\nmv out RESULT/\n"),
        ("cat a.txt &> out", "out", "mkdir -p RESULT/\ncat a.txt &> out\nmv out RESULT/\n"),
        ("cat a.txt >& out", "out", "mkdir -p RESULT/\ncat a.txt >& out\nmv out RESULT/\n"),
        ("cat a.txt >| out", "out", "mkdir -p RESULT/\ncat a.txt >| out\nmv out RESULT/\n"),
        ("cat a.txt 1> out 2>&1", "out", "mkdir -p RESULT/\ncat a.txt 1> out 2>&1\nmv out RESULT/\n"),
        ("cat a.txt 3> out", "out", "mkdir -p RESULT/\ncat a.txt 3> out\nmv out RESULT/\n"),
        ("cat a.txt > out 2> err", "out", "mkdir -p RESULT/\ncat a.txt > out 2> err\nmv out RESULT/\n"),
        ("cat < a.txt > out", "out", "mkdir -p RESULT/\ncat < a.txt > out\nmv out RESULT/\n"),
        ("> out", "out", "mkdir -p RESULT/\n> out\nmv out RESULT/\n"),
        (": > out", "out", "mkdir -p RESULT/\n: > out\nmv out RESULT/\n"),
        ("echo a; echo b > out", "out", "mkdir -p RESULT/\necho a; echo b > out\nmv out RESULT/\n"),
        ("(echo a; echo b) > out", "out", "mkdir -p RESULT/\n(echo a; echo b) > out\nmv out RESULT/\n"),
        ("echo a > d/out", "d/out", "mkdir -p RESULT/d\necho a > d/out\nmv d/out RESULT/d\n"),
        ("echo a > ./out", "out", "mkdir -p RESULT/\necho a > ./out\nmv out RESULT/\n"),
        ("echo a > 'my out'", "my out", "mkdir -p RESULT/\necho a > 'my out'\nmv 'my out' RESULT/\n"),
        ("echo a > é.txt", "é.txt", "mkdir -p RESULT/\necho a > é.txt\nmv é.txt RESULT/\n"),
        ("echo a > $PWD/out", "out", "mkdir -p RESULT/\necho a > $PWD/out\nmv out RESULT/\n"),
        ("echo a > /dev/null > out", "out", "mkdir -p RESULT/\necho a > /dev/null > out\nmv out RESULT/\n"),
        ("cat <<E > out\nx\nE", "out", "mkdir -p RESULT/\ncat <<E > out\nx\nE\nmv out RESULT/\n"),
    ],
)
def test_the_redirection_of_the_last_command_is_a_target(line: str, target: str, code: str) -> None:
    found = plan(line)
    assert [item.name for item in found.targets] == [target]
    assert found.code == code


def test_an_absolute_target_below_the_working_directory_becomes_relative(workspace: Path) -> None:
    found = plan(f"cat a.txt > {workspace}/o3.txt")
    assert [item.name for item in found.targets] == ["o3.txt"]
    assert found.code == "mkdir -p RESULT/\ncat a.txt > o3.txt\nmv o3.txt RESULT/\n"


def test_a_target_in_the_home_directory_that_is_below_the_working_directory_becomes_relative(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(workspace / "d"))
    assert plan("echo a > ~/out").code == "mkdir -p RESULT/d\necho a > d/out\nmv d/out RESULT/d\n"


@pytest.mark.parametrize("line", ["cat a.txt > x; cat a.txt", "cat a.txt > x | cat", "cat $(echo > x)"])
def test_the_redirection_of_an_earlier_command_is_no_target(line: str) -> None:
    assert plan(line, guess1=False).targets == []


def test_a_file_that_the_line_writes_first_is_no_input(workspace: Path) -> None:
    (workspace / "x").write_text("left from an earlier run")
    assert pins(plan("cat a.txt > x; cat < x")) == {"a.txt": "file"}


@pytest.mark.parametrize(
    ("line", "mentions"),
    [
        ("cat a.txt > x > y", ["Multiple redirects in the last command", "'x'", "'y'", "-cp"]),
        ("(cat a.txt > x) > y", ["Multiple redirects"]),
        ("cat a.txt > ../x", ["'../x'", "not below the working directory", "-cp"]),
        ("cat a.txt > /x", ["'/x'", "not below the working directory", "^^"]),
        ("cat a.txt > /dev/sda", ["/dev/sda", "device"]),
        ("cat a.txt > RESULT", ["RESULT", "reserved"]),
        ("cat a.txt > $out", ["$out", "known before", "-cp"]),
        ("cat a.txt > d/..", ["not below"]),
    ],
)
def test_a_target_that_cannot_be_is_refused(line: str, mentions: list[str]) -> None:
    message = refusal(line)
    assert all(mention in message for mention in mentions), message


@pytest.mark.parametrize(
    ("line", "mentions"),
    [
        ("cat missing.txt", ["Argument #2 'missing.txt'", "does not exist", "-g1", "      ^^^^^^^^^^^"]),
        ("./missing.sh a.txt", ["Argument #1 './missing.sh'", "-g1"]),
        ("cat a.txt | cat missing.txt", ["Argument #4 'missing.txt'", "-g1"]),
        ("sort -k1.2 a.txt", ["Argument #2 '-k1.2'", "-g1", "values"]),
        ("curl http://x.org/y.html", ["http://x.org/y.html", "-g1"]),
        ("cat $(echo a.txt)", ["$(echo a.txt)", "-g1"]),
        ("cat plain", ["Argument #2 'plain'", "-g2", "-i plain"]),
        ("ls nodir/", ["Argument #2 'nodir/'", "directory"]),
        ("ls a.txt/", ["'a.txt/'", "directory"]),
        ("cat ../outside.txt", ["'../outside.txt'", "not under the current working directory", "-ms"]),
        ("cat d/../../outside.txt", ["not under the current working directory", "-ms"]),
        ("ls /", ["Argument #2 '/'", "not under"]),
        ("   # nothing", ["empty"]),
        ("cat 'a.txt", ["column 5", "never closed"]),
    ],
)
def test_a_line_that_breaks_a_rule_is_refused_with_the_ways_out(line: str, mentions: list[str]) -> None:
    message = refusal(line)
    assert all(mention in message for mention in mentions), message


def test_a_directory_with_an_extension_is_refused_by_rule_1_and_accepted_with_a_slash(workspace: Path) -> None:
    (workspace / "d.x").mkdir()
    assert "is a directory" in refusal("ls d.x")
    assert pins(plan("ls d.x/")) == {"d.x": "directory"}


def test_g1_drops_rule_1() -> None:
    assert pins(plan("cat a.txt missing.txt -k1.2", guess1=False)) == {"a.txt": "file"}


def test_g2_drops_rule_2() -> None:
    assert pins(plan("cat plain", guess2=False)) == {"plain": "file"}


def test_an_input_given_by_option_is_exempt_from_rule_2() -> None:
    assert pins(plan("cat plain", inputs=["plain"])) == {"plain": "file"}


@pytest.mark.parametrize("mapping", ["literal", "strip", "extension"])
@pytest.mark.parametrize("line", ["ls .", "find ./ -type f", "ls d/.."])
def test_the_working_directory_itself_is_no_input(line: str, mapping: Any) -> None:
    assert "is the current working directory" in refusal(line, mapping=mapping)


def test_the_working_directory_is_an_input_where_names_begin_above_it(workspace: Path) -> None:
    assert pins(plan("ls .", base_directory="..")) == {"work": "directory"}


@pytest.mark.parametrize("name", ["code", "pins_", "bashcode", "RESULT", "STDOUT", "transform.sh"])
def test_a_reserved_name_is_no_input(name: str, workspace: Path) -> None:
    (workspace / name).write_text("x")
    message = refusal("cat", inputs=[name])
    assert name in message and "reserved" in message


@pytest.mark.parametrize("name", ["META__x.txt", "__x__.txt", "RESULT/x.txt"])
def test_a_name_in_a_reserved_space_is_no_input(name: str, workspace: Path) -> None:
    (workspace / name).parent.mkdir(exist_ok=True)
    (workspace / name).write_text("x")
    message = refusal("cat", name)
    assert name in message and "reserved" in message and "^" in message
    assert plan("cat", name, mapping="extension").inputs[0].name == "file1.txt"


# --- sidecars ---------------------------------------------------------------------------------------------------------


def test_a_sidecar_alone_makes_a_pin(workspace: Path) -> None:
    (workspace / "c.txt.CHECKSUM").write_text(f"# note\n {HEX}\n")
    (item,) = plan("cat c.txt").inputs
    assert (item.name, item.kind, item.path, item.checksum) == ("c.txt", "file", None, HEX)


def test_a_sidecar_beside_its_file_gives_path_and_checksum(workspace: Path) -> None:
    (workspace / "a.txt.CHECKSUM").write_text(HEX)
    (item,) = plan("cat a.txt").inputs
    assert (item.path, item.checksum) == ("a.txt", HEX)


@pytest.mark.parametrize("word", ["q", "q/"])
def test_a_sidecar_with_an_index_is_a_directory(word: str, workspace: Path) -> None:
    (workspace / "q.CHECKSUM").write_text(HEX)
    (workspace / "q.INDEX").write_text("{}\n")
    (item,) = plan("ls", word).inputs
    assert (item.name, item.kind, item.path, item.checksum) == ("q", "directory", None, HEX)


def test_a_sidecar_is_named_without_the_compression_suffix(workspace: Path) -> None:
    (workspace / "z.txt.CHECKSUM").write_text(HEX)
    (item,) = plan("zcat z.txt.gz").inputs
    assert (item.name, item.checksum) == ("z.txt.gz", HEX)


def test_a_sidecar_makes_a_pin_of_a_word_without_extension(workspace: Path) -> None:
    (workspace / "plain.CHECKSUM").write_text(HEX)
    assert pins(plan("cat plain")) == {"plain": "file"}


@pytest.mark.parametrize("content", ["", "abc\n", HEX.upper(), HEX + HEX, "\xff"])
def test_a_sidecar_without_a_checksum_is_refused(content: str, workspace: Path) -> None:
    (workspace / "a.txt.CHECKSUM").write_bytes(content.encode("latin-1"))
    message = refusal("cat a.txt")
    assert "Argument #2 'a.txt', .CHECKSUM file exists, but does not contain a valid checksum" in message


def test_a_word_that_names_a_sidecar_is_an_ordinary_file(workspace: Path) -> None:
    (workspace / "a.txt.CHECKSUM").write_text(HEX)
    (item,) = plan("cat a.txt.CHECKSUM").inputs
    assert (item.name, item.checksum) == ("a.txt.CHECKSUM", None)


def test_an_input_that_is_being_computed_is_waited_for(workspace: Path) -> None:
    (workspace / "f.txt.FUTURE").write_text("x")
    waited = []

    def wait(path: str) -> None:
        waited.append(path)
        (workspace / "f.txt.CHECKSUM").write_text(HEX)

    found = make_plan(PlanOptions(["cat f.txt"]), wait_future=wait)
    assert waited == ["f.txt.FUTURE"]
    assert found.inputs[0].checksum == HEX


# --- results ----------------------------------------------------------------------------------------------------------


def test_a_word_that_is_a_result_is_no_input_whether_it_exists_or_not(workspace: Path) -> None:
    before = plan("cp a.txt z9.out", captures=["z9.out"], guess1=False)
    (workspace / "z9.out").write_text("from the first run")
    after = plan("cp a.txt ./z9.out", captures=["z9.out"])
    assert pins(before) == pins(after) == {"a.txt": "file"}


def test_a_result_given_as_an_input_is_both(workspace: Path) -> None:
    found = plan("sort -o a.txt a.txt", captures=["a.txt"], inputs=["a.txt"])
    assert pins(found) == {"a.txt": "file"}
    assert [item.name for item in found.targets] == ["a.txt"]


def test_captures_come_in_order_with_their_local_names() -> None:
    found = plan("make it", captures=["out.txt", "d2:dlocal", ":log.txt", "out.txt:mine.txt"])
    assert [(item.name, item.local) for item in found.targets] == [
        ("out.txt", "mine.txt"),
        ("d2", "dlocal"),
        ("STDOUT", "log.txt"),
    ]
    assert found.capture_stdout
    assert found.code == (
        "mkdir -p RESULT/\n(\nmake it\n) > STDOUT\nmv out.txt RESULT/\nmv d2 RESULT/\nmv STDOUT RESULT/\n"
    )


def test_the_redirection_is_the_last_target_and_keeps_the_local_name_of_a_capture() -> None:
    found = plan("make it > z", captures=["z:local", "y"])
    assert [(item.name, item.local) for item in found.targets] == [("z", "local"), ("y", None)]


@pytest.mark.parametrize("capture", ["", ":", "a:", "../x", "/x", "RESULT", "a:b,a:c"])
def test_a_capture_that_cannot_be_is_refused(capture: str) -> None:
    assert "-cp" in refusal("echo", captures=capture.split(",") if "," in capture else [capture])


def test_a_lost_redirection_is_warned_of() -> None:
    found = plan("cat a.txt | (sort; cat) > out")
    assert found.targets == [] and "-cp out" in found.warnings[0]


# --- executables ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("./script.sh 3", "export PATH=./:$PATH\nchmod +x 'script.sh'\n(\nscript.sh 3\n) > RESULT\n"),
        ("script.sh 3", "export PATH=./:$PATH\nchmod +x 'script.sh'\n(\nscript.sh 3\n) > RESULT\n"),
        ("./d/tool.sh 3", "chmod +x 'd/tool.sh'\n(\nd/tool.sh 3\n) > RESULT\n"),
        ("./test 3", "export PATH=./:$PATH\nchmod +x 'test'\n(\n./test 3\n) > RESULT\n"),
        (
            "./script.sh 3 | d/tool.sh",
            "export PATH=./:$PATH\nchmod +x 'script.sh' 'd/tool.sh'\n(\nscript.sh 3 | d/tool.sh\n) > RESULT\n",
        ),
        ("bash script.sh", "(\nbash script.sh\n) > RESULT\n"),
        ("test 3", "(\ntest 3\n) > RESULT\n"),
        ("source script.sh", "(\nsource script.sh\n) > RESULT\n"),
    ],
)
def test_a_file_that_is_run_is_made_executable(line: str, code: str) -> None:
    assert plan(line).code == code


def test_a_script_of_a_later_command_is_made_executable_if_it_is_an_input() -> None:
    found = plan("echo a; ./script.sh", inputs=["script.sh"])
    assert found.code == "chmod +x './script.sh'\n(\necho a; ./script.sh\n) > RESULT\n"


def test_a_script_of_a_later_command_is_rewritten_only_where_it_would_not_be_found(workspace: Path) -> None:
    found = plan(f"echo a; {workspace}/script.sh", inputs=["script.sh"])
    assert found.code == "export PATH=./:$PATH\nchmod +x 'script.sh'\n(\necho a; script.sh\n) > RESULT\n"


def test_a_script_of_a_later_command_is_known_by_the_name_that_it_has_in_the_workspace() -> None:
    found = plan("echo a; tool.sh; ./script.sh", inputs=["d/tool.sh", "script.sh"], mapping="strip")
    assert found.code.startswith(
        "export PATH=./:$PATH\nchmod +x 'tool.sh' './script.sh'\n(\necho a; tool.sh; ./script.sh"
    )


def test_a_script_in_a_directory_that_is_an_input_is_made_executable() -> None:
    found = plan("echo a; d/tool.sh", inputs=["d"])
    assert found.code == "chmod +x 'd/tool.sh'\n(\necho a; d/tool.sh\n) > RESULT\n" and found.warnings == []


def test_a_script_of_a_later_command_that_is_no_input_is_warned_of() -> None:
    found = plan("echo a; ./script.sh")
    assert found.inputs == [] and "-i ./script.sh" in found.warnings[0]


def test_a_tool_of_the_system_is_left_alone_also_by_path_or_with_a_file_of_its_name(workspace: Path) -> None:
    (workspace / "cat").write_text("x")
    assert pins(plan("cat a.txt")) == pins(plan("/bin/cat a.txt")) == {"a.txt": "file"}


def test_a_tool_elsewhere_on_the_path_is_an_input(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{workspace}/d:{os.environ['PATH']}")
    found = plan("tool.sh 3")
    assert found.inputs[0].name == "d/tool.sh" and found.inputs[0].executable
    assert "\nd/tool.sh 3\n" in found.code


def test_a_tool_elsewhere_on_the_path_that_can_be_no_pin_is_left_alone_with_a_warning(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / "script.sh").rename(workspace.parent / "mytool")
    monkeypatch.setenv("PATH", f"{workspace.parent}:{os.environ['PATH']}")
    found = plan("mytool a.txt")
    assert pins(found) == {"a.txt": "file"} and found.code == "(\nmytool a.txt\n) > RESULT\n"
    assert "-ms" in found.warnings[0]
    stripped = plan("mytool a.txt", mapping="strip")
    assert list(pins(stripped)) == ["mytool", "a.txt"] and "chmod +x 'mytool'" in stripped.code


def test_a_tool_below_a_local_bin_is_an_input(workspace: Path) -> None:
    (workspace / "bin").mkdir()
    (workspace / "bin" / "t").write_text("x")
    (workspace / "bin" / "t").chmod(0o755)
    assert "chmod +x 'bin/t'\n(\nbin/t 1\n)" in plan("./bin/t 1").code


def test_looking_for_a_tool_runs_no_shell(workspace: Path) -> None:
    plan('"a;touch pwned" x', guess1=False)
    plan("'$(touch pwned)' x", guess1=False)
    assert not (workspace / "pwned").exists()


def test_names_with_quotes_are_quoted(workspace: Path) -> None:
    (workspace / "it's").write_text("#!/bin/sh\n")
    found = plan("./it\\'s > \"o'o\"")
    assert "chmod +x 'it'\"'\"'s'\n" in found.code
    assert found.code.endswith("'it'\"'\"'s' > \"o'o\"\nmv 'o'\"'\"'o' RESULT/\n")


# --- --primary --------------------------------------------------------------------------------------------------------


def test_the_primary_command_is_the_one_that_is_typed_and_rewritten() -> None:
    found = plan("cat ./a.txt; cat ./b.txt | cat - ./a.txt", primary=2)
    assert [(item.name, item.position) for item in found.inputs] == [("b.txt", 2), ("a.txt", 5)]
    assert found.command == "cat ./a.txt; cat b.txt | cat - a.txt"


@pytest.mark.parametrize("number", [0, -1, 3])
def test_a_primary_command_that_is_not_there_is_refused(number: int) -> None:
    assert f"--primary {number}: the command line has 2 commands" in refusal("echo a; echo b", primary=number)


# --- mapping ----------------------------------------------------------------------------------------------------------


def test_an_absolute_word_becomes_relative(workspace: Path) -> None:
    assert plan(f"cat {workspace}/d/x.txt").command == "cat d/x.txt"


def test_a_word_below_the_logical_working_directory_becomes_relative(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = workspace.parent / "link"
    link.symlink_to(workspace)
    monkeypatch.setenv("PWD", str(link))
    assert plan(f"cat {link}/a.txt").command == "cat a.txt"


def test_the_base_directory_counts_for_names_but_not_for_looking_up(workspace: Path) -> None:
    assert plan("cat d/x.txt", base_directory="d").command == "cat x.txt"
    found = plan("cat a.txt", base_directory="..")
    assert (found.command, found.inputs[0].path) == ("cat work/a.txt", "a.txt")
    assert "not under the base directory" in refusal("cat a.txt", base_directory="d")
    assert "no such directory" in refusal("cat a.txt", base_directory="nowhere")
    assert plan("cat a.txt", base_directory="/").inputs[0].name == str(workspace / "a.txt")[1:]


def test_strip_keeps_base_names_and_refuses_two_files_with_one() -> None:
    assert plan("cat ../outside.txt d/x.txt", mapping="strip").command == "cat outside.txt x.txt"
    message = refusal("cat d/x.txt e/x.txt", mapping="strip")
    assert 'Two different mappings for argument "e/x.txt"' in message and "-mx" in message


def test_extension_numbers_the_files_and_keeps_directories() -> None:
    found = plan("cat d/x.txt ./d/x.txt e/z.txt.gz d", mapping="extension", inputs=["plain"])
    assert found.command == "cat file1.txt file1.txt file2.txt.gz d"
    assert [item.name for item in found.inputs] == ["file1.txt", "file2.txt.gz", "d", "file3"]


# --- inputs given by option -------------------------------------------------------------------------------------------


def test_an_input_option_adds_a_pin_and_leaves_the_code() -> None:
    found = plan("cat a.txt", inputs=["./b.txt", "d"])
    assert pins(found) == {"a.txt": "file", "b.txt": "file", "d": "directory"}
    assert found.command == "cat a.txt"


def test_a_missing_input_is_refused() -> None:
    assert refusal("cat", inputs=["nope"]) == "input argument 'nope': file/directory does not exist"


def test_a_pattern_of_inputs_is_expanded_in_order(workspace: Path) -> None:
    assert list(pins(plan("cat", inputs=["?.txt"]))) == ["a.txt", "b.txt"]
    (workspace / "?.txt").write_text("a file of that name")
    assert list(pins(plan("cat", inputs=["?.txt"]))) == ["?.txt"]
    assert "does not exist" in refusal("cat", inputs=["no*"])


def test_an_input_file_lists_names_relative_to_its_directory(workspace: Path) -> None:
    (workspace / "d" / "in.lst").write_text("x.txt\n\n  sub \n\n")
    assert pins(plan("cat", input_files=["d/in.lst"])) == {"d/x.txt": "file", "d/sub": "directory"}


def test_a_mistake_in_an_input_file_names_the_line(workspace: Path) -> None:
    (workspace / "in.lst").write_text("a.txt\nnope\n")
    assert "in.lst:2: input argument 'nope'" in refusal("cat", input_files=["in.lst"])
    assert "cannot read" in refusal("cat", input_files=["missing.lst"])


# --- variables --------------------------------------------------------------------------------------------------------


def test_variables_are_strings_split_at_the_first_sign() -> None:
    found = plan("echo $a", variables=["a=1=2", "b=", "a=1=2"])
    assert found.variables == {"a": ("str", "1=2"), "b": ("str", "")}


def test_metavars_are_exported_in_order_of_their_names() -> None:
    found = plan("echo $T", metavars=["T=8", "A=x"])
    assert found.metavars == {"T": "8", "A": "x"}
    assert found.code == 'export A="${META__A}"\nexport T="${META__T}"\n(\necho $T\n) > RESULT\n'


@pytest.mark.parametrize(
    ("options", "mention"),
    [
        ({"variables": ["a"]}, "NAME=VALUE"),
        ({"variables": ["1a=2"]}, "'1a'"),
        ({"variables": ["é=2"]}, "'é'"),
        ({"variables": ["a=1", "a=2"]}, "twice"),
        ({"variables": ["code=1"]}, "reserved"),
        ({"variables": ["__x=1"]}, "reserved"),
        ({"variables": ["META__x=1"]}, "reserved"),
        ({"variables": ["PATH=/x"]}, "PATH"),
        ({"variables": ["plain=1"], "inputs": ["plain"]}, "'plain'"),
        ({"metavars": ["meta__x=1"]}, "META__"),
        ({"metavars": ["=1"]}, "not a valid name"),
        ({"metavars": ["a=1"], "variables": ["a=1"]}, "'a'"),
    ],
)
def test_a_variable_that_cannot_be_is_refused(options: dict[str, Any], mention: str) -> None:
    assert mention in refusal("echo", **options)


# --- the words of the command line ------------------------------------------------------------------------------------


def test_words_are_joined_without_quotes_and_a_changed_word_is_warned_of() -> None:
    found = plan("cat", "a b.txt", guess1=False)
    assert found.command == "cat a b.txt"
    assert "'a b.txt'" in found.warnings[0] and "-c" in found.warnings[0] and "--exact" in found.warnings[0]


@pytest.mark.parametrize("words", [["cat", "a.txt"], ["cat 'a b.txt'"], ["echo", "{}", "a=b", "é"]])
def test_words_that_do_not_change_are_not_warned_of(words: list[str]) -> None:
    assert plan(*words).warnings == []


def test_warnings_go_to_the_caller_who_asks_for_them() -> None:
    told: list[str] = []
    found = make_plan(PlanOptions(["echo", "a b"]), warn=told.append)
    assert len(told) == 1 and found.warnings == []


def test_exact_quotes_the_words_that_need_it() -> None:
    assert plan("cat", "a b.txt", exact=True).command == "cat 'a b.txt'"
    assert plan("cat", "a.txt", exact=True).code == plan("cat", "a.txt").code
    assert plan("A=1", "b;c", exact=True).command == "'A=1' 'b;c'"


def test_unquote_takes_exactly_one_word() -> None:
    assert plan("cat a.txt", unquote=True).code == plan("cat", "a.txt").code
    assert "Unquote requires a single argument" in refusal("cat", "a.txt", unquote=True)
    assert "no command" in refusal()


def test_prologues_come_before_the_command_and_are_not_typed() -> None:
    found = plan("cat ./a.txt", prologues=["cat ./b.txt", "export A=1"], pipefail=True)
    assert found.command == "set -o pipefail; cat ./b.txt; export A=1; cat a.txt"
    assert pins(found) == {"a.txt": "file"}


def test_the_environment_is_handed_on() -> None:
    assert plan("echo", conda="env", docker="img:1").environment == {
        "conda_environment": "env",
        "docker_image": "img:1",
    }


def test_a_line_that_is_not_utf8_is_refused() -> None:
    assert "not valid UTF-8" in refusal("echo \udcff")


def test_names_are_relative_to_the_directory_that_is_given(workspace: Path) -> None:
    found = make_plan(PlanOptions(["cat x.txt sub/y.txt"]), cwd=str(workspace / "d"))
    assert [(item.name, item.path) for item in found.inputs] == [
        ("x.txt", str(workspace / "d" / "x.txt")),
        ("sub/y.txt", str(workspace / "d" / "sub/y.txt")),
    ]


def test_a_script_known_by_its_sidecar_only_is_made_executable(workspace: Path) -> None:
    (workspace / "far.sh.CHECKSUM").write_text(HEX)
    found = plan("./far.sh 1")
    assert found.inputs[0].executable and "chmod +x 'far.sh'\n(\nfar.sh 1\n)" in found.code


@pytest.mark.parametrize(
    ("line", "options", "warned"),
    [
        ("ls d/*", {}, ["'d/*' stands for d/sub and others here", "-i 'd/*'"]),
        ("ls d/s?b", {}, ["'d/s?b' stands for d/sub here"]),
        ("echo; ls d/*", {}, ["'d/*' stands for"]),
        ("ls d/*", {"inputs": ["d"]}, []),
        ("cat d/*.txt", {"inputs": ["d/x.txt"], "guess1": False}, []),
        ("ls 'd/*'", {}, []),
        ("ls nothing*", {}, []),
        ("expr 2 * 3", {"inputs": ["a.txt"]}, []),
        ("echo d/*", {}, []),
    ],
)
def test_a_pattern_of_files_that_are_no_inputs_is_warned_of(
    line: str, options: dict[str, Any], warned: list[str]
) -> None:
    found = plan(line, **options).warnings
    assert (len(found), [part for part in warned if part not in "".join(found)]) == (1 if warned else 0, [])


def test_a_pattern_that_breaks_rule_1_is_refused_with_the_way_to_declare_its_files() -> None:
    assert "-g1 -i '*.txt'" in refusal("cat *.txt")
