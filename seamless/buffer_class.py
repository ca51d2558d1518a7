"""The reference's import path for `Buffer`."""

from seamless.buffer import Buffer

__all__ = ["Buffer"]
