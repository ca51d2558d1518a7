from __future__ import annotations

import json
import os
from typing import Any

import pytest

from seamless.transformer.outcome import Envelope


def show(name: str) -> str:
    return f"cat '{name}' > RESULT"


@pytest.mark.parametrize(
    ("celltype", "value", "content"),
    [
        ("int", 21, b"21\n"),
        ("float", 1, b"1.0\n"),
        ("bool", True, b"True\n"),
        ("str", "two words", b"two words\n"),
        ("text", "a\nb\n", b"a\nb\n"),
        ("plain", None, b"None\n"),
        ("plain", "text", b"text\n"),
        ("mixed", "a\nb\n", b"a\nb\n"),
        ("mixed", 3, b"3\n"),
        ("python", "x = (", b"x = (\n"),
        ("plain", {"b": [1, "é"], "a": {}}, b'{"a": {}, "b": [1, "\\u00e9"]}'),
        ("mixed", [1, 2.5, None], b"[1, 2.5, null]"),
        ("bytes", b"\x00\xff", b"\x00\xff"),
        ("bytes", b"", b""),
    ],
)
def test_a_value_is_a_file_with_the_name_of_its_pin(celltype: str, value: Any, content: bytes, steps: Any) -> None:
    assert steps.result(show("pin"), values={"pin": (celltype, value)}) == content


@pytest.mark.parametrize(
    ("celltype", "value", "text"),
    [("int", 21, b"21"), ("bool", False, b"False"), ("str", "a b'$c\n\nd\n", b"a b'$c\n\nd"), ("mixed", None, b"None")],
)
def test_a_scalar_is_also_a_variable(celltype: str, value: Any, text: bytes, steps: Any) -> None:
    code = "bash -c 'printf %s \"$pin\"' > RESULT"
    assert steps.result(code, values={"pin": (celltype, value)}) == text


@pytest.mark.parametrize(
    ("name", "celltype", "value"),
    [
        ("pin", "str", "x" * 1001),
        ("pin", "plain", [1]),
        ("pin", "bytes", b"x"),
        ("pin", "str", "a\0b"),
        ("a.pin", "int", 1),
        ("my-pin", "int", 1),
    ],
)
def test_what_cannot_be_a_variable_is_only_a_file(name: str, celltype: str, value: Any, steps: Any) -> None:
    code = f'test -f "{name}"; printenv "{name}" > RESULT || echo unset > RESULT'
    assert steps.result(code, values={name: (celltype, value)}) == b"unset\n"


def test_a_text_of_1000_characters_is_still_a_variable(steps: Any) -> None:
    assert steps.result("printf %s ${#pin} > RESULT", values={"pin": ("str", "é" * 1000)}) == b"1000"


def test_a_variable_of_bash_itself_is_refused(steps: Any) -> None:
    with pytest.raises(ValueError, match="RANDOM.*use another name"):
        steps.run("echo $RANDOM > RESULT", values={"RANDOM": ("int", 1)})


def test_a_null_pin_is_the_null_value(steps: Any) -> None:
    from seamless.transformer.bash.run import run_bash

    built = steps.transformation("echo $pin | cat - pin > RESULT")
    built["pin"] = ["mixed", None, None]
    assert steps.buffers.read(run_bash(built, Envelope(), steps.buffers).result) == b"None\nNone\n"


def test_the_code_sees_a_pin_under_its_alias(steps: Any) -> None:
    from seamless.transformer.bash.run import run_bash

    built = steps.transformation("ls > RESULT; cat data.csv >> RESULT", values={"pin": ("text", "1,2")})
    built["__as__"] = {"pin": "data.csv"}
    expected = b"RESULT\ndata.csv\ntransform.sh\n1,2\n"
    assert steps.buffers.read(run_bash(built, Envelope(), steps.buffers).result) == expected


# --- arrays ----------------------------------------------------------------------------------


def test_a_byte_array_is_a_file_of_its_bytes(steps: Any) -> None:
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(256, dtype=numpy.uint8)
    for celltype in ("binary", "mixed"):
        assert steps.result(show("pin"), values={"pin": (celltype, array)}) == array.tobytes()


@pytest.mark.parametrize("shape", [(), (6,), (2, 3)])
def test_another_array_is_a_npy_file(shape: tuple[int, ...], steps: Any) -> None:
    import io

    numpy = pytest.importorskip("numpy")
    array = numpy.ones(shape, dtype=numpy.uint8 if len(shape) > 1 else numpy.float32)
    content = steps.result(show("pin"), values={"pin": ("binary", array)})
    read = numpy.load(io.BytesIO(content), allow_pickle=False)
    assert read.dtype == array.dtype and read.shape == shape and (read == array).all()


def test_arrays_inside_containers_are_refused(steps: Any) -> None:
    numpy = pytest.importorskip("numpy")
    with pytest.raises(TypeError, match="pin 'pin' has 'mixed-plain' data"):
        steps.run(show("pin"), values={"pin": ("mixed", {"a": numpy.ones(3)})})


# --- files and directories -------------------------------------------------------------------


def test_a_file_pin_is_a_private_writable_file(steps: Any) -> None:
    code = "echo more >> a.txt; stat -c '%F %h' a.txt > RESULT; cat a.txt >> RESULT"
    assert steps.result(code, files={"a.txt": b"alpha\n"}) == b"regular file 1\nalpha\nmore\n"
    assert steps.result("cat a.txt > RESULT", files={"a.txt": b"alpha\n"}) == b"alpha\n"


