"""The shared memory of one call: inputs and room for outputs, all zero before the call, with guards between them."""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Mapping
from typing import Any

from seamless.transformer.compiled.schema import Parameter, Signature
from seamless.transformer.compiled.values import numpy_dtype, numpy_module, output_value, wildcard_sizes

_ALIGNMENT = 64
_GUARD = bytes(range(0xA0, 0xE0))
_MOST = 1 << 46  # what a process can address


class Block:
    """The memory of one call. `offsets`: of the arguments, in their order. Raises ValueError, OSError."""

    def __init__(self, signature: Signature, arrays: Mapping[str, Any], maxima: Mapping[str, int]) -> None:
        self.signature, self.maxima = signature, maxima
        self.sizes = wildcard_sizes(signature, arrays)
        self.offsets: list[int] = []
        self._end = 0
        shapes = {p.name: self._shape(p) for p in signature.outputs}
        # Numbers of four bytes first, then inputs, then what the code writes, each followed by a guard.
        self._numbers = [self._place(4) for _ in signature.wildcard_names]
        inputs = [self._place(arrays[p.name].nbytes) for p in signature.inputs]
        self._returned = [self._place(4 + len(_GUARD)) for _ in signature.output_wildcards]
        self._outputs = [self._place(self._bytes(p, shapes[p.name]) + len(_GUARD)) for p in signature.outputs]
        self._shapes = shapes
        self.size = max(self._end, 1)
        if self.size > _MOST:
            raise ValueError(f"the outputs need {self.size} bytes: the maxima are too large ({dict(maxima)})")
        self.fd = os.memfd_create("seamless-compiled", os.MFD_CLOEXEC)
        try:
            os.ftruncate(self.fd, self.size)
            self.memory = mmap.mmap(self.fd, self.size)
        except BaseException:
            self.close()
            raise
        self._fill(arrays, inputs)

    def _place(self, nbytes: int) -> int:
        offset = -(-self._end // _ALIGNMENT) * _ALIGNMENT
        self._end = offset + nbytes
        self.offsets.append(offset)
        return offset

    def _shape(self, parameter: Parameter) -> tuple[int, ...]:
        known = {**self.sizes, **self.maxima}
        return tuple(known[n] if isinstance(n, str) else n for n in parameter.dims)

    def _bytes(self, parameter: Parameter, shape: tuple[int, ...]) -> int:
        return int(math.prod(shape) * numpy_dtype(parameter.dtype).itemsize)

    def _fill(self, arrays: Mapping[str, Any], inputs: list[int]) -> None:
        numbers = {**self.sizes, **self.maxima}
        for offset, name in zip(self._numbers, self.signature.wildcard_names, strict=True):
            self.memory[offset : offset + 4] = numbers[name].to_bytes(4, _byteorder())
        for offset, parameter in zip(inputs, self.signature.inputs, strict=True):
            array = arrays[parameter.name]
            self._view(offset, array.dtype, array.shape)[...] = array
        for offset, _ in self._written():
            self.memory[offset : offset + len(_GUARD)] = _GUARD

    def _view(self, offset: int, dtype: Any, shape: tuple[int, ...]) -> Any:
        numpy = numpy_module()
        return numpy.ndarray(shape, dtype, self.memory, offset)

    def _written(self) -> list[tuple[int, str]]:
        """Return (offset of the guard, what lies before it) of everything that the code writes."""
        found = [
            (offset + 4, f"the returned size of wildcard '{name}'")
            for offset, name in zip(self._returned, self.signature.output_wildcards, strict=True)
        ]
        for offset, parameter in zip(self._outputs, self.signature.outputs, strict=True):
            found.append((offset + self._bytes(parameter, self._shapes[parameter.name]), f"output '{parameter.name}'"))
        return found

    def results(self) -> dict[str, Any]:
        """Return the outputs after the call. Raises RuntimeError if the code has written more than it may."""
        for offset, what in self._written():
            if self.memory[offset : offset + len(_GUARD)] != _GUARD:
                raise RuntimeError(f"the compiled code has written beyond the end of {what}")
        sizes = dict(self.sizes)
        for offset, name in zip(self._returned, self.signature.output_wildcards, strict=True):
            found = int.from_bytes(self.memory[offset : offset + 4], _byteorder())
            if found > self.maxima[name]:
                maximum = f"max{name}={self.maxima[name]}"
                raise RuntimeError(f"Wildcard '{name}': the compiled code has returned {found}, more than {maximum}")
            sizes[name] = found
        results = {}
        for offset, parameter in zip(self._outputs, self.signature.outputs, strict=True):
            array = self._view(offset, numpy_dtype(parameter.dtype), self._shapes[parameter.name])
            results[parameter.name] = output_value(parameter, array, sizes, self.memory[offset : offset + 1])
        return results

    def close(self) -> None:
        """Give the descriptor back; the memory goes with the last result that lies in it."""
        os.close(self.fd)


def _byteorder() -> Any:
    import sys

    return sys.byteorder
