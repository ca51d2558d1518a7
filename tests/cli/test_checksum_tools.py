"""seamless-checksum, seamless-checksum-file and seamless-checksum-index, run as a user runs them."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import json
import os
import pty
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from seamless.cli import checksum, checksum_file, checksum_index
from seamless.compression_utils import compress_bytes

HEX = hashlib.sha256(b"text\n").hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()
COMMANDS = ["checksum", "checksum_file", "checksum_index"]

Tool = Callable[..., tuple[int, str, str]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a file, the same file compressed elsewhere, and a directory."""
    directory = tmp_path / "work"
    (directory / "d" / "sub").mkdir(parents=True)
    (directory / "a.txt").write_bytes(b"text\n")
    (directory / "z.txt.gz").write_bytes(gzip.compress(b"text\n"))
    (directory / "d" / "x").write_bytes(b"text\n")
    (directory / "d" / "sub" / "y").write_bytes(b"other")
    monkeypatch.chdir(directory)
    return directory


@pytest.fixture
def tool(here: Path, capfd: pytest.CaptureFixture[str]) -> Tool:
    """Return tool(name, *arguments) -> (exit status, stdout, stderr)."""

    def run(name: str, *arguments: str) -> tuple[int, str, str]:
        module = {"checksum": checksum, "file": checksum_file, "index": checksum_index}[name]
        status = module.main(arguments)
        out, err = capfd.readouterr()
        return status, out, err

    return run


# --- printing ---


def test_one_file_gives_the_bare_checksum(tool: Tool) -> None:
    assert tool("checksum", "a.txt") == (0, HEX + "\n", "")


def test_several_files_give_lines_with_names(tool: Tool) -> None:
    assert tool("checksum", "a.txt", "z.txt.gz") == (0, f"{HEX}  a.txt\n{HEX}  z.txt.gz\n", "")


def test_json_gives_one_object_a_line(tool: Tool) -> None:
    status, out, _ = tool("checksum", "--json", "a.txt", "z.txt.gz")
    assert [json.loads(line) for line in out.splitlines()] == [
        {"path": "a.txt", "checksum": HEX},
        {"path": "z.txt.gz", "checksum": HEX},
    ]
    assert status == 0


def test_standard_input_is_hashed_as_it_is(here: Path) -> None:
    data = gzip.compress(b"text\n")
    command = [sys.executable, "-m", "seamless.cli.checksum", "-"]
    done = subprocess.run(command, input=data, capture_output=True, check=True)
    assert done.stdout.decode() == hashlib.sha256(data).hexdigest() + "\n"


