"""The classes of the conversions between celltypes, as sets of (source, target) pairs.

Taken from the table in `seamless.celltypes.conversion`, which also explains the classes and converts.
"""

from __future__ import annotations

from seamless.celltypes.conversion import CONVERSIONS
from seamless.errors import SeamlessConversionError

Pair = tuple[str, str]
_PAIRS = {(source, target): rule for source, row in CONVERSIONS.items() for target, rule in row.items()}


def _of(rule: str) -> set[Pair]:
    return {pair for pair, found in _PAIRS.items() if found == rule}


conversion_trivial = _of("trivial")
conversion_reinterpret = _of("reinterpret")
conversion_reformat = _of("reformat")
conversion_possible = _of("possible")
conversion_values = _of("values")
conversion_forbidden = _of("forbidden")
conversion_equivalent: dict[Pair, Pair] = {}
conversion_chain: dict[Pair, str] = {}
for _pair, _rule in _PAIRS.items():
    if _rule.startswith("as:"):
        _source, _, _target = _rule.removeprefix("as:").partition(">")
        conversion_equivalent[_pair] = (_source, _target)
    elif _rule.startswith("chain:"):
        conversion_chain[_pair] = _rule.removeprefix("chain:")

__all__ = [
    "SeamlessConversionError",
    "conversion_chain",
    "conversion_equivalent",
    "conversion_forbidden",
    "conversion_possible",
    "conversion_reformat",
    "conversion_reinterpret",
    "conversion_trivial",
    "conversion_values",
]
