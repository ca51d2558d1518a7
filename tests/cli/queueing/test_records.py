"""The queue file: complete records, whoever writes and dies meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seamless.cli.queueing import records
from seamless.cli.queueing.records import Tail, append, decode, encode, read_records
from seamless.errors import UsageError


@pytest.fixture
def queue(tmp_path: Path) -> str:
    """The path of a queue file that is not there yet."""
    return str(tmp_path / "queue")


def test_a_record_is_json_and_a_nul_byte(queue: str) -> None:
    append(queue, encode({"queue_command": "EOF"}))
    assert Path(queue).read_bytes() == b'{\n  "queue_command": "EOF"\n}\0'


def test_the_lock_file_is_gone_after_an_append(queue: str) -> None:
    append(queue, encode({"queue_command": "EOF"}))
    assert os.listdir(os.path.dirname(queue)) == ["queue"]


def test_many_writers_at_once_lose_nothing(queue: str) -> None:
    code = (
        "import sys; from seamless.cli.queueing.records import append, encode\n"
        "for i in range(20): append(sys.argv[1], encode({'queue_command': 'EOF', 'from': i, 'text': 'x' * 9999}))"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, queue]) for _ in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    assert len([decode(record) for record in read_records(queue)]) == 80


def test_a_reader_keeps_the_beginning_of_a_record_until_its_end_is_there(queue: str) -> None:
    whole = encode({"queue_command": "EOF", "text": "ä" * 100})
    tail = Tail(queue)
    assert list(tail.records()) == []
    found = []
    for byte in range(len(whole)):
        with open(queue, "ab") as f:
            f.write(whole[byte : byte + 1])
        found += list(tail.records())
    tail.close()
    assert [decode(record)["text"] for record in found] == ["ä" * 100]


def test_half_a_record_of_a_killed_writer_does_not_spoil_the_next_one(queue: str) -> None:
    Path(queue).write_bytes(encode({"queue_command": "EOF"})[:10])
    append(queue, encode({"queue_command": "EOF", "whole": True}))
    half, whole = read_records(queue)
    assert decode(whole)["whole"] is True
    with pytest.raises(records.BadRecordError, match="not valid JSON"):
        decode(half)


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"\xff", "not valid text"), (b"{", "not valid JSON"), (b"[]", "not a valid queue command"), (b"{}", "SUBMIT, ")],
)
def test_what_is_no_record_is_told(data: bytes, text: str) -> None:
    with pytest.raises(records.BadRecordError, match=text):
        decode(data)


def test_text_that_is_not_valid_utf8_is_refused() -> None:
    with pytest.raises(UsageError, match="UTF-8"):
        encode({"original_command": "\udcff"})


def test_the_lock_file_of_a_dead_process_is_no_obstacle(queue: str) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    Path(queue + ".LOCK").write_text(f"{dead.pid} {os.uname().nodename}\n")
    append(queue, encode({"queue_command": "EOF"}))
    assert len(read_records(queue)) == 1


def test_an_old_lock_file_of_another_program_is_broken(queue: str) -> None:
    Path(queue + ".LOCK").write_text("")
    old = time.time() - 31
    os.utime(queue + ".LOCK", (old, old))
    append(queue, encode({"queue_command": "EOF"}))
    assert len(read_records(queue)) == 1


def test_a_fresh_lock_file_is_waited_for(queue: str) -> None:
    Path(queue + ".LOCK").write_text("")
    code = "import sys; from seamless.cli.queueing.records import append; append(sys.argv[1], b'{}' + bytes(1))"
    writer = subprocess.Popen([sys.executable, "-c", code, queue])
    with pytest.raises(subprocess.TimeoutExpired):
        writer.wait(1)
    os.unlink(queue + ".LOCK")
    assert writer.wait(30) == 0
    assert read_records(queue) == [b"{}"]


def test_a_file_with_unread_records_is_not_removed(queue: str) -> None:
    append(queue, encode({"queue_command": "EOF"}))
    tail = Tail(queue)
    list(tail.records())
    append(queue, encode({"queue_command": "EOF"}))
    assert not tail.remove_if_read(lambda: None)
    list(tail.records())
    assert tail.remove_if_read(lambda: None)
    tail.close()
    assert not os.path.exists(queue)


def test_the_queue_file_is_here_or_where_the_variable_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert records.queue_path() == str(tmp_path / ".seamless-queue")
    monkeypatch.setenv("SEAMLESS_QUEUE_FILE", "q")
    assert records.queue_path() == str(tmp_path / "q")
