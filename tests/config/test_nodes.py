"""YAML with places: what is read, what is refused, and where the finger points."""

from __future__ import annotations

import os

import pytest

from seamless.config.errors import Finding
from seamless.config.nodes import parse, read_file


def plain(text: str) -> object:
    findings: list[Finding] = []
    node = parse(text, "/p/seamless.yaml", findings)
    assert findings == []
    return None if node is None else node.plain()


def complaints(text: str) -> list[str]:
    findings: list[Finding] = []
    assert parse(text, "/p/seamless.yaml", findings) is None
    return [str(finding).splitlines()[0] for finding in findings]


def test_anchors_aliases_and_merge_keys_work() -> None:
    text = "base: &b {cores: 1, memory: 2G}\nq: {<<: *b, cores: 4}\nr: *b\nl: {<<: [*b, {x: 1, cores: 9}]}\n"
    assert plain(text) == {
        "base": {"cores": 1, "memory": "2G"},
        "q": {"cores": 4, "memory": "2G"},
        "r": {"cores": 1, "memory": "2G"},
        "l": {"cores": 1, "memory": "2G", "x": 1},
    }


def test_words_are_booleans_as_in_yaml_1_1() -> None:
    assert plain("[yes, no, on, off, true, null, ~, 1, 1.5, 'yes', =]") == [
        True, False, True, False, True, None, None, 1, 1.5, "yes", "=",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("- a\n- a: 1\n  a: 2\n", "/p/seamless.yaml:3:3: duplicate key 'a'; it is already in line 2"),
        ("- a: [\n", "/p/seamless.yaml:2:1: YAML: "),
        ("- a:\n\t- b\n", "indent with blanks, not with tabs"),
        ("- a\n---\n- b\n", "/p/seamless.yaml:2:1: YAML: expected a single document"),
        ("- !!python/object/apply:os.system [x]\n", "/p/seamless.yaml:1:3: the tag"),
        ("- !!int x\n", "cannot be read"),
        ('- !!int ""\n', "/p/seamless.yaml:1:3: '' cannot be read"),
        ("- !!bool x\n", "'x' cannot be read"),
        ("- !own x\n", "the tag '!own' is not permitted here"),
        ("- &a [*a]\n", "refers to itself"),
        ("- 2024-02-31\n", "/p/seamless.yaml:1:3: '2024-02-31' cannot be read"),
        ("- *nowhere\n", "/p/seamless.yaml:1:3: YAML: found undefined alias"),
        ("- {<<: 3}\n", "'<<' expects a mapping"),
        ("- \x01\n", "YAML: "),
    ],
)
def test_a_mistake_in_the_syntax_is_a_finding_with_its_place(text: str, complaint: str) -> None:
    (found,) = complaints(text)
    assert complaint in found


def test_a_few_lines_that_stand_for_billions_of_items_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert "stand for more than" in complaints("\n".join(lines))[0]


def test_very_deep_nesting_is_a_finding() -> None:
    assert "nested too deeply" in complaints("[" * 20_000 + "]" * 20_000)[0]


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n"])
def test_an_empty_file_has_no_tree(text: str) -> None:
    assert plain(text) is None


def test_a_file_that_is_not_utf8_is_a_finding_with_the_line(tmp_path: object) -> None:
    path = os.path.join(str(tmp_path), "x.yaml")
    with open(path, "wb") as file:
        file.write(b"- a\n- \xff\n")
    findings: list[Finding] = []
    assert read_file(path, findings) is None
    assert "x.yaml:2:1: this is not UTF-8 (byte 6: 0xff)" in str(findings[0])


def test_a_byte_order_mark_is_no_mistake(tmp_path: object) -> None:
    path = os.path.join(str(tmp_path), "x.yaml")
    with open(path, "wb") as file:
        file.write(b"\xef\xbb\xbf- a\n")
    findings: list[Finding] = []
    node = read_file(path, findings)
    assert node is not None
    assert (node.plain(), findings) == (["a"], [])


def test_a_missing_file_is_a_finding() -> None:
    findings: list[Finding] = []
    assert read_file("/nowhere/x.yaml", findings) is None
    assert "cannot be read: No such file" in findings[0].message


def test_a_pipe_is_not_waited_for(tmp_path: object) -> None:
    path = os.path.join(str(tmp_path), "pipe.yaml")
    os.mkfifo(path)
    findings: list[Finding] = []
    assert read_file(path, findings) is None
    assert "not a regular file" in findings[0].message


def test_the_caret_stands_under_what_is_meant() -> None:
    findings: list[Finding] = []
    node = parse("- cluster: hpc\n", "/p/x.yaml", findings)
    assert node is not None
    value = node.value[0].get("cluster")
    assert str(Finding("no", value.place)) == "/p/x.yaml:1:12: no\n  1 | - cluster: hpc\n    |            ^^^"
