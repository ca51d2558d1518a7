"""The life of a configuration: fresh, initialised, forwarded; failures leave what was in force."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path
from typing import Any

import pytest

import seamless.config as config
from seamless.config.context import context
from seamless.remote.wiring import wiring
from seamless.session import session
from seamless.shutdown import set_is_worker
from tests.config.conftest import HPC, WS, Project

pytestmark = pytest.mark.usefixtures("no_launch")
QUIET = "- execution: process\n- persistent: false\n"


@pytest.fixture(autouse=True)
def _clusters(project: Project) -> None:
    project.clusters(HPC + WS)
    config.set_workdir(project.root)


def state(*names: str) -> list[Any]:
    described = config.describe()["state"]
    return [described[name] for name in names]


def test_before_anything_the_state_has_defaults() -> None:
    described = config.describe()
    assert described["state"]["execution"] == "process"
    assert (described["active"], described["warnings"], described["clusters"]) == ([], [], [])
    assert set(described["origin"].values()) == {"default"}


def test_init_evaluates_once(project: Project) -> None:
    project.write(QUIET + "- project: a\n")
    config.init()
    project.write(QUIET + "- project: b\n")
    config.init()
    assert config.get_selected_project() == "a"
    config.set_stage()
    assert config.get_selected_project() == "b"


def test_init_hands_down_what_to_do_about_services_with_other_settings(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring, "on_mismatch", None)
    project.write(QUIET)
    with pytest.raises(ValueError, match="on_mismatch must be one of warn, restart, error; found 'ignore'"):
        config.init(on_mismatch="ignore")
    config.init(on_mismatch="restart")
    assert wiring.on_mismatch == "restart"


def test_init_does_nothing_in_a_worker(project: Project) -> None:
    project.write("- broken: 1\n")
    set_is_worker(True)
    config.init()
    assert config.describe()["files"] == []


def test_a_failed_init_can_be_repeated(project: Project) -> None:
    project.write("- broken: 1\n")
    with pytest.raises(config.ConfigurationError):
        config.init(overrides={"record": True})
    assert config.describe()["state"]["record"] is False
    project.write(QUIET)
    config.init()
    assert config.describe()["files"]


def test_a_failed_change_of_stage_leaves_what_was_in_force(project: Project) -> None:
    project.write("- project: p\n- cluster: hpc\n- execution: process\n- stage bad:\n  - cluster: nope\n")
    config.init()
    before = config.describe()
    with pytest.raises(config.ConfigurationError):
        config.set_stage("bad")
    with pytest.raises(config.ConfigurationError):
        config.set_stage("a--b")
    assert config.describe() == before


def test_nothing_of_a_stage_is_left_in_the_next(project: Project) -> None:
    project.write("- execution: process\n- stage a:\n  - project: p\n  - cluster: hpc\n  - nparallel: 3\n")
    config.set_stage("a")
    assert state("cluster", "project", "nparallel", "persistent") == ["hpc", "p", 3, True]
    assert session.nparallel == 3
    assert config.describe()["active"] == ["buffer", "database"]
    with pytest.warns(config.SeamlessConfigWarning, match="no cluster"):
        config.set_stage("b")
    assert state("cluster", "project", "nparallel", "persistent") == [None, None, None, False]
    assert session.nparallel is None
    assert config.describe()["active"] == []


def test_a_substage_belongs_to_the_current_stage(project: Project) -> None:
    project.write(QUIET + "- substage gpu:\n  - node: n1\n")
    config.set_stage("s")
    config.set_substage("gpu")
    assert state("stage", "substage", "node") == ["s", "gpu", "n1"]
    config.set_substage()
    assert state("stage", "substage", "node") == ["s", None, None]
    config.set_stage()
    assert config.get_stage() is None


def test_init_keeps_a_stage_that_was_selected(project: Project) -> None:
    project.write(QUIET + "- stage s:\n  - nparallel: 4\n")
    config.select_stage("s")
    config.init()
    assert (config.get_stage(), config.get_nparallel()) == ("s", 4)


def test_commands_beat_selections_made_before_and_fall_back_to_them(project: Project) -> None:
    project.write("- persistent: false\n- stage s:\n  - execution: spawn\n")
    config.select_execution("process")
    config.set_stage("s")
    assert config.get_execution() == "spawn"
    config.set_stage()
    assert config.get_execution() == "process"


def test_a_selection_after_loading_counts_until_the_next_evaluation(project: Project) -> None:
    project.write("- project: p\n- cluster: hpc\n- execution: process\n- queue: highmem\n")
    config.init()
    config.select_execution("remote")
    config.select_project("q")
    assert state("execution", "project", "queue") == ["remote", "q", "highmem"]
    config.select_cluster("ws")
    assert state("cluster", "queue") == ["ws", None]
    config.set_stage()
    assert state("execution", "project", "cluster", "queue") == ["process", "p", "hpc", "highmem"]


def test_overrides_hold_until_they_are_removed(project: Project) -> None:
    project.write(QUIET + "- project: p\n")
    config.init(overrides={"project": "o"})
    config.select_project("m")
    assert config.get_selected_project() == "o"
    config.set_stage("s")
    assert config.get_selected_project() == "o"
    config.set_overrides()
    config.set_stage("s")
    assert config.get_selected_project() == "p"


def test_load_activates_nothing_and_change_stage_activates_what_was_adjusted(project: Project) -> None:
    project.write("- project: p\n- cluster: ws\n- execution: remote\n")
    config.load("s")
    assert config.describe()["active"] == []
    config.select_execution("process")
    config.change_stage()
    assert config.describe()["active"] == ["buffer", "database"]
    config.init()
    assert config.get_stage() == "s"


def test_resolve_has_no_effect_on_the_process(project: Project) -> None:
    project.write("- project: p\n- cluster: hpc\n- execution: process\n")
    config.select_record(True)
    before = config.describe()
    resolved = config.resolve(str(project.root), "s", overrides={"nparallel": 2})
    assert (resolved.cluster, resolved.stage, resolved.nparallel, resolved.record) == ("hpc", "s", 2, True)
    assert config.describe() == before


# --- working directory --------------------------------------------------------------------------


def test_the_files_beside_the_calling_file_are_read(project: Project) -> None:
    project.write(QUIET + "- project: beside\n", "lib/seamless.yaml")
    program = project.write("import seamless.config as c\nc.set_substage()\n", "lib/program.py")
    session.reset()
    exec(compile(Path(program).read_text(), program, "exec"), {"__name__": "__main__", "__file__": program})
    assert config.get_selected_project() == "beside"
    assert config.get_workdir() == str(project.root / "lib")


def test_without_a_file_the_current_directory_is_read(project: Project) -> None:
    project.write(QUIET + "- project: here\n")
    session.reset()
    exec("import seamless.config as c\nc.init()\n", {"__name__": "__main__"})
    assert config.get_selected_project() == "here"


def test_a_working_directory_that_is_given_is_kept(project: Project) -> None:
    project.write(QUIET + "- project: kid\n- stage s: [nparallel: 2]\n", "kid/seamless.yaml")
    session.reset()
    config.init(workdir="kid")
    config.set_stage("s")
    assert (config.get_selected_project(), config.get_nparallel()) == ("kid", 2)
    assert config.get_workdir() == str(project.root / "kid")


def test_none_means_the_current_directory_at_each_load(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write(QUIET + "- project: kid\n", "kid/seamless.yaml")
    project.write(QUIET + "- project: top\n")
    config.set_workdir(None)
    config.init()
    assert config.get_selected_project() == "top"
    monkeypatch.chdir(project.root / "kid")
    config.set_stage()
    assert config.get_selected_project() == "kid"


def test_a_failed_init_does_not_settle_the_working_directory(project: Project) -> None:
    session.reset()
    with pytest.raises(config.ConfigurationError, match="is not a directory"):
        config.init(workdir="nowhere")
    assert config.get_workdir() == str(project.root)


def test_the_working_directory_can_be_that_of_this_file() -> None:
    config.set_workdir()
    assert config.get_workdir() == str(Path(__file__).parent)


def test_the_cache_directory_can_be_asked_for(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.get_seamless_cache() is None
    monkeypatch.setenv("SEAMLESS_CACHE", " cache ")
    assert config.get_seamless_cache() == str(project.root / "cache")


def test_a_forked_process_is_not_held_up_by_a_lock_of_its_parent() -> None:
    """What a fork calls is called here, while another thread holds the lock, as one of the parent might."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with context.lock:
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert held.wait(10)
        assert not context.lock.acquire(blocking=False)
        assert context.renew_lock in session._on_fork
        context.renew_lock()
        assert context.lock.acquire(blocking=False)
    finally:
        done.set()
        thread.join(10)
    context.lock.release()


