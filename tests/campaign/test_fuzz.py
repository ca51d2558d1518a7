"""What others have written, spoilt in many ways: the documented error or a value, nothing else."""

from __future__ import annotations

import json
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seamless.checksum import Checksum
from seamless.cli.queueing.journal import ends
from seamless.cli.queueing.records import BadRecordError, decode
from seamless.cli.storage import take_in
from seamless.config.nodes import parse
from seamless.insight.archive import MANIFEST, ArchiveError, read_archive
from seamless.insight.collection import Criteria, plan
from seamless.insight.definition import definition_of, members_of
from seamless.insight.place import checked_place
from seamless.insight.sidecar import Sidecar
from seamless.launcher.statefile import MalformedStateError, read_state
from seamless.stores.embedded import open_embedded
from tests.campaign.effort import examples, quick_directory

quick = examples(100)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
json_bytes = json_values.map(lambda value: json.dumps(value).encode())
anything = st.binary(max_size=200) | json_bytes
DEEP = b"[" * 200_000


def fields(*names: str) -> st.SearchStrategy[bytes]:
    """Return objects with these fields, each of any kind."""
    return st.dictionaries(st.sampled_from(names), json_values).map(lambda value: json.dumps(value).encode())


@quick
@given(anything | fields("event", "job", "status") | fields("event", "job"))
def test_a_journal_of_a_queue_is_read_whatever_is_in_it(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b'{"event": "done", "job": 1}\n' + data + b"\n" + DEEP)
    assert all(isinstance(number, int) for number in ends(str(path)))


@pytest.mark.parametrize("line", [b'{"event": [], "job": 1}', b'{"event": "done", "job": {}}', DEEP])
def test_a_line_of_a_journal_that_is_no_event_is_skipped(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "journal"
    path.write_bytes(line)
    assert ends(str(path)) == {}


@quick
@given(anything | fields("queue_command", "command") | st.just(DEEP))
def test_a_record_of_a_queue_is_one_or_is_refused(data: bytes) -> None:
    try:
        assert isinstance(decode(data), dict)
    except BadRecordError as exc:
        assert len(str(exc)) < 1000


@quick
@given(anything | fields("status", "port", "dry_run") | st.just(DEEP))
def test_a_state_of_the_launcher_is_an_object_or_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(data)
    try:
        assert isinstance(read_state(str(path)), dict | None)
    except MalformedStateError as exc:
        assert str(path) in str(exc)


@quick
@given(anything | fields("__language__", "__output__", "__format__", "code", "a") | st.just(DEEP))
def test_a_buffer_is_a_transformation_or_none(data: bytes) -> None:
    found = definition_of(data)
    assert found is None or found.language
    assert isinstance(members_of(data), list)


@quick
@given(st.text(max_size=100) | json_bytes.map(bytes.decode) | st.just(DEEP.decode()))
def test_a_configuration_file_is_a_tree_or_has_findings(text: str) -> None:
    findings: list[Any] = []
    parse(text, "seamless.yaml", findings)
    assert all(str(finding) for finding in findings)


def archive(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> str:
    with tarfile.open(path, "w") as tar:
        for head, data in members:
            head.size = len(data) if head.isreg() else 0
            tar.addfile(head, BytesIO(data))
    return str(path)


def manifest(**more: Any) -> tuple[tarfile.TarInfo, bytes]:
    value = {"seamless_export": 1, "roots": [], "steps": [], "buffers": {}, **more}
    return tarfile.TarInfo(MANIFEST), json.dumps(value).encode()


def refused(path: str, directory: Path) -> str:
    store = open_embedded(directory)
    with pytest.raises(ArchiveError) as caught:
        read_archive(path, store.buffers, store.results, take_in)
    assert list(store.buffers.iter_checksums()) == []
    store.results.close()
    return str(caught.value)


@pytest.mark.parametrize("name", ["../escape", "/tmp/escape", "buffers/../../escape", "buffers/ab/../../../escape"])
def test_a_member_of_an_archive_leads_nowhere(tmp_path: Path, name: str) -> None:
    path = archive(tmp_path / "a.tar", manifest(), (tarfile.TarInfo(name), b"x"))
    assert "unexpected member" in refused(path, tmp_path / "store")
    assert not (tmp_path / "escape").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_what_is_no_file_in_an_archive_is_refused(tmp_path: Path, kind: bytes) -> None:
    name = Checksum.of(b"x").hex()
    head = tarfile.TarInfo(f"buffers/{name[:2]}/{name}")
    head.type, head.linkname = kind, "/etc/passwd"
    path = archive(tmp_path / "a.tar", manifest(buffers={name: 0}), (head, b""))
    assert "unexpected member" in refused(path, tmp_path / "store")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_that_asks_for_much_memory_is_refused(tmp_path: Path, kind: bytes) -> None:
    head = tarfile.TarInfo("bomb")
    head.type, head.size = kind, 1 << 40
    (tmp_path / "a.tar").write_bytes(head.tobuf(tarfile.USTAR_FORMAT if head.size < 1 << 33 else tarfile.GNU_FORMAT))
    assert "header" in refused(str(tmp_path / "a.tar"), tmp_path / "store")


def test_a_manifest_that_is_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar", (tarfile.TarInfo(MANIFEST), DEEP))
    assert "damaged" in refused(path, tmp_path / "store")


@quick
@given(st.binary(min_size=1, max_size=40), st.integers(0, 3000))
def test_an_archive_that_was_overwritten_in_places_makes_no_wrong_buffer(
    tmp_path: Path, data: bytes, position: int
) -> None:
    content = b"a buffer"
    name = Checksum.of(content).hex()
    member = tarfile.TarInfo(f"buffers/{name[:2]}/{name}")
    path = Path(archive(tmp_path / "a.tar", manifest(buffers={name: len(content)}), (member, content)))
    whole = path.read_bytes()
    path.write_bytes(whole[:position] + data + whole[position + len(data) :])
    store = open_embedded(tmp_path / "store")
    from seamless.errors import SeamlessError

    try:
        read_archive(str(path), store.buffers, store.results, take_in)
    except SeamlessError as exc:
        assert str(path) in str(exc)
    assert store.buffers.get(Checksum(name)) in (None, content)
    store.results.close()


@examples(40)
@given(
    st.dictionaries(
        st.sampled_from(["a", "code", "__output__", "__schema__", "__format__"]),
        json_values | st.lists(st.sampled_from(["mixed", "text", "folder", None, "a" * 64, "A" * 64, 5]), max_size=4),
    )
)
def test_a_store_with_a_step_that_makes_no_sense_can_be_looked_into(step: dict[str, Any]) -> None:
    data = json.dumps({"__language__": "python", **step}).encode()
    with quick_directory() as directory:
        store = open_embedded(directory)
        store.buffers.put((Checksum.of(one), one) for one in (data, b"a result"))
        store.results.set_result(Checksum.of(data), Checksum.of(b"a result"))
        with Sidecar(checked_place(directory)) as sidecar:
            sidecar.update()
            plan(sidecar, Criteria(max_size=0, grace=0.0))
            assert Checksum.of(data).hex() in sidecar.giving(Checksum.of(b"a result").hex())
        store.results.close()
