"""Exceptions on their way between processes: as they are if they can be pickled, else what is to be said of them."""

from __future__ import annotations

import pickle
import traceback
from typing import Any

from seamless.errors import SeamlessError
from seamless.transformer.execute import StepError

Packed = tuple[str, str, "bytes | None"]  # name of the class, text, pickled form


def pack_error(exc: BaseException) -> tuple[Packed, Packed | None]:
    """Return an exception and its cause in a form that can be sent."""
    if not isinstance(exc, (SeamlessError, OSError, ValueError, TypeError, RuntimeError)):
        # Not one that the way to the step's code may raise: tell where it comes from.
        text = "".join(traceback.format_exception(exc))
        return _pack(StepError(text)), _pack(exc)
    cause = exc.__cause__
    return _pack(exc), None if cause is None else _pack(cause)


def unpack_error(packed: tuple[Packed, Packed | None]) -> BaseException:
    """Return the exception again, with its cause."""
    first, second = packed
    exc = _unpack(first)
    if exc is None:
        exc = StepError(f"{first[0]}: {first[1]}\n")
    if second is not None:
        exc.__cause__ = _unpack(second) or _stand_in(second)
    return exc


def _pack(exc: BaseException) -> Packed:
    try:
        pickled: bytes | None = pickle.dumps(exc, 5)
    except Exception:  # noqa: BLE001  classes of the user: anything may happen
        pickled = None
    try:
        text = str(exc)
    except Exception:  # noqa: BLE001  the same
        text = ""
    return type(exc).__name__, text, pickled


def _unpack(packed: Packed) -> BaseException | None:
    if packed[2] is None:
        return None
    try:
        exc: Any = pickle.loads(packed[2])
    except Exception:  # noqa: BLE001  a class that this process does not have, or whose constructor wants more
        return None
    return exc if isinstance(exc, BaseException) else None


def _stand_in(packed: Packed) -> BaseException:
    """Return an exception of the same name and text, for a class that exists in the other process only."""
    kind = type(packed[0], (Exception,), {"__module__": "transformer"})
    return kind(packed[1])  # type: ignore[no-any-return]