def test_a_name_that_is_not_utf8_is_printed_byte_for_byte(here: Path) -> None:
    name = b"\xff name"
    try:
        Path(os.fsdecode(name)).write_bytes(b"text\n")
    except OSError:
        pytest.skip("the file system accepts UTF-8 names only")
    command = [sys.executable.encode(), b"-m", b"seamless.cli.checksum", name, b"a.txt"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout == f"{HEX}  ".encode() + name + f"\n{HEX}  a.txt\n".encode()


# --- sidecars ---


@pytest.mark.parametrize(
    ("name", "sidecar"),
    [("a.txt", "a.txt.CHECKSUM"), ("z.txt.gz", "z.txt.CHECKSUM"), ("d/x", "d/x.CHECKSUM"), ("d.INDEX", "d.CHECKSUM")],
)
def test_the_sidecar_is_written_beside_the_file_and_nothing_is_printed(
    here: Path, tool: Tool, name: str, sidecar: str
) -> None:
    (here / "d.INDEX").write_bytes(b"text\n")
    assert tool("file", name) == (0, "", "")
    assert (here / sidecar).read_text() == HEX + "\n"


def test_two_different_files_with_one_sidecar_are_refused(here: Path, tool: Tool) -> None:
    (here / "a.txt.gz").write_bytes(gzip.compress(b"text\n"))
    assert tool("file", "a.txt", "a.txt.gz") == (0, "", "")
    (here / "a.txt.gz").write_bytes(gzip.compress(b"other"))
    status, _, err = tool("file", "a.txt", "a.txt.gz")
    assert status == 1
    assert "'a.txt.gz' and 'a.txt' differ, but both have the sidecar 'a.txt.CHECKSUM'" in err
    assert (here / "a.txt.CHECKSUM").read_text() == HEX + "\n"


def test_a_sidecar_has_the_usual_permissions(here: Path, tool: Tool) -> None:
    before = os.umask(0o027)
    try:
        tool("file", "a.txt")
    finally:
        os.umask(before)
    assert stat.S_IMODE((here / "a.txt.CHECKSUM").stat().st_mode) == 0o640


def test_json_names_the_sidecars(tool: Tool) -> None:
    _, out, _ = tool("file", "--json", "a.txt")
    assert json.loads(out) == {"path": "a.txt", "checksum": HEX, "sidecar": "a.txt.CHECKSUM"}
    _, out, _ = tool("index", "--json", "d")
    found = json.loads(out)
    assert (found["sidecar"], found["index"], found["files"]) == ("d.CHECKSUM", "d.INDEX", 2)


def index_of(files: dict[str, str]) -> bytes:
    return (json.dumps(files, indent=2, sort_keys=True) + "\n").encode()


@pytest.mark.parametrize("name", ["d", "d/", "d//", "./d"])
def test_the_index_and_its_checksum_are_written_beside_the_directory(here: Path, tool: Tool, name: str) -> None:
    assert tool("index", name) == (0, "", "")
    expected = index_of({"sub/y": OTHER, "x": HEX})
    assert (here / "d.INDEX").read_bytes() == expected
    assert (here / "d.CHECKSUM").read_text() == hashlib.sha256(expected).hexdigest() + "\n"
    assert sorted(os.listdir(here)) == ["a.txt", "d", "d.CHECKSUM", "d.INDEX", "z.txt.gz"]


@pytest.mark.parametrize(("cwd", "name"), [("d", "."), ("d", "./"), ("d/sub", ".."), ("d/sub", "../../d/sub/..")])
def test_a_directory_without_a_name_of_its_own_gets_its_real_one(
    here: Path, tool: Tool, monkeypatch: pytest.MonkeyPatch, cwd: str, name: str
) -> None:
    monkeypatch.chdir(here / cwd)
    assert tool("index", name) == (0, "", "")
    assert (here / "d.INDEX").read_bytes() == index_of({"sub/y": OTHER, "x": HEX})
    assert sorted(os.listdir(here / "d")) == ["sub", "x"]


def test_the_root_directory_is_refused(tool: Tool) -> None:
    status, _, err = tool("index", "/")
    assert status == 1
    assert "'/' has no name" in err


# --- errors ---


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (("checksum", "missing"), ["missing", "No such file"]),
        (("file", "missing"), ["missing", "No such file"]),
        (("index", "missing"), ["missing", "No such file"]),
        (("checksum", "d"), ["'d'", "directory", "seamless-checksum-index"]),
        (("file", "d"), ["'d'", "directory", "seamless-checksum-index"]),
        (("index", "a.txt"), ["a.txt", "not a directory"]),
        (("checksum", "bad.gz"), ["bad.gz", "corrupt"]),
        (("checksum", "short.gz"), ["short.gz", "truncated"]),
        (("checksum", "short.zst"), ["short.zst", "truncated"]),
        (("file", "bad.gz"), ["bad.gz", "corrupt"]),
        (("file", ".gz"), [".gz", "no name"]),
        (("index", "dangling"), ["dangling/link", "dangling link", "gone"]),
        (("index", "twice"), ["twice/f'", "twice/f.gz'"]),
    ],
)
def test_a_mistake_is_one_message_that_names_the_path(
    here: Path, tool: Tool, arguments: tuple[str, ...], facts: list[str]
) -> None:
    (here / "bad.gz").write_bytes(b"corrupt")
    (here / ".gz").write_bytes(gzip.compress(b""))
    (here / "short.gz").write_bytes(gzip.compress(b"text")[:-3])
    (here / "short.zst").write_bytes(compress_bytes(b"text", ".zst")[:-3])
    (here / "dangling").mkdir()
    (here / "dangling" / "link").symlink_to("gone")
    (here / "twice").mkdir()
    (here / "twice" / "f").write_bytes(b"1")
    (here / "twice" / "f.gz").write_bytes(gzip.compress(b"2"))
    before = sorted(os.listdir(here))
    status, out, err = tool(*arguments)
    assert (status, out) == (1, "")
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert [fact for fact in facts if fact not in err] == []
    assert sorted(os.listdir(here)) == before


