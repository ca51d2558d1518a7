"""How two transformations differ is told exactly: by pin, by line, by key, by member."""

from __future__ import annotations

import pytest

from seamless.checksum import Checksum
from seamless.insight.definition import Definition, definition_of, definition_of_dict, members_of
from seamless.insight.differences import content_lines, count_differences, differences

CONTENTS: dict[str, bytes] = {}


def content(data: bytes) -> str:
    name = Checksum.of(data).hex()
    CONTENTS[name] = data
    return name


def definition(code: str = "x\n", celltype: str = "int", output: str = "int", **pins: bytes) -> Definition:
    made = definition_of_dict(
        {
            "__language__": "python",
            "__output__": ["result", output, None],
            "code": ["text", None, content(code.encode())],
            **{name: [celltype, None, content(data)] for name, data in pins.items()},
        }
    )
    assert made is not None
    return made


def told(there: Definition, here: Definition) -> list[tuple[str, str, list[str]]]:
    return [(d.name, d.change, d.details) for d in differences(there, here, CONTENTS.get)]


def test_a_changed_value_is_shown_with_what_it_was() -> None:
    assert told(definition(a=b"1\n"), definition(a=b"2\n")) == [("a", "changed", ["1 -> 2"])]


def test_a_changed_line_of_code_is_shown_with_its_number() -> None:
    there, here = definition("one\ntwo\nthree\n"), definition("one\n2\nthree\n")
    assert told(there, here) == [("code", "changed", ["2- two", "2+ 2"])]


def test_pins_that_are_only_on_one_side_are_told() -> None:
    assert told(definition(a=b"1\n"), definition(b=b"2\n")) == [("a", "removed", []), ("b", "added", [])]


def test_a_pin_that_is_only_called_otherwise_is_one_difference() -> None:
    (one,) = differences(definition(a=b"1\n"), definition(b=b"1\n"), CONTENTS.get)
    assert (one.change, one.there, one.here) == ("renamed", "a", "b")


def test_another_celltype_of_the_same_buffer_is_told() -> None:
    there, here = definition(a=b"1\n"), definition(celltype="float", a=b"1\n")
    assert told(there, here) == [("a", "changed", ["celltype int -> float"])]


def test_another_celltype_of_the_result_is_told() -> None:
    assert told(definition(), definition(output="float")) == [("result", "changed", [])]


def test_content_that_is_gone_is_said_to_be() -> None:
    found = differences(definition(a=b"1\n"), definition(a=b"2\n"), lambda name: None)
    assert found[0].details == ["the content is not stored any more (there and here)"]


def test_a_directory_tells_its_changed_members() -> None:
    before = b'{"x": "' + b"1" * 64 + b'", "y": "' + b"2" * 64 + b'"}\n'
    after = b'{"x": "' + b"3" * 64 + b'", "z": "' + b"2" * 64 + b'"}\n'
    found = told(definition(celltype="deepfolder", a=before), definition(celltype="deepfolder", a=after))
    lines = ["x: 111111111111.. -> 333333333333..", "y: 222222222222.. -> gone", "z: new -> 222222222222.."]
    assert found == [("a", "changed", lines)]


def test_a_changed_key_is_told() -> None:
    base = {"__language__": "c", "__output__": ["result", "int", None]}
    there, here = (definition_of_dict({**base, "__schema__": name * 64}) for name in "ab")
    assert there is not None and here is not None
    (one,) = differences(there, here, CONTENTS.get)
    assert (one.kind, one.name, one.change) == ("key", "__schema__", "changed")


def test_equal_transformations_do_not_differ() -> None:
    assert count_differences(definition(a=b"1\n"), definition(a=b"1\n")) == 0


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (b"\0abc", b"\0abd", "first difference at byte 3: 0x63 -> 0x64"),
        (b"\0abc", b"\0abcd", "the first 4 bytes are the same"),
    ],
)
def test_bytes_that_are_no_text_tell_where_they_begin_to_differ(old: bytes, new: bytes, line: str) -> None:
    assert content_lines(old, new)[-1] == line


def test_a_long_comparison_is_cut() -> None:
    lines = content_lines(b"a\n" * 500, b"b\n" * 500)
    assert len(lines) < 60
    assert lines[-1] == "... and more"


@pytest.mark.parametrize("data", [b"", b"[1]", b"\xff", b'{"a": 1}', b'{"__language__": "python", "a": 3}'])
def test_what_is_no_transformation_is_none(data: bytes) -> None:
    assert definition_of(data) is None


def test_only_checksums_are_members() -> None:
    assert members_of(b'{"a": "' + b"0" * 64 + b'", "b": 3, "c": "x"}') == ["0" * 64]
