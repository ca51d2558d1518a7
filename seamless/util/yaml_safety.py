"""What every reader of YAML must know about PyYAML: what else than YAML errors it raises, and what ends the process.

Constructs nothing itself. PyYAML is loaded by who calls.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# From values that do not fit their tag, such as `!!int ""`, `!!bool x` or `!!timestamp x`, and unhashable keys.
CONSTRUCTION_ERRORS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)

_DEEPEST = 200  # collections in one another


def fast_loader() -> Any:
    """Return PyYAML's safe loader: the one in C where there is one."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def is_too_deep(text: str, loader_class: Any) -> bool:
    """Tell whether collections are nested so deeply that the loader in C, which recurses, could end the process.

    Raises YAMLError if that is seen first.
    """
    if sum(text.count(mark) for mark in "[{-:?") <= _DEEPEST:
        return False
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=loader_class):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            return True
    return False
