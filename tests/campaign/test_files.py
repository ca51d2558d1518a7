"""Files that others have written beside ours: signatures, clusters, sidecars, indices, states, archives."""

from __future__ import annotations

import gzip
import json
import os
import tarfile
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from seamless.checksum import Checksum
from seamless.cli import checksum_index, download, run_transformation, upload
from seamless.cli.queueing.promises import has_living_future
from seamless.cli.storage import take_in
from seamless.cli.transfer.index import parse_index
from seamless.config.declarations import Report
from seamless.config.files import Clusters, read_cluster_file
from seamless.config.nodes import parse
from seamless.errors import SeamlessError
from seamless.insight.archive import MANIFEST, read_archive
from seamless.launcher.errors import LauncherError
from seamless.launcher.listing import client_rows, server_rows
from seamless.launcher.statefile import check_running, read_state_or_none, secondary_ports
from seamless.stores.embedded import open_embedded
from seamless.transformer.compiled.schema import parse_schema
from tests.campaign.effort import examples, quick_directory
from tests.campaign.wire import json_values, mutated

DEEP = "[" * 2_000
# Each line repeats the one before it nine times: written out it would be a thousand million words.
LAUGHS = "\n".join(["a0: &a0 word", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10))])
ITSELF = "&a [*a]"
texts = (
    st.text(max_size=80) | json_values.map(json.dumps) | st.sampled_from([DEEP, LAUGHS, ITSELF, "", "\x00", "? ? ?"])
)


def short(exc: Exception) -> None:
    """A message is there, and of a length that somebody reads."""
    assert 0 < len(str(exc)) < 3000


# --- YAML -----------------------------------------------------------------------------------------

SIGNATURE = b"""
inputs:
  - name: a
    dtype: float64
    shape: [N, 3]
  - name: s
    dtype: {fields: [{name: x, dtype: int32}, {name: c, dtype: char, shape: [8]}]}
outputs:
  - name: r
    dtype: int64
    shape: [N]
"""
CLUSTERS = b"""
hpc:
  type: slurm
  tunnel: true
  default_queue: standard
  frontends:
    - hostname: login
      hashserver: {bufferdir: /scratch/buf, network_interface: 10.0.0.5, port_start: 60100, port_end: 60199}
      database: {database_dir: /scratch/db}
  queues:
    standard: {conda: w, walltime: "01:00:00", cores: 16, memory: 32000MB, maximum_jobs: 20}
    highmem: {TEMPLATE: standard, cores: 4}
"""
schema_objects = st.fixed_dictionaries(
    {},
    optional={
        key: st.lists(
            st.dictionaries(st.sampled_from(["name", "dtype", "shape", "fields"]), json_values, max_size=4), max_size=2
        )
        | json_values
        for key in ("inputs", "outputs", "function_name")
    },
).map(yaml.safe_dump)


