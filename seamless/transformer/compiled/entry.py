"""The C function through which a module is called: one prototype for all signatures, so that no caller is compiled."""

from __future__ import annotations

from seamless.transformer.compiled.header import element_type
from seamless.transformer.compiled.schema import Signature

SYMBOL = "seamless_call"

# What is printed must be visible when the call is over. The units of Fortran have buffers of their own.
_TEXT = """#include <stdio.h>
#include "transformer.h"

extern void _gfortran_flush_i4(int *) __attribute__((weak));

int {symbol}(void *const *a) {{
    int status = transform(
{arguments}
    );
    if (_gfortran_flush_i4) _gfortran_flush_i4((int *)0);
    fflush((FILE *)0);
    return status;
}}
"""


def argument_types(signature: Signature) -> list[tuple[str, bool]]:
    """Return (C type of the value or of what is pointed to, whether it is passed by value), in order."""
    found = [("unsigned int", True)] * len(signature.wildcard_names)
    found += [(element_type(p), not p.shape) for p in signature.inputs]
    found += [("unsigned int", False)] * len(signature.output_wildcards)
    found += [(element_type(p), False) for p in signature.outputs]
    return found


def entry_text(signature: Signature) -> str:
    """Return the C source of the function: it gets an array of pointers, one for each argument."""
    arguments = [
        f"        {'*' if by_value else ''}({kind} *)a[{i}]"
        for i, (kind, by_value) in enumerate(argument_types(signature))
    ]
    return _TEXT.format(symbol=SYMBOL, arguments=",\n".join(arguments))
