"""Temporary references: an interest in a buffer that fades with time."""

from __future__ import annotations

import math
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from seamless.checksum import Checksum

INTEREST_THRESHOLD = 1 / 128  # below this a temporary reference has expired


class TempRef:
    """A reference whose interest fades: divided by `fade_factor` every `fade_interval` seconds.

    Raises ValueError unless the factor is at least 1 and the interval positive.
    """

    __slots__ = ("checksum", "fade_factor", "fade_interval", "interest", "refreshed", "scratch")

    def __init__(
        self, checksum: Checksum, interest: float, fade_factor: float, fade_interval: float, scratch: bool
    ) -> None:
        _check(fade_factor, fade_interval)
        self.checksum = checksum
        self.interest, self.fade_factor, self.fade_interval = interest, fade_factor, fade_interval
        self.scratch = scratch
        self.refreshed = time.monotonic()

    def current_interest(self) -> float:
        """Return the interest that is left now."""
        exponent = (time.monotonic() - self.refreshed) / self.fade_interval * math.log(self.fade_factor)
        return self.interest * math.exp(-exponent)

    def expired(self) -> bool:
        """Tell whether the interest has faded below the threshold."""
        return self.current_interest() < INTEREST_THRESHOLD

    def clear(self) -> None:
        """Give the interest up at once."""
        self.interest = 0.0

    def refresh(self, interest: float, fade_factor: float, fade_interval: float) -> None:
        """Start anew; a stronger interest or a faster fading replaces the present one."""
        _check(fade_factor, fade_interval)
        self.refreshed = time.monotonic()
        self.interest = max(self.interest, interest)
        if math.log(fade_factor) / fade_interval > math.log(self.fade_factor) / self.fade_interval:
            self.fade_factor, self.fade_interval = fade_factor, fade_interval


def _check(fade_factor: float, fade_interval: float) -> None:
    if not 1.0 <= fade_factor < math.inf:
        raise ValueError(f"fade_factor is {fade_factor!r}, expected a number of at least 1")
    if not 0.0 < fade_interval < math.inf:
        raise ValueError(f"fade_interval is {fade_interval!r}, expected a positive number of seconds")
