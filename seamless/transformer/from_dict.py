"""A handle for a transformation dict that was prepared elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seamless.cache.resolve import resolve_buffer
from seamless.checksum import Checksum
from seamless.transformer.construct import Definition
from seamless.transformer.identity import is_load_bearing
from seamless.transformer.outcome import Envelope
from seamless.transformer.pins import Pin
from seamless.transformer.transformation import Transformation


def transformation_from_dict(
    transformation: Mapping[str, Any],
    *,
    meta: Mapping[str, Any] | None = None,
    scratch: bool = False,
    tf_dunder: Mapping[str, Any] | None = None,
    strict_dunder: bool = False,
) -> Transformation:
    """Return a handle for a prepared transformation dict (pins as `[celltype, subcelltype, hex]`).

    Orthogonal keys, in the dict or in `tf_dunder`, go to the envelope. Raises ValueError for unknown ones.
    """
    every = {**transformation, **(tf_dunder or {})}
    pins: dict[str, Pin] = {}
    keys: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, value in every.items():
        if not is_load_bearing(key):
            extra[key] = value
        elif key.startswith("__"):
            keys[key] = value
        else:
            celltype, subcelltype, checksum = value
            pins[key] = Pin(celltype, subcelltype, None if checksum is None else Checksum(checksum))
    language = keys.pop("__language__", None)
    if language is None:
        raise ValueError("the transformation dict has no '__language__'")
    name, celltype, _ = keys.pop("__output__", ["result", "mixed", None])
    envelope = envelope_of(extra, meta=meta, scratch=scratch, strict=strict_dunder)
    return Transformation(Definition(language, pins, celltype, envelope, keys, name))


def envelope_of(
    orthogonal: Mapping[str, Any],
    *,
    meta: Mapping[str, Any] | None = None,
    scratch: bool = False,
    strict: bool = False,
    timeout: float | None = None,
) -> Envelope:
    """Return the envelope that the orthogonal keys of a transformation dict describe; `meta` goes over `__meta__`.

    An `__env__` that is a checksum is resolved. Raises CacheMissError.
    """
    pins = dict(orthogonal)
    meta = {**(pins.pop("__meta__", None) or {}), **(meta or {})}
    env = pins.pop("__env__", None)
    if isinstance(env, str):
        env = resolve_buffer(Checksum(env)).get_value("plain")
    return Envelope(
        meta=meta,
        env=env,
        scratch=scratch,
        strict=strict,
        timeout=timeout,
        local=bool(meta.get("local")),
        direct_print=bool(meta.get("__direct_print__")),
        allow_input_fingertip=bool(meta.get("allow_input_fingertip")),
        pins=pins,
    )
