"""Which files are read, and in which order."""

from __future__ import annotations

import os

import pytest

from seamless.config.files import cluster_files
from tests.config.conftest import Project

C = "{type: local, frontends: [{hostname: %s, hashserver: {bufferdir: /b}}]}"


def hostname(project: Project, cluster: str = "c") -> str:
    return project.resolve().clusters[cluster].frontends[0]["hostname"]


def test_a_profile_file_comes_after_the_project_file(project: Project) -> None:
    project.write("- project: a\n- subproject: s\n")
    project.write("- project: b\n", "seamless.profile.yaml")
    config = project.resolve()
    assert (config.project, config.subproject) == ("b", "s")


def test_the_parent_is_read_only_where_it_is_asked_for(project: Project) -> None:
    project.write("- project: top\n")
    project.write("- subproject: kid\n", "kid/seamless.yaml")
    assert project.resolve("kid").project is None
    project.write("- inherit_from_parent\n", "kid/seamless.profile.yaml")
    assert project.resolve("kid").project == "top"


@pytest.mark.parametrize(("value", "inherits"), [("", True), (": true", True), (": null", True), (": false", False)])
def test_inheritance_can_be_said_and_denied(project: Project, value: str, inherits: bool) -> None:
    project.write("- project: top\n")
    project.write(f"- inherit_from_parent{value}\n", "kid/seamless.yaml")
    assert project.resolve("kid").project == ("top" if inherits else None)


def test_the_outermost_directory_is_first_and_files_are_listed(project: Project) -> None:
    project.write("- project: top\n- nparallel: 1\n")
    project.write("- inherit_from_parent\n- nparallel: 2\n", "a/seamless.yaml")
    project.write("- inherit_from_parent\n- nparallel: 3\n- record: true\n", "a/b/seamless.profile.yaml")
    config = project.resolve("a/b")
    assert config.nparallel == 3
    listed = [(os.path.relpath(path, project.root), count) for path, count in config.files]
    assert listed == [("seamless.yaml", 2), ("a/seamless.yaml", 2), ("a/b/seamless.profile.yaml", 3)]


def test_a_directory_without_files_ends_the_chain(project: Project) -> None:
    project.write("- project: top\n")
    project.write("- inherit_from_parent\n", "a/b/seamless.yaml")
    assert project.resolve("a/b").project is None


def test_inheritance_inside_a_stage_block_is_ignored(project: Project) -> None:
    project.write("- project: top\n")
    project.write("- stage s:\n  - inherit_from_parent\n", "kid/seamless.yaml")
    assert project.resolve("kid", stage="s").project is None


def test_the_parent_is_that_of_the_directory_behind_a_link(project: Project) -> None:
    project.write("- project: real\n", "there/seamless.yaml")
    project.write("- inherit_from_parent\n", "there/kid/seamless.yaml")
    os.symlink(project.root / "there" / "kid", project.root / "link")
    assert project.resolve("link").project == "real"


def test_a_directory_with_the_name_of_a_project_file_is_ignored(project: Project) -> None:
    (project.root / "seamless.yaml").mkdir()
    assert project.resolve().files == ()


def test_a_working_directory_that_is_none_is_told(project: Project) -> None:
    assert "'nowhere' is not a directory" in project.error("nowhere")


def test_cluster_files_are_read_in_the_order_of_their_names(project: Project) -> None:
    project.clusters(f"c: {C % 'zero'}\n")
    assert hostname(project) == "zero"
    project.clusters(f"c: {C % 'two'}\n", "clusters/b.yaml")
    project.clusters(f"c: {C % 'one'}\n", "clusters/a.yaml")
    project.clusters("this is not read\n", "clusters/c.yml")
    assert hostname(project) == "two"


def test_a_later_definition_replaces_an_earlier_one_as_a_whole(project: Project) -> None:
    project.clusters("c: {workers: 3, frontends: [{hashserver: {bufferdir: /b}}]}\n")
    project.clusters(f"c: {C % 'x'}\n", "clusters/a.yaml")
    assert project.resolve().clusters["c"].workers is None


def test_site_files_are_read_first(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    site = project.root / "site"
    (site / "clusters.d").mkdir(parents=True)
    (site / "clusters.yaml").write_text(f"c: {C % 'site'}\ns: {C % 'base'}\n")
    (site / "clusters.d" / "x.yaml").write_text(f"s: {C % 'special'}\n")
    project.clusters(f"c: {C % 'own'}\n")
    monkeypatch.setenv("SEAMLESS_SITE_CONFIG", str(site))
    assert (hostname(project, "c"), hostname(project, "s")) == ("own", "special")
    monkeypatch.setenv("SEAMLESS_SITE_CONFIG", "  ")
    assert sorted(project.resolve().clusters) == ["c"]


def test_without_a_variable_the_site_files_are_those_of_the_system() -> None:
    files = cluster_files({"HOME": "/nonexistent"})
    assert all(path.startswith("/etc/seamless/") for path in files)


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}\n"])
def test_an_empty_cluster_file_defines_nothing(project: Project, text: str) -> None:
    project.clusters(text)
    assert project.resolve().clusters == {}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("- c\n", "clusters.yaml:1:1: expected a mapping from names to clusters, found a list"),
        ("c: [\n", "clusters.yaml:2:1: YAML: "),
        ("3: {}\n", "the name of a cluster must be a string, found 3"),
        ("local_cluster: 3\n", "'local_cluster' expects the name of a cluster, found 3"),
        ("local_cluster: ws\n", "clusters.yaml:1:16: local_cluster names 'ws', which is not defined; clusters: none"),
    ],
)
def test_a_cluster_file_that_is_none_is_told(project: Project, text: str, complaint: str) -> None:
    project.clusters(text)
    assert complaint in project.error()
