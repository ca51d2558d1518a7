from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from seamless.errors import SeamlessStreamTransformationError
from seamless.transformer.bash.failure import BashFailure
from seamless.transformer.bash.run import write_job_directory
from seamless.transformer.outcome import Envelope


def failure(steps: Any, code: str, **options: Any) -> BashFailure:
    with pytest.raises(SeamlessStreamTransformationError) as caught:
        steps.run(code, **options)
    assert isinstance(caught.value, BashFailure)
    return caught.value


# --- what bash does with the code ------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("exit 3", 3),
        ("false; echo > RESULT", 1),
        ("echo $unset > RESULT", 1),
        ("grep x /dev/null > RESULT", 1),
        ("no-such-command-anywhere", 127),
        ("touch plain; ./plain", 126),
        ("kill -KILL $$", 137),
        ("bash -c 'kill -SEGV $$'", 139),
        ("ulimit -f 1; head -c 100000 /dev/zero > RESULT", 153),
        ("(exit 7) > RESULT", 7),
        ("sleep 100 & exit 5", 5),
    ],
)
def test_the_exit_status_is_that_of_the_command(code: str, status: int, steps: Any) -> None:
    exc = failure(steps, code)
    assert exc.exit_status == status
    assert f"Return code {status}" in str(exc)


@pytest.mark.parametrize(
    "code",
    ["false | cat; echo done > RESULT", "sleep 0 & sleep 0.05; echo done > RESULT", "sleep 100 & echo done > RESULT"],
)
def test_these_commands_succeed(code: str, steps: Any) -> None:
    assert steps.result(code) == b"done\n"


def test_stdin_is_empty(steps: Any) -> None:
    assert steps.result("cat > RESULT; readlink -f /dev/stdin >> RESULT") == b"/dev/null\n"


def test_output_beside_the_result_is_captured_and_handed_on_live(steps: Any) -> None:
    pieces: list[tuple[str, bytes]] = []
    done = steps.run("echo out; echo err >&2; echo > RESULT", on_output=lambda *piece: pieces.append(piece))
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")
    assert sorted(pieces) == [("stderr", b"err\n"), ("stdout", b"out\n")]


def test_the_calling_process_keeps_its_directory(steps: Any) -> None:
    before = os.getcwd()
    seen: list[str] = []
    steps.run("echo x; pwd > RESULT", on_output=lambda *_: seen.append(os.getcwd()))
    assert seen == [before] and os.getcwd() == before


def test_use_of_time_and_memory_is_measured(steps: Any) -> None:
    usage = steps.run("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.02; echo > RESULT").usage
    assert usage.wall_time_seconds > 0.02
    assert usage.cpu_time_user_seconds + usage.cpu_time_system_seconds > 0
    assert usage.memory_peak_bytes > 100_000


# --- failures --------------------------------------------------------------------------------


def test_the_error_shows_the_command_the_end_of_the_output_and_what_to_do(steps: Any) -> None:
    code = "for i in $(seq 30); do echo line $i >&2; done\necho printed\ncat missing.txt"
    exc = failure(steps, code)
    text = str(exc)
    assert text.startswith("Bash transformer exception\n") and text.endswith("\n")
    assert "Error: Return code 1\n" in text and "cat missing.txt\n****" in text
    assert "missing.txt: No such file" in text and "line 30" in text and "line 3\n" not in text
    assert "* Standard output\n" in text and "printed\n" in text
    assert exc.stdout == b"printed\n" and exc.stderr.startswith(b"line 1\n")


def test_the_error_shows_what_the_user_typed_where_that_is_known(steps: Any) -> None:
    text = str(failure(steps, "(\nfalse\n) > RESULT", envelope=Envelope(command="false")))
    assert "false\n" in text and "RESULT" not in text


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("echo $HOEM", "unbound variable"),
        ("no-such-command-anywhere", "not found"),
        ("grep -q x /dev/null", "|| true"),
        ("kill -9 $$", "memory"),
        ("echo > other", "must write its result to the file RESULT"),
    ],
)
def test_the_error_says_what_to_do(code: str, advice: str, steps: Any) -> None:
    assert advice in str(failure(steps, code))


