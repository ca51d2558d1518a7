"""The reference's import path for `seamless.cache.buffer_writer`."""

from seamless.cache.buffer_writer import await_existing_task, flush, init, purge, register

__all__ = ["await_existing_task", "flush", "init", "purge", "register"]
