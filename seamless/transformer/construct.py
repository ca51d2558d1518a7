"""From a definition whose upstream results are known to the identity dict and its checksum."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from seamless.buffer import Buffer
from seamless.celltypes import serialize
from seamless.checksum import Checksum
from seamless.errors import SeamlessError
from seamless.transformer.identity import transformation_buffer
from seamless.transformer.outcome import Envelope
from seamless.transformer.pins import Nested, Pin, is_transformation, replace_transformations

if TYPE_CHECKING:
    from seamless.transformer.transformation import Transformation


@dataclass(frozen=True)
class Definition:
    """What a Transformation is made of, apart from its upstream results."""

    language: str
    pins: Mapping[str, Pin]  # including `code` and modules
    celltype: str  # of the result
    envelope: Envelope
    keys: Mapping[str, Any] = field(default_factory=dict)  # __format__, __as__, __schema__, ...
    output_name: str = "result"


class ConstructionError(SeamlessError):
    """A pin cannot be made; the text is that of the transformation's exception."""


def dependencies(definition: Definition) -> dict[str, tuple[Transformation, ...]]:
    """Return the upstream transformations, by pin."""
    found: dict[str, tuple[Transformation, ...]] = {}
    for name, pin in definition.pins.items():
        if is_transformation(pin.source):
            found[name] = (pin.source,)
        elif isinstance(pin.source, Nested):
            found[name] = pin.source.transformations
    return found


def envelope_of(definition: Definition) -> Envelope:
    """Return how to execute it: results of upstream steps whose bytes are gone are made again where it runs."""
    envelope = definition.envelope
    if envelope.allow_input_fingertip or not dependencies(definition):
        return envelope
    meta = {**envelope.meta, "allow_input_fingertip": True}
    return replace(envelope, meta=meta, allow_input_fingertip=True)


def build(definition: Definition) -> tuple[dict[str, Any], Checksum, list[Any]]:
    """Return (identity dict, its checksum, what must stay alive for its buffers to be found).

    All dependencies are finished. Raises ConstructionError.
    """
    tf_dict: dict[str, Any] = {
        "__language__": definition.language,
        "__output__": [definition.output_name, definition.celltype, None],
        **definition.keys,
    }
    buffers: list[Any] = []
    for name, pin in definition.pins.items():
        try:
            checksum = _pin_checksum(pin, buffers)
        except (SeamlessError, ValueError, TypeError) as exc:
            raise ConstructionError(f"{type(exc).__name__}: argument '{name}': {exc}\n") from exc
        tf_dict[name] = entry(name, pin, None if checksum is None else checksum.hex())
    identity = Buffer(transformation_buffer(tf_dict))
    buffers.append(identity)
    return tf_dict, identity.get_checksum(), buffers


def entry(name: str, pin: Pin, checksum: str | None) -> Any:
    """Return what the transformation dict has for a pin; of `__schema__` and the like it is the checksum alone."""
    return checksum if name.startswith("__") else [pin.celltype, pin.subcelltype, checksum]


def _pin_checksum(pin: Pin, buffers: list[Any]) -> Checksum | None:
    source = pin.source
    if source is None or isinstance(source, Checksum):
        return source
    if isinstance(source, Nested):
        value = replace_transformations(source.value, lambda dependency: dependency._value())
        source = Buffer(serialize(value, pin.celltype))
    if isinstance(source, Buffer):
        buffers.append(source)
        buffers.extend(pin.leaves)
        return source.get_checksum()
    buffers.append(source._outcome)
    checksum: Checksum = source.result_checksum
    return checksum


def frozen(value: Any) -> Any:
    """Return a view of nested containers that cannot be changed."""
    if isinstance(value, Mapping):
        return types.MappingProxyType({key: frozen(item) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return tuple(frozen(item) for item in value)
    if isinstance(value, (set, frozenset)):
        return frozenset(frozen(item) for item in value)
    return value
