"""The command language: every mistake is told with its place, all of them at once."""

from __future__ import annotations

import pytest

from seamless.config import ClusterDefinitionError, ConfigurationError
from tests.config.conftest import HPC, Project


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "seamless.yaml:1:1: expected a YAML list of commands, found nothing. Example: '- project: myproject'"),
        ("project: a\n", "expected a YAML list of commands, found a mapping"),
        ("project\n", "expected a YAML list of commands, found 'project'"),
        ("- 3\n", "seamless.yaml:1:3: a command is a string or a mapping with a single key, found 3 (an integer)"),
        ("- [a]\n", "found a list"),
        ("-\n", "found nothing (null)"),
        ("- {}\n", "found a mapping with 0 keys"),
        ("- project: a\n  cluster: b\n", "found a mapping with 2 keys"),
        ("- 3: x\n", "the name of a command must be a string, found 3 (an integer)"),
        ("- clutser: hpc\n", "unknown command 'clutser' (did you mean 'cluster'?)"),
        ("- xyzzy: 1\n", "unknown command 'xyzzy'; commands: cluster, clusters, execution"),
        ("- project: 12\n", "'project' expects a string, found 12 (an integer); write it in quotes: '12'"),
        ("- project\n", "'project' expects a string, found nothing"),
        ("- project:\n", "'project' expects a string, found nothing (null)"),
        ("- project: a--b\n", "project cannot contain '--'"),
        ("- project: STAGE-a\n", "project cannot contain 'STAGE-'"),
        ("- project: a/b\n", "project cannot contain '/'"),
        ("- project: --STAGE-/\n", "project cannot contain '--'"),
        ("- project: ''\n", "it is empty"),
        ("- project: ..\n", "it must begin with a letter, a digit or '_'"),
        ("- project: 'a b'\n", "it contains ' '"),
        ("- project: 'a$(b)'\n", "it contains '$'"),
        ("- project: 'a{b}'\n", "it contains '{'"),
        ("- project: __x\n", "names that begin with '__' are reserved"),
        (f"- project: {'x' * 101}\n", "it has 101 characters, at most 100"),
        ("- subproject: a//b\n", "it is empty"),
        ("- subproject: a/../b\n", "it must begin with"),
        ("- subproject: null\n", "'subproject' expects a string"),
        ("- cluster: 5\n", "'cluster' expects a string"),
        ("- execution: proces\n", "'execution' must be one of: process, spawn, remote; found 'proces'"),
        ("- execution\n", "'execution' expects one of: process, spawn, remote, found nothing"),
        ("- remote: dask\n", "'remote' must be one of: daskserver, jobserver; found 'dask'"),
        ("- persistent: 1\n", "'persistent' expects true or false, found 1 (an integer)"),
        ("- persistent: 'yes'\n", "'persistent' expects true or false, found 'yes'"),
        ("- record: null\n", "'record' expects true or false"),
        ("- node: ' '\n", "node must not be empty"),
        ("- nparallel: 0\n", "'nparallel' expects an integer of at least 1, found 0"),
        ("- nparallel: true\n", "'nparallel' expects an integer of at least 1, found true (a boolean)"),
        ("- clusters:\n", "'clusters' expects a mapping from names to clusters, found nothing"),
        ("- clusters\n", "'clusters' expects a mapping"),
        ("- inherit_from_parent: 3\n", "'inherit_from_parent' expects true, false or nothing"),
        ("- stage:\n  - project: a\n", "'stage' needs a name"),
        ("- stage prod:\n", "'stage prod' must be followed by a list of commands, found nothing (null)"),
        ("- stage prod: {project: a}\n", "'stage prod' must be followed by a list of commands, found a mapping"),
        ("- stage prod\n", "'stage prod' must be followed by a list of commands"),
        ("- stageprod:\n  - project: a\n", "unknown command 'stageprod' (did you mean 'stage prod'?)"),
        ("- stages:\n  - project: a\n", "unknown command 'stages'"),
        ("- stage my prod:\n  - project: a\n", "stage 'my prod' is not a valid name: it contains ' '"),
        ("- stage prod:\n  - projet: a\n", "seamless.yaml:2:5: unknown command 'projet' (did you mean 'project'?)"),
        ("- substage x:\n", "'substage x' must be followed by a list"),
    ],
)
def test_a_mistake_is_told_with_its_place(project: Project, text: str, complaint: str) -> None:
    project.write(text)
    error = project.error()
    assert error.startswith("seamless.yaml:")
    assert complaint in error


@pytest.mark.parametrize(
    "text",
    [
        "- cluster\n- remote\n- node\n",
        "- cluster: null\n- remote: null\n- node: null\n",
        "- subproject: a/b\n",
        "- project: a_b.c@d+e-f\n",
        "- stage prod: []\n",
        "- stage 1:\n  - inherit_from_parent\n",
        "- inherit_from_parent: false\n",
        "- project: &p x\n- subproject: *p\n",
    ],
)
def test_what_is_legal_is_accepted(project: Project, text: str) -> None:
    project.write(text)
    project.resolve()


def test_all_mistakes_are_told_at_once_sorted_by_file_and_line(project: Project) -> None:
    project.write("- project: 1\n- stage a:\n  - record: maybe\n")
    project.write("- nod: x\n", "seamless.profile.yaml")
    lines = [line.split(": ")[0] for line in project.error().splitlines() if line.startswith("seamless")]
    assert lines == ["seamless.profile.yaml:1:3", "seamless.yaml:1:12", "seamless.yaml:3:13"]


def test_a_block_of_another_stage_is_checked_too(project: Project) -> None:
    project.write("- stage other:\n  - execution: nowhere\n")
    assert "seamless.yaml:2:16" in project.error()


def test_a_mistake_in_an_inline_cluster_is_told(project: Project) -> None:
    project.write("- clusters:\n    c: {frontends: [{hashserver: {}}]}\n")
    error = project.error()
    assert "seamless.yaml:2:34: clusters.c.frontends[0].hashserver: 'bufferdir' is missing" in error


def test_an_error_can_be_caught_as_what_callers_expect(project: Project) -> None:
    project.write("- project: 1\n")
    with pytest.raises(ConfigurationError) as caught:
        project.resolve()
    assert isinstance(caught.value, RuntimeError)
    assert isinstance(caught.value, ValueError)
    project.write("- project: a\n- cluster: hpc\n")
    project.clusters(HPC.replace("workers: 4", "workers: four"))
    with pytest.raises(ClusterDefinitionError) as definition:
        project.resolve(check=True)
    assert isinstance(definition.value, TypeError)


def test_a_path_elsewhere_is_shown_in_full(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    path = project.write("- project: 1\n")
    monkeypatch.chdir("/")
    assert project.error().startswith(f"{path[1:]}:1:12")
    monkeypatch.chdir(project.home)
    assert project.error().startswith(f"{path}:1:12")


def test_an_error_survives_the_way_to_another_process(project: Project) -> None:
    import pickle

    project.write("- project: 1\n")
    with pytest.raises(ConfigurationError) as caught:
        project.resolve()
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), type(copy)) == (str(caught.value), ConfigurationError)
    assert copy.findings[0].place.line == 1