def test_the_variable_of_a_file_pin_is_its_absolute_path(steps: Any) -> None:
    code = 'test "$plain" = "$PWD/plain"; cd /; cat "$plain" > "$OLDPWD/RESULT"'
    assert steps.result(code, files={"plain": b"p\n"}) == b"p\n"


def test_a_file_called_path_does_not_change_how_commands_are_found(steps: Any) -> None:
    assert steps.result("cat PATH > RESULT", files={"PATH": b"p\n"}) == b"p\n"


@pytest.mark.parametrize("name", ["my file.txt", "it's.txt", "-n.txt", "d e/f g.txt", "*.txt", "ü.txt", "$x.txt"])
def test_any_file_name_is_kept_as_it_is(name: str, steps: Any) -> None:
    assert steps.result("find . -name '*.txt' -exec cat {} + > RESULT", files={name: b"content"}) == b"content"


def test_a_directory_pin_is_a_tree(steps: Any) -> None:
    members = {"x.txt": b"one\n", "sub/y z.txt": b"two\n"}
    code = "cat $d/x.txt 'd/sub/y z.txt' > RESULT; find d -type f | wc -l >> RESULT"
    assert steps.result(code, folders={"d": members}) == b"one\ntwo\n2\n"


def test_an_empty_directory_pin_is_an_empty_directory(steps: Any) -> None:
    assert steps.result("ls d/e | wc -l > RESULT", folders={"d/e": {}}) == b"0\n"


@pytest.mark.parametrize("celltype", ["folder", "deepfolder"])
def test_a_folder_pin_of_the_python_api_is_a_tree(celltype: str, steps: Any) -> None:
    index = {"a/b": steps.add(b"content")}
    assert steps.result(show("tree/a/b"), values={"tree": (celltype, index)}) == b"content"


def test_a_directory_and_a_file_in_it_may_both_be_pins(steps: Any) -> None:
    assert steps.result("cat d/x > RESULT", files={"d/x": b"1"}, folders={"d": {"x": b"1"}}) == b"1"


def test_two_contents_for_one_file_are_refused(steps: Any) -> None:
    with pytest.raises(ValueError, match="'d/x'.*'d'|'d'.*'d/x'"):
        steps.run("cat d/x > RESULT", files={"d/x": b"1"}, folders={"d": {"x": b"2"}})


def test_a_file_that_must_also_be_a_directory_is_refused(steps: Any) -> None:
    with pytest.raises(ValueError, match="makes 'd' a file, but 'd/x' needs it as a directory"):
        steps.run("true", files={"d": b"1", "d/x": b"1"})


def test_a_directory_pin_needs_an_index(steps: Any) -> None:
    with pytest.raises(ValueError, match="pin 'tree'.*no checksum for 'a'"):
        steps.run("true", values={"tree": ("folder", {"a": "b"})})
    with pytest.raises(ValueError, match="pin 'tree'.*not an index"):
        steps.run("true", values={"tree": ("folder", [1])})


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "a\0b", "", "."])
def test_a_name_outside_the_directory_is_refused_before_anything_is_written(name: str, steps: Any) -> None:
    written: list[str] = []
    steps.buffers.copy_to = lambda checksum, path, executable=False: written.append(path)
    with pytest.raises(ValueError, match="pin"):
        steps.run("true", files={"fine.txt": b"1", name: b"2"})
    with pytest.raises(ValueError, match="pin 'd', a directory"):
        steps.run("true", files={"fine.txt": b"1"}, folders={"d": {name: b"2"}})
    assert written == []


def test_a_pin_called_transform_sh_keeps_its_content(steps: Any) -> None:
    files = {"transform.sh": b"echo mine\n"}
    assert steps.result("bash transform.sh > RESULT", files=files) == b"mine\n"


def test_only_inputs_the_script_and_the_result_are_in_the_directory(steps: Any) -> None:
    listing = steps.result("ls -a > RESULT", files={"a.txt": b""}, values={"n": ("int", 1)})
    assert listing.split() == [b".", b"..", b"RESULT", b"a.txt", b"n", b"transform.sh"]


def test_a_metavariable_comes_from_the_envelope(steps: Any) -> None:
    from seamless.celltypes import serialize

    envelope = Envelope(pins={"META__N": ["str", None, steps.add(serialize("8", "str"))], "__deps__": {"a": "b"}})
    assert steps.result('export N="${META__N}"; echo $N > RESULT', envelope=envelope) == b"8\n"


def test_a_large_byte_array_loses_only_its_header(steps: Any) -> None:
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(3_000_000, dtype=numpy.uint32).view(numpy.uint8)
    digest = steps.result("sha256sum < pin | cut -c-64 > RESULT", values={"pin": ("binary", array)})
    assert digest.decode().strip() == steps.add(array.tobytes())


def test_inputs_come_from_the_environment_of_the_caller_too(steps: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "FROM_CALLER", json.dumps("x"))
    assert steps.result("echo $FROM_CALLER > RESULT") == b'"x"\n'


def test_the_directory_of_the_step_itself_can_be_an_input(steps: Any) -> None:
    assert steps.result("cat x.txt d/y > RESULT", folders={".": {"x.txt": b"1\n", "d/y": b"2\n"}}) == b"1\n2\n"


def test_a_file_called_like_the_result_cannot_be_in_it(steps: Any) -> None:
    with pytest.raises(ValueError, match="RESULT"):
        steps.run("ls . > RESULT", folders={".": {"RESULT": b""}})
