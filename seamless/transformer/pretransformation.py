"""A transformation dict with raw values in its pins, and the way from it to a handle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seamless.buffer import Buffer
from seamless.checksum import Checksum
from seamless.errors import UsageError
from seamless.transformer.from_dict import transformation_from_dict
from seamless.transformer.pins import Pin, make_pin
from seamless.transformer.transformation import Transformation


class PreTransformation:
    """Pins as `[celltype, subcelltype, value]`; the value of the pin `code` is the source text.

    Raises ValueError without `__language__`.
    """

    def __init__(self, pretransformation_dict: Mapping[str, Any]) -> None:
        if "__language__" not in pretransformation_dict:
            raise ValueError("the transformation dict has no '__language__'")
        self.pretransformation_dict = dict(pretransformation_dict)
        self._buffers: list[Buffer] = []  # keeps the values findable until `release`
        self._prepared: dict[str, Any] | None = None

    def prepare_transformation(self) -> dict[str, Any]:
        """Return the transformation dict, with checksums instead of values.

        Raises TypeError or ValueError, naming the pin, for a value that its celltype cannot express.
        """
        if self._prepared is None:
            self._prepared = {key: self._entry(key, item) for key, item in self.pretransformation_dict.items()}
        return dict(self._prepared)

    def _entry(self, key: str, item: Any) -> Any:
        if key.startswith("__"):
            return item
        celltype, subcelltype, value = item
        if isinstance(value, str) and subcelltype == "transformer":
            pin = Pin(celltype, subcelltype, Buffer(value, celltype))
        else:
            pin = make_pin(key, subcelltype if subcelltype in ("checksum", "module") else celltype, value)
        source = pin.source
        if isinstance(source, Buffer):
            self._buffers += [source, *pin.leaves]
            source = source.get_checksum()
        elif source is not None and not isinstance(source, Checksum):
            raise TypeError(
                f"pin '{key}': {type(value).__name__} value depends on other transformations; compute them first"
            )
        return [celltype, subcelltype, None if source is None else source.hex()]

    def release(self) -> None:
        """Let go of the values; what is not stored can no longer be found."""
        self._buffers.clear()
        self._prepared = None


def transformation_from_pretransformation(
    pretransformation: PreTransformation,
    *,
    upstream_dependencies: Mapping[str, Transformation] | None = None,
    meta: Mapping[str, Any] | None = None,
    scratch: bool = False,
) -> Transformation:
    """Return a handle for a prepared transformation; the values stay findable while the handle lives.

    `upstream_dependencies` is there for callers of the reference: it may be empty only, UsageError otherwise.
    """
    if upstream_dependencies:
        names = ", ".join(upstream_dependencies)
        raise UsageError(f"upstream_dependencies: {names}: expected none; give their results as the values of the pins")
    handle = transformation_from_dict(pretransformation.prepare_transformation(), meta=meta, scratch=scratch)
    handle._buffers.extend(pretransformation._buffers)
    return handle
