"""The weak level of the buffer cache: a buffer can be found from its checksum while some object holds it."""

from __future__ import annotations

import weakref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from seamless.buffer import Buffer
    from seamless.checksum import Checksum

    _Reference = weakref.ref[Buffer]
    _Dictionary = weakref.WeakValueDictionary[Checksum, Buffer]
else:
    _Reference, _Dictionary = weakref.ref, weakref.WeakValueDictionary


class _Ref(_Reference):
    """A weakref.KeyedRef that is made without a call of Python code: every new buffer needs one."""

    __slots__ = ("key",)
    key: Checksum


class WeakBuffers(_Dictionary):
    """Buffers by checksum, while they live. Thread-safe without a lock."""

    if TYPE_CHECKING:  # attributes of the base class, of which its stub does not know
        data: dict[Checksum, _Ref]
        _remove: Any

    def remember(self, checksum: Checksum, buffer: Buffer) -> None:
        """Make `buffer` findable; if an equal one is, have `buffer` share its bytes and keep it alive."""
        reference = _Ref(buffer, self._remove)
        reference.key = checksum
        present = self.data.setdefault(checksum, reference)  # in one step, for other threads do the same
        if present is reference:
            return
        known = present()
        if known is None:
            self.data[checksum] = reference
        elif known is not buffer:
            buffer.share(known)
