"""What every helper has in common: help, version, and one line for a mistake."""

from __future__ import annotations

import argparse
import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seamless.launcher.grammar import HELPERS
from seamless.launcher.helpers.main import main

if TYPE_CHECKING:
    from tests.launcher.helpers.conftest import Helper

NAMES = [name.removeprefix("rhl-") for name in HELPERS]


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("ps", ["--host", "x"], "rhl-ps: --host requires --client"),
        ("ps", ["--key", "--json"], "rhl-ps: --key and --json are mutually exclusive"),
        ("ps", ["--bogus"], "rhl-ps: unknown argument: --bogus"),
        ("ps", ["--cli"], "rhl-ps: unknown argument: --cli"),
        ("inspect", ["nothing"], "rhl-inspect: no state file for 'nothing'"),
        ("inspect", ["a/b"], "rhl: invalid key 'a/b' (only letters, digits, . _ - allowed)"),
        ("logs", ["nothing"], "rhl-logs: no log file for 'nothing'"),
        ("logs", ["k", "--tail", "x"], "rhl: --tail requires an integer"),
        ("logs", ["k", "--tail=-1"], "rhl-logs: --tail must be >= 0"),
        ("stop", ["../x"], "rhl: invalid key '../x' (only letters, digits, . _ - allowed)"),
        ("rm", ["k", "--all", "--both"], "rhl-rm: unknown flag(s): --all --both"),
        ("clear", [], "rhl-clear: exactly one path is required"),
        ("clear", ["/a", "/b"], "rhl-clear: exactly one path is required"),
        ("clear", ["relative"], "rhl-clear: path must be absolute: relative"),
        ("clear", ["/nowhere/at/all"], "rhl-clear: path does not exist: /nowhere/at/all"),
        ("clear", ["/tmp/../etc"], "rhl-clear: path must not contain '..': /tmp/../etc"),
        ("clear", ["/etc"], "rhl-clear: refusing to operate on system directory: /etc"),
        ("clear", ["/etc/hostname"], "rhl-clear: not a directory: /etc/hostname"),
        ("ps-persistent", ["--level", "-1", "/"], "rhl-ps-persistent: --level must be >= 0"),
        ("ps-persistent", ["--marker", "a/b", "/"], "rhl-ps-persistent: --marker requires a simple filename"),
        ("ps-persistent", ["/etc/hostname"], "rhl-ps-persistent: not a directory: /etc/hostname"),
        ("pid-alive", ["0"], "rhl-pid-alive: PID must be a positive integer"),
        ("pid-alive", ["x"], "rhl-pid-alive: PID must be a positive integer"),
        ("verify-port", ["a b", "1"], "rhl-verify-port: invalid host"),
        ("verify-port", ["localhost", "65536"], "rhl-verify-port: port must be in [1, 65535]"),
    ],
)
def test_a_mistake_is_one_line_and_status_1(
    helper: Helper, base: Path, name: str, arguments: list[str], text: str
) -> None:
    assert helper(name, *arguments) == (1, "", text + "\n")


@pytest.mark.parametrize("name", NAMES)
def test_every_helper_explains_itself(helper: Helper, name: str) -> None:
    for asked in ("--help", "-h"):
        status, out, _ = helper(name, asked)
        assert status == 0
        assert out.startswith(f"usage: rhl-{name}") and "\n\n" in out
        assert [line for line in out.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("name", NAMES)
def test_what_documents_a_helper_has_the_options_of_its_grammar(name: str) -> None:
    module = importlib.import_module(f"seamless.launcher.helpers.{name.replace('-', '_')}")
    parser = module.build_parser()
    assert isinstance(parser, argparse.ArgumentParser)
    documented = {option for action in parser._actions for option in action.option_strings}
    assert documented == {f"--{option}" for option in HELPERS[f"rhl-{name}"].options} | {"-h", "--help", "--version"}
    assert all(action.help for action in parser._actions)


def test_a_helper_tells_its_version(helper: Helper) -> None:
    assert helper("ps", "--version").out.startswith("rhl-ps (Seamless) ")


def test_a_name_that_is_no_helper_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rhl-shell", "ls"]) == 127
    assert "'rhl-shell' is none of the helpers: rhl-ps, " in capsys.readouterr().err
    assert main([]) == 127


def test_an_error_of_the_system_is_one_line(helper: Helper, isolation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = isolation / "file"
    blocked.write_text("")
    monkeypatch.setenv("REMOTE_HTTP_LAUNCHER_DIR", os.fspath(blocked))
    status, out, err = helper("launch-service", "--key", "k", "--workdir", str(isolation / "w"), "--", "/bin/true")
    assert (status, out) == (1, "")
    assert err.startswith("rhl-launch-service: ") and str(blocked) in err
