"""Judges a round: what was lost, what ran twice, which requests should have been answered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from chaos_lives import Life, longest_surplus, twice

# The masters give a slave up when it has not answered for 75 s (`agent_ping_timeout`, 15 s, times
# `max_agent_ping_timeouts`), counted from a ping that may have been before the fault.
GIVEN_UP_SECONDS = 60
# How long more than wanted may run: until the scheduler has heard of it, stopped it within its grace, and a
# look has seen that.
SURPLUS_SECONDS = 30
# An instance of an update starts before the one that it replaces stops.
SURGE = 1
# A container that is stopped takes no requests from when it is told until a look misses it. One that has just
# been seen does not listen yet.
ENDING_SECONDS, STARTING_SECONDS = 10, 5
# After a host is back, and after Docker Engine has made its rules anew.
SILENT_AFTER_SECONDS = 10


@dataclass
class Toll:
    """What a fault may take while it lasts.

    hosts: whose containers end. containers: ids that end. away: slaves that masters can't reach.
    silent: hosts whose containers may not answer. Times are those of the observer.
    """

    fault: str
    hosts: frozenset[str] = frozenset()
    containers: frozenset[str] = frozenset()
    away: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()
    injected: float = 0.0
    healed: float = float("inf")

    @property
    def gave_up(self) -> bool:
        """Whether masters may have given up the slaves that were away."""
        return self.healed - self.injected >= GIVEN_UP_SECONDS


@dataclass(frozen=True)
class Failure:
    """A request that was not answered."""

    container: str
    host: str
    asked: float
    until: float
    text: str


@dataclass(frozen=True)
class Wanted:
    """What should run."""

    image: str
    count: int


@dataclass
class Verdict:
    """What became of a round. `problems`: sentences, all of them reasons to call it failed."""

    lost: list[Life] = field(default_factory=list)
    doubled: int = 0
    seconds: float | None = None
    asked: int = 0
    failed: list[Failure] = field(default_factory=list)
    explained: int = 0
    problems: list[str] = field(default_factory=list)


def lost(before: Iterable[Life], tolls: Sequence[Toll], old: Wanted, new: Wanted) -> list[Life]:
    """Return those that ran before the round, run no more, and that nothing explains."""
    if old.image != new.image:
        return []
    taken_hosts = {host for toll in tolls for host in toll.hosts}
    taken = {container for toll in tolls for container in toll.containers}
    gave_up = {host for toll in tolls if toll.gave_up for host in toll.away}
    lives = list(before)
    ended = [
        life
        for life in lives
        if life.ended is not None and life.host not in taken_hosts and life.id not in taken
    ]
    # Those of a slave that was given up run elsewhere when it comes back, and then as many are stopped.
    spare = max(0, old.count - new.count) + sum(life.host in gave_up for life in lives)
    return ended if len(ended) > spare else []


def doubled(
    lives: Sequence[Life], tolls: Sequence[Toll], most: int, since: float, until: float
) -> tuple[int, list[str]]:
    """Return how many ran more than `most` for longer than they may, or twice for one task; and sentences."""
    not_before = {
        host: max(toll.healed for toll in tolls if host in toll.away) for toll in tolls for host in toll.away
    }
    surplus, seconds = longest_surplus(lives, most, since, until, not_before)
    problems = []
    if seconds > SURPLUS_SECONDS:
        problems.append(f"for {seconds:.0f} s more than {most} ran, {most + surplus} at most")
    else:
        surplus = 0
    tasks = twice(lives, until)
    problems += [f"task {task} had two containers at the same time" for task in tasks]
    return surplus + len(tasks), problems


def unexplained(failures: Iterable[Failure], lives: Iterable[Life], tolls: Sequence[Toll]) -> list[Failure]:
    """Return the failures of containers that ran, and on hosts that no fault had silenced."""
    by_id = {life.id: life for life in lives}
    return [failure for failure in failures if not _explained(failure, by_id[failure.container], tolls)]


def _explained(failure: Failure, life: Life, tolls: Sequence[Toll]) -> bool:
    if failure.asked < life.began + STARTING_SECONDS:
        return True
    if life.ended is not None and failure.until > life.ended - ENDING_SECONDS:
        return True
    return any(
        life.host in toll.silent
        and failure.until >= toll.injected
        and failure.asked <= toll.healed + SILENT_AFTER_SECONDS
        for toll in tolls
    )
