from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from seamless.transformer.bash.failure import BashFailure


@pytest.mark.parametrize(
    ("command", "celltype", "buffer"),
    [
        ("printf 'a\\n\\n'", "bytes", b"a\n\n"),
        ("true", "bytes", b""),
        ("printf '\\0\\377'", "bytes", b"\0\xff"),
        ("echo 42", "mixed", b"42\n"),
        ("echo hello", "mixed", b'"hello\\n"\n'),
        ("true", "mixed", b'""\n'),
        ("echo '[1, {\"a\": null}]'", "plain", b'[\n  1,\n  {\n    "a": null\n  }\n]\n'),
        ("echo 3", "int", b"3\n"),
        ("echo 3", "float", b"3.0\n"),
        ("echo true", "bool", b"true\n"),
        ("echo hello", "text", b"hello\n"),
        ("printf '1e5\\n\\n'", "text", b"1e5\n"),
        ("echo '{\"a\": true}'", "text", b'{"a": true}\n'),
        ("echo 42", "str", b'"42"\n'),
        ("printf hello", "str", b'"hello"\n'),
        ("printf true", "str", b'"true"\n'),
    ],
)
def test_a_result_file_becomes_a_buffer_of_the_result_celltype(
    command: str, celltype: str, buffer: bytes, steps: Any
) -> None:
    assert steps.result(f"{command} > RESULT", output=celltype) == buffer


def test_bytes_that_are_no_text_become_a_byte_array(steps: Any) -> None:
    numpy = pytest.importorskip("numpy")
    from seamless.celltypes import parse

    value = parse(steps.result("printf '\\377\\1' > RESULT", output="mixed"), "mixed")
    assert value.dtype == numpy.uint8 and value.tolist() == [255, 1]


def test_a_npy_file_becomes_an_array(steps: Any) -> None:
    numpy = pytest.importorskip("numpy")
    from seamless.celltypes import parse, serialize

    array = numpy.arange(6.0).reshape(2, 3)
    for celltype in ("binary", "mixed"):
        content = steps.result("mv a.npy RESULT", files={"a.npy": serialize(array, "binary")}, output=celltype)
        assert (parse(content, celltype) == array).all()


@pytest.mark.parametrize("celltype", ["folder", "deepfolder"])
def test_a_result_directory_becomes_an_index_of_raw_files(celltype: str, steps: Any) -> None:
    code = (
        "mkdir -p RESULT/a/b RESULT/empty; printf 1 > RESULT/a/b/c; printf 2 > 'RESULT/a b'; printf '\\377' > RESULT/z"
    )
    index = steps.result(code, output=celltype)
    expected = {"a b": b"2", "a/b/c": b"1", "z": b"\xff"}
    lines = [f'  "{path}": "{steps.add(content)}"' for path, content in expected.items()]
    assert index.decode() == "{\n" + ",\n".join(lines) + "\n}\n"
    assert all(content in steps.buffers.buffers.values() for content in expected.values())


def test_a_result_directory_of_values_is_a_dict(steps: Any) -> None:
    code = "mkdir -p RESULT/d; echo 1 > RESULT/d/n; echo x > RESULT/t"
    assert steps.result(code, output="plain") == b'{\n  "d/n": 1,\n  "t": "x\\n"\n}\n'


def test_links_to_files_are_followed_and_links_to_directories_are_not(steps: Any, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("outside")
    code = f"""
        mkdir RESULT d; echo in > in.txt; echo no > d/no
        ln -s ../in.txt RESULT/in; ln -s {outside} RESULT/out; ln -s ../d RESULT/d; ln -s ../in.txt RESULT/again
    """
    assert steps.tree(code) == {"again": b"in\n", "in": b"in\n", "out": b"outside"}
    assert outside.read_text() == "outside"


def test_a_hard_link_is_copied_so_that_the_store_shares_no_file(steps: Any, tmp_path: Path) -> None:
    outside = steps.temporary.parent / "outside.txt"
    outside.write_text("outside")
    consumed: list[int] = []
    add_file = steps.buffers.add_file
    steps.buffers.add_file = lambda path: consumed.append(os.stat(path).st_ino) or add_file(path)
    assert steps.result(f"ln {outside} RESULT") == b"outside"
    assert consumed and outside.stat().st_ino not in consumed


def test_a_result_that_links_to_a_file_or_an_own_directory_is_followed(steps: Any) -> None:
    assert steps.result("echo x > out; ln -s out RESULT") == b"x\n"
    assert steps.tree("mkdir out; echo x > out/a; ln -s out RESULT") == {"a": b"x\n"}


@pytest.mark.parametrize(
    ("code", "celltype", "facts"),
    [
        ("true", "bytes", ["RESULT does not exist"]),
        ("mkdir RESULT", "deepfolder", ["RESULT is empty"]),
        ("mkdir -p RESULT/a/b; ln -s /tmp RESULT/c", "mixed", ["RESULT is empty"]),
        ("mkdir RESULT; echo > RESULT/a", "bytes", ["is a directory", "'bytes'"]),
        ("echo > RESULT", "deepfolder", ["is a file", "mkdir RESULT"]),
        ("ln -s / RESULT", "deepfolder", ["not inside the workspace"]),
        ("ln -s . RESULT", "deepfolder", ["not inside the workspace"]),
        ("mkfifo RESULT", "bytes", ["RESULT is a FIFO"]),
        ("mkdir RESULT; mkfifo RESULT/f", "deepfolder", ["RESULT/f is a FIFO"]),
        ("mkdir RESULT; mkfifo RESULT/f", "mixed", ["RESULT/f is a FIFO"]),
        ("ln -s nowhere RESULT", "bytes", ["RESULT is a link to nothing"]),
        ("ln -s /dev/zero RESULT", "bytes", ["RESULT is a device"]),
        ("echo many > RESULT", "int", ["'int'", "many"]),
        ("echo False > RESULT", "bool", ["'bool'", "Write 'true' or 'false'"]),
        ("printf '\\377' > RESULT", "text", ["RESULT cannot be read"]),
        ("printf '\\377' > RESULT", "str", ["RESULT cannot be read"]),
        ("mkdir RESULT; touch RESULT/$'\\377'", "deepfolder", ["not UTF-8"]),
    ],
)
def test_an_unusable_result_is_explained(code: str, celltype: str, facts: list[str], steps: Any) -> None:
    with pytest.raises(BashFailure) as caught:
        steps.run(code, output=celltype)
    assert all(fact in str(caught.value) for fact in facts)
    assert caught.value.exit_status is None


def test_a_deepcell_result_is_an_index_of_mixed_buffers(steps: Any) -> None:
    import json

    index = json.loads(steps.result("mkdir RESULT; echo 5 > RESULT/a", output="deepcell"))
    assert {name: steps.buffers.buffers[checksum] for name, checksum in index.items()} == {"a": b"5\n"}
