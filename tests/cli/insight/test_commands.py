"""The commands that look into a store, as a user types them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RunCli


class User:
    """A directory with a cache, and commands in it."""

    def __init__(self, run_cli: RunCli, place: Path) -> None:
        self._run_cli, self.place, self.cache = run_cli, place, place / "cache"

    def attempt(self, *words: str, cache: str = "cache") -> Any:
        return self._run_cli(list(words), cwd=self.place, env={"SEAMLESS_CACHE": str(self.place / cache)})

    def run(self, *words: str, cache: str = "cache") -> str:
        done = self.attempt(*words, cache=cache)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def refused(self, *words: str) -> tuple[int, str]:
        done = self.attempt(*words)
        assert done.returncode and b"Traceback" not in done.stderr
        return done.returncode, done.stderr.decode()


@pytest.fixture
def user(run_cli: RunCli, tmp_path: Path) -> User:
    made = User(run_cli, tmp_path)
    (tmp_path / "t.txt").write_text("b\na\n")
    made.run("seamless-run", "sort t.txt > sorted.txt")
    return made


def test_a_command_line_is_explained_and_not_run(user: User) -> None:
    (user.place / "t.txt").write_text("b\na\nc\n")
    out = user.run("seamless-explain", "sort t.txt > sorted.txt")
    assert "state           unknown: it has to run" in out
    assert "  pin t.txt " in out and "    3+ c\n" in out
    assert (user.place / "sorted.txt").read_text() == "a\nb\n"


def test_the_options_of_a_run_count(user: User) -> None:
    out = user.run("seamless-explain", "--json", "--var", "N=3", "sort t.txt > sorted.txt")
    (relative,) = json.loads(out)["relatives"]
    assert [(d["name"], d["change"]) for d in relative["differences"]] == [("N", "added")]


def test_the_file_of_a_result_leads_to_its_step(user: User) -> None:
    found = json.loads(user.run("seamless-explain", "--json", "sorted.txt.CHECKSUM"))
    assert found["state"] == "cached"
    assert found["pins"]["code"]["value"].splitlines()[1] == "sort t.txt > sorted.txt"


def test_an_unknown_checksum_is_said_to_be(user: User) -> None:
    status, text = user.refused("seamless-explain", "0" * 64)
    assert status == 1 and "neither a transformation" in text


def test_what_was_cleared_is_computed_again_and_explained(user: User) -> None:
    row = json.loads(user.run("seamless-gc", "--json", "--yes", "--max-size", "0", "--grace", "0"))
    assert row["removed"] == 2 and row["freed"] > 0
    assert "removed by seamless-gc" in user.run("seamless-explain", "sort t.txt > sorted.txt")
    os.unlink(user.place / "sorted.txt")
    user.run("seamless-run", "sort t.txt > sorted.txt")
    assert (user.place / "sorted.txt").read_text() == "a\nb\n"


def test_a_dry_run_prints_a_table_and_removes_nothing(user: User) -> None:
    before = sorted(str(path) for path in user.cache.rglob("??/*"))
    out = user.run("seamless-gc", "--dry-run", "--max-size", "0", "--grace", "0")
    assert "result" in out and "stay without --irreplaceable" in out
    assert sorted(str(path) for path in user.cache.rglob("??/*")) == before


def test_nothing_is_removed_without_a_yes(user: User) -> None:
    status, text = user.refused("seamless-gc", "--max-size", "0", "--grace", "0")
    assert status == 2 and "--yes" in text


def test_it_must_be_said_what_may_go(user: User) -> None:
    status, text = user.refused("seamless-gc", "--yes")
    assert status == 2 and "say what may go" in text


def test_a_limit_of_the_store_is_the_default(user: User) -> None:
    user.run("seamless-gc", "--set-limit", "1kB", "--dry-run")
    assert json.loads(user.run("seamless-gc", "--dry-run", "--json"))["limit"] == 1000


def test_a_pinned_step_stays(user: User) -> None:
    found = json.loads(user.run("seamless-explain", "--json", "sorted.txt.CHECKSUM"))
    user.run("seamless-gc", "--pin", found["tf_checksum"])
    assert user.run("seamless-gc", "--pinned").strip() == found["tf_checksum"]
    row = json.loads(user.run("seamless-gc", "--json", "--yes", "--max-size", "0", "--grace", "0"))
    assert (row["freed"], row["protected"] > 0) == (0, True)
    user.run("seamless-gc", "--unpin", found["tf_checksum"])
    assert user.run("seamless-gc", "--pinned") == ""


def test_every_project_is_cleared_by_itself(user: User) -> None:
    user.run("seamless-run", "--project", "thesis", "sort t.txt > sorted.txt")
    rows = user.run("seamless-gc", "--all", "--json", "--dry-run", "--max-size", "0", "--grace", "0").splitlines()
    assert [json.loads(row)["store"] for row in rows] == ["__TOPLEVEL__", "thesis"]


def test_an_exported_result_is_cached_where_it_is_imported(user: User) -> None:
    user.run("seamless-run", "head -n 1 sorted.txt > first.txt")
    user.run("seamless-export", "-q", "-o", "first.tar.zst", "first.txt.CHECKSUM")
    done = json.loads(user.run("seamless-import", "--json", "first.tar.zst", cache="other"))
    assert done["new_steps"] == 2
    for line in ("sort t.txt > sorted.txt", "head -n 1 sorted.txt > first.txt"):
        assert json.loads(user.run("seamless-run", "--json", line, cache="other"))["cached"] is True


def test_a_damaged_archive_is_refused(user: User) -> None:
    (user.place / "bad.tar.zst").write_bytes(b"no archive")
    status, text = user.refused("seamless-import", "bad.tar.zst")
    assert status == 1 and "bad.tar.zst is damaged, or no archive" in text


def test_an_archive_that_is_not_there_is_named(user: User) -> None:
    status, text = user.refused("seamless-import", "none.tar.zst")
    assert status == 1 and "none.tar.zst" in text


def test_a_step_that_gives_the_same_is_verified(user: User) -> None:
    out = user.run("seamless-verify", "--repeat", "2", "sorted.txt.CHECKSUM")
    assert [line.split()[0] for line in out.splitlines()] == ["same", "same"]
    assert user.run("seamless-verify", "--list") == ""


def test_a_step_that_does_not_is_shown_registered_and_judged_by_a_witness(user: User) -> None:
    user.run("seamless-run", "date +%N > d.txt")
    kept = (user.place / "d.txt").read_text()
    done = user.attempt("seamless-verify", "d.txt.CHECKSUM")
    assert done.returncode == 1
    assert f"d.txt: 1- {kept.strip()}" in done.stdout.decode()
    assert user.run("seamless-verify", "--witness", "wc -l < result/d.txt", "d.txt.CHECKSUM").startswith("equivalent")
    assert "is the known result" in user.run("seamless-verify", "--list")
    user.run("seamless-run", "date +%N > d.txt")
    assert (user.place / "d.txt").read_text() == kept


def test_a_store_on_another_machine_is_named_with_what_to_run_there(user: User, run_cli: RunCli) -> None:
    home = user.place / "home" / ".seamless"
    home.mkdir(parents=True)
    frontend = "{hostname: far.example, hashserver: {bufferdir: /b}, database: {database_dir: /d}}"
    (home / "clusters.yaml").write_text(f"far:\n  type: slurm\n  frontends:\n    - {frontend}\n")
    (user.place / "seamless.yaml").write_text("- project: p\n")
    (user.place / "seamless.profile.yaml").write_text("- cluster: far\n- execution: process\n- persistent: true\n")
    env = {"HOME": str(home.parent)}
    done = run_cli(["seamless-gc", "--dry-run", "--max-size", "0"], cwd=user.place, env=env)
    assert done.returncode == 2
    assert b"is on far.example; run this command there, with --directory /b/p --database /d/p" in done.stderr
