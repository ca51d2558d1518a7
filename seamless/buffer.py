"""Buffer: immutable bytes with a checksum that is computed once."""

from __future__ import annotations

from seamless.celltypes import parse, serialize
from seamless.checksum import Checksum
from seamless.session import session

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from typing import Any

    from seamless.cache.tempref import TempRef


class Buffer:
    """Immutable bytes. `Buffer(b"...")` wraps, `Buffer(value, celltype)` serialises.

    `checksum`: what the bytes are said to have; verified. Raises TypeError for values that the
    celltype cannot express, ValueError for a checksum that the bytes do not have.
    """

    __slots__ = ("__weakref__", "_checksum", "_content", "_equal")
    _content: bytes
    _checksum: Checksum | None
    _equal: Buffer  # the one that the cache knows, if it was there first

    def __init__(
        self, value_or_buffer: Any, celltype: str | None = None, *, checksum: Checksum | str | None = None
    ) -> None:
        self._checksum = None
        if celltype is not None:
            if isinstance(value_or_buffer, Checksum):
                raise TypeError(f"a Checksum is not a value of celltype {celltype!r}: resolve it first")
            if isinstance(value_or_buffer, Buffer):
                value_or_buffer = value_or_buffer._content
            self._content = serialize(value_or_buffer, celltype)
        elif isinstance(value_or_buffer, Buffer):
            self._content = value_or_buffer._content
            self._checksum = value_or_buffer._checksum
        elif isinstance(value_or_buffer, bytes):
            self._content = bytes(value_or_buffer)  # the same object, unless of a subclass
        else:
            raise TypeError(
                f"Buffer() takes bytes, or any value together with a celltype; "
                f"not {type(value_or_buffer).__name__} alone"
            )
        if checksum is not None:
            expected = Checksum(checksum)
            if self.get_checksum() != expected:
                raise ValueError(f"the bytes have checksum {self._checksum}, not {expected}")

    @classmethod
    def verified(cls, content: bytes, checksum: Checksum) -> Buffer:
        """Wrap bytes that the caller has just hashed; the checksum is not computed again."""
        self = object.__new__(cls)
        self._content = content
        self._checksum = checksum
        return self

    @classmethod
    async def from_async(
        cls,
        value: Any,
        celltype: str | None = None,
        *,
        use_cache: bool = True,
        checksum: Checksum | str | None = None,
    ) -> Buffer:
        """Serialise without blocking the event loop. A Checksum is a legal value of celltype `checksum` here."""
        from seamless.cache.resolve import off_loop

        if value is None and celltype is None:
            raise TypeError("Buffer.from_async() needs a value")
        if isinstance(value, Checksum):
            return cls(serialize(value, celltype or "checksum"), checksum=checksum)
        return await off_loop(lambda: cls(value, celltype, checksum=checksum))

    def __reduce__(self) -> tuple[Any, ...]:
        return (Buffer, (self._content,))

    # --- bytes --------------------------------------------------------------------------------

    @property
    def content(self) -> bytes:
        """The bytes."""
        return self._content

    @property
    def view(self) -> bytes | memoryview:
        """The bytes as they are kept, to be read only: without the copy that `content` may need."""
        return self._content

    def __len__(self) -> int:
        return len(self._content)

    def __bool__(self) -> bool:
        return True

    def __bytes__(self) -> bytes:
        return self._content

    def __buffer__(self, flags: int) -> memoryview:  # Python >= 3.12
        return memoryview(self._content)

    def tobytes(self) -> bytes:
        """Return the bytes, as arrays and memoryviews do."""
        return self._content

    def decode(self) -> str:
        """Return the bytes as UTF-8 text."""
        return self._content.decode()

    def __str__(self) -> str:
        return str(self._content)

    def __repr__(self) -> str:
        known = f" checksum {self._checksum}," if self._checksum is not None else ""
        return f"Seamless Buffer,{known} length {len(self)}"

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Buffer):
            return NotImplemented
        if len(self) != len(other):
            return False
        if self._checksum is not None and other._checksum is not None:
            return self._checksum == other._checksum
        return self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)

    # --- checksum -----------------------------------------------------------------------------

    def get_checksum(self) -> Checksum:
        """Return the checksum, computed at the first call; the buffer can be resolved from it while it lives."""
        checksum = self._checksum
        if checksum is None:
            checksum = self._checksum = Checksum.of(self._content)
            cache = session.buffer_cache
            if cache is not None:
                cache.note(checksum, self)
            else:
                from seamless.cache.buffer_cache import register_weakly

                register_weakly(checksum, self)
            checksum = self._checksum  # that of an equal buffer, if there was one
        return checksum

    def share(self, other: Buffer) -> None:
        """Use the bytes of an equal Buffer instead of a copy, and keep it alive: it is the one that can be found."""
        self._content = other._content
        self._equal = other
        self._checksum = other._checksum or self._checksum

    async def get_checksum_async(self) -> Checksum:
        """Return the checksum, computed without blocking the event loop."""
        from seamless.cache.resolve import off_loop

        return self.get_checksum() if len(self) < 1_000_000 else await off_loop(self.get_checksum)

    @property
    def checksum(self) -> Checksum:
        """The checksum, if it has been computed; else AttributeError."""
        if self._checksum is None:
            raise AttributeError("the checksum of this Buffer has not been computed; call get_checksum()")
        return self._checksum

    # --- files --------------------------------------------------------------------------------

    @classmethod
    def load(cls, filename: str | os.PathLike[str]) -> Buffer:
        """Read a whole file."""
        with open(filename, "rb") as f:
            return cls(f.read())

    def save(self, filename: str | os.PathLike[str]) -> None:
        """Write the bytes to a file, atomically."""
        from seamless.util.files import write_atomically

        write_atomically(filename, self._content, follow=True)

    # --- values -------------------------------------------------------------------------------

    def get_value(self, celltype: str) -> Any:
        """Return the bytes parsed as `celltype`: a fresh value; arrays are read-only views. Raises ValueError."""
        self.get_checksum()
        return parse(self.view, celltype)

    async def get_value_async(self, celltype: str, *, copy: bool = True) -> Any:
        """Do what `get_value` does, without blocking the event loop for large buffers."""
        from seamless.cache.resolve import off_loop

        return self.get_value(celltype) if len(self) < 100_000 else await off_loop(self.get_value, celltype)

    def convert(self, source: str, target: str) -> Buffer:
        """Return this buffer converted from celltype `source` to `target`. Raises SeamlessConversionError."""
        from seamless.cache.resolve import convert_buffer

        return convert_buffer(self, source, target)

    # --- keeping and storing ------------------------------------------------------------------

    def incref(self, *, scratch: bool = False) -> None:
        """Keep the buffer in the cache until `decref`; unless `scratch`, also have it stored."""
        from seamless.cache.buffer_cache import get_buffer_cache

        get_buffer_cache().incref(self.get_checksum(), buffer=self, scratch=scratch)

    def decref(self) -> None:
        """Give back one `incref`."""
        self.get_checksum().decref()

    def tempref(
        self, interest: float = 128.0, fade_factor: float = 2.0, fade_interval: float = 2.0, scratch: bool = False
    ) -> TempRef:
        """Keep the buffer while its interest fades: divided by `fade_factor` every `fade_interval` seconds."""
        from seamless.cache.buffer_cache import get_buffer_cache

        return get_buffer_cache().tempref(
            self.get_checksum(),
            buffer=self,
            interest=interest,
            fade_factor=fade_factor,
            fade_interval=fade_interval,
            scratch=scratch,
        )

    def write_sync(self) -> bool:
        """Store the buffer now. False if no store is active; raises StoreError if the store fails."""
        from seamless.cache.buffer_writer import get_writer
        from seamless.shutdown import ensure_open

        ensure_open("write")
        return get_writer().store([self])

    async def write(self) -> bool:
        """Do what `write_sync` does, without blocking the event loop."""
        from seamless.cache.resolve import off_loop

        return await off_loop(self.write_sync)


Buffer.__module__ = "seamless"
