"""What a step asks of the place that executes it: cores, and whatever the workers of a queue are said to have.

Carried in `__meta__`, so never part of the identity. Kept apart from what executes: here are only the rules.
"""

from __future__ import annotations

from collections.abc import Mapping

CORES = "cores"
PLACE = "S"  # what a Dask worker has one of for each core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def check_resources(value: Any) -> dict[str, float]:
    """Return resources: amounts above 0 by name; `cores` is a whole number. Raises ValueError.

    >>> check_resources({"cores": 4, "GPU": 0.5})
    {'cores': 4, 'GPU': 0.5}
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"resources are a mapping from names to amounts, not {value!r}")
    for name, amount in value.items():
        if not isinstance(name, str) or not name or name == PLACE:
            raise ValueError(f"resources: {name!r} is no name of a resource; places for steps are asked for by 'cores'")
        if isinstance(amount, bool) or not isinstance(amount, (int, float)) or not 0 < amount < float("inf"):
            raise ValueError(f"resources: {name} is {amount!r}, expected a number above 0")
        if name == CORES and not isinstance(amount, int):
            raise ValueError(f"resources: cores is {amount!r}, expected a whole number from 1")
    return dict(value)


def wanted_of(meta: Mapping[str, Any], offered: Mapping[str, float]) -> dict[str, float]:
    """Return what a step with this `__meta__` takes of a worker that offers so much. Raises ValueError.

    More cores than the worker has are all of them; of anything else there must be enough.

    >>> wanted_of({"resources": {"cores": 8, "GPU": 1}}, {"S": 4, "GPU": 2})
    {'S': 4, 'GPU': 1}
    """
    wanted = check_resources(meta.get("resources") or {})
    places = min(wanted.pop(CORES, 1), offered.get(PLACE, 1))
    for name, amount in wanted.items():
        if amount > offered.get(name, 0):
            raise ValueError(f"the step asks for {name}: {amount:g}, and a worker has {offered.get(name, 0):g}")
    return {PLACE: places, **wanted}
