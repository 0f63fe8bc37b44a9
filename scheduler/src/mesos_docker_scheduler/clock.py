"""The time by which the scheduler waits and which it shows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_SLEW = 0.1
_TOLERANCE_SECONDS = 0.5


def _since_boot() -> float:
    """Seconds since the machine was started, those in which it was suspended included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SteadyClock:
    """Seconds of the epoch that never go back and never jump, whatever happens to the machine's clock.

    No wait ends early and no deadline passes because somebody sets the clock. It follows the machine's clock
    all the same, a tenth faster or slower than time passes: a clock that is set right an hour after the
    scheduler has started with a wrong one is caught up with. May be asked from any thread.
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
            if abs(behind) > _TOLERANCE_SECONDS:
                passed += max(-_SLEW * passed, min(_SLEW * passed, behind))
            self._now += passed
            return self._now
