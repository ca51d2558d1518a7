"""Values of inputs and outputs: from what the user gives to arrays with exactly the dtype and shape of the schema.

Complex numbers, which no celltype can express, are stored with a last dimension of 2: real and imaginary part.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from seamless.errors import MissingDependencyError
from seamless.transformer.compiled.schema import Parameter, ScalarDType, Signature, StructDType

_MAX_DIMENSION = 2**32 - 1  # of an unsigned int


def numpy_module() -> Any:
    """Return the module numpy. Raises MissingDependencyError."""
    try:
        import numpy
    except ImportError:
        raise MissingDependencyError("numpy", extra="compiled", purpose="a compiled step") from None
    return numpy


@functools.lru_cache(maxsize=256)
def numpy_dtype(dtype: ScalarDType | StructDType) -> Any:
    """Return the numpy dtype of one value, aligned as in C."""
    numpy = numpy_module()
    if isinstance(dtype, ScalarDType):
        return numpy.dtype("S1" if dtype.name == "char" else dtype.name)
    fields = [
        (f.name, numpy_dtype(f.dtype), f.shape) if f.shape else (f.name, numpy_dtype(f.dtype)) for f in dtype.fields
    ]
    return numpy.dtype(fields, align=True)


def is_complex(parameter: Parameter) -> bool:
    """Tell whether the values of a parameter are complex numbers."""
    return isinstance(parameter.dtype, ScalarDType) and parameter.dtype.name.startswith("complex")


@functools.lru_cache(maxsize=256)
def stored_dtype(dtype: StructDType) -> Any:
    """Return the numpy dtype of one stored struct: the same memory, complex numbers as pairs."""
    numpy = numpy_module()
    fields: list[Any] = []
    for item in dtype.fields:
        if isinstance(item.dtype, StructDType):
            kind, shape = stored_dtype(item.dtype), item.shape
        else:
            kind, shape = numpy_dtype(item.dtype), item.shape
            if kind.kind == "c":
                kind, shape = kind.type(0).real.dtype, (*shape, 2)
        fields.append((item.name, kind, shape) if shape else (item.name, kind))
    return numpy.dtype(fields, align=True)


# --- at the call --------------------------------------------------------------------------------


def given_value(parameter: Parameter, value: Any) -> Any:
    """Return what is stored of an argument: lists as arrays, complex numbers by parts; numpy values are checked.

    Raises TypeError, OverflowError. Values that are not numbers are left to the celltype to refuse.
    """
    if type(value) in (list, tuple) and parameter.shape:
        from seamless.transformer.pins import find_transformations

        if any(True for _ in find_transformations(value)):
            return value
        return _stored_form(parameter, array_from_list(parameter, value))
    if type(value) is complex:
        numpy = numpy_module()
        return _stored_form(parameter, numpy.asarray(value, numpy_dtype(parameter.dtype)))
    if type(value) in (bytes, bytearray) and len(parameter.dims) == 1 and numpy_dtype(parameter.dtype) == "S1":
        numpy = numpy_module()
        return numpy.frombuffer(bytes(value), "S1")
    if hasattr(value, "dtype"):
        _check_dtype(parameter, value)
        return _stored_form(parameter, value)
    return value


def _stored_form(parameter: Parameter, value: Any) -> Any:
    """Return complex numbers as pairs, also those in structs, and other values as they are."""
    if isinstance(parameter.dtype, StructDType):
        return _stored_struct(parameter.dtype, value)
    if not is_complex(parameter) or value.dtype.kind != "c":
        return value
    numpy = numpy_module()
    value = numpy.ascontiguousarray(value).reshape(value.shape)
    return value.reshape((*value.shape, 1)).view(value.real.dtype)


def _stored_struct(dtype: StructDType, value: Any) -> Any:
    """Return structs as they are, unless they have complex numbers, or are aligned by chance: that is not stored."""
    numpy = numpy_module()
    if stored_dtype(dtype) == numpy_dtype(dtype) and value.dtype.isalignedstruct:
        return value
    return numpy.asarray(value).view(stored_dtype(dtype))[()]


def array_from_list(parameter: Parameter, value: Any) -> Any:
    """Return a list of numbers as an array of the parameter's dtype. Raises TypeError, OverflowError."""
    numpy = numpy_module()
    wanted = numpy_dtype(parameter.dtype)
    what = (
        f"Input '{parameter.name}' must be a numpy array, or a regular list of numbers of dtype {_dtype_text(wanted)}"
    )
    try:
        array = numpy.asarray(value)
    except ValueError as exc:
        raise TypeError(f"{what}: {exc}") from exc
    if array.size == 0:
        return numpy.zeros(array.shape, wanted)
    allowed = {"b": "b", "i": "biu", "u": "biu", "f": "biuf", "c": "biufc", "S": "S"}.get(wanted.kind, "")
    if array.dtype.kind == "O" and all(isinstance(item, int) for item in array.flat):
        raise OverflowError(f"Input '{parameter.name}' has integers that do not fit {_dtype_text(wanted)}")
    if array.dtype.kind not in allowed or (wanted.kind == "S" and array.dtype != wanted):
        raise TypeError(f"{what}; these are of dtype {_dtype_text(array.dtype)}")
    if wanted.kind in "iu":
        limits = numpy.iinfo(wanted)
        low, high = int(array.min()), int(array.max())
        if low < limits.min or high > limits.max:
            found = low if low < limits.min else high
            raise OverflowError(f"Input '{parameter.name}' has {found}, which does not fit {wanted}")
    with numpy.errstate(over="ignore"):
        return array.astype(wanted)