def test_the_other_files_are_done_in_spite_of_an_error(here: Path, tool: Tool) -> None:
    status, out, err = tool("checksum", "missing", "a.txt")
    assert (status, out) == (1, f"{HEX}  a.txt\n")
    assert tool("file", "missing", "a.txt")[0] == 1
    assert (here / "a.txt.CHECKSUM").exists()


@pytest.mark.parametrize("name", ["checksum", "file", "index"])
@pytest.mark.parametrize("arguments", [(), ("--nonsense", "a.txt")])
def test_wrong_usage_is_status_2(tool: Tool, name: str, arguments: tuple[str, ...]) -> None:
    status, out, err = tool(name, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("usage: ")


@pytest.mark.parametrize(("module", "argument"), [("checksum_file", "ro/a"), ("checksum_index", "ro/d")])
def test_a_directory_that_may_not_be_written_is_an_error_that_names_the_sidecar(
    here: Path, module: str, argument: str
) -> None:
    (here / "ro" / "d").mkdir(parents=True)
    (here / "ro" / "a").write_bytes(b"x")
    os.chmod(here / "ro", 0o555)
    # root may write everywhere: the child gives that up, after a first run that has imported everything
    code = (
        f"import sys, os; from seamless.cli import {module} as m; m.main([sys.argv[1].replace('ro/', 'rw/')])\n"
        "os.getuid() == 0 and os.setuid(65534)\n"
        "sys.exit(m.main(sys.argv[1:]))"
    )
    shutil.copytree(here / "ro", here / "rw")
    (here / "rw").chmod(0o755)
    try:
        done = subprocess.run([sys.executable, "-c", code, argument], capture_output=True, text=True, check=False)
    finally:
        os.chmod(here / "ro", 0o755)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: '{argument}.")
    assert done.stderr.endswith(": cannot be written: Permission denied\n")
    assert sorted(os.listdir(here / "ro")) == ["a", "d"]


# --- --check ---


@pytest.fixture
def with_sidecars(here: Path, tool: Tool) -> Path:
    tool("file", "a.txt", "z.txt.gz")
    tool("index", "d")
    return here


def test_check_accepts_files_directories_and_sidecars(with_sidecars: Path, tool: Tool) -> None:
    names = ["a.txt", "a.txt.CHECKSUM", "z.txt.gz", "z.txt.CHECKSUM", "d", "d.CHECKSUM", "d.INDEX"]
    assert tool("checksum", "--check", *names) == (0, "".join(f"{name}: OK\n" for name in names), "")
    assert tool("file", "--check", "a.txt", "z.txt.gz") == (0, "a.txt: OK\nz.txt.gz: OK\n", "")
    assert tool("index", "--check", "d/") == (0, "d/: OK\n", "")


def test_check_writes_nothing(with_sidecars: Path, tool: Tool) -> None:
    (with_sidecars / "a.txt").write_bytes(b"changed")
    before = {path: path.read_bytes() for path in with_sidecars.iterdir() if path.is_file()}
    tool("file", "--check", "a.txt")
    tool("index", "--check", "d")
    assert {path: path.read_bytes() for path in with_sidecars.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("name", ["checksum", "file"])
def test_check_finds_a_changed_file(with_sidecars: Path, tool: Tool, name: str) -> None:
    (with_sidecars / "a.txt").write_bytes(b"changed")
    status, out, err = tool(name, "--check", "a.txt", "z.txt.gz")
    assert (status, out) == (1, "a.txt: FAILED\nz.txt.gz: OK\n")
    assert err == "Error: 1 of 2 did not match the checksum in the sidecar\n"


def test_check_of_a_directory_names_the_files_that_differ(with_sidecars: Path, tool: Tool) -> None:
    (with_sidecars / "d" / "x").unlink()
    (with_sidecars / "d" / "new").write_bytes(b"")
    (with_sidecars / "d" / "sub" / "y").write_bytes(b"changed")
    status, out, err = tool("index", "--check", "d")
    assert (status, out) == (1, "d: FAILED\n")
    assert [line.split(": ", 2)[2] for line in err.splitlines()[:3]] == ["added: new", "changed: sub/y", "removed: x"]


def test_check_finds_a_directory_index_that_does_not_belong_to_the_checksum(with_sidecars: Path, tool: Tool) -> None:
    (with_sidecars / "d" / "x").write_bytes(b"changed")
    (with_sidecars / "d.INDEX").write_bytes(b"{}\n")
    assert "'d.INDEX' does not have the checksum in 'd.CHECKSUM'" in tool("index", "--check", "d")[2]


def test_quiet_check_prints_failures_only(with_sidecars: Path, tool: Tool) -> None:
    assert tool("checksum", "-q", "--check", "a.txt", "d") == (0, "", "")
    (with_sidecars / "a.txt").write_bytes(b"changed")
    assert tool("checksum", "-q", "--check", "a.txt", "d")[:2] == (1, "a.txt: FAILED\n")


def test_check_as_json_gives_both_checksums(with_sidecars: Path, tool: Tool) -> None:
    (with_sidecars / "a.txt").write_bytes(b"other")
    status, out, _ = tool("checksum", "--json", "--check", "a.txt")
    assert json.loads(out) == {"path": "a.txt", "checksum": OTHER, "expected": HEX, "ok": False}
    assert status == 1


def test_blank_lines_and_comments_in_a_sidecar_do_not_count(with_sidecars: Path, tool: Tool) -> None:
    (with_sidecars / "a.txt.CHECKSUM").write_text(f"# made by hand\n\n  {HEX.upper()}  \n  # end\n")
    assert tool("checksum", "--check", "a.txt")[0] == 0


@pytest.mark.parametrize("text", ["", "abc", HEX + HEX, HEX + "\n" + HEX, "x" * 64, "# " + HEX])
def test_a_sidecar_without_one_checksum_is_an_error_that_names_it(with_sidecars: Path, tool: Tool, text: str) -> None:
    (with_sidecars / "a.txt.CHECKSUM").write_text(text)
    status, _, err = tool("checksum", "--check", "a.txt")
    assert status == 1
    assert "'a.txt.CHECKSUM' does not hold a SHA-256 checksum" in err


@pytest.mark.parametrize(("name", "missing"), [("d/x", "d/x.CHECKSUM"), ("gone.CHECKSUM", "gone")])
def test_check_without_the_other_half_is_an_error(with_sidecars: Path, tool: Tool, name: str, missing: str) -> None:
    (with_sidecars / "gone.CHECKSUM").write_text(HEX)
    status, out, err = tool("checksum", "--check", name)
    assert (status, out) == (1, "")
    assert repr(missing) in err


# --- conventions ---


@pytest.mark.parametrize("module", COMMANDS)
def test_help_fits_80_columns_and_shows_examples_and_exit_codes(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = importlib.import_module(f"seamless.cli.{module}").build_parser().format_help()
    assert max(map(len, text.splitlines())) <= 80
    for word in ("Inputs:", "Outputs:", "General:", "examples:", "exit codes:", "--version"):
        assert word in text


def test_progress_is_shown_on_a_terminal_and_taken_away(here: Path) -> None:
    (here / "big").write_bytes(bytes(3_000_000))
    code = (
        "import sys; from seamless.cli import common, checksum; common.Progress.DELAY = 0\n"
        "sys.exit(checksum.main(['big']))"
    )
    master, slave = pty.openpty()
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=slave, check=False)
    os.close(slave)
    shown = os.read(master, 100_000)
    os.close(master)
    assert done.stdout.decode() == hashlib.sha256(bytes(3_000_000)).hexdigest() + "\n"
    assert b"seamless-checksum    0%" in shown
    assert b"3.00 MB" in shown
    assert shown.endswith(b"\r\x1b[K")


def test_a_large_file_is_hashed_with_little_memory(here: Path) -> None:
    with open(here / "sparse", "wb") as f:
        f.truncate(200_000_000)
    code = (
        "from seamless.cli.checksum import main; main(['sparse'])\n"
        "print(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[1]) < 60_000  # kilobytes


def test_no_engine_is_loaded(here: Path) -> None:
    code = (
        "import sys; from seamless.cli.checksum import main; main(['a.txt'])\n"
        "heavy = {'numpy', 'asyncio', 'yaml', 'tempfile', 'subprocess', 'shutil', 'inspect', 'tree_sitter', 'tqdm'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1] == "[]"
