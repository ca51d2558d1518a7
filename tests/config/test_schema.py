"""The JSON Schemas accept what is accepted, and refuse what is refused, as far as a schema can say it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from seamless.config.commands import VALUES, clusters_schema, project_schema
from tests.config.conftest import HPC, WS

jsonschema = pytest.importorskip("jsonschema")


def accepts(schema: dict[str, Any], text: str) -> bool:
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema).is_valid(yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        "- project: p\n- inherit_from_parent\n- cluster\n- node: null\n",
        "- stage a:\n  - substage b:\n    - queue: q\n",
        "- nparallel: 3\n- record: true\n- execution: spawn\n- remote: null\n",
        f"- clusters:\n{HPC}".replace("\n", "\n    ").rstrip() + "\n",
    ],
)
def test_a_right_project_file_is_accepted(text: str) -> None:
    assert accepts(project_schema(), text)


@pytest.mark.parametrize(
    "text",
    [
        "project: p\n", "- projct: p\n", "- project: 3\n", "- project\n", "- nparallel: 0\n", "- record: 1\n",
        "- execution: null\n", "- stage a: null\n", "- stage a:\n  - x: 1\n", "- project: p\n  cluster: c\n",
        "- project: a b\n", "- clusters: {c: {}}\n", "[3]\n",
    ],
)  # fmt: skip
def test_a_wrong_project_file_is_refused(text: str) -> None:
    assert not accepts(project_schema(), text)


@pytest.mark.parametrize("text", ["", HPC, WS, HPC + WS + "local_cluster: ws\n"])
def test_a_right_cluster_file_is_accepted(text: str) -> None:
    assert accepts(clusters_schema(), text)


@pytest.mark.parametrize(
    "text",
    [
        "- c\n", "c: {}\n", "c: {frontends: []}\n", "c: {frontends: [{}], tunel: true}\n",
        "c: {frontends: [{hashserver: {}}]}\n", "c: {frontends: [{}], workers: 0}\n",
        "c: {frontends: [{}], queues: {q: {walltime: 12:00:00}}}\n", "c: {frontends: [{}], queues: {q: {x: 1}}}\n",
        "c: {frontends: [{jobserver: {network_interface: localhost}}]}\n", "local_cluster: 3\n",
    ],
)  # fmt: skip
def test_a_wrong_cluster_file_is_refused(text: str) -> None:
    assert not accepts(clusters_schema(), text)


def test_hyphens_are_accepted_in_queues() -> None:
    assert accepts(clusters_schema(), "c: {frontends: [{}], queues: {q: {job-cores: 3, TEMPLATE: null}}}\n")


def test_every_command_has_a_description() -> None:
    item = project_schema()["$defs"]["commands"]["items"]["anyOf"][1]
    assert all(item["properties"][name]["description"] for name in [*VALUES, "clusters", "inherit_from_parent"])
