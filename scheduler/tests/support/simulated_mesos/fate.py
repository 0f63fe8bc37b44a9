"""Time, chance, and the log of what happened: shared by all parts of a simulated world."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter, deque
from collections.abc import Callable

_LINES_KEPT = 400


class SchedulerKilledError(Exception):
    """The scheduler's process ends here, without a word."""


class Fate:
    """`trouble` is the chance of a fault wherever one may happen; 0 ends all faults.

    `kill_at`: at which of its steps (writes and calls) the scheduler dies, beside what chance does. `freeze`,
    where there are several schedulers: what happens while the one that leads stands still at a step.
    """

    def __init__(self, seed: int, now: float, trouble: float = 0.0) -> None:
        self.random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self.now = now
        self.trouble = trouble
        self.kill_at: int | None = None
        self.freeze: Callable[[], None] | None = None
        self.steps = 0
        self.counts: Counter[str] = Counter()
        self._agenda: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._lines: deque[tuple[float, str, object]] = deque(maxlen=_LINES_KEPT)

    # Time

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Let something happen after a while."""
        heapq.heappush(self._agenda, (self.now + seconds, next(self._numbers), action))

    def advance(self, until: float) -> None:
        """Let what happens by itself happen up to a moment."""
        while self._agenda and self._agenda[0][0] <= until:
            at, _, action = heapq.heappop(self._agenda)
            self.now = max(self.now, at)
            action()
        self.now = max(self.now, until)

    @property
    def next_at(self) -> float:
        """When something happens by itself next."""
        return self._agenda[0][0] if self._agenda else self.now + 3600

    # Chance

    def chance(self, part: float = 1.0) -> bool:
        """Whether a fault happens here: one that is as frequent as others, or a part as much."""
        return self.trouble > 0 and self.random.random() < self.trouble * part

    def between(self, least: float, most: float) -> float:
        """Some number of seconds."""
        return least + (most - least) * self.random.random()

    def number(self) -> int:
        """A number that was not given before."""
        return next(self._numbers)

    def step(self) -> None:
        """The scheduler is between two things that others can see: it may die here."""
        self.steps += 1
        if self.freeze is not None and self.chance(1 / 10):
            self.freeze()
        if self.steps == self.kill_at or self.chance(1 / 20):
            self.log("the scheduler is killed", f"at its step {self.steps}")
            raise SchedulerKilledError

    # The log

    def log(self, what: str, more: object = "") -> None:
        """Note what happened, for the report of a failure; `more` is made a text only then."""
        self._lines.append((self.now, what, more))

    def count(self, what: str) -> None:
        """Count a fault or another event, for the figures of a long run."""
        self.counts[what] += 1

    def told(self, start: float, lines: int = 80) -> str:
        """The last lines of the log, with seconds since `start`."""
        return "\n".join(
            f"{at - start:10.3f}  {what} {str(more)[:600]}" for at, what, more in list(self._lines)[-lines:]
        )
