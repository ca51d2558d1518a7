"""The configuration of a process through any sequence of calls, against the plainest reading of its rules.

Files are stronger than what was selected before they were read, overrides are stronger than files, and what is
selected afterwards holds until the next evaluation. A call that fails changes nothing.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import seamless.config as config
from seamless.session import session
from tests.campaign.effort import examples

FILES = {
    "fruit": """
- project: fruit
- nparallel: 1
- stage a:
  - nparallel: 2
  - substage x:
    - nparallel: 3
- stage b:
  - record: true
""",
    "nut": """
- project: nut
- cluster: ws
- execution: process
- nparallel: 4
- substage x:
  - nparallel: 5
""",
    "bad": "- project: fruit\n- nparallel: none of these\n",
}
CLUSTERS = """
ws:
  type: local
  frontends:
    - hashserver: {bufferdir: /nowhere/buffers}
      database: {database_dir: /nowhere/results}
"""
CLIENT = {"readonly": True, "url": "http://127.0.0.1:9", "remote_url": "http://127.0.0.1:9"}
NAMES = ("project", "subproject", "nparallel", "record", "cluster", "stage", "substage")
VALUES: dict[str, list[Any]] = {
    "project": ["root", None], "subproject": ["kernel", None], "nparallel": [6, 7, None], "record": [True, False],
}  # fmt: skip
WRONG: dict[str, Any] = {"project": "a/b/", "subproject": "a//b", "nparallel": 0, "record": "yes", "stage": "a--b"}
DEFAULTS = {"record": False}
stages, substages = st.sampled_from(["a", "b", "c", None]), st.sampled_from(["x", "y", None])


def in_files(name: str, stage: str | None, substage: str | None) -> dict[str, Any]:
    """Return what the files of a directory set."""
    if name == "fruit":
        found: dict[str, Any] = {"project": "fruit", "nparallel": 1}
        if stage == "a":
            found["nparallel"] = 3 if substage == "x" else 2
        if stage == "b":
            found["record"] = True
        return found
    return {"project": "nut", "cluster": "ws", "nparallel": 5 if substage == "x" else 4}


class Configuration(RuleBasedStateMachine):
    """What is selected, what was evaluated, and what is current."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="seamless-test-"))
        (self.root / ".seamless").mkdir()
        (self.root / ".seamless" / "clusters.yaml").write_text(CLUSTERS)
        for name, text in FILES.items():
            (self.root / name).mkdir()
            (self.root / name / "seamless.yaml").write_text(text)
        environment = {"HOME": str(self.root), "SEAMLESS_SITE_CONFIG": "", "SEAMLESS_NO_LAUNCH": "1"}
        self.environment = mock.patch.dict(os.environ, environment)
        self.environment.start()
        self.quiet = warnings.catch_warnings()
        self.quiet.__enter__()
        warnings.simplefilter("ignore")
        session.reset()
        self.manual: dict[str, Any] = {}
        self.overrides: dict[str, Any] = {}
        self.current: dict[str, Any] = {}
        self.overridden: set[str] = set()
        self.evaluated = self.initialised = self.forwarded = False

    @initialize(name=st.sampled_from(sorted(FILES)))
    def begin(self, name: str) -> None:
        self.set_workdir(name)

    def set_workdir(self, name: str) -> None:
        config.set_workdir(self.root / name)
        self.workdir = name

    def evaluate(self, stage: str | None, substage: str | None, name: str) -> None:
        """Do in the model what an evaluation that succeeds does."""
        self.manual |= {"stage": stage, "substage": substage}
        self.workdir = name
        given = {key: value for key, value in self.overrides.items() if value is not None}
        actual = given.get("stage", stage), given.get("substage", substage)
        self.current = {key: value for key, value in self.manual.items() if value is not None}
        self.current |= {"stage": actual[0], "substage": actual[1]}
        self.current |= in_files(name, *actual) | given
        self.overridden = set(self.overrides)
        self.evaluated = True

    def refused(self, call: Any, *arguments: Any, **more: Any) -> bool:
        """Make a call; tell whether it was refused as a mistake of the user."""
        try:
            call(*arguments, **more)
        except (config.ConfigurationError, RuntimeError) as exc:
            assert str(exc).strip()
            return True
        return False

    # --- what may happen ------------------------------------------------------------------------

    @rule(stage=stages, substage=substages, name=st.sampled_from(sorted(FILES)) | st.none())
    def set_stage(self, stage: str | None, substage: str | None, name: str | None) -> None:
        more = {} if name is None else {"workdir": self.root / name}
        where = name or self.workdir
        refused = self.refused(config.set_stage, stage, substage, **more)
        assert refused == (self.forwarded or where == "bad")
        if not refused:
            self.evaluate(stage, substage, where)
            self.initialised = True

    @rule(substage=substages)
    def set_substage(self, substage: str | None) -> None:
        refused = self.refused(config.set_substage, substage)
        assert refused == (self.forwarded or self.workdir == "bad")
        if not refused:
            self.evaluate(self.current.get("stage"), substage, self.workdir)
            self.initialised = True

    @rule(record=st.booleans() | st.none())
    def init(self, record: bool | None) -> None:
        overrides = None if record is None else {"record": record}
        refused = self.refused(config.init, overrides=overrides, workdir=self.root / self.workdir)
        nothing = self.initialised or self.forwarded
        assert refused == (not nothing and self.workdir == "bad")
        if not nothing and not refused:
            self.overrides = self.overrides if overrides is None else dict(overrides)
            self.evaluate(self.manual.get("stage"), self.manual.get("substage"), self.workdir)
            self.initialised = True

    @rule(data=st.data(), name=st.sampled_from(sorted(VALUES)))
    def select(self, data: st.DataObject, name: str) -> None:
        value = data.draw(st.sampled_from(VALUES[name]))
        getattr(config, f"select_{name}")(value)
        self.selected(name, value)

    @rule(stage=stages)
    def select_stage(self, stage: str | None) -> None:
        assert self.refused(config.select_stage, stage) == self.forwarded
        if not self.forwarded:
            self.selected("stage", stage)

    def selected(self, name: str, value: Any) -> None:
        self.manual[name] = value
        if not (self.evaluated and name in self.overridden):
            self.current[name] = value

    @rule(name=st.sampled_from(sorted(WRONG)))
    def select_what_cannot_be(self, name: str) -> None:
        assert self.refused(getattr(config, f"select_{name}"), WRONG[name])

    @rule(data=st.data(), name=st.sampled_from(["nparallel", "record", "stage"]))
    def set_overrides(self, data: st.DataObject, name: str) -> None:
        value = data.draw(st.sampled_from({**VALUES, "stage": ["a", "c"]}[name]).filter(lambda v: v is not None))
        config.set_overrides({name: value})
        self.overrides = {name: value}

    @rule()
    def no_overrides(self) -> None:
        config.set_overrides()
        self.overrides = {}

    @rule(name=st.sampled_from(sorted(FILES)))
    def go_elsewhere(self, name: str) -> None:
        refused = self.refused(config.set_workdir, self.root / name)
        assert refused == self.forwarded
        if not refused:
            self.workdir = name

    @rule(stage=stages)
    def load_and_change(self, stage: str | None) -> None:
        refused = self.refused(config.load, stage)
        assert refused == (self.forwarded or self.workdir == "bad")
        if not refused:
            self.evaluate(stage, None, self.workdir)
            config.change_stage()
            self.initialised = True

    @rule()
    def look(self) -> None:
        """Looking changes nothing: the invariant shows it."""
        self.refused(config.resolve, self.root / "nut", "a")
        config.describe()

    @precondition(lambda self: not self.forwarded)
    @rule()
    def clients_are_handed_down(self) -> None:
        refused = self.refused(config.set_remote_clients, {"buffer": [CLIENT], "database": [CLIENT]})
        assert refused == self.initialised
        self.forwarded = not refused

    @rule()
    def collect(self) -> None:
        found = config.collect_remote_clients("ws")
        if self.forwarded:
            assert found == {"buffer": [CLIENT], "database": [CLIENT]}

    # --- what always holds ----------------------------------------------------------------------

    @invariant()
    def the_values_are_those_of_the_model(self) -> None:
        state = config.describe()["state"]
        wanted = {name: self.current.get(name) for name in NAMES}
        wanted = {name: DEFAULTS.get(name) if value is None else value for name, value in wanted.items()}
        assert {name: state[name] for name in NAMES} == wanted

    @invariant()
    def nothing_is_launched_and_the_program_knows_how_many_at_once(self) -> None:
        assert not (self.root / ".remote-http-launcher").exists()
        if self.evaluated:
            assert session.nparallel == self.current.get("nparallel")

    def teardown(self) -> None:
        session.reset()
        self.quiet.__exit__(None, None, None)
        self.environment.stop()
        shutil.rmtree(self.root)


TestConfiguration = Configuration.TestCase
TestConfiguration.settings = examples(40, steps=15)
