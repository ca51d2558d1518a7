"""The stores that commands work with: where the buffers and results of a project and stage are.

Commands get their stores here and nowhere else. They use what the protocols in `seamless.session` promise; what only
some stores can do, such as whole files in and out, is asked for by the functions below.
"""

from __future__ import annotations

import os

from seamless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, BinaryIO, TypeVar

    from seamless.checksum import Checksum
    from seamless.session import BufferStore, ResultStore
    from seamless.stores.directory import BufferDirectory
    from seamless.stores.embedded import EmbeddedStore

    T = TypeVar("T")

PROJECT_FILES = ("seamless.yaml", "seamless.profile.yaml")
NO_NODE = "--node is only supported for remote daskserver execution"
FINE_WITHOUT_CLUSTER = ("no-execution-command", "no-cluster-no-persistence")
_CHUNK = 1 << 20


class Storage:
    """A store of buffers and one of results; `where` names both in messages."""

    __slots__ = ("buffers", "results", "where", "_changed")

    def __init__(self, buffers: BufferStore, results: ResultStore, where: str):
        self.buffers, self.results, self.where = buffers, results, where
        self._changed: list[str] = []  # the directory of an embedded store to which something was added

    def watch(self, store: EmbeddedStore) -> None:
        """Have `close` keep the store to its size limit if anything was added to it."""
        before = store.buffers.on_store

        def note() -> None:
            self._changed[:] = [store.directory]
            if before is not None:
                before()

        store.buffers.on_store = note

    def close(self) -> None:
        """Release what has to be released: connections, the database. May collect, where a store has a size limit."""
        for store in (self.results, self.buffers):
            close = getattr(store, "close", None)
            if close is not None:
                close()
        for directory in self._changed:
            from seamless.stores.embedded import SIZE_LIMIT

            if os.path.exists(os.path.join(directory, SIZE_LIMIT)):
                from seamless.insight.enforcement import enforce_quietly

                enforce_quietly(directory)


def open_storage(
    *, project: str = "", stage: str = "", local: bool = False, queue: str = "", node: str = ""
) -> Storage:
    """Open the stores of a project and stage, given as `NAME[:SUBNAME]` or empty, and make them the active ones.

    In order: $SEAMLESS_CACHE; the services named by $SEAMLESS_REMOTE_CLIENTS; those of the project files of the
    current directory; the cache directory of the user. `local`: execute here, whatever the files say. `queue`: execute
    in this queue of the cluster. `node`: on this node of it, which only a daskserver can do. May start services.

    Raises UsageError for a name that cannot be, ConfigurationError, StoreError for unusable stores.
    """
    from seamless.config.embedded import activate_embedded, cache_from_environment

    names: list[str | None] = [None, None, None, None]
    stage = stage or os.environ.get("SEAMLESS_STAGE", "").strip()
    if project or stage:
        from seamless.cli.run_options import split_scope

        names = [*split_scope(project, "--project"), *split_scope(stage, "--stage")]
    if cache_from_environment() is None:
        if "SEAMLESS_REMOTE_CLIENTS" in os.environ and not queue and not node:
            return _forwarded()
        if configuration_files():
            configured = _configured(names, local, queue, node)
            if isinstance(configured, Storage):
                return configured
            names = configured
    if node:
        raise UsageError(NO_NODE)
    if queue:
        raise UsageError(f"--queue {queue}: there is no cluster with queues; configure one in {PROJECT_FILES[1]}")
    store = activate_embedded(project=names[0], subproject=names[1], stage=names[2])
    storage = Storage(store.buffers, store.results, store.directory)
    storage.watch(store)
    return storage


def configuration_files(directory: str = ".") -> list[str]:
    """Return the project files in `directory`."""
    return [name for name in PROJECT_FILES if os.path.isfile(os.path.join(directory, name))]


def _forwarded() -> Storage:
    from seamless.config import set_remote_clients_from_env

    set_remote_clients_from_env()
    return _active("SEAMLESS_REMOTE_CLIENTS")


def _configured(names: list[str | None], local: bool, queue: str, node: str) -> Storage | list[str | None]:
    """Evaluate the project files; return their stores, or without a cluster the names for the cache of the user."""
    import sys
    import warnings

    from seamless.config import change_stage, load, set_overrides
    from seamless.config.activation import configure_records, remote_backend

    overrides = {key: name for key, name in zip(("project", "subproject"), names[:2], strict=True) if name}
    if local:
        overrides["execution"] = "process"
    if queue:
        overrides["queue"] = queue
    if node:
        overrides["node"] = node
    set_overrides(overrides)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        config = load(names[2], names[3], workdir=None)
        if config.execution == "spawn":  # workers pay for many steps; a command has one
            set_overrides({**overrides, "execution": "process"})
            config = load(names[2], names[3], workdir=None)
    for warning in caught:
        # Without a cluster the cache directory of the user is used: nothing to warn of.
        if config.cluster is not None or getattr(warning.message, "code", "") not in FINE_WITHOUT_CLUSTER:
            print(f"warning: {warning.message}", file=sys.stderr)
    if node and remote_backend(config) != "daskserver":
        raise UsageError(NO_NODE)
    if config.cluster is None or not config.persistent:
        configure_records(config)
        return [config.project, config.subproject, config.stage, config.substage]
    change_stage()
    return _active(f"cluster '{config.cluster}'")


def _active(where: str) -> Storage:
    """Return the active stores of the session as one."""
    from seamless.session import session

    session.ensure_active()
    if not session.buffer_stores or not session.result_stores:
        missing = "hashserver" if not session.buffer_stores else "database"
        raise UsageError(f"{where} names no {missing}; both a hashserver and a database are needed")
    buffers = session.buffer_stores[0] if len(session.buffer_stores) == 1 else AllBuffers(session.buffer_stores)
    results = next((s for s in session.result_stores if s.writable), session.result_stores[0])
    return Storage(buffers, results, f"{where} ({buffers.name})")