def test_a_failure_survives_the_way_between_processes(steps: Any) -> None:
    exc = failure(steps, "echo out; exit 3")
    copy = pickle.loads(pickle.dumps(exc))
    assert (str(copy), copy.exit_status, copy.stdout) == (str(exc), 3, b"out\n")


def test_a_full_temporary_directory_is_reported_as_such(steps: Any) -> None:
    def copy_to(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device", "a.txt")

    steps.buffers.copy_to = copy_to
    exc = failure(steps, "cat a.txt > RESULT", files={"a.txt": b"x"})
    assert "No space left on device: 'a.txt'" in str(exc) and "TMPDIR" in str(exc)


def test_an_error_of_the_output_handler_is_not_taken_for_one_of_the_command(steps: Any) -> None:
    def closed(*_: Any) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        steps.run("echo x; sleep 100", on_output=closed)


# --- the way out -----------------------------------------------------------------------------


def test_a_time_limit_ends_the_command(steps: Any) -> None:
    exc = failure(steps, "echo before; sleep 100", envelope=Envelope(timeout=0.2))
    assert exc.exit_status == 124 and exc.stdout == b"before\n" and not exc.canceled
    assert "Time limit of 0.2 s exceeded" in str(exc)


def test_another_thread_can_cancel_the_command(steps: Any) -> None:
    canceled = threading.Event()
    exc = failure(steps, "echo started; sleep 100", canceled=canceled, on_output=lambda *_: canceled.set())
    assert exc.canceled and exc.exit_status == 130 and "Transformation was canceled" in str(exc)


CTRL_C = """
import os, signal, sys
sys.path[:0] = {path!r}
from seamless.celltypes import serialize
from seamless.checksum import Checksum
from seamless.transformer.bash.run import run_bash
from seamless.transformer.outcome import Envelope

class Buffers:
    def read(self, checksum):
        return serialize("echo started; sleep 100", "text")

def interrupt(*_):
    os.kill(os.getpid(), signal.SIGINT)

built = {{"__language__": "bash", "__output__": ["result", "bytes", None], "code": ["text", None, "0" * 64]}}
try:
    run_bash(built, Envelope(), Buffers(), on_output=interrupt)
except KeyboardInterrupt:
    print("interrupted", os.listdir(os.environ["TMPDIR"]))
"""


def test_ctrl_c_ends_the_command_and_leaves_nothing(steps: Any) -> None:
    program = CTRL_C.format(path=[str(Path(__file__).parents[3])])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("interrupted []\n", 0), done.stderr


@pytest.mark.parametrize(
    "code",
    [
        "mkdir -p d/e; touch d/e/f; chmod 0 d/e d; echo > RESULT",
        "mkdir -p d/e; touch d/e/f; chmod 555 d/e d .; exit 1",
        "ln -s / root; ln -s nowhere broken; mkfifo f; echo > RESULT",
        "echo > $'\\377 name\\n'; echo > RESULT",
    ],
)
def test_the_directory_is_gone_whatever_is_in_it(code: str, steps: Any) -> None:
    try:
        steps.run(code)
    except BashFailure as exc:
        assert exc.exit_status == 1
    assert steps.left_behind() == []


def test_commands_in_several_threads_do_not_touch_each_other(steps: Any) -> None:
    meeting = steps.temporary.parent / "meeting"
    meeting.mkdir()

    def one(number: int) -> bytes:
        # Each waits until all four are there: they can only succeed side by side.
        code = (
            f"touch {meeting}/$n; until [ $(ls {meeting} | wc -l) = 4 ]; do sleep 0.01; done; cat n f > RESULT; echo $n"
        )
        done = steps.run(code, values={"n": ("int", number)}, files={"f": b"%d" % number}, deadline=deadline)
        assert done.stdout == b"%d\n" % number
        content: bytes = steps.buffers.read(done.result)
        return content

    deadline = time.monotonic() + 60
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(one, range(4))) == [b"%d\n%d" % (n, n) for n in range(4)]


