"""The C header of a signature. Its bytes are stored and hashed: they are frozen."""

from __future__ import annotations

from seamless.transformer.compiled.schema import Parameter, ScalarDType, Signature, StructDType


def struct_name(path: tuple[str, ...]) -> str:
    """Return the C name of the struct at a path of parameter and fields.

    >>> struct_name(("p", "in_ner"))
    'PInNerStruct'
    """
    return "".join(part.capitalize() for step in path for part in step.split("_")) + "Struct"


def struct_paths(signature: Signature) -> list[tuple[tuple[str, ...], StructDType]]:
    """Return the structs with their paths, in the order in which C needs them."""
    found: list[tuple[tuple[str, ...], StructDType]] = []
    for parameter in (*signature.inputs, *signature.outputs):
        _add_structs(parameter.dtype, (parameter.name,), found)
    return found


def _add_structs(
    dtype: ScalarDType | StructDType, path: tuple[str, ...], found: list[tuple[tuple[str, ...], StructDType]]
) -> None:
    if isinstance(dtype, ScalarDType):
        return
    for item in dtype.fields:
        _add_structs(item.dtype, (*path, item.name), found)
    found.append((path, dtype))


def base_type(dtype: ScalarDType | StructDType, path: tuple[str, ...]) -> str:
    """Return the C type of one value."""
    return dtype.c_type if isinstance(dtype, ScalarDType) else struct_name(path)


def element_type(parameter: Parameter) -> str:
    """Return the C type that a pointer to the parameter points to."""
    if not parameter.element_shape:
        return base_type(parameter.dtype, (parameter.name,))
    dtype = parameter.dtype
    base = dtype.name if isinstance(dtype, ScalarDType) else struct_name((parameter.name,))
    return f"{base}_{'x'.join(map(str, parameter.element_shape))}"


def typedef_names(signature: Signature) -> set[str]:
    """Return every name that the header defines as a type."""
    arrays = {element_type(p) for p in (*signature.inputs, *signature.outputs) if p.element_shape}
    return arrays | {struct_name(path) for path, _ in struct_paths(signature)}


def generate_header(signature: Signature) -> str:
    """Return the text of the header."""
    text = "#include <stdint.h>\n#include <stdbool.h>\n\n"
    defined: set[str] = set()
    for parameter in (*signature.inputs, *signature.outputs):
        for typedef in _typedefs(parameter, defined):
            text += typedef + "\n"
    return text + "int transform(\n" + "".join(_arguments(signature)) + ");\n"


def _typedefs(parameter: Parameter, defined: set[str]) -> list[str]:
    """Return the typedefs that a parameter adds to those defined."""
    structs: list[tuple[tuple[str, ...], StructDType]] = []
    _add_structs(parameter.dtype, (parameter.name,), structs)
    found = []
    for path, dtype in structs:
        members = "".join(
            f"    {base_type(item.dtype, (*path, item.name))} {item.name}{_brackets(item.shape)};\n"
            for item in dtype.fields
        )
        found.append(f"typedef struct {{\n{members}}} {struct_name(path)};\n")
    name = element_type(parameter)
    if parameter.element_shape and name not in defined:
        defined.add(name)
        base = base_type(parameter.dtype, (parameter.name,))
        found.append(f"typedef {base} {name}{_brackets(parameter.element_shape)};\n")
    return found


def _brackets(shape: tuple[int, ...]) -> str:
    return "".join(f"[{n}]" for n in shape)


def _arguments(signature: Signature) -> list[str]:
    """Return the lines of the arguments."""
    arguments = [f"unsigned int {name}" for name in signature.input_wildcards]
    arguments += [f"unsigned int max{name}" for name in signature.output_wildcards]
    for parameter in signature.inputs:
        kind = element_type(parameter)
        arguments.append(f"const {kind} *{parameter.name}" if parameter.shape else f"{kind} {parameter.name}")
    arguments += [f"unsigned int *{name}" for name in signature.output_wildcards]
    arguments += [f"{element_type(parameter)} *{parameter.name}" for parameter in signature.outputs]
    return [f"    {text}{',' if i < len(arguments) - 1 else ''}\n" for i, text in enumerate(arguments)]
