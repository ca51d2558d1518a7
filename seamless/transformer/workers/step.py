"""A step on its way to another process: its dict, its checksum, its envelope."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import Any

from seamless.checksum import Checksum
from seamless.transformer.outcome import Envelope

_FIELDS = tuple(Envelope.__dataclass_fields__)
_ENV = _FIELDS.index("env")
_PLAIN = frozenset({str, int, float, bool, bytes, type(None)})

Packed = tuple[dict[str, Any], str, "tuple[Any, ...] | bytes"]


def pack_step(transformation: Mapping[str, Any], tf: Checksum, envelope: Envelope) -> Packed:
    """Return a step as plain values. Raises what pickle raises for an envelope that it cannot take."""
    fields = tuple([getattr(envelope, name) for name in _FIELDS])
    plain = all([type(field) in _PLAIN or is_plain(field) for field in fields])  # noqa: C419  twice as fast as a generator
    return dict(transformation), tf.hex(), fields if plain else pickle.dumps(envelope, 5)


def unpack_step(packed: Packed) -> tuple[dict[str, Any], Checksum, Envelope]:
    """Return the step again."""
    transformation, tf, fields = packed
    envelope = pickle.loads(fields) if isinstance(fields, bytes) else Envelope(*fields)
    return transformation, Checksum(tf), envelope


def in_environment(packed: Packed) -> bool:
    """Tell whether a Python step is executed in an environment other than that of the workers."""
    fields = packed[2]
    env = unpack_step(packed)[2].env if isinstance(fields, bytes) else fields[_ENV]
    if not env:
        return False
    from seamless.transformer.environments.isolated import needs_process

    return needs_process(env)


def is_plain(value: Any) -> bool:
    """Tell whether a value is made of nothing but exact builtin types, so that it comes back as it is."""
    kind = type(value)
    if kind in _PLAIN:
        return True
    if kind is dict:
        for key, item in value.items():
            if type(key) not in _PLAIN or (type(item) not in _PLAIN and not is_plain(item)):
                return False
        return True
    return (kind is tuple or kind is list) and all(map(is_plain, value))
