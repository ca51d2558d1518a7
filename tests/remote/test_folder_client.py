"""Buffer directories that are only read: of either layout, compressed or not, perhaps not there yet."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from seamless.cache.protocols import BufferStore
from seamless.checksum import Checksum
from seamless.errors import BufferCorruptionError, StoreError
from seamless.remote.errors import ReadOnlyClientError
from seamless.remote.folder_client import BufferFolderClient

TEXT = b"some text\n"
NAME = Checksum.of(TEXT)


def layout(root: Path, prefix: bool, suffix: str = "", data: bytes = TEXT) -> Path:
    """Make a directory with one buffer; returns the file."""
    directory = root / NAME.hex()[:2] if prefix else root
    directory.mkdir(exist_ok=True)
    if prefix:
        (root / ".HASHSERVER_PREFIX").write_text("1\n")
    path = directory / (NAME.hex() + suffix)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("prefix", [True, False])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_buffer_is_read_from_any_layout_and_form(tmp_path: Path, prefix: bool, suffix: str) -> None:
    layout(tmp_path, prefix, suffix, gzip.compress(TEXT) if suffix else TEXT)
    folder = BufferFolderClient(tmp_path)
    assert isinstance(folder, BufferStore) and not folder.writable
    assert folder.get(NAME) == TEXT
    with folder.open(NAME) as file:
        assert file.read() == TEXT
    assert folder.has([NAME, Checksum.of(b"x")]) == [True, False]
    assert folder.length(NAME) == len(TEXT)
    assert folder.copy_to(NAME, tmp_path / "copy")
    assert (folder.path_of(NAME) is None) is bool(suffix)


def test_wrong_bytes_never_leave_it_and_stay_where_they_are(tmp_path: Path) -> None:
    path = layout(tmp_path, True, data=b"same text\n")
    with pytest.raises(BufferCorruptionError):
        BufferFolderClient(tmp_path).get(NAME)
    assert path.exists()


def test_a_directory_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    folder = BufferFolderClient(tmp_path / "nowhere")
    for use in (lambda: folder.get(NAME), folder.validate):
        with pytest.raises(StoreError, match="nowhere"):
            use()


def test_a_directory_that_may_come_into_being_later_has_nothing_until_then(tmp_path: Path) -> None:
    folder = BufferFolderClient(tmp_path / "later", required=False)
    assert (folder.get(NAME), folder.open(NAME), folder.length(NAME)) == (None, None, None)
    assert (folder.has([NAME]), folder.copy_to(NAME, tmp_path / "copy"), folder.path_of(NAME)) == ([False], False, None)
    folder.validate()
    (tmp_path / "later").mkdir()
    layout(tmp_path / "later", True)
    assert folder.get(NAME) == TEXT


def test_it_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ReadOnlyClientError, match=str(tmp_path)):
        BufferFolderClient(tmp_path).put([(NAME, TEXT)])
    assert list(tmp_path.iterdir()) == []


def test_a_tilde_means_the_home_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    layout(tmp_path, False)
    assert BufferFolderClient("~").get(NAME) == TEXT
