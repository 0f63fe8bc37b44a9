"""The time by which the scheduler waits and which it shows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_SLEW = 0.1
_TOLERANCE_SECONDS = 0.5
_FAR_BEHIND_SECONDS = 2 * 86_400.0


def _since_boot() -> float:
    """Seconds since the machine was started, those in which it was suspended included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SteadyClock:
    """Seconds of the epoch that never go back, and do not jump when the machine's clock is set by some hours.

    It follows the machine's clock a tenth faster or slower than time passes: nothing ends at once because
    somebody sets the clock, and what was wrong at the start is put right. Only when it is days behind does it
    jump. Time in which the machine was suspended has passed. May be asked from any thread.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, passing: Callable[[], float] = _since_boot
    ) -> None:
        self._wall = wall
        self._passing = passing
        self._lock = threading.Lock()
        self._looked = passing()
        self._now = wall()

    def __call__(self) -> float:
        """Now."""
        with self._lock:
            looked = self._passing()
            passed = looked - self._looked
            self._looked = looked
            behind = self._wall() - (self._now + passed)
            if behind > _FAR_BEHIND_SECONDS:
                passed += behind
            elif abs(behind) > _TOLERANCE_SECONDS:
                passed += max(-_SLEW * passed, min(_SLEW * passed, behind))
            self._now += passed
            return self._now
