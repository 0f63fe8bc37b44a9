"""A record of containers' lives, made of looks at the slaves' Docker Engines."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Seen:
    """A task's container as Docker Engine lists it. `port`: the host's that leads to it, 0 without one."""

    id: str
    task: str
    image: str
    port: int
    runs: bool


@dataclass
class Life:
    """One container from the first look that had it running until the first that had it no more.

    Times are seconds of one monotonic clock. `ended` is None as long as no look says otherwise: a host that
    does not answer says nothing of its containers.
    """

    id: str
    task: str
    host: str
    image: str
    port: int
    began: float
    ended: float | None = None

    def __str__(self) -> str:
        """Return what people need to find it again."""
        return f"{self.id[:12]} ({self.task}) on {self.host}"

    def runs_at(self, at: float) -> bool:
        """Tell whether it ran at that time, as far as is known."""
        return self.began <= at and (self.ended is None or at < self.ended)


class Lives:
    """The lives of all containers of tasks on all slaves."""

    def __init__(self) -> None:
        self._lives: dict[str, Life] = {}
        self._stopped: dict[str, frozenset[str]] = {}

    def look(self, host: str, at: float, seen: Iterable[Seen]) -> None:
        """Take down what a slave's engine lists at that time, running or not."""
        listed = list(seen)
        running = {container.id: container for container in listed if container.runs}
        self._stopped[host] = frozenset(container.id for container in listed if not container.runs)
        for container in running.values():
            life = self._lives.setdefault(
                container.id,
                Life(container.id, container.task, host, container.image, container.port, at),
            )
            # An engine that is just back may leave out for a moment what has been running all the time.
            life.ended = None
        for life in self._lives.values():
            if life.host == host and life.ended is None and life.id not in running:
                life.ended = at

    def all(self) -> list[Life]:
        """Return every life there has been."""
        return list(self._lives.values())

    def running(self) -> list[Life]:
        """Return those that have not ended."""
        return [life for life in self._lives.values() if life.ended is None]

    def stopped(self) -> dict[str, frozenset[str]]:
        """Return by host the ids of containers that run no more and have not been removed."""
        return dict(self._stopped)


def longest_surplus(
    lives: Iterable[Life],
    wanted: int,
    since: float,
    until: float,
    not_before: Mapping[str, float],
) -> tuple[int, float]:
    """Return how many more than wanted ran at once, and for how many seconds in a row any did.

    not_before: by host, from when on its containers count: before, nobody could stop them.
    """
    spans = [
        (max(life.began, since, not_before.get(life.host, since)), min(life.ended or until, until))
        for life in lives
    ]
    # One that ends when another begins makes room for it.
    changes = sorted(change for begin, end in spans if begin < end for change in ((end, -1), (begin, 1)))
    running, most, longest, surplus_since = 0, 0, 0.0, None
    for at, change in [*changes, (until, 0)]:
        if surplus_since is not None:
            longest = max(longest, at - surplus_since)
        running += change
        most = max(most, running - wanted)
        if running <= wanted:
            surplus_since = None
        elif surplus_since is None:
            surplus_since = at
    return most, longest


def twice(lives: Iterable[Life], until: float) -> list[str]:
    """Return the tasks of which two containers ran at the same time."""
    by_task: dict[str, list[Life]] = {}
    for life in lives:
        by_task.setdefault(life.task, []).append(life)
    found = []
    for task, same in by_task.items():
        same.sort(key=lambda life: life.began)
        if any(later.began < (earlier.ended or until) for earlier, later in itertools.pairwise(same)):
            found.append(task)
    return found
