"""Parameters of a service that are read from standard input: one JSON object, complete, not too long."""

from __future__ import annotations

import os

import pytest

from seamless.launcher.grammar import GrammarError
from seamless.launcher.standard_input import MAX_BYTES, given_as_input, read_parameters


def read(data: bytes) -> object:
    fd = given_as_input(data)
    try:
        return read_parameters(fd)
    finally:
        os.close(fd)


def test_an_object_is_read_whatever_its_layout() -> None:
    assert read(b'{"a":\n [1, "\\u00e9"]}\n') == {"a": [1, "\u00e9"]}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "must be valid JSON"),
        (b'{"a": 1', "must be valid JSON"),
        (b"\xff", "must be valid JSON"),
        (b'{"a": Infinity}', "Infinity is no JSON"),
        (b"[" * 100_000, "must be valid JSON"),
        (b"[1]", "must be a JSON object"),
        (b'"' + b"x" * MAX_BYTES + b'"', f"has more than {MAX_BYTES} bytes"),
    ],
    ids=["nothing", "cut", "text", "number", "depth", "list", "length"],
)
def test_what_is_no_object_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(GrammarError, match=problem):
        read(data)


def test_an_input_that_cannot_be_read_is_named(tmp_path: object) -> None:
    fd = os.open(os.fspath(tmp_path), os.O_RDONLY)  # type: ignore[call-overload]
    try:
        with pytest.raises(GrammarError, match="standard input cannot be read: Is a directory"):
            read_parameters(fd)
    finally:
        os.close(fd)
