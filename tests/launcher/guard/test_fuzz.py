"""Whatever is sent, however paths are written: only listed helpers in their one form, and nothing outside the roots."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from seamless.errors import SeamlessError
from seamless.launcher.grammar import HELPERS, parse
from seamless.launcher.guard.deciding import Decision, decide, split_command
from seamless.launcher.guard.paths import PathPolicy, is_below
from seamless.launcher.guard.refusals import Rejected
from seamless.launcher.guard.settings import MARKERS, PERMISSIVE, ROOTS, SEAMLESS_MARKERS, Settings
from seamless.launcher.guarded import take_guarded
from seamless.launcher.safe_open import open_resolved

POLICIES = (Settings(policy=PERMISSIVE), Settings(policy=MARKERS, markers=SEAMLESS_MARKERS), Settings())
FRAGMENTS = [*HELPERS, "rhl-guard", "bash", "-c", "--", "--key", "K", "--workdir", "/srv/x", "~", "~/x", "hashserver"]
FRAGMENTS += ["--status-file", "--tail", "1", "--json", "--guarded", "[]", ";", "&&", "$(id)", "`id`", "'", '"', "\\"]
FRAGMENTS += ["A=1", "LD_PRELOAD=x", "|", ">", "\n", "\0", "*", "--help", "--force", "../..", "/etc", "-x", "=", " "]

fast = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def judged(command: bytes, how: Settings) -> Decision | None:
    try:
        return decide(split_command(command), how)
    except Rejected:
        return None


@fast
@given(st.lists(st.sampled_from(FRAGMENTS)).map(" ".join) | st.text(), st.sampled_from(POLICIES))
@example("rhl-launch-service --key K --workdir /srv/x -- hashserver /srv/x", POLICIES[0])
def test_random_words_become_a_helper_only_in_its_one_form(command: str, how: Settings) -> None:
    try:
        data = command.encode()
    except UnicodeEncodeError:
        return
    decision = judged(data, how)
    if decision is None:
        return
    assert decision.helper in HELPERS
    if decision.arguments in (("--help",), ("--version",)):
        return
    guarded, rest = take_guarded(decision.arguments)
    assert guarded is not None
    assert parse(decision.helper, rest).argv() == [decision.helper, *rest]
    assert not any(character < " " for word in rest for character in word)


@fast
@given(st.binary(max_size=60), st.sampled_from(POLICIES))
def test_random_bytes_end_in_a_decision(command: bytes, how: Settings) -> None:
    judged(command, how)
    judged(b"rhl-inspect " + command, how)


# --- paths ----------------------------------------------------------------------------------------------

PARTS = [
    "in",
    "out",
    "in2",
    "a",
    "b",
    "up",
    "round",
    "away",
    "home",
    "system",
    "..",
    ".",
    "",
    "...",
    ".x",
    "~",
    "\u00e9",
]


@pytest.fixture(scope="module")
def tree() -> Iterator[Path]:
    """Return a directory with a root `in`, a directory `out`, and links between them in every direction."""
    with tempfile.TemporaryDirectory() as name:
        top = Path(name).resolve()
        for path in ("in/a/b", "out/a/b", "in2/a"):
            (top / path).mkdir(parents=True)
        for link, target in (
            ("in/up", ".."),
            ("in/away", top / "out"),
            ("in/round", "round"),
            ("in/a/home", "~"),
            ("in/a/system", "/etc"),
            ("in/a/up", "../../out"),
            ("out/in", top / "in"),
            ("out/a/up", "../../in/up"),
        ):
            (top / link).symlink_to(target)
        yield top


@fast
@given(parts=st.lists(st.sampled_from(PARTS), max_size=6), start=st.sampled_from(["/in/", "/", "/out/", "//in/"]))
def test_no_path_leads_out_of_the_roots(tree: Path, parts: list[str], start: str) -> None:
    policy = PathPolicy(Settings(policy=ROOTS, roots=(f"{tree}/in",)))
    text = f"{tree}{start}{'/'.join(parts)}"
    try:
        resolved = policy.to_clear(text)
    except Rejected:
        return
    assert is_below(resolved.path, f"{tree}/in")
    assert is_below(os.path.realpath(resolved.path), f"{tree}/in")
    try:
        fd = open_resolved(resolved)
    except SeamlessError:
        assert not os.path.lexists(resolved.path)
        return
    try:
        assert is_below(os.readlink(f"/proc/self/fd/{fd}"), f"{tree}/in")
    finally:
        os.close(fd)


@fast
@given(
    st.lists(st.sampled_from([*PARTS, "etc", "usr", "tmp", "proc", "self", "root", "dev", "shm", "var"]), max_size=5)
)
def test_no_path_names_the_system(tree: Path, parts: list[str]) -> None:
    try:
        resolved = PathPolicy(Settings(policy=PERMISSIVE)).to_clear("/" + "/".join(parts))
    except Rejected:
        return
    top = resolved.path.split("/")[1]
    assert top not in ("", "etc", "usr", "proc", "var", "bin", "lib")
    assert top != "dev" or resolved.path.startswith("/dev/shm/")
    assert resolved.path not in ("/tmp", "/home")


@fast
@given(
    service=st.lists(
        st.sampled_from(
            ["{in}", "{in}/a", "{out}", "--writable", "--extra-dirs", "--status-file", "~/.bashrc", "--port"]
        )
        | st.sampled_from(["--host", "0.0.0.0", "--stat", "--", "-x", "1", "{in}/x.db", "{out}/x.db", "{in}/away"]),
        max_size=5,
    ),
    binary=st.sampled_from(["hashserver", "seamless-database"]),
)
def test_no_argument_of_a_service_names_something_outside(tree: Path, service: list[str], binary: str) -> None:
    words = [word.replace("{in}", f"{tree}/in").replace("{out}", f"{tree}/out") for word in service]
    command = ["rhl-launch-service", "--key", "K", "--workdir", f"{tree}/in", "--", binary, *words]
    decision = judged(shlex.join(command).encode(), Settings(policy=ROOTS, roots=(f"{tree}/in",)))
    if decision is None:
        return
    started = decision.arguments[decision.arguments.index("--") + 1 :]
    for word in started:
        assert not word.startswith("/") or is_below(os.path.realpath(word), f"{tree}/in")
        assert ".bashrc" not in word and word not in ("--stat", "-x", "--")
