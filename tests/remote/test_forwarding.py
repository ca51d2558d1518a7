"""Clients as entries that another process can use, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from seamless.remote import buffer_remote, database_remote
from seamless.remote.errors import RemoteUsageError
from seamless.remote.forwarding import activate_forwarded, collect
from seamless.session import session


@pytest.fixture(autouse=True)
def no_definitions() -> Iterator[None]:
    """Leave no definition behind."""
    yield
    buffer_remote.registry.clear()
    database_remote.registry.clear()


def active_buffers() -> list[tuple[str, bool]]:
    return [(store.name, store.writable) for store in session.buffer_stores]


ENTRIES = {
    "database": [{"readonly": False, "url": "http://here:1", "remote_url": "http://there:1"}],
    "buffer": [
        {"readonly": False, "url": "http://here:2", "remote_url": "http://there:2", "directory": "/here",
         "remote_directory": "/there"},
        {"readonly": True, "directory": "/shared", "remote_directory": "/shared"},
    ],
}  # fmt: skip


def test_entries_become_extern_clients_with_the_documented_names() -> None:
    activate_forwarded(ENTRIES)
    assert active_buffers() == [("/here", False), ("/shared", False), ("http://here:2", True)]
    assert [(store.name, store.writable) for store in session.result_stores] == [("http://here:1", True)]
    assert sorted(buffer_remote.registry.externs) == [
        "extern-buffer-0-folder", "extern-buffer-0-server", "extern-buffer-1",
    ]  # fmt: skip
    assert list(database_remote.registry.externs) == ["extern-db-0"]


def test_inside_the_cluster_the_remote_names_are_used() -> None:
    activate_forwarded(ENTRIES, in_remote=True)
    assert active_buffers() == [("/there", False), ("/shared", False), ("http://there:2", True)]
    assert [store.name for store in session.result_stores] == ["http://there:1"]


def test_nothing_is_written_unless_the_entry_says_so() -> None:
    activate_forwarded({"database": [{"url": "http://h"}], "buffer": [{"url": "http://h"}]})
    assert not session.writable_buffer_stores() and not session.writable_result_stores()


def test_what_is_collected_can_be_activated_elsewhere(tmp_path: Path) -> None:
    database_remote.define_extern_client("d", "database", url="http://host:1", readonly=False, token="tok")
    buffer_remote.define_extern_client("h", "hashserver", url="http://host:2")
    buffer_remote.define_extern_client("f", "bufferfolder", directory=tmp_path)
    database_remote.activate(extern_clients=["d"], no_main=True)
    buffer_remote.activate(extern_clients=["h", "f"], no_main=True)
    entries = json.loads(json.dumps(collect("mycluster")))
    assert entries["database"] == [
        {"readonly": False, "url": "http://host:1", "remote_url": "http://host:1", "token": "tok"}
    ]
    before = active_buffers()
    activate_forwarded(entries, in_remote=True)
    assert active_buffers() == before
    assert session.result_stores[0].token == "tok"


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ([], "a dict"),
        ({"jobs": []}, "unknown key jobs"),
        ({"database": {}, "buffer": "x"}, "buffer is 'x'"),
        ({"database": ["http://h"]}, "list of dicts"),
        ({"database": [{"readonly": True}]}, "database 0 has no url"),
        ({"buffer": [{"url": "http://h"}, {"readonly": True}]}, "buffer 1 has neither url nor directory"),
        ({"buffer": [{"url": "http://h", "readonly": "no"}]}, "readonly is 'no'"),
        ({"buffer": [{"url": 5}]}, "url is 5"),
    ],
)
def test_malformed_entries_are_refused(entries: object, complaint: str) -> None:
    with pytest.raises(RemoteUsageError, match=complaint) as caught:
        activate_forwarded(entries)
    assert isinstance(caught.value, ValueError)


def test_an_entry_without_a_remote_url_is_refused_inside_the_cluster() -> None:
    with pytest.raises(RemoteUsageError, match="no remote_url"):
        activate_forwarded({"database": [{"url": "http://h", "token": "s3cret"}]}, in_remote=True)


def test_the_message_about_an_entry_does_not_show_its_token() -> None:
    with pytest.raises(RemoteUsageError) as caught:
        activate_forwarded({"database": [{"token": "s3cret"}]})
    assert "s3cret" not in str(caught.value)