def _dtype_text(dtype: Any) -> str:
    return str(dtype) if dtype.isnative else dtype.str


def _check_dtype(parameter: Parameter, value: Any) -> None:
    """Raise TypeError unless a numpy value has the dtype of the parameter."""
    wanted, found = numpy_dtype(parameter.dtype), value.dtype
    if is_complex(parameter) and found == wanted.type(0).real.dtype:
        return  # by parts
    if _same(found, wanted):
        return
    if isinstance(parameter.dtype, StructDType) and _same(found, stored_dtype(parameter.dtype)):
        return
    order = f"; Input '{parameter.name}' must have native byte order" if not found.isnative else ""
    raise TypeError(f"Input '{parameter.name}' dtype is {_dtype_text(found)}, expected {_dtype_text(wanted)}{order}")


def _same(found: Any, wanted: Any) -> bool:
    """Tell whether memory of dtype `found` can be read as `wanted`; padding may be named."""
    if wanted.names is None:
        if wanted.subdtype is not None and found.subdtype is not None:
            return found.shape == wanted.shape and _same(found.base, wanted.base)
        return bool(found == wanted)
    if found.names is None or found.itemsize != wanted.itemsize:
        return False
    real = [name for name in found.names if name in wanted.names or found.fields[name][0].kind != "V"]
    return real == list(wanted.names) and all(
        found.fields[name][1] == wanted.fields[name][1] and _same(found.fields[name][0], wanted.fields[name][0])
        for name in wanted.names
    )


# --- at the execution ---------------------------------------------------------------------------


def input_array(parameter: Parameter, value: Any) -> Any:
    """Return the C-contiguous array of an input; that of a scalar has no dimension.

    Raises TypeError, ValueError, OverflowError.
    """
    numpy = numpy_module()
    array = _array(parameter, value) if parameter.shape else _scalar(parameter, value)
    wanted = numpy_dtype(parameter.dtype)
    if is_complex(parameter) and array.dtype.kind == "f":
        if array.ndim == 0 or array.shape[-1] != 2:
            raise ValueError(f"Input '{parameter.name}' is complex: its last dimension must be 2 (real, imaginary)")
        array = numpy.ascontiguousarray(array).view(wanted).reshape(array.shape[:-1])
    _check_shape(parameter, array.shape)
    if array.dtype != wanted and wanted.names is not None:
        array = numpy.ascontiguousarray(array).view(wanted).reshape(array.shape)
    return numpy.ascontiguousarray(array).reshape(array.shape)


def _array(parameter: Parameter, value: Any) -> Any:
    numpy = numpy_module()
    if type(value) in (list, tuple):
        return array_from_list(parameter, value)
    if not isinstance(value, numpy.ndarray):
        raise TypeError(f"Input '{parameter.name}' must be a numpy array, not {_kind(value)}")
    _check_dtype(parameter, value)
    return value


