"""When what keeps failing may be started again, and when so much fails that all starting stops."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

STABLE_SECONDS = 60.0
"""An instance that ran this long was a success: the next failure is a first one again."""


@dataclass(frozen=True, slots=True)
class Delay:
    """None after the first failure, then `initial` seconds, times `factor` for each further one."""

    initial: float
    factor: float
    maximum: float

    def after(self, failures: int) -> float:
        """Seconds to wait after that many failures in a row."""
        if failures <= 1:
            return 0.0
        # The exponent is bounded: a float overflows long before a service has failed for a year.
        exponent = min(failures - 2, 64)
        return min(self.initial * self.factor**exponent, self.maximum)


@dataclass(frozen=True, slots=True)
class Wait:
    """Failures in a row of one thing, and until when (seconds of the epoch) it is left alone."""

    failures: int
    last_failure: float
    until: float
    why: str


class Backoff:
    """Counts failures in a row by key: a service's version, or an agent."""

    def __init__(self) -> None:
        self._waits: dict[str, Wait] = {}
        self._changed: set[str] = set()

    def restore(self, waits: Mapping[str, Wait], now: float) -> None:
        """Take in what an earlier process counted; no wait gets longer by a clock that was set back."""
        for key, wait in waits.items():
            ahead = max(0.0, wait.last_failure - now)
            self._waits[key] = replace(wait, last_failure=wait.last_failure - ahead, until=wait.until - ahead)

    def take_changes(self) -> dict[str, Wait | None]:
        """Return what has changed since the last call; None: forgotten."""
        changes = {key: self._waits.get(key) for key in self._changed}
        self._changed.clear()
        return changes

    def failed(self, key: str, started: float, now: float, delay: Delay, why: str) -> None:
        """Count a failure of what was `started` then.

        Instances that were started before the last failure failed in the same round: they don't count again.
        """
        self._changed.add(key)
        last = self._waits.get(key)
        failures = 1 if last is None else last.failures + (started >= last.last_failure)
        if last is not None and failures == last.failures:
            self._waits[key] = Wait(failures, last.last_failure, last.until, why)
        else:
            self._waits[key] = Wait(failures, now, now + delay.after(failures), why)

    def succeeded(self, key: str, started: float) -> None:
        """Forget the failures before `started`: what was started then ran well."""
        last = self._waits.get(key)
        if last is not None and started >= last.last_failure:
            self._forget(key)

    def forget_except(self, keys: set[str]) -> None:
        """Forget all other keys: services and versions come and go."""
        for key in self._waits.keys() - keys:
            self._forget(key)

    def waits(self) -> dict[str, Wait]:
        """Everything that failed lately, by key."""
        return dict(self._waits)

    def _forget(self, key: str) -> None:
        del self._waits[key]
        self._changed.add(key)


@dataclass(slots=True)
class CircuitBreaker:
    """Stops all launches for `pause` seconds when more than `limit` tasks failed within `window` seconds.

    A flood of failures is rarely the services' own fault (a registry, a network, a disk): going on would
    only add to it, and running instances are worth more than new ones.
    """

    limit: int = 50
    window: float = 60.0
    pause: float = 30.0
    _failures: deque[float] = field(default_factory=deque)
    _open_until: float = 0.0

    def failed(self, now: float) -> None:
        """Count a failure of any kind."""
        self._failures.append(now)
        while self._failures[0] < now - self.window:
            self._failures.popleft()
        if len(self._failures) > self.limit:
            self._open_until = now + self.pause
            self._failures.clear()

    def open_until(self, now: float) -> float | None:
        """When launches go on, or None when nothing holds them."""
        return self._open_until if now < self._open_until else None
