"""Several stores as one."""

import pytest

from seamless import Checksum
from seamless.cli.storage import AllBuffers, open_storage
from seamless.errors import BufferCorruptionError, UsageError
from seamless.stores.directory import BufferDirectory

CHECKSUM = Checksum.of(b"content")


@pytest.fixture
def stores(tmp_path):
    first, second = BufferDirectory(tmp_path / "first"), BufferDirectory(tmp_path / "second")
    first.put([(CHECKSUM, b"content")])
    path = first.path_of(CHECKSUM)
    with open(path, "rb+") as f:
        f.write(b"damaged")
    return first, second


def test_damage_in_one_store_is_no_obstacle_if_another_has_the_buffer(stores, tmp_path):
    stores[1].put([(CHECKSUM, b"content")])
    assert AllBuffers(stores).get(CHECKSUM) == b"content"
    assert AllBuffers(stores).copy_to(CHECKSUM, str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == b"content"


def test_damage_is_reported_if_no_store_has_the_buffer_whole(stores):
    with pytest.raises(BufferCorruptionError):
        AllBuffers(stores).get(CHECKSUM)


def test_what_is_put_is_in_every_store_that_can_be_written(stores):
    both = AllBuffers(stores)
    other = Checksum.of(b"other")
    both.put([(other, b"other")])
    assert [store.get(other) for store in stores] == [b"other", b"other"]
    assert both.has([other, Checksum.of(b"absent")]) == [True, False]
    assert both.length(other) == 5


@pytest.mark.parametrize("files", [{}, {"seamless.yaml": "- execution: process\n"}])
def test_a_node_needs_a_daskserver(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match="--node is only supported for remote daskserver execution"):
        open_storage(node="node01")


@pytest.mark.parametrize(
    ("options", "variables", "place"),
    [
        ({}, {}, "user/seamless/file"),
        ({"project": "option"}, {}, "user/seamless/option"),
        ({"project": "option:sub"}, {}, "user/seamless/option/sub"),
        ({}, {"SEAMLESS_STAGE": "variable"}, "user/seamless/file/STAGE-variable"),
        ({"stage": "option"}, {"SEAMLESS_STAGE": "variable"}, "user/seamless/file/STAGE-option"),
        ({}, {"SEAMLESS_CACHE": "cache"}, "cache/__TOPLEVEL__"),
        ({"project": "option"}, {"SEAMLESS_CACHE": "cache"}, "cache/option"),
        (
            {"stage": "option"},
            {"SEAMLESS_CACHE": "cache", "SEAMLESS_STAGE": "variable"},
            "cache/__TOPLEVEL__/STAGE-option",
        ),
    ],
)
def test_an_option_is_stronger_than_a_variable_and_a_variable_stronger_than_the_files(
    options, variables, place, tmp_path, monkeypatch
):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "seamless.yaml").write_text("- project: file\n- execution: process\n- persistent: false\n")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    for name, value in variables.items():
        monkeypatch.setenv(name, str(tmp_path / value) if name == "SEAMLESS_CACHE" else value)
    storage = open_storage(**options)
    storage.close()
    assert storage.where == str(tmp_path / place)
