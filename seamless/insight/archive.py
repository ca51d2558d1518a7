"""Archives of results, `*.tar.zst`: a manifest, then every buffer under its checksum. Constant memory.

seamless-export.json          the manifest: steps with results and records, and the length of each buffer
buffers/ab/<hex>              a buffer
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from seamless.cache.protocols import BufferStore, ResultStore
from seamless.checksum import Checksum
from seamless.compression_utils import compress_stream, open_decompressed, strip_compression_suffix
from seamless.errors import BufferCorruptionError, SeamlessError, StoreError, UsageError
from seamless.insight.closure import Closure
from seamless.insight.definition import is_hex
from seamless.stores.filesystem import remove_file

FORMAT = 1
MANIFEST = "seamless-export.json"
_LONGEST_MANIFEST = 1 << 30  # bytes
_LONGEST_HEADER = 1 << 20  # bytes of an extended header, which is read into memory
_SMALL = 1 << 22  # bytes up to which a buffer is stored from memory

Notify = Callable[[int], object]  # called with a number of bytes
TakeIn = Callable[[BufferStore, Any], "tuple[Checksum, int]"]  # stores what is read from a file


class ArchiveError(SeamlessError):
    """The archive is damaged, cut short, or none of ours."""


class _Head(tarfile.TarInfo):
    """The head of a member of an archive that others have made: one that asks for much memory is refused."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Head:
        """Read a head. Raises ReadError for a long extended header."""
        found = super().frombuf(buf, encoding, errors)
        if found.size < 0 or (not found.isreg() and found.size > _LONGEST_HEADER):
            raise tarfile.ReadError(f"a header of {found.size} bytes")
        return found


