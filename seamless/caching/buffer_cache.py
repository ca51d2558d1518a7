"""The reference's import path for `seamless.cache.buffer_cache`."""

from seamless.cache.buffer_cache import BufferCache, TempRef, get_buffer_cache

__all__ = ["BufferCache", "TempRef", "get_buffer_cache"]
