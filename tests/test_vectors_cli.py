"""The golden vectors of the command line: what each command line prints, writes, and stores under which checksum."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import RunCli

VECTORS = json.loads((Path(__file__).parent / "vectors" / "cli.json").read_text(encoding="utf-8"))

Completed = subprocess.CompletedProcess


# --- cases --------------------------------------------------------------------------------------


def overlaid(expect: dict[str, Any], want: dict[str, Any]) -> dict[str, Any]:
    """Return what a step must do: what the reference did, overlaid by what we want instead."""
    result = dict(expect)
    for key, value in want.items():
        if key in ("steps", "why", "note"):
            continue
        if key == "files" and value is not None:
            merged = {**result.get("files", {}), **value}
            result["files"] = {name: content for name, content in merged.items() if content is not None}
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = value
    if "stderr_mentions" in want:
        result.pop("stderr_contains", None)
    if result.get("exit") == "own":  # a refusal: there is no transformation and no file
        for key in ("tf_checksum", "transformation", "code", "result_checksum", "files"):
            result.pop(key, None)
    return result


def steps_of(case: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the steps of a case with the final expectation of each."""
    want = case.get("want", {})
    single = want.get("steps", {})
    steps = []
    for index, step in enumerate(case["steps"]):
        expect = step.get("expect", {})
        if "argv" in step:
            expect = overlaid(expect, {key: value for key, value in want.items() if key != "steps"})
            expect = overlaid(expect, single.get(str(index), {}))
            expect = overlaid(expect, step.get("want", {}))
        steps.append({**step, "expect": expect})
    return steps


# --- one run ------------------------------------------------------------------------------------


def content_of(description: Any) -> bytes:
    if isinstance(description, str):
        return description.encode()
    if "base64" in description:
        return base64.b64decode(description["base64"])
    return str(description["text"]).encode()


