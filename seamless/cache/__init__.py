"""Buffers in memory: the cache with its limits, the writer that stores them, and finding them again."""