# --- environments ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "fact"),
    [
        ({"which": ["sh", "no-such-command"]}, "'no-such-command'"),
        ({"docker": {"name": "debian:12"}}, "'debian:12'"),
        ({"powers": {"gpu": True}}, "gpu"),
        ({"conda": {"dependencies": []}}, "set_conda_env"),
        ({"unheard": 1}, "unheard"),
    ],
)
def test_an_environment_that_cannot_be_had_is_refused_before_the_command_runs(
    env: dict[str, Any], fact: str, steps: Any
) -> None:
    with pytest.raises(SeamlessStreamTransformationError) as caught:
        if fact == "set_conda_env":
            env["conda"]["dependencies"].append("python")
        steps.run("echo > RESULT", envelope=Envelope(env=env))
    assert fact in str(caught.value) and str(caught.value).endswith("\n")


def test_commands_that_are_there_satisfy_which(steps: Any) -> None:
    envelope = Envelope(env={"which": ["bash", "cat"], "docker": None, "powers": {}})
    assert steps.result("echo x > RESULT", envelope=envelope) == b"x\n"


@pytest.fixture
def conda_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an installation whose `conda activate` only sets variables, one of them from an unset one."""
    profile = tmp_path / "conda root" / "etc" / "profile.d" / "conda.sh"
    profile.parent.mkdir(parents=True)
    profile.write_text('conda() { [ "$2" != wrong ] || return 1; export ACTIVE="$1 $2$NEVER_SET"; }\n')
    monkeypatch.setenv("CONDA_ROOT", str(tmp_path / "conda root"))
    return tmp_path / "conda root"


def test_the_conda_environment_is_activated(steps: Any, conda_root: Path) -> None:
    envelope = Envelope(env={"conda_environment": "my env", "which": ["cat"]})
    assert steps.result('echo "$ACTIVE" > RESULT', envelope=envelope) == b"activate my env\n"
    assert failure(steps, "echo $UNSET_HERE > RESULT", envelope=envelope).exit_status == 1


def test_a_conda_environment_that_does_not_exist_fails_the_step(steps: Any, conda_root: Path) -> None:
    assert failure(steps, "echo > RESULT", envelope=Envelope(env={"conda_environment": "wrong"})).exit_status == 1


def test_a_command_missing_in_the_conda_environment_is_named(steps: Any, conda_root: Path) -> None:
    envelope = Envelope(env={"conda_environment": "e", "which": ["no-such-command"]})
    exc = failure(steps, "echo > RESULT", envelope=envelope)
    assert exc.exit_status == 127 and "'no-such-command' is not in the conda environment 'e'" in str(exc)


def test_a_machine_without_conda_is_told_to_set_conda_root(steps: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDA_EXE", "/nonexistent/conda")
    with pytest.raises(SeamlessStreamTransformationError, match="could not determine conda root directory.*CONDA_ROOT"):
        steps.run("echo > RESULT", envelope=Envelope(env={"conda_environment": "e"}))


# --- job directories -------------------------------------------------------------------------


def test_a_job_directory_runs_by_hand(steps: Any, tmp_path: Path) -> None:
    job = tmp_path / "job"
    inputs: dict[str, Any] = {
        "values": {"n": ("int", 2)},
        "files": {"data": b"a\nb\nc\n"},
        "folders": {"d": {"x": b"d\n"}},
    }
    built = steps.transformation('head -$n "$data" | cat - d/x > RESULT', **inputs)
    write_job_directory(built, Envelope(), steps.buffers, str(job))
    subprocess.run(["./transform.sh"], cwd=job, check=True, timeout=60)
    assert (job / "RESULT").read_bytes() == b"a\nb\nd\n"


def test_a_job_directory_is_not_written_over_another(steps: Any, tmp_path: Path) -> None:
    built = steps.transformation("true")
    write_job_directory(built, Envelope(), steps.buffers, str(tmp_path / "job"))
    with pytest.raises(FileExistsError):
        write_job_directory(built, Envelope(), steps.buffers, str(tmp_path / "job"))


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_compressed_file_pin_has_the_form_that_its_name_promises(suffix: str, steps: Any) -> None:
    from seamless.compression_utils import decompress_bytes

    content = b"plain text\n" * 1000
    result = steps.result(f"cat x.txt{suffix} > RESULT", files={"x.txt" + suffix: content})
    assert len(result) < len(content)
    assert decompress_bytes(result, suffix) == content


def test_a_compressed_member_of_a_directory_is_left_as_it_is(steps: Any) -> None:
    assert steps.result("cat d/x.gz > RESULT", folders={"d": {"x.gz": b"anything"}}) == b"anything"
