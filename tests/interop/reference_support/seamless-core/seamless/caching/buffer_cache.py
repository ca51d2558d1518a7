"""Our buffer cache where the tests load that of the reference's source tree, by its path."""

from seamless.caching.buffer_cache import BufferCache

__all__ = ["BufferCache"]
