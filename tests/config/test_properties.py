"""Algebra: inheritance, order of stages, templates of queues, names and keys, for any input."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seamless.config import names
from seamless.config.cluster import expand_templates
from seamless.config.commands import active, read_commands
from seamless.config.declarations import Report
from seamless.config.description import describe_config
from seamless.config.errors import ConfigurationError, Finding
from seamless.config.evaluation import evaluate
from seamless.config.launch import SERVICES
from seamless.config.nodes import parse
from tests.config.conftest import HPC, WS, Project

STAGES = st.sampled_from(["a", "b", "c"])
SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LEAVES = st.builds(lambda n: {"nparallel": n}, st.integers(1, 9))
BLOCKS = st.recursive(
    st.lists(LEAVES, max_size=3),
    lambda inner: st.lists(
        st.one_of(LEAVES, st.builds(lambda s, items: {f"stage {s}": items}, STAGES, inner)), max_size=4
    ),
    max_leaves=8,
)


@pytest.fixture(autouse=True)
def _no_site_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAMLESS_SITE_CONFIG", "")


def expected(items: list[Any], stage: str | None) -> list[int]:
    """Return the values that commands set in a stage, in order, by the plainest reading of the rules."""
    found = []
    for item in items:
        for key, value in item.items():
            if not key.startswith("stage "):
                found.append(value)
            elif key == f"stage {stage}":
                found += expected(value, stage)
    return found


@SETTINGS
@given(items=BLOCKS, stage=st.one_of(st.none(), STAGES))
def test_blocks_are_expanded_in_place(items: list[Any], stage: str | None) -> None:
    findings: list[Finding] = []
    report = Report()
    commands = read_commands(parse(yaml.safe_dump(items), "x.yaml", findings), None, report)
    assert findings + report.findings == []
    assert [command.value for command in active(commands, stage, None)] == expected(items, stage)


@SETTINGS
@given(levels=st.lists(st.tuples(st.one_of(st.none(), st.integers(1, 9)), st.booleans()), min_size=1, max_size=4))
def test_the_innermost_directory_wins_down_to_where_inheritance_ends(
    levels: list[tuple[int | None, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory: Path = tmp_path_factory.mktemp("levels")
    wanted = None
    for value, inherits in levels:  # from the outermost one
        directory = directory / "d"
        directory.mkdir()
        commands = [{"nparallel": value}] if value is not None else []
        text = yaml.safe_dump([*commands, *(["inherit_from_parent"] if inherits else [])])
        (directory / "seamless.yaml").write_text(text)
        wanted = value if value is not None else wanted if inherits else None
    assert evaluate(str(directory), check=False).nparallel == wanted


@SETTINGS
@given(values=st.lists(st.integers(1, 99), min_size=1, max_size=5), split=st.integers(0, 5))
def test_it_does_not_matter_which_of_the_files_a_command_is_in(
    values: list[int], split: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("files")
    commands = [{"nparallel": value} for value in values]
    (directory / "seamless.yaml").write_text(yaml.safe_dump(commands[:split]))
    (directory / "seamless.profile.yaml").write_text(yaml.safe_dump(commands[split:]))
    assert evaluate(str(directory), check=False).nparallel == values[-1]


FIELDS = st.dictionaries(st.sampled_from(["cores", "memory", "conda"]), st.one_of(st.none(), st.integers(1, 9)))


@SETTINGS
@given(chain=st.lists(FIELDS, min_size=1, max_size=5))
def test_a_chain_of_templates_is_a_chain_of_updates(chain: list[dict[str, Any]]) -> None:
    queues: dict[str, dict[str, Any]] = {}
    merged: dict[str, Any] = {}
    for i, fields in enumerate(chain):
        queues[f"q{i}"] = {**({"TEMPLATE": f"q{i - 1}"} if i else {}), **fields}
        merged = {**merged, **fields}
    last = expand_templates(queues)[f"q{len(chain) - 1}"]
    assert last == {name: value for name, value in merged.items() if value is not None}


@SETTINGS
@given(queues=st.dictionaries(st.sampled_from("abc"), FIELDS, min_size=1))
def test_templates_that_are_applied_need_no_second_application(queues: dict[str, dict[str, Any]]) -> None:
    once = expand_templates(queues)
    assert expand_templates(once) == once


@SETTINGS
@given(text=st.text(max_size=12))
def test_a_name_is_accepted_if_it_follows_the_pattern(text: str) -> None:
    legal = (
        re.fullmatch(names.PATTERN, text) is not None
        and not text.startswith("__")
        and not any(part in text for part in ("--", "STAGE-", "/"))
    )
    assert (names.complaint("project", text) is None) == legal


@SETTINGS
@given(text=st.text(max_size=60))
def test_no_file_makes_an_evaluation_fail_otherwise_than_by_findings(text: str) -> None:
    findings: list[Finding] = []
    report = Report()
    root = parse(text, "x.yaml", findings)
    if not findings:
        read_commands(root, None, report)
    for finding in findings + report.findings:
        assert str(finding)


YAML_WORDS = st.sampled_from(
    [
        "- ", "\n", "  ", "stage a:", "clusters:", "project: ", "x", "3", "{", "}", "[", "]", ": ", "&a ", "*a", "'",
        "queue", "null",
    ]
)  # fmt: skip


@SETTINGS
@given(words=st.lists(YAML_WORDS, max_size=14))
def test_nothing_that_looks_like_yaml_does_either(words: list[str]) -> None:
    findings: list[Finding] = []
    report = Report()
    root = parse("".join(words), "x.yaml", findings)
    if not findings:
        read_commands(root, None, report)
    for finding in findings + report.findings:
        assert str(finding)


ANYTHING = st.sampled_from(
    [
        None,
        True,
        0,
        1.5,
        "",
        "x",
        "a/b",
        "..",
        "\0",
        "é",
        "01:00:00",
        [],
        {},
        [1],
        [None],
        {"a": 1},
        {1: 2},
        "remote",
        "p q",
    ]
)


def parts(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the places of all parts of a value."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(found for key, child in children for found in parts(child, (*place, key)))]


def replaced(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    """Return a value with another part at a place."""
    if not place:
        return new
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = replaced(value[place[0]], place[1:], new)
    return copy


@SETTINGS
@given(data=st.data())
def test_whatever_stands_in_a_file_it_is_a_configuration_or_findings(project: Project, data: st.DataObject) -> None:
    files = {
        "clusters": yaml.safe_load(HPC) | yaml.safe_load(WS),
        "project": [
            {"project": "p"},
            {"cluster": data.draw(st.sampled_from(["hpc", "ws"]))},
            {"stage a": [{"queue": "q"}]},
        ],
    }
    for name in data.draw(st.lists(st.sampled_from(sorted(files)), min_size=1, max_size=2)):
        files[name] = replaced(files[name], data.draw(st.sampled_from(parts(files[name]))), data.draw(ANYTHING))
    project.clusters(yaml.safe_dump(files["clusters"]))
    project.write(yaml.safe_dump(files["project"]))
    try:
        config = project.resolve(stage=data.draw(st.sampled_from([None, "a"])), check=True)
    except ConfigurationError as error:
        assert error.findings
    else:
        assert set(describe_config(config, services=True)["services"]) == set(SERVICES)
