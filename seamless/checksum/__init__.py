"""Checksum: the SHA-256 identity of a buffer, and the `.CHECKSUM` file format.

The value class only; finding the buffer behind a checksum is `seamless.cache.resolve`.
"""

from __future__ import annotations

import os

from seamless.checksum.sha256 import quick

TYPE_CHECKING = False  # that of `typing`, which takes long to import
if TYPE_CHECKING:
    from typing import Any

    from seamless.cache.tempref import TempRef

# One is made for every small value: even looking these up counts.
_new, _sha256 = object.__new__, quick
_WHITESPACE = " \t\n\r\v\f"


class Checksum:
    """A SHA-256 digest: immutable, hashable, ordered. Equal to its hex string and to its 32 raw bytes.

    The hash is that of the raw digest, so a Checksum and the equal hex string are different dict keys.

    Raises ValueError for text that is not 64 hexadecimal digits, TypeError for other types.
    """

    __slots__ = ("_digest",)
    _digest: bytes

    def __new__(cls, value: Checksum | str | bytes) -> Checksum:
        self = _new(cls)
        if isinstance(value, str):
            try:
                digest = bytes.fromhex(value)
            except ValueError:
                raise ValueError(f"not a SHA-256 checksum (64 hexadecimal digits expected): {value[:80]!r}") from None
            if len(digest) != 32:
                raise ValueError(f"a SHA-256 checksum has 32 bytes, not {len(digest)}: {value[:80]!r}")
        elif isinstance(value, Checksum):
            digest = value._digest
        elif isinstance(value, bytes):
            if len(value) != 32:
                raise ValueError(f"a SHA-256 checksum has 32 bytes, not {len(value)}")
            digest = value
        else:
            raise TypeError(f"a checksum is made from a hex string or 32 bytes, not from {type(value).__name__}")
        _set_digest(self, digest)
        return self

    @classmethod
    def of(cls, data: Any) -> Checksum:
        """Return the checksum of a bytes-like object."""
        self = _new(cls)
        _set_digest(self, _sha256[0](data).digest())
        return self

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Checksum is immutable: cannot set {name!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        return (Checksum, (self._digest,))

    def __copy__(self) -> Checksum:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Checksum:
        return self

    def hex(self) -> str:
        """Return the 64 lower-case hexadecimal digits."""
        return self._digest.hex()

    def bytes(self) -> bytes:
        """Return the 32 raw bytes."""
        return self._digest

    def __str__(self) -> str:
        return self._digest.hex()

    def __repr__(self) -> str:
        return repr(self._digest.hex())

    def __hash__(self) -> int:
        return hash(self._digest)

    def __bool__(self) -> bool:
        return True

    def _other_digest(self, other: object) -> Any:
        """Return the digest that `other` stands for, or NotImplemented."""
        if isinstance(other, Checksum):
            return other._digest
        if isinstance(other, str) and len(other.strip(_WHITESPACE)) >= 64:
            try:
                digest = type(self._digest).fromhex(other)
            except ValueError:
                return NotImplemented
            return digest if len(digest) == 32 else NotImplemented
        if type(other) is type(self._digest) and len(other) == 32:
            return other
        return NotImplemented

    def __eq__(self, other: object) -> bool:
        if type(other) is Checksum:  # asked by every dictionary
            return self._digest == other._digest
        if isinstance(other, bool):  # as the reference: `checksum == True`
            return other
        digest = self._other_digest(other)
        return False if digest is NotImplemented else bool(self._digest == digest)

    def __lt__(self, other: object) -> bool:
        digest = self._other_digest(other)
        return digest if digest is NotImplemented else bool(self._digest < digest)

    def __le__(self, other: object) -> bool:
        digest = self._other_digest(other)
        return digest if digest is NotImplemented else bool(self._digest <= digest)

    def __gt__(self, other: object) -> bool:
        digest = self._other_digest(other)
        return digest if digest is NotImplemented else bool(self._digest > digest)

    def __ge__(self, other: object) -> bool:
        digest = self._other_digest(other)
        return digest if digest is NotImplemented else bool(self._digest >= digest)

    # --- .CHECKSUM files ---------------------------------------------------------------------

    def save(self, filename: str | os.PathLike[str]) -> None:
        """Write `<filename>.CHECKSUM` (suffix added unless present): 64 hex digits and a newline, atomically."""
        from seamless.util.files import write_atomically

        write_atomically(checksum_filename(filename), self.hex().encode() + b"\n", follow=True)

    @classmethod
    def load(cls, filename: str | os.PathLike[str]) -> Checksum:
        """Read `<filename>.CHECKSUM`.

        Raises ValueError if the file does not hold exactly one checksum, FileNotFoundError if it is missing.
        """
        path = checksum_filename(filename)
        with open(path, "rb") as f:
            text = f.read(100).decode("ascii", "replace").rstrip()
        if len(text) == 64:
            try:
                return cls(text)
            except ValueError:
                pass
        raise ValueError(f"File does not contain a SHA-256 checksum: {path}")

    # --- the buffer behind the checksum ------------------------------------------------------

    def resolve(self, celltype: str | None = None) -> Any:
        """Return the Buffer, or with `celltype` the value. Blocks; raises CacheMissError."""
        from seamless.cache.resolve import resolve

        return resolve(self, celltype)

    async def resolution(self, celltype: str | None = None) -> Any:
        """Do what `resolve` does, without blocking the event loop."""
        from seamless.cache.resolve import resolution

        return await resolution(self, celltype)

    def fingertip_sync(self, celltype: str | None = None) -> Any:
        """Resolve; on a miss recompute a transformation that is known to give this checksum. Blocks.

        Raises CacheMissError, with the last failed recomputation as its cause.
        """
        from seamless.cache.resolve import fingertip_sync

        return fingertip_sync(self, celltype)

    async def fingertip(self, celltype: str | None = None) -> Any:
        """Do what `fingertip_sync` does, without blocking the event loop."""
        from seamless.cache.resolve import fingertip

        return await fingertip(self, celltype)

    def convert(self, source: str, target: str) -> Checksum:
        """Return the checksum of this buffer converted from celltype `source` to `target`. Blocks.

        Raises SeamlessConversionError, CacheMissError.
        """
        from seamless.cache.resolve import convert_checksum

        return convert_checksum(self, source, target)

    async def conversion(self, source: str, target: str) -> Checksum:
        """Do what `convert` does, without blocking the event loop."""
        from seamless.cache.resolve import off_loop

        return await off_loop(self.convert, source, target)

    def incref(self, *, scratch: bool = False) -> None:
        """Keep the buffer in the cache until `decref`; unless `scratch`, also have it stored."""
        from seamless.cache.buffer_cache import get_buffer_cache

        get_buffer_cache().incref(self, scratch=scratch)

    def decref(self) -> None:
        """Give back one `incref`. Does nothing when there is none."""
        from seamless.cache.buffer_cache import get_buffer_cache

        get_buffer_cache().decref(self)

    def tempref(
        self, interest: float = 128.0, fade_factor: float = 2.0, fade_interval: float = 2.0, scratch: bool = False
    ) -> TempRef:
        """Keep the buffer while its interest fades: divided by `fade_factor` every `fade_interval` seconds."""
        from seamless.cache.buffer_cache import get_buffer_cache

        return get_buffer_cache().tempref(
            self, interest=interest, fade_factor=fade_factor, fade_interval=fade_interval, scratch=scratch
        )


Checksum.__module__ = "seamless"
_set_digest = Checksum.__dict__["_digest"].__set__  # past __setattr__, which refuses


def checksum_filename(filename: str | os.PathLike[str]) -> str:
    """Return `filename` with the suffix `.CHECKSUM`, added unless present."""
    name = os.fspath(filename)
    return name if name.endswith(".CHECKSUM") else name + ".CHECKSUM"


def shorten(text: str) -> str:
    """Shorten text of over 1000 characters for an error message: its first 920, `...`, its last 50."""
    return text if len(text) <= 1000 else text[:920] + "..." + text[-50:]


def validate_checksum(value: Any) -> None:
    """Raise unless `value` is a Checksum, a 64-digit hex string, or lists/dicts of those.

    ValueError for a wrong string (the message is the string), TypeError for another type.
    """
    if isinstance(value, Checksum):
        return
    if isinstance(value, str):
        if len(value) == 64:
            try:
                if len(bytes.fromhex(value)) == 32:  # not if there are blanks between the digits
                    return
            except ValueError:
                pass
        raise ValueError(shorten(value))
    if isinstance(value, (list, tuple)):
        for item in value:
            validate_checksum(item)
    elif isinstance(value, dict):
        for item in value.values():
            validate_checksum(item)
    else:
        raise TypeError(type(value))