@examples(100)
@given(texts | mutated(SIGNATURE).map(lambda data: data.decode(errors="replace")) | schema_objects)
@example(DEEP)
@example(LAUGHS)
@example(ITSELF)
def test_a_signature_is_one_or_is_refused(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            parse_schema(text)
        except TypeError as exc:
            short(exc)


@examples(100)
@given(texts.map(str.encode) | mutated(CLUSTERS))
@example(DEEP.encode())
@example(LAUGHS.encode())
@example(ITSELF.encode())
def test_a_file_of_clusters_gives_clusters_or_findings(data: bytes) -> None:
    with quick_directory() as directory:
        path = Path(directory) / "clusters.yaml"
        path.write_bytes(data)
        report, clusters = Report(), Clusters()
        read_cluster_file(str(path), clusters, report)
        assert all(str(finding) for finding in report.findings)


@pytest.mark.parametrize("text", [LAUGHS, ITSELF, DEEP])
def test_a_project_file_that_refers_to_itself_without_end_has_findings(text: str) -> None:
    findings: list[Any] = []
    parse(text, "seamless.yaml", findings)
    assert all(str(finding) for finding in findings)


# --- JSON and sidecars ----------------------------------------------------------------------------


@examples(100)
@given(
    json_values.map(json.dumps).map(str.encode)
    | st.binary(max_size=60)
    | st.dictionaries(
        st.sampled_from(["a", "../a", "/a", "a/../b", "a//b", "a\x00", ".", "", "a/b", "\ud800", "x" * 5000]),
        st.sampled_from(["a" * 64, "A" * 64, "", "z", None, 5]),
    ).map(lambda value: json.dumps(value).encode())
    | st.just(DEEP.encode())
)
def test_an_index_leads_nowhere_else(data: bytes) -> None:
    try:
        index = parse_index(data, "an index")
    except SeamlessError as exc:
        short(exc)
    else:
        for key in index:
            assert os.path.normpath(os.path.join("/here", key)).startswith("/here/")


states = st.dictionaries(
    st.sampled_from(["status", "pid", "port", "uid", "command", "parameters", "meta", "hostname", "dashboard_port",
                     "network_interface", "launch_id", "process_start", "boot_id", "token", "tunnel"]),
    json_values,
).map(lambda value: json.dumps(value).encode())  # fmt: skip


@examples(60)
@given(st.lists(states | st.binary(max_size=40) | st.just(DEEP.encode()), min_size=1, max_size=3))
def test_the_states_of_services_are_listed_whatever_is_in_them(data: list[bytes]) -> None:
    with quick_directory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setenv("REMOTE_HTTP_LAUNCHER_DIR", directory)
        for side in ("server", "client"):
            (Path(directory) / side).mkdir()
            for number, one in enumerate(data):
                (Path(directory) / side / f"key{number}.json").write_bytes(one)
        for row in [*server_rows(), *client_rows()]:
            assert isinstance(row["key"], str)
        state = read_state_or_none(str(Path(directory) / "server" / "key0.json"))
        if state is not None:
            secondary_ports(state)
            try:
                check_running(state)
            except LauncherError as exc:
                short(exc)


def command(main: Any, *words: str) -> tuple[int, str]:
    """Run a command in this process; return its status and what it has said. An exception is a bug."""
    import contextlib
    import io

    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            status = main(list(words))
        except SystemExit as end:
            status = end.code
    assert "Traceback" not in said.getvalue(), said.getvalue()
    return status, said.getvalue()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current directory, with a cache directory beside it."""
    monkeypatch.setenv("SEAMLESS_CACHE", str(tmp_path / "cache"))
    directory = tmp_path / "here"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


@examples(25)
@given(data=states | json_values.map(json.dumps).map(str.encode) | st.binary(max_size=40))
@example(data=DEEP.encode())
@example(data=b'{"__meta__": []}')
@example(data=b'{"__env__": {"a": 1}, "META__x": 5}')
def test_a_dunder_file_is_used_or_refused(here: Path, data: bytes) -> None:
    (here / "transformation.json.CHECKSUM").write_text("a" * 64)
    (here / "dunder.json").write_bytes(data)
    status, said = command(run_transformation.main, "transformation.json.CHECKSUM")
    assert status in (1, 2) and said.strip()


sidecars = st.sampled_from([b"", b"a" * 63, b"a" * 64 + b"\n", b"A" * 64, b"a" * 65, b"\xff" * 64, b"a" * 100_000])


@examples(25)
@given(data=sidecars | st.binary(max_size=80), name=st.sampled_from(["x.CHECKSUM", "d.INDEX", "x.gz.CHECKSUM"]))
@example(data=DEEP.encode(), name="d.INDEX")
@example(data=b'{"../escape": "%b"}' % (b"a" * 64), name="d.INDEX")
def test_a_sidecar_is_used_or_refused(here: Path, data: bytes, name: str) -> None:
    (here / name).write_bytes(data)
    if name == "d.INDEX":
        (here / "d.CHECKSUM").write_text(Checksum.of(data).hex())
    for main, words in ((download.main, ["-y", name]), (upload.main, ["-y", name]), (checksum_index.main, [name])):
        status, _ = command(main, *words)
        assert status in (0, 1, 2)
    assert not (here.parent / "escape").exists()
    for path in here.iterdir():
        if path.is_file():
            path.unlink()


def test_a_promise_of_a_result_may_be_anything(tmp_path: Path) -> None:
    for number, make in enumerate(
        (Path.mkdir, Path.touch, lambda path: path.symlink_to(path), lambda path: os.mkfifo(path))
    ):
        path = tmp_path / f"target{number}"
        make(path.with_name(path.name + ".FUTURE"))
        assert has_living_future(str(path)) in (True, False)


# --- archives -------------------------------------------------------------------------------------


def packed(*members: tuple[str, int, bytes]) -> bytes:
    """Return a tar file; each member has a name, the length that its head announces, and its bytes."""
    whole = BytesIO()
    for name, length, data in members:
        head = tarfile.TarInfo(name)
        head.size = length
        whole.write(head.tobuf(tarfile.GNU_FORMAT))
        whole.write(data + bytes(-len(data) % 512))
    return whole.getvalue() + bytes(1024)


def manifest(**buffers: int) -> tuple[str, int, bytes]:
    text = json.dumps({"seamless_export": 1, "roots": [], "steps": [], "buffers": buffers}).encode()
    return MANIFEST, len(text), text


NAME = Checksum.of(b"x").hex()
MEMBER = f"buffers/{NAME[:2]}/{NAME}"


def refused(path: Path, directory: Path) -> str:
    store = open_embedded(directory)
    with pytest.raises(SeamlessError) as caught:
        read_archive(str(path), store.buffers, store.results, take_in)
    assert list(store.buffers.iter_checksums()) == []
    assert store.buffers.stats()["temporary"] == 0
    store.results.close()
    return str(caught.value)


def test_an_archive_that_unpacks_to_more_than_its_manifest_says_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tar.gz"
    zeros = 1 << 30
    with gzip.open(path, "wb", compresslevel=1) as file:
        head = tarfile.TarInfo(MEMBER)
        head.size = zeros
        file.write(packed(manifest(**{NAME: 1}))[:-1024] + head.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 24))
    assert "another length" in refused(path, tmp_path / "store")


def test_an_archive_whose_manifest_says_too_much_is_refused(tmp_path: Path) -> None:
    for number, length in enumerate((1 << 70, -1, True, 1 << 40)):
        path = tmp_path / f"{number}.tar"
        path.write_bytes(packed(manifest(**{NAME: length}), (MEMBER, 1, b"x")))
        assert str(path) in refused(path, tmp_path / "store")


def test_a_member_that_comes_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(packed(manifest(**{NAME: 1}), (MEMBER, 1, b"x"), (MEMBER, 1, b"y")))
    store = open_embedded(tmp_path / "store")
    with pytest.raises(SeamlessError):
        read_archive(str(path), store.buffers, store.results, take_in)
    assert store.buffers.get(Checksum(NAME)) in (None, b"x")
    store.results.close()


@pytest.mark.parametrize("junk", [b"", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x1f\x8b" + bytes(range(50)), b"BZh9"])
def test_what_is_no_archive_is_refused(tmp_path: Path, junk: bytes) -> None:
    for name in ("a.tar", "a.tar.gz", "a.tar.zst"):
        path = tmp_path / name
        path.write_bytes(junk)
        assert str(path) in refused(path, tmp_path / "store")