# --- warnings -----------------------------------------------------------------------------------


def test_warnings_are_of_the_line_that_called(project: Project) -> None:
    program = project.write("import seamless.config as c\n\nc.init(workdir='.')\n", "program.py")
    session.reset()
    with warnings.catch_warnings(record=True) as issued:
        warnings.simplefilter("always")
        exec(compile(Path(program).read_text(), program, "exec"), {"__name__": "__main__"})
    assert {(warning.filename, warning.lineno) for warning in issued} == {(program, 3)}
    assert {warning.message.code for warning in issued} == {"no-execution-command", "no-cluster-no-persistence"}  # type: ignore[union-attr]


def test_a_warning_that_is_an_error_keeps_the_configuration_from_being_applied() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(config.SeamlessConfigWarning):
            config.init()
    assert config.describe()["files"] == []
    assert session.default_activation is session.initial_activation


# --- nparallel ----------------------------------------------------------------------------------


def test_nparallel_that_is_not_set_names_command_and_setter() -> None:
    with pytest.raises(config.ConfigurationError, match=r"'- nparallel: N'.*set_nparallel\(N\)"):
        config.get_nparallel()
    config.set_nparallel(5)
    assert (config.get_nparallel(), session.nparallel) == (5, 5)


@pytest.mark.parametrize("value", [0, -1, True, "3", 2.0, None])
def test_a_wrong_nparallel_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="nparallel"):
        config.set_nparallel(value)
    assert session.nparallel is None
