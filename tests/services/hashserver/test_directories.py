"""Which directories are served and how: start-up, extra directories, layouts, algorithms, other programs."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from seamless.checksum import Checksum
from seamless.compression_utils import compress_bytes
from seamless.stores.directory import BufferDirectory

StartServer = Callable[..., Any]


def fill(directory: Path, *contents: bytes, prefix: bool = True) -> Path:
    """Make a buffer directory as other programs do."""
    directory.mkdir(parents=True, exist_ok=True)
    if prefix:
        (directory / ".HASHSERVER_PREFIX").write_text("1\n")
    for content in contents:
        name = hashlib.sha256(content).hexdigest()
        path = directory / name[:2] / name if prefix else directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return directory


# --- start ----------------------------------------------------------------------------------------


def test_a_writable_directory_is_shared_with_the_group_and_marked(start_server: StartServer) -> None:
    server = start_server("--writable")
    assert server.port
    assert server.directory.stat().st_mode & 0o7777 == 0o3775
    assert (server.directory / ".HASHSERVER_PREFIX").read_text() == "1\n"


def test_a_directory_that_is_only_read_is_left_as_it_is(start_server: StartServer, tmp_path: Path, tools: Any) -> None:
    directory = fill(tmp_path / "buffers", b"a buffer")
    directory.chmod(0o755)
    before = {str(p): p.stat() for p in directory.rglob("*")}
    server = start_server()
    assert server.get(tools.sha(b"a buffer")).body == b"a buffer"
    assert server.ask("/buffer-length", [tools.sha(b"a buffer")]) == [8]
    assert directory.stat().st_mode & 0o7777 == 0o755
    after = {str(p): p.stat() for p in directory.rglob("*")}
    assert {p: (s.st_mode, s.st_mtime_ns) for p, s in after.items()} == {
        p: (s.st_mode, s.st_mtime_ns) for p, s in before.items()
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "there is no buffer directory"),
        (("--extra-dirs", "/nowhere/at/all"), "there is no buffer directory"),
        (("--lock-timeout", "0"), "lock timeout must be"),
    ],
)
def test_a_directory_that_cannot_be_served_is_a_failed_start(
    tmp_path: Path, run_cli: Any, arguments: tuple[str, ...], message: str
) -> None:
    status = tmp_path / "status.json"
    status.write_text('{"workdir": "w"}')
    directory = tmp_path / "buffers"
    if arguments:
        directory.mkdir()
    words = [sys.executable, "-m", "seamless.cli.hashserver", str(directory), "--status-file", str(status), *arguments]
    done = run_cli(words)
    assert done.returncode in (1, 2)
    found = json.loads(status.read_text())
    assert (found["status"], found["workdir"]) == ("failed", "w")
    assert message in found["error"]
    assert message in done.stderr.decode() and "Traceback" not in done.stderr.decode()


def test_a_launch_line_is_accepted_as_it_is(start_server: StartServer, tmp_path: Path) -> None:
    status = tmp_path / "status.json"
    status.write_text("{}")
    line = ["--port-range", 50000, 60000, "--status-file", status, "--host", "127.0.0.1", "--timeout", 600]
    server = start_server(*line, "--writable")
    assert 50000 <= server.port <= 60000
    found = json.loads(status.read_text())
    assert (found["port"], found["status"]) == (server.port, "running")
    assert server.request("GET", "/healthcheck").status == 200
    assert server.put(b"x").status == 401
    assert server.put(b"x", Authorization=f"Bearer {found['token']}").status == 200


# --- other programs -------------------------------------------------------------------------------


def test_a_directory_of_the_stores_is_served_and_the_reverse(
    start_server: StartServer, tmp_path: Path, tools: Any
) -> None:
    ours = BufferDirectory(tmp_path / "buffers")
    ours.put([(Checksum.of(b"from Python"), b"from Python")])
    server = start_server("--writable")
    assert server.get(tools.sha(b"from Python")).body == b"from Python"
    server.put(b"from HTTP")
    assert ours.get(Checksum.of(b"from HTTP")) == b"from HTTP"


def test_two_servers_on_one_directory_see_the_same(start_server: StartServer, tools: Any) -> None:
    one, two = start_server("--writable"), start_server("--writable")
    one.put(b"a buffer")
    assert two.get(tools.sha(b"a buffer")).body == b"a buffer"
    assert two.put(b"a buffer").status == 201


def test_a_tree_compressed_afterwards_is_served(start_server: StartServer, tmp_path: Path, tools: Any) -> None:
    data = 1000 * b"compressed later "
    name = tools.sha(data)
    directory = fill(tmp_path / "buffers")
    (directory / name[:2]).mkdir()
    (directory / name[:2] / f"{name}.zst").write_bytes(compress_bytes(data, ".zst"))
    server = start_server()
    assert server.get(name, Accept_Encoding="identity").body == data
    assert server.ask("/buffer-length", [name]) == [len(data)]
    assert server.ask("/has", [name]) == [True]


def test_a_length_with_a_newline_is_a_length(start_server: StartServer, tmp_path: Path, tools: Any) -> None:
    directory = fill(tmp_path / "buffers")
    name = tools.sha(b"data")
    (directory / name[:2]).mkdir()
    (directory / name[:2] / f"{name}.gz").write_bytes(compress_bytes(b"data", ".gz"))
    (directory / name[:2] / f"{name}.BUFFERLENGTH").write_text("4\n")
    assert start_server().ask("/buffer-length", [name]) == [4]


def test_what_is_removed_is_gone(start_server: StartServer, tools: Any) -> None:
    server = start_server("--writable")
    server.put(b"a buffer")
    name = tools.sha(b"a buffer")
    assert server.get(name).status == 200
    server.path(name).unlink()
    assert server.get(name).status == 404
    assert server.ask("/buffer-length", [name]) == [0]
    assert server.put(b"a buffer").status == 200


# --- extra directories ----------------------------------------------------------------------------


@pytest.mark.parametrize("by_variable", [False, True])
def test_extra_directories_are_searched_in_order_in_either_layout(
    start_server: StartServer, tmp_path: Path, tools: Any, by_variable: bool
) -> None:
    one = fill(tmp_path / "one", b"in one", b"in both")
    two = fill(tmp_path / "two", b"in two", b"in both", prefix=False)
    text = f"{one};{two}"
    server = (
        start_server("--writable", HASHSERVER_EXTRA_DIRS=text)
        if by_variable
        else start_server("--writable", "--extra-dirs", text)
    )
    server.put(b"in main")
    contents = [b"in main", b"in one", b"in two", b"in both"]
    names = [tools.sha(content) for content in contents]
    assert [server.get(name).body for name in names] == contents
    absent = tools.sha(b"nowhere")
    assert server.ask("/has", [*names, absent]) == [True, True, True, True, False]
    assert server.ask("/has-now", [*names, absent]) == [True, True, True, True, False]
    assert server.ask("/buffer-length", [*names, absent]) == [7, 6, 6, 7, 0]


def test_an_upload_goes_to_the_main_directory_only(start_server: StartServer, tmp_path: Path, tools: Any) -> None:
    extra = fill(tmp_path / "extra", b"a buffer")
    server = start_server("--writable", "--extra-dirs", extra)
    assert server.put(b"a buffer").status == 200
    assert server.files() == [tools.sha(b"a buffer")]
    assert sorted(p.name for p in extra.iterdir()) == sorted([".HASHSERVER_PREFIX", tools.sha(b"a buffer")[:2]])


def test_a_damaged_buffer_is_looked_for_in_the_extra_directories(
    start_server: StartServer, tmp_path: Path, tools: Any
) -> None:
    extra = fill(tmp_path / "extra", b"a buffer")
    main = fill(tmp_path / "buffers", b"a buffer")
    name = tools.sha(b"a buffer")
    (main / name[:2] / name).write_bytes(b"a Buffer")
    server = start_server("--writable", "--extra-dirs", extra)
    assert server.get(name)[:2] == (200, b"a buffer")
    assert (main / name[:2] / f"{name}.CORRUPT").exists()


def test_a_damaged_buffer_in_an_extra_directory_stays_there(
    start_server: StartServer, tmp_path: Path, tools: Any
) -> None:
    extra = fill(tmp_path / "extra", b"a buffer")
    name = tools.sha(b"a buffer")
    (extra / name[:2] / name).write_bytes(b"a Buffer")
    server = start_server("--writable", "--extra-dirs", extra)
    assert server.get(name).status == 400
    assert (extra / name[:2] / name).read_bytes() == b"a Buffer"


# --- layouts, algorithms, durability --------------------------------------------------------------


def test_the_flat_layout_is_used_where_it_is_asked_for(start_server: StartServer, tools: Any) -> None:
    server = start_server("--writable", "--layout", "flat")
    assert server.put(b"a buffer").status == 200
    assert (server.directory / tools.sha(b"a buffer")).read_bytes() == b"a buffer"
    assert not (server.directory / ".HASHSERVER_PREFIX").exists()
    assert server.get(tools.sha(b"a buffer")).body == b"a buffer"
    assert server.ask("/has", [tools.sha(b"a buffer")]) == [True]


def test_a_flat_directory_is_recognised(start_server: StartServer, tmp_path: Path, tools: Any) -> None:
    fill(tmp_path / "buffers", b"a buffer", prefix=False)
    server = start_server("--writable")
    assert server.get(tools.sha(b"a buffer")).body == b"a buffer"
    assert not (server.directory / ".HASHSERVER_PREFIX").exists()


def test_a_directory_is_marked_when_the_prefix_layout_is_asked_for(start_server: StartServer, tools: Any) -> None:
    server = start_server("--writable", "--layout", "prefix")
    assert server.put(b"a buffer").status == 200
    assert server.path(tools.sha(b"a buffer")).exists()
    assert (server.directory / ".HASHSERVER_PREFIX").exists()


def test_another_hash_algorithm_may_be_asked_for(start_server: StartServer, tools: Any) -> None:
    server = start_server("--writable", "--hash-algorithm", "sha3-256")
    name = hashlib.sha3_256(b"a buffer").hexdigest()
    assert server.put(b"a buffer", name).status == 200
    assert server.put(b"a buffer").status == 400  # named by its SHA-256
    assert server.get(name).body == b"a buffer"
    packed = compress_bytes(b"a buffer", ".zst")
    assert server.put(packed, name, Content_Encoding="zstd").status == 200
    assert server.ask("/buffer-length", [name]) == [8]


@pytest.mark.parametrize("durability", ["none", "file", "full"])
def test_every_durability_stores_buffers(start_server: StartServer, tools: Any, durability: str) -> None:
    server = start_server("--writable", "--durability", durability)
    assert server.put(b"a buffer").status == 200
    assert server.put(b"a buffer").status == 201
    assert server.get(tools.sha(b"a buffer")).body == b"a buffer"


@pytest.fixture
def read_only_mount(tmp_path: Path, require: Any) -> Iterator[Path]:
    """Return a directory with one buffer on a file system that cannot be written."""
    require(os.geteuid() == 0, "mounting needs root")
    original, mounted = fill(tmp_path / "original", b"a buffer"), tmp_path / "mounted"
    mounted.mkdir()
    bind = ["mount", "--bind", str(original), str(mounted)]
    require(subprocess.run(bind, check=False, capture_output=True).returncode == 0, "bind mounts are not permitted")
    subprocess.run(["mount", "-o", "remount,bind,ro", str(mounted)], check=True)
    yield mounted
    subprocess.run(["umount", "--lazy", str(mounted)], check=True)


def test_a_directory_that_cannot_be_written_can_be_read(
    read_only_mount: Path, start_server: StartServer, tools: Any
) -> None:
    server = start_server(directory=read_only_mount)
    assert server.get(tools.sha(b"a buffer")).body == b"a buffer"
    assert server.ask("/has", [tools.sha(b"a buffer")]) == [True]


def test_a_directory_that_cannot_be_written_is_not_served_as_writable(
    read_only_mount: Path, start_server: StartServer
) -> None:
    server = start_server("--writable", directory=read_only_mount)
    assert server.popen.wait(30) == 1
    assert f"cannot write to {read_only_mount}" in server.log