def write_files(directory: Path, files: list[dict[str, Any]]) -> None:
    for file in files:
        path = directory / file["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        if file.get("dir"):
            path.mkdir(exist_ok=True)
        elif "symlink" in file:
            path.symlink_to(file["symlink"])
        else:
            path.write_bytes(content_of(file))
            if "mode" in file:
                mode = file["mode"]
                path.chmod(int(mode, 8) if isinstance(mode, str) else mode)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def listing(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir()}


class CaseRunner:
    """A directory named after the case, a home and a cache, and the commands of one case run in them."""

    def __init__(self, case: dict[str, Any], tmp_path: Path, run_cli: RunCli) -> None:
        self.case = case
        self.cwd = tmp_path / case["id"]
        self.cache = tmp_path / "cache"
        self.jobs = tmp_path
        self.run_cli = run_cli
        self.cwd.mkdir()
        self.cache.mkdir()
        write_files(self.cwd, case["files"])

    def run(self, argv: list[str], stdin: Any = None) -> Completed[bytes]:
        words = [word.replace("{CWD}", str(self.cwd)) for word in argv]
        given = None if stdin is None else content_of(stdin)
        return self.run_cli(words, cwd=self.cwd, env={"SEAMLESS_CACHE": str(self.cache)}, input=given)

    def filled(self, text: str) -> str:
        return text.replace("{CWD}", str(self.cwd))

    def stored_result(self, transformation: str) -> str | None:
        connection = sqlite3.connect(self.cache / "__TOPLEVEL__" / "seamless.db")
        try:
            query = "SELECT result FROM transformation WHERE checksum = ?"
            row = connection.execute(query, (transformation,)).fetchone()
        finally:
            connection.close()
        return row and row[0]

    def check_dry_run(self, step: dict[str, Any], index: int) -> None:
        """Check what `--dry -j DIRECTORY` with the same arguments prints and writes."""
        expect = step["expect"]
        job = self.jobs / f"job-{index}"
        argv = step["argv"]
        done = self.run([argv[0], "--dry", "-j", str(job), *argv[1:]])
        assert done.returncode == 0, done.stderr.decode()
        identity = (job / "transformation.json").read_bytes()
        assert json.loads(identity) == expect["transformation"]
        assert done.stdout.decode() == expect["tf_checksum"] + "\n"
        assert hashlib.sha256(identity).hexdigest() == expect["tf_checksum"]
        if "code" in expect:
            assert (job / "command.txt").read_text() == self.filled(expect["code"])
        for name in ("env.json", "dunder.json"):
            if name in expect:
                assert json.loads((job / name).read_text()) == expect[name]

    def check_step(self, step: dict[str, Any], index: int) -> None:
        expect = step["expect"]
        if "tf_checksum" in expect and "--dry" not in step["argv"]:
            self.check_dry_run(step, index)
        if step.get("dry_only"):
            return
        before = listing(self.cwd)
        done = self.run(step["argv"], step.get("stdin"))
        self.check_streams(done, expect, step["argv"][0])
        self.check_files(expect, before)
        if expect.get("result_checksum"):
            assert self.stored_result(expect["tf_checksum"]) == expect["result_checksum"]

    def check_streams(self, done: Completed[bytes], expect: dict[str, Any], command: str) -> None:
        stderr = done.stderr.decode("utf-8", "replace")
        assert "Traceback (most recent call last)" not in stderr
        wanted = expect.get("exit")
        if wanted == "own":
            assert done.returncode in (2, 125), stderr
            assert done.stdout == b""
        elif wanted == "nonzero":
            assert 1 <= done.returncode <= 127, stderr
        elif wanted is not None:
            assert done.returncode == wanted, stderr
        if expect.get("stdout") is not None and wanted != "own":
            text = expect["stdout"]
            if isinstance(text, str):
                text = {"text": text}
            if "sha256" in text:
                assert hashlib.sha256(done.stdout).hexdigest() == text["sha256"]
            elif "text" in text:
                assert done.stdout.decode("utf-8", "replace") == self.filled(text["text"])
            else:
                assert done.stdout == content_of(text)
        for part in expect.get("stderr_contains", []):
            assert self.filled(part) in stderr
        for fact in expect.get("stderr_mentions", []):
            assert self.filled(fact).lower() in stderr.lower()

    def check_files(self, expect: dict[str, Any], before: set[str]) -> None:
        for name, description in expect.get("files", {}).items():
            found = (self.cwd / name).read_bytes()
            if isinstance(description, dict) and "sha256" in description:
                assert hashlib.sha256(found).hexdigest() == description["sha256"], name
            elif isinstance(description, dict) and "nul_terminated_json" in description:
                assert found.endswith(b"\0")
                records = [json.loads(record) for record in found[:-1].split(b"\0")]
                assert records == json.loads(self.filled(json.dumps(description["nul_terminated_json"]))), name
            elif isinstance(description, dict) and "text" in description:
                assert found.decode() == self.filled(description["text"]), name
            else:
                assert found == content_of(description), name
        for name in expect.get("gone", []):
            assert not os.path.lexists(self.cwd / name), name
        appeared = listing(self.cwd) - before
        assert appeared <= set(expect.get("files", {})), "files that nobody asked for"


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["id"])
def test_a_command_line_does_what_was_agreed(case: dict[str, Any], tmp_path: Path, run_cli: RunCli) -> None:
    runner = CaseRunner(case, tmp_path, run_cli)
    for index, step in enumerate(steps_of(case)):
        if "rm" in step:
            for name in step["rm"]:
                remove(runner.cwd / name)
        elif "write" in step:
            write_files(runner.cwd, step["write"])
        else:
            runner.check_step(step, index)


@pytest.mark.parametrize("row", VECTORS["seamlessify"], ids=lambda row: " ".join(row["argv"]))
def test_a_line_of_seamless_mode_is_rewritten_as_agreed(row: dict[str, Any], run_cli: RunCli) -> None:
    done = run_cli(row["argv"])
    assert (done.stdout.decode(), done.returncode) == (row["stdout"], row["exit"])
