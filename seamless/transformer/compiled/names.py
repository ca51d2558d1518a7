"""Names of a signature that C, or whoever reads the results, could not tell apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from seamless.transformer.compiled.header import struct_name, struct_paths, typedef_names
from seamless.transformer.compiled.schema import Signature


def check_names(
    signature: Signature, lines: Sequence[int | None], mistake: Callable[[str, int | None], TypeError]
) -> None:
    """Raise `mistake(text, line)` for the first name that stands for two things.

    `lines`: those of the inputs, then of the outputs.
    """
    parameters = [*signature.inputs, *signature.outputs]
    taken: dict[str, str] = {}  # what each name stands for
    for name in signature.input_wildcards:
        taken[name] = f"the wildcard '{name}'"
    for name in signature.output_wildcards:
        taken[name] = f"the wildcard '{name}'"
    for name in signature.output_wildcards:
        if f"max{name}" in taken:
            line = next(n for p, n in zip(parameters, lines, strict=True) if name in p.wildcard_dims)
            raise mistake(f"The maximum of wildcard '{name}' is called like {taken[f'max{name}']}", line)
        taken[f"max{name}"] = f"the maximum of wildcard '{name}'"
    for name in typedef_names(signature):
        if name in taken:
            raise mistake(f"'{name}' is the name of a type of the header, and {taken[name]}", lines[0])
        taken[name] = f"the type '{name}' of the header"
    for parameter, line in zip(parameters, lines, strict=True):
        if parameter.name in taken:
            raise mistake(f"Parameter '{parameter.name}' has the name of {taken[parameter.name]}", line)
        taken[parameter.name] = f"another parameter, '{parameter.name}'"
    structs: dict[str, tuple[str, ...]] = {}
    for path, _ in struct_paths(signature):
        name = struct_name(path)
        if name in structs:
            line = next(n for p, n in zip(parameters, lines, strict=True) if p.name == path[0])
            raise mistake(
                f"'{'.'.join(structs[name])}' and '{'.'.join(path)}' give two structs of one name: '{name}'", line
            )
        structs[name] = path