class AllBuffers:
    """Several stores as one: read from the first that has the buffer, written to all that can be written."""

    def __init__(self, stores: Sequence[BufferStore]):
        self._stores = tuple(stores)
        self._writable = [store for store in stores if store.writable]
        self.name = ", ".join(store.name for store in stores)
        self.writable = bool(self._writable)

    def get(self, checksum: Checksum) -> bytes | None:
        """Return the verified bytes, or None if no store has them."""
        return self._first(lambda store: store.get(checksum))

    def open(self, checksum: Checksum) -> BinaryIO | None:
        """Return a file over the verified bytes, or None if no store has them."""
        return self._first(lambda store: store.open(checksum))

    def _first(self, read: Callable[[BufferStore], T | None]) -> T | None:
        """Return what the first store gives that has it; damage in one store is no obstacle if another has it whole.

        Raises BufferCorruptionError for the first damage if none has it whole.
        """
        from seamless.errors import BufferCorruptionError

        damage: BufferCorruptionError | None = None
        for store in self._stores:
            try:
                found = read(store)
            except BufferCorruptionError as exc:
                damage = damage or exc
                continue
            if found is not None:
                return found
        if damage is not None:
            raise damage
        return None

    def length(self, checksum: Checksum) -> int | None:
        """Return the uncompressed length in bytes, or None if no store has the buffer."""
        return next((length for store in self._stores if (length := store.length(checksum)) is not None), None)

    def has(self, checksums: Sequence[Checksum]) -> list[bool]:
        """Tell for each checksum whether a store has the buffer."""
        return [any(there) for there in zip(*(store.has(checksums) for store in self._stores), strict=True)]

    def put(self, items: Iterable[tuple[Checksum, Any]]) -> None:
        """Store (checksum, bytes-like) pairs in every store that can be written."""
        pairs = list(items)
        for store in self._writable:
            store.put(pairs)

    def copy_to(self, checksum: Checksum, path: str) -> bool:
        """Write the verified bytes to a private file; False if no store can."""

        def copy(store: BufferStore) -> bool | None:
            copy_to = getattr(store, "copy_to", None)
            return (copy_to is not None and copy_to(checksum, path)) or None

        return self._first(copy) or False

    def close(self) -> None:
        """Release the stores."""
        for store in self._stores:
            close = getattr(store, "close", None)
            if close is not None:
                close()


def open_directory(path: str, *, writable: bool) -> Storage:
    """Open a buffer directory by itself: no configuration, no results.

    Its layout is that of its marker; without one, buffers lie in the directory itself. Raises StoreError.
    """
    from seamless.stores.directory import BufferDirectory
    from seamless.stores.layout import MARKER
    from seamless.stores.memory import MemoryResults

    path = os.path.abspath(os.path.expanduser(path))
    prefix = os.path.exists(os.path.join(path, MARKER))
    return Storage(BufferDirectory(path, writable=writable, create=writable, prefix=prefix), MemoryResults(), path)


def as_directory(store: BufferStore) -> BufferDirectory | None:
    """Return the store if it is a buffer directory of this machine, else None."""
    from seamless.stores.directory import BufferDirectory

    return store if isinstance(store, BufferDirectory) else None


def take_in(store: BufferStore, source: Any) -> tuple[Checksum, int]:
    """Store a file (a path, or an open binary file from where it stands); return its checksum and length.

    Constant memory. Raises OSError or ValueError for a file that cannot be read, StoreError.
    """
    ingest = getattr(store, "ingest", None)
    if ingest is not None:
        stored: tuple[Checksum, int] = ingest(source)
        return stored
    if hasattr(source, "read"):
        return _take_in_mapped(store, source)
    with open(source, "rb") as file:
        return _take_in_mapped(store, file)


def _take_in_mapped(store: BufferStore, source: Any) -> tuple[Checksum, int]:
    """Store by way of a temporary file that is mapped into memory: the store is given bytes, not a stream."""
    import mmap
    from tempfile import TemporaryFile

    from seamless.checksum import Checksum

    with TemporaryFile(prefix="seamless-") as copy:
        while chunk := source.read(_CHUNK):
            copy.write(chunk)
        copy.flush()
        length = copy.tell()
        if not length:
            checksum = Checksum.of(b"")
            store.put([(checksum, b"")])
            return checksum, 0
        with mmap.mmap(copy.fileno(), length, access=mmap.ACCESS_READ) as view:
            checksum = Checksum.of(view)
            store.put([(checksum, view)])
    return checksum, length


def put_file(store: BufferStore, checksum: Checksum, path: str) -> None:
    """Store a file whose checksum is known, in constant memory. Raises BufferCorruptionError if it has another."""
    from seamless.errors import BufferCorruptionError

    put = getattr(store, "put_file", None)
    if put is not None:
        put(checksum, path)
        return
    found, _ = take_in(store, path)
    if found != checksum:
        raise BufferCorruptionError(checksum.hex(), where=path, found=found.hex())


def copy_out(store: BufferStore, checksum: Checksum, path: str) -> bool:
    """Write the verified bytes to `path`, which is replaced in one step; False if absent.

    A device or pipe is written to. Raises OSError for a path that cannot be written, StoreError,
    BufferCorruptionError.
    """
    copy = getattr(store, "copy_to", None)
    if copy is not None:
        return bool(copy(checksum, path))
    stream = store.open(checksum)
    if stream is None:
        return False
    from seamless.cli.transfer.files import replacing

    with stream, replacing(path) as target:
        while chunk := stream.read(_CHUNK):
            target.write(chunk)
    return True