def _scalar(parameter: Parameter, value: Any) -> Any:
    """Return the array without dimensions of a scalar input."""
    numpy = numpy_module()
    wanted = numpy_dtype(parameter.dtype)
    if wanted.kind == "S":
        return numpy.asarray(_character(parameter, value), wanted)
    if isinstance(value, (numpy.ndarray, numpy.generic)):
        _check_dtype(parameter, value)
        return numpy.asarray(value)
    if is_complex(parameter) and type(value) in (list, tuple) and len(value) == 2:
        return numpy.asarray(value, wanted.type(0).real.dtype)
    if wanted.names is not None:
        raise TypeError(f"Input '{parameter.name}' is {_kind(value)}, expected a structured numpy value")
    if wanted.kind in "iub":
        if not isinstance(value, int):
            raise TypeError(f"Input '{parameter.name}' is {_kind(value)}: an integer is required ({wanted})")
        low, high = (0, 1) if wanted.kind == "b" else (numpy.iinfo(wanted).min, numpy.iinfo(wanted).max)
        if not low <= value <= high:
            raise OverflowError(f"Input '{parameter.name}' is {value}, which does not fit {wanted}")
    elif not isinstance(value, (int, float)):
        raise TypeError(f"Input '{parameter.name}' is {_kind(value)}: a number is required ({wanted})")
    with numpy.errstate(over="ignore"):
        return (
            numpy.asarray(value).astype(wanted)
            if isinstance(value, float)
            else numpy.asarray(float(value) if wanted.kind in "fc" else value, wanted)
        )


def _character(parameter: Parameter, value: Any) -> bytes:
    numpy = numpy_module()
    if isinstance(value, (numpy.ndarray, numpy.generic)) and value.dtype.kind == "S" and value.shape == ():
        value = bytes(value[()]) or b"\0"
    if isinstance(value, str) and value.isascii():
        value = value.encode()
    if not isinstance(value, bytes) or len(value) != 1:
        raise TypeError(f"Input '{parameter.name}' is {_kind(value)}: one character is required (bytes of length 1)")
    return value


def _kind(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) < 40 else text[:40] + '...'} ({type(value).__name__})"


def _check_shape(parameter: Parameter, shape: tuple[int, ...]) -> None:
    if len(shape) != len(parameter.dims):
        raise ValueError(f"Input '{parameter.name}' has rank {len(shape)}, expected {len(parameter.dims)}")
    for i, (found, wanted) in enumerate(zip(shape, parameter.dims, strict=True)):
        if isinstance(wanted, int) and found != wanted:
            raise ValueError(f"Input '{parameter.name}' dimension {i} is {found}, expected {wanted}")


def wildcard_sizes(signature: Signature, arrays: Mapping[str, Any]) -> dict[str, int]:
    """Return the sizes of the input wildcards. Raises ValueError where two uses disagree."""
    sizes: dict[str, int] = {}
    for parameter in signature.inputs:
        for name, found in zip(parameter.wildcard_dims, arrays[parameter.name].shape, strict=False):
            if sizes.setdefault(name, found) != found:
                raise ValueError(f"Wildcard '{name}' has inconsistent sizes: {sizes[name]} and {found}")
            if found > _MAX_DIMENSION:
                raise ValueError(f"Wildcard '{name}' is {found}, more than an unsigned int can tell")
    return sizes


def output_value(parameter: Parameter, array: Any, sizes: Mapping[str, int], raw: bytes) -> Any:
    """Return the value of an output: a number, a structured value, or an array cut to what has been returned.

    `raw`: the first byte in memory, for a character that numpy would take for nothing.
    """
    numpy = numpy_module()
    if parameter.shape:
        cut = tuple(slice(sizes[n]) if isinstance(n, str) else slice(None) for n in parameter.dims)
        array = numpy.ascontiguousarray(array[cut])
        _normalize_truth(array)
        return _stored_form(parameter, array)
    if array.dtype.kind == "S":
        return raw
    if array.dtype.names is not None:
        array = array.copy()
        _normalize_truth(array)
        return _stored_form(parameter, array[()])
    if array.dtype.kind == "c":
        return _stored_form(parameter, array)
    return array[()].item()


def _normalize_truth(array: Any) -> None:
    """Have truth values be 0 or 1: code may have written any byte, and equal results have equal bytes."""
    if array.dtype.names is not None:
        for name in array.dtype.names:
            _normalize_truth(array[name])
    elif array.dtype.kind == "b":
        array[...] = array.view("u1") != 0
