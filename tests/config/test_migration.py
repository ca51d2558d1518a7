"""Files of earlier versions, rewritten: what is told is changed, all the rest stays."""

from __future__ import annotations

import pytest

from seamless.config import ConfigurationError
from seamless.config.migration import migrate


def test_a_project_file_gets_the_present_spellings() -> None:
    old = "# mine\n- stageprod:   # glued\n  - project: p\n  - substagex: [node: n]\n- inherit_from_parent: false\n"
    new, changes = migrate(old, "seamless.yaml")
    assert new == (
        "# mine\n- stage prod:   # glued\n  - project: p\n  - substage x: [node: n]\n- inherit_from_parent: true\n"
    )
    assert [change.split(": ")[0] for change in changes] == [
        "seamless.yaml:2:3", "seamless.yaml:4:5", "seamless.yaml:5:24",
    ]  # fmt: skip


def test_a_cluster_file_gets_images_and_underscores() -> None:
    old = (
        "c:\n  frontends:\n    - hashserver: {bufferdir: /b, conda: hs}  # here\n"
        "  queues:\n    q: {conda: dask, job-cores: 3}\n    r: {conda: other}\n"
    )
    new, changes = migrate(old, "clusters.yaml", {"hs": "storage", "dask": "worker"})
    assert new == (
        "c:\n  frontends:\n    - hashserver: {bufferdir: /b, image: storage}  # here\n"
        "  queues:\n    q: {image: worker, job_cores: 3}\n    r: {conda: other}\n"
    )
    assert len(changes) == 5


@pytest.mark.parametrize("text", ["", "# nothing\n", "- stage a: []\n- project: p\n", "c: {frontends: [{}]}\n", "3\n"])
def test_a_file_in_order_stays_as_it_is(text: str) -> None:
    assert migrate(text, "x.yaml") == (text, [])


def test_what_is_anchored_is_changed_once() -> None:
    old = "- stagea: &s\n  - stageb: []\n- stage c: *s\n"
    assert migrate(old, "x.yaml")[0] == "- stage a: &s\n  - stage b: []\n- stage c: *s\n"


def test_a_file_that_is_not_yaml_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"x\.yaml:2:1: YAML"):
        migrate("- [\n", "x.yaml")