class Imported:
    """What an import has done: buffers and steps that are new, those that were there, and results that contradict."""

    def __init__(self) -> None:
        self.new_buffers = self.known_buffers = self.new_steps = self.known_steps = 0
        self.bytes = 0
        self.roots: list[str] = []
        self.conflicts: list[tuple[str, str, str]] = []  # step, result that stays, result of the archive

    def as_dict(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        conflicts = [{"tf_checksum": s, "kept": k, "refused": r} for s, k, r in self.conflicts]
        counts = {name: getattr(self, name) for name in ("new_buffers", "known_buffers", "new_steps", "known_steps")}
        return {"roots": self.roots, **counts, "bytes": self.bytes, "conflicts": conflicts}


def manifest_of(found: Closure) -> dict[str, Any]:
    """Return the manifest of a closure."""
    steps = [
        {"tf_checksum": step, "result_checksum": result, "record": found.records.get(step)}
        for step, result in found.steps.items()
    ]
    return {
        "seamless_export": FORMAT,
        "roots": found.roots,
        "steps": steps,
        "buffers": found.buffers,
        "missing": found.missing,
    }


def write_archive(found: Closure, buffers: BufferStore, path: str, notify: Notify = lambda n: None) -> None:
    """Write the archive, which appears under its name when it is complete. Raises UsageError, StoreError, OSError."""
    if not strip_compression_suffix(path)[0].endswith(".tar"):
        raise UsageError(f"{path}: an archive is called NAME.tar.zst, NAME.tar.gz or NAME.tar")
    temporary = f"{path}.{os.urandom(4).hex()}.tmp"
    try:
        with _compressed(temporary, strip_compression_suffix(path)[1]) as target:
            with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                _fill(tar, found, buffers, notify)
        os.replace(temporary, path)
    finally:
        remove_file(temporary)


def _fill(tar: tarfile.TarFile, found: Closure, buffers: BufferStore, notify: Notify) -> None:
    text = json.dumps(manifest_of(found), indent=1).encode() + b"\n"
    tar.addfile(_member(MANIFEST, len(text)), io.BytesIO(text))
    for name, length in found.buffers.items():
        source = buffers.open(Checksum(name))
        if source is None:
            raise SeamlessError(f"{name} was removed from {buffers.name} while it was exported; export again")
        with source:
            tar.addfile(_member(f"buffers/{name[:2]}/{name}", length), source)
        notify(length)


def _member(name: str, size: int) -> tarfile.TarInfo:
    """Return the head of a member: nothing of this machine, user or time, so that equal results give equal files."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o444
    return member


@contextmanager
def _compressed(path: str, suffix: str | None) -> Iterator[BinaryIO]:
    """Give a file whose content is written to `path` compressed, by another thread."""
    with open(path, "xb") as target:
        if suffix is None:
            yield cast(BinaryIO, target)
            _sync(target)
            return
        end, begin = os.pipe()
        failures: list[BaseException] = []

        def compress() -> None:
            with open(end, "rb") as source:
                try:
                    compress_stream(source, cast(BinaryIO, target), suffix)
                except BaseException as exc:  # noqa: BLE001 - raised again in the thread that writes
                    failures.append(exc)

        thread = threading.Thread(target=compress, name="seamless-compress", daemon=True)
        thread.start()
        try:
            with open(begin, "wb", buffering=1 << 18) as source:
                yield source
        except BrokenPipeError:
            if not failures:
                thread.join()
            if not failures:
                raise
        finally:
            thread.join()
        if failures:
            raise failures[0]
        _sync(target)


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def read_archive(
    path: str, buffers: BufferStore, results: ResultStore, take_in: TakeIn, notify: Notify = lambda n: None
) -> Imported:
    """Store what an archive holds: each buffer verified, and the results after all buffers. Repeating it does no harm.

    Raises ArchiveError, BufferCorruptionError, StoreError, OSError; then no result has been stored.
    """
    done = Imported()
    with _members(path) as members:
        manifest = _manifest(path, members)
        done.roots = [str(root) for root in manifest["roots"]]
        expected: dict[str, int] = dict(manifest["buffers"])
        for member, content in members:
            name = member.name.rpartition("/")[2]
            if member.name != f"buffers/{name[:2]}/{name}" or name not in expected or not member.isreg():
                raise ArchiveError(f"{path}: unexpected member {member.name!r}; this is no archive of seamless-export")
            if member.size != expected.pop(name):
                raise ArchiveError(f"{path}: {member.name} has another length than the manifest says")
            _store(path, Checksum(name), member, content, buffers, take_in, done)
            notify(member.size)
    if expected:
        raise ArchiveError(f"{path}: {len(expected)} buffers are missing, for example {next(iter(expected))}")
    _store_results(manifest, results, done)
    return done


@contextmanager
def _members(path: str) -> Iterator[Iterator[tuple[tarfile.TarInfo, BinaryIO]]]:
    """Give an iterator over the files of an archive. What is wrong with the bytes becomes an ArchiveError."""
    suffix = strip_compression_suffix(path)[1]
    try:
        with open(path, "rb") if suffix is None else open_decompressed(path, suffix) as source:
            with tarfile.open(fileobj=source, mode="r|", tarinfo=_Head) as tar:
                yield ((member, _content(tar, member)) for member in tar)
            while source.read(1 << 20):  # to the end: only then the compressed data is known to be whole
                continue
    except (tarfile.TarError, ValueError, EOFError, RecursionError) as exc:
        raise ArchiveError(f"{path} is damaged, or no archive: {exc}") from exc


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> BinaryIO:
    return cast(BinaryIO, tar.extractfile(member) if member.isreg() else io.BytesIO())


def _manifest(path: str, members: Iterator[tuple[tarfile.TarInfo, BinaryIO]]) -> dict[str, Any]:
    first = next(members, None)
    if first is None or first[0].name != MANIFEST or first[0].size > _LONGEST_MANIFEST:
        raise ArchiveError(f"{path} is no archive of seamless-export: its first member is not {MANIFEST}")
    manifest = json.loads(first[1].read())
    if not isinstance(manifest, dict) or manifest.get("seamless_export") != FORMAT:
        found = manifest.get("seamless_export") if isinstance(manifest, dict) else None
        raise ArchiveError(f"{path}: an archive of format {FORMAT} is expected, found {found!r}")
    steps, lengths = manifest.get("steps"), manifest.get("buffers")
    if not (isinstance(steps, list) and isinstance(lengths, dict) and isinstance(manifest.get("roots"), list)):
        raise ArchiveError(f"{path}: the manifest lacks roots, steps or buffers")
    for step in steps:
        if not (isinstance(step, dict) and is_hex(step.get("tf_checksum")) and is_hex(step.get("result_checksum"))):
            raise ArchiveError(f"{path}: the manifest has a step without checksums: {str(step)[:100]}")
    for name, length in lengths.items():
        if not is_hex(name) or not isinstance(length, int) or isinstance(length, bool):
            raise ArchiveError(f"{path}: the manifest has a buffer without checksum or length: {name[:100]!r}")
    return manifest


def _store(
    path: str,
    checksum: Checksum,
    member: tarfile.TarInfo,
    content: BinaryIO,
    buffers: BufferStore,
    take_in: TakeIn,
    done: Imported,
) -> None:
    known = buffers.has([checksum])[0]
    if member.size <= _SMALL:
        data = content.read()
        found = Checksum.of(data)
        if found == checksum:
            buffers.put([(checksum, data)])
    else:
        found, _ = take_in(buffers, content)
    if found != checksum:
        raise BufferCorruptionError(checksum.hex(), where=f"{path} ({member.name})", found=found.hex())
    done.bytes += member.size
    done.known_buffers += known
    done.new_buffers += not known


def _store_results(manifest: dict[str, Any], results: ResultStore, done: Imported) -> None:
    for step in manifest["steps"]:
        transformation, result = Checksum(step["tf_checksum"]), Checksum(step["result_checksum"])
        kept = results.get_result(transformation)
        if kept is not None and kept == result:
            done.known_steps += 1
            continue
        if not results.set_result(transformation, result):
            kept = kept or results.get_result(transformation)
            done.conflicts.append((transformation.hex(), kept.hex() if kept else "", result.hex()))
            continue
        done.new_steps += 1
        if isinstance(step.get("record"), dict):
            _store_record(results, transformation, result, step["record"])


def _store_record(results: ResultStore, step: Checksum, result: Checksum, record: dict[str, Any]) -> None:
    try:
        results.set_record(step, result, record)
    except (StoreError, ValueError) as exc:
        import warnings

        warnings.warn(f"the record of {step} was not taken: {exc}", stacklevel=2)
