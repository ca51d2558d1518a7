"""The reference's import path for `Checksum`."""

from seamless.checksum import Checksum

__all__ = ["Checksum"]
