"""How much of something is let through."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

_MOST_CLIENTS = 10_000


class Bucket:
    """Lets `burst` through at once and `rate` a second in the long run, for each client."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """How many seconds a client must wait; 0 when it need not."""
        return max(0.0, (self._level(client) + 1 - self._burst) / self._rate)

    def take(self, client: str) -> None:
        """Count one of a client's."""
        self._spent[client] = (self._level(client) + 1, self._clock())
        self._spent.move_to_end(client)
        if len(self._spent) > _MOST_CLIENTS:
            self._spent.popitem(last=False)

    def _level(self, client: str) -> float:
        level, at = self._spent.get(client, (0.0, 0.0))
        return max(0.0, level - (self._clock() - at) * self._rate)
