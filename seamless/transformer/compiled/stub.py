"""Skeletons of the code that a schema asks for: the arguments of `transform` as each language writes them."""

from __future__ import annotations

from collections.abc import Collection

from seamless.transformer.compiled.header import element_type, generate_header, struct_name, struct_paths
from seamless.transformer.compiled.schema import SCALARS, Parameter, ScalarDType, Signature, StructDType

_FORTRAN_LONGEST = 63
_FORTRAN = {
    **{f"{sign}int{bits}": f"integer(c_int{bits}_t)" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "float32": "real(c_float)",
    "float64": "real(c_double)",
    "bool": "logical(c_bool)",
    "char": "character(kind=c_char)",
    "complex64": "complex(c_float_complex)",
    "complex128": "complex(c_double_complex)",
}
_RUST = {
    **{f"{sign}int{bits}": f"{'u' if sign else 'i'}{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "float32": "f32",
    "float64": "f64",
    "bool": "bool",
    "char": "u8",
    "complex64": "Complex32",
    "complex128": "Complex64",
}
# A struct of two is given to a function like a complex number of C; an array of two is not.
_RUST_COMPLEX = "#[repr(C)]\n#[derive(Clone, Copy)]\npub struct {} {{\n    pub re: {},\n    pub im: {},\n}}\n\n"
_GO = SCALARS | {"complex64": "complexfloat", "complex128": "complexdouble"}
# What is a name in C, but not in these languages.
_KEYWORDS = {
    "cpp": frozenset(
        "alignas alignof and_eq asm bitand bitor catch char16_t char32_t char8_t co_await co_return co_yield compl "
        "concept const_cast consteval constexpr constinit decltype delete dynamic_cast explicit export friend mutable "
        "namespace new noexcept not_eq nullptr operator or_eq private protected public reinterpret_cast requires "
        "static_assert static_cast template this thread_local throw typeid typename using virtual wchar_t xor "
        "xor_eq".split()
    ),
    "rust": frozenset(
        "abstract become box crate dyn final fn impl let loop macro match mod move mut override priv pub ref self Self "
        "super trait type typeof unsafe unsized use virtual where".split()
    ),
    "go": frozenset("chan defer fallthrough func go interface map package range select type var C".split()),
}


def stub_text(signature: Signature, language: str) -> str:
    """Return the skeleton in a language. ValueError for one that has none."""
    makers = {"c": _c, "cpp": _cpp, "fortran": _fortran, "rust": _rust, "go": _go}
    if language not in makers:
        raise ValueError(f"there is no skeleton for language '{language}' (there are: {', '.join(makers)})")
    _check_names(signature, language)
    return makers[language](signature)


def _check_names(signature: Signature, language: str) -> None:
    """Raise ValueError for the first name that the language does not allow."""
    names = [*signature.wildcard_names, *(p.name for p in (*signature.inputs, *signature.outputs))]
    names += [item.name for _, struct in struct_paths(signature) for item in struct.fields]
    for name in names:
        if name in _KEYWORDS.get(language, ()):
            raise ValueError(f"'{name}' is a keyword of language '{language}': rename it in the schema")
        if language == "fortran" and name.lower() == "transform":
            raise ValueError(f"'{name}' is the name of the function, which no argument can have in Fortran: rename it")
        if language == "fortran" and (name.startswith("_") or len(name) > _FORTRAN_LONGEST):
            raise ValueError(
                f"'{name}' is no name in Fortran, where a name begins with a letter and has at most "
                f"{_FORTRAN_LONGEST} characters: rename it in the schema"
            )


def _prototype(signature: Signature) -> str:
    """Return the declaration of the header, as the beginning of a definition."""
    header = generate_header(signature)
    return header[header.index("int transform(") :].removesuffix(");\n") + ") {\n    return 0;\n}\n"


def _c(signature: Signature) -> str:
    return '#include "transformer.h"\n\n' + _prototype(signature)


def _cpp(signature: Signature) -> str:
    return '#include <cstdint>\nextern "C" {\n#include "transformer.h"\n}\n\nextern "C" ' + _prototype(signature)


# --- Fortran: the first dimension is the last one of the schema -----------------------------------


def _fortran(signature: Signature) -> str:
    arguments: list[tuple[str, str]] = []  # name, declaration
    arguments += [(name, f"integer(c_int), value :: {name}") for name in signature.input_wildcards]
    arguments += [(f"max{name}", f"integer(c_int), value :: max{name}") for name in signature.output_wildcards]
    for parameter in signature.inputs:
        how = "intent(in)" if parameter.shape else "value"
        arguments.append((parameter.name, f"{_fortran_type(parameter)}, {how} :: {_fortran_shaped(parameter)}"))
    arguments += [(name, f"integer(c_int), intent(out) :: {name}") for name in signature.output_wildcards]
    for parameter in signature.outputs:
        shaped = _fortran_shaped(parameter, signature.output_wildcards)
        arguments.append((parameter.name, f"{_fortran_type(parameter)}, intent(out) :: {shaped}"))
    known: dict[str, str] = {}
    for name, _ in arguments:
        if known.setdefault(name.lower(), name) != name:
            raise ValueError(f"Fortran does not tell '{known[name.lower()]}' from '{name}': rename one of them")
    lines = ["integer(c_int) function transform( &"]
    lines += [f"    {name}{',' if i < len(arguments) - 1 else ''} &" for i, (name, _) in enumerate(arguments)]
    lines += ["    ) bind(C, name='transform')", "  use iso_c_binding", "  implicit none"]
    for path, struct in struct_paths(signature):
        lines.append(f"  type, bind(C) :: {struct_name(path)}")
        lines += [
            f"    {_fortran_base(f.dtype, (*path, f.name))} :: {f.name}{_fortran_dims(f.shape)}" for f in struct.fields
        ]
        lines.append("  end type")
    for _, declaration in arguments:
        lines.append("  " + (declaration if len(declaration) < 120 else declaration.replace(":: ", ":: &\n    ")))
    return "\n".join([*lines, "  transform = 0", "end function"]) + "\n"


def _fortran_base(dtype: ScalarDType | StructDType, path: tuple[str, ...]) -> str:
    return _FORTRAN[dtype.name] if isinstance(dtype, ScalarDType) else f"type({struct_name(path)})"


def _fortran_type(parameter: Parameter) -> str:
    return _fortran_base(parameter.dtype, (parameter.name,))


def _fortran_dims(shape: tuple[int | str, ...]) -> str:
    return f"({', '.join(str(n) for n in reversed(shape))})" if shape else ""


def _fortran_shaped(parameter: Parameter, output_wildcards: Collection[str] = ()) -> str:
    shape = tuple(f"max{n}" if n in output_wildcards else n for n in parameter.dims)
    return parameter.name + _fortran_dims(shape)


# --- Rust -----------------------------------------------------------------------------------------


def _rust(signature: Signature) -> str:
    scalars = {p.dtype.name for p in (*signature.inputs, *signature.outputs) if isinstance(p.dtype, ScalarDType)}
    for _, struct in struct_paths(signature):
        scalars |= {item.dtype.name for item in struct.fields if isinstance(item.dtype, ScalarDType)}
    text = ""
    for name, part in (("complex64", "f32"), ("complex128", "f64")):
        text += _RUST_COMPLEX.format(_RUST[name], part, part) if name in scalars else ""
    for path, struct in struct_paths(signature):
        members = "".join(
            f"    pub {f.name}: {_rust_array(_rust_base(f.dtype, (*path, f.name)), f.shape)},\n" for f in struct.fields
        )
        text += f"#[repr(C)]\n#[derive(Clone, Copy)]\npub struct {struct_name(path)} {{\n{members}}}\n\n"
    arguments = [f"{name}: u32" for name in signature.input_wildcards]
    arguments += [f"max{name}: u32" for name in signature.output_wildcards]
    for parameter in signature.inputs:
        kind = _rust_element(parameter)
        arguments.append(f"{parameter.name}: {'*const ' if parameter.shape else ''}{kind}")
    arguments += [f"{name}: *mut u32" for name in signature.output_wildcards]
    arguments += [f"{parameter.name}: *mut {_rust_element(parameter)}" for parameter in signature.outputs]
    lines = "".join(f"    {argument},\n" for argument in arguments)
    return f'{text}#[no_mangle]\npub unsafe extern "C" fn transform(\n{lines}) -> i32 {{\n    0\n}}\n'


def _rust_base(dtype: ScalarDType | StructDType, path: tuple[str, ...]) -> str:
    return _RUST[dtype.name] if isinstance(dtype, ScalarDType) else struct_name(path)


def _rust_element(parameter: Parameter) -> str:
    return _rust_array(_rust_base(parameter.dtype, (parameter.name,)), parameter.element_shape)


def _rust_array(kind: str, shape: tuple[int, ...]) -> str:
    for n in reversed(shape):
        kind = f"[{kind}; {n}]"
    return kind


# --- Go: the declaration of the header has another name, as cgo makes one without `const` -----------------

_GO_TEXT = """package main

// #define transform declared_for_transform
// #include "transformer.h"
// #undef transform
import "C"

//export transform
func transform(
{arguments}) C.int {{
\treturn 0
}}

func main() {{}}
"""


def _go(signature: Signature) -> str:
    arguments = [f"{name} C.uint" for name in signature.input_wildcards]
    arguments += [f"max{name} C.uint" for name in signature.output_wildcards]
    for parameter in signature.inputs:
        arguments.append(f"{parameter.name} {'*' if parameter.shape else ''}C.{_go_element(parameter)}")
    arguments += [f"{name} *C.uint" for name in signature.output_wildcards]
    arguments += [f"{parameter.name} *C.{_go_element(parameter)}" for parameter in signature.outputs]
    return _GO_TEXT.format(arguments="".join(f"\t{argument},\n" for argument in arguments))


def _go_element(parameter: Parameter) -> str:
    if isinstance(parameter.dtype, ScalarDType) and not parameter.element_shape:
        return _GO[parameter.dtype.name]
    return element_type(parameter)
