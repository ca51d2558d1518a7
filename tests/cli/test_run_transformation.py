"""`seamless-run-transformation`: any transformation, by its checksum."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seamless.checksum import Checksum


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A directory with one file."""
    directory = tmp_path / "work"
    directory.mkdir()
    (directory / "a.txt").write_text("b\na\n")
    return directory


@pytest.fixture
def call(run_cli: Any, work: Path, tmp_path: Path) -> Callable[..., Any]:
    """call(*argv): the completed process, with text."""

    def run(*argv: str) -> Any:
        done = run_cli(argv, cwd=work, env={"SEAMLESS_CACHE": str(tmp_path / "cache")})
        done.out, done.err = done.stdout.decode(), done.stderr.decode()
        assert "Traceback" not in done.err
        return done

    return run


def upload(call: Callable[..., Any], *argv: str) -> str:
    """Store a step with its job directory `job`; return its checksum."""
    done = call("seamless-run", "--dry", "--upload", "-j", "job", *argv)
    assert done.returncode == 0, done.err
    return str(done.out.strip())


def test_the_checksum_of_the_result_is_printed(call: Callable[..., Any]) -> None:
    tf = upload(call, "sort a.txt")
    expected = Checksum.of(b"a\nb\n").hex() + "\n"
    assert call("seamless-run-transformation", tf).out == expected
    assert call("seamless-run-transformation", "job/transformation.json.CHECKSUM").out == expected
    assert call("seamless-run", "sort a.txt").out == "a\nb\n"


def test_metavars_and_environment_come_from_the_file_beside(call: Callable[..., Any], work: Path) -> None:
    upload(call, "--metavar", "Q=7", "-c", 'echo "$Q"')
    done = call("seamless-run-transformation", "job/transformation.json.CHECKSUM")
    assert done.out.strip() == Checksum.of(b"7\n").hex()


def test_another_file_can_be_named(call: Callable[..., Any], work: Path) -> None:
    tf = upload(call, "--metavar", "Q=7", "-c", 'echo "$Q"')
    (work / "job" / "dunder.json").rename(work / "other.json")
    assert call("seamless-run-transformation", tf).returncode == 1
    done = call("seamless-run-transformation", "--dunder", "other.json", tf)
    assert done.out.strip() == Checksum.of(b"7\n").hex()


@pytest.mark.parametrize(
    ("content", "mentions"),
    [("{", "no valid JSON"), ("[]", "JSON object"), ('{"a.txt": []}', "identity"), ('{"__what__": 1}', "__what__")],
)
def test_a_dunder_file_that_cannot_be_is_refused(
    call: Callable[..., Any], work: Path, content: str, mentions: str
) -> None:
    (work / "d.json").write_text(content)
    done = call("seamless-run-transformation", "--dunder", "d.json", "0" * 64)
    assert done.returncode == 2
    assert mentions in done.err


def test_a_transformation_that_nobody_knows_is_named(call: Callable[..., Any]) -> None:
    done = call("seamless-run-transformation", "ab" * 32)
    assert (done.returncode, done.out) == (1, "")
    assert "seamless.CacheMissError: " + "ab" * 32 in done.err


def test_a_buffer_that_is_no_transformation_is_told(call: Callable[..., Any], work: Path) -> None:
    call("seamless-upload", "a.txt")
    done = call("seamless-run-transformation", "a.txt.CHECKSUM")
    assert done.returncode == 1
    assert "is no transformation" in done.err


def test_a_failing_step_gives_its_message_and_1(call: Callable[..., Any]) -> None:
    tf = upload(call, "-c", "echo oh no >&2; exit 3")
    done = call("seamless-run-transformation", tf)
    assert (done.returncode, done.out) == (1, "")
    assert "oh no" in done.err and "Return code 3" in done.err


def test_a_python_step_runs_too(call: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from seamless.stores.embedded import open_embedded
    from seamless.transformer.identity import transformation_buffer

    code = b"result = 6 * 7"
    text = {"__language__": "python", "code": ["python", "transformer", Checksum.of(code).hex()]}
    identity = transformation_buffer(text)
    store = open_embedded(tmp_path / "cache" / "__TOPLEVEL__")
    store.buffers.put([(Checksum.of(code), code), (Checksum.of(identity), identity)])
    done = call("seamless-run-transformation", Checksum.of(identity).hex())
    assert (done.returncode, done.out.strip()) == (0, Checksum.of(b"42\n").hex())


def test_scratch_keeps_the_checksum_only(call: Callable[..., Any]) -> None:
    tf = upload(call, "sort a.txt")
    result = call("seamless-run-transformation", "--scratch", tf).out.strip()
    assert call("seamless-resolve", result).returncode == 1
    assert call("seamless-fingertip", result).out == "a\nb\n"


def test_a_lost_input_is_an_error_unless_it_may_be_computed_again(call: Callable[..., Any], work: Path) -> None:
    call("seamless-run", "--scratch", "sort a.txt > s.txt")
    tf = upload(call, "cat s.txt")
    member = (work / "s.txt.CHECKSUM").read_text().strip()
    lost = call("seamless-run-transformation", tf)
    assert (lost.returncode, member in lost.err) == (1, True)
    found = call("seamless-run-transformation", "--fingertip", tf)
    assert (found.returncode, found.out.strip()) == (0, Checksum.of(b"a\nb\n").hex())


def test_the_settings_of_the_dry_run_are_in_the_dunder_file(call: Callable[..., Any], work: Path) -> None:
    upload(call, "--direct-print", "sort a.txt")
    assert json.loads((work / "job" / "dunder.json").read_text()) == {"__meta__": {"__direct_print__": True}}
    assert call("seamless-run-transformation", "job/transformation.json.CHECKSUM").returncode == 0
