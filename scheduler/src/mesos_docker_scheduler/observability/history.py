"""The last hour in samples, for the status page's charts. It belongs to the web server's thread alone."""

from __future__ import annotations

import asyncio
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mesos_docker_scheduler.observability.event_log import EventLog
from mesos_docker_scheduler.observability.snapshot import ServiceView, Snapshot
from mesos_docker_scheduler.records.store import Event

EVERY_SECONDS = 10.0
SAMPLES = 360
MOST_SERVICES = 2_000
"""So many services have samples of their own (15 MiB); of more than these there are only the totals."""

_COUNT_SECONDS = 1.0
_AT_ONCE = 10_000
_MOST = 2**32 - 1  # what an array's item can hold


@dataclass(frozen=True, slots=True)
class Counts:
    """One sample. `launches` and `failures`: so many since the sample before."""

    wanted: int = 0
    running: int = 0
    healthy: int = 0
    launches: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Series:
    """Samples by what they count, the oldest first; all lists have one length. `at`: seconds of the epoch."""

    at: list[float]
    wanted: list[int]
    running: list[int]
    healthy: list[int]
    launches: list[int]
    failures: list[int]


class _Track:
    """The samples of one service, or of all together: five rings of four bytes an item.

    `first` numbers its first sample: a service may be younger than the history.
    """

    __slots__ = ("_columns", "first")

    def __init__(self, first: int) -> None:
        self.first = first
        self._columns = tuple(array("I", bytes(4 * SAMPLES)) for _ in Counts.__slots__)

    def put(self, number: int, counts: Counts) -> None:
        for name, column in zip(Counts.__slots__, self._columns, strict=True):
            column[number % SAMPLES] = min(getattr(counts, name), _MOST)

    def columns(self, numbers: range) -> tuple[list[int], ...]:
        return tuple([column[number % SAMPLES] for number in numbers] for column in self._columns)


class _Tally:
    """Counts launches and failures by service, of events that have not been counted yet."""

    def __init__(self, newest_id: int) -> None:
        self._seen = newest_id
        self._launches: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()

    def count(self, log: EventLog) -> None:
        while events := log.after(self._seen, _AT_ONCE):
            self._seen = events[-1].id
            self._add(events)

    def _add(self, events: Iterable[Event]) -> None:
        for event in events:
            if event.kind == "launch":
                self._launches[event.service] += 1
            elif event.kind == "ended":
                self._failures[event.service] += 1

    def take(self) -> tuple[Counter[str], Counter[str]]:
        """The launches and the failures since this was last called."""
        taken = self._launches, self._failures
        self._launches, self._failures = Counter(), Counter()
        return taken


class History:
    """Samples of the last hour, one every ten seconds, of each service and of all together.

    It is empty after a start of the scheduler and takes 7 KiB for a service. The log forgets: of more than
    `store.EVENTS_KEPT` events within a second, the oldest are not counted.
    """

    def __init__(self) -> None:
        self._at: deque[float] = deque(maxlen=SAMPLES)
        self._next = 0
        self._total = _Track(0)
        self._services: dict[str, _Track] = {}

    async def keep(self, snapshot: Callable[[], Snapshot], log: EventLog, now: Callable[[], float]) -> None:
        """Take samples until cancelled. `now`: seconds of the epoch, never going back.

        Events are counted more often than samples are taken, before the log forgets them.
        """
        counter, due = _Tally(log.newest_id), now()
        while True:
            counter.count(log)
            time = now()
            if time >= due:
                self.add(time, snapshot().services, *counter.take())
                due = time + EVERY_SECONDS
            await asyncio.sleep(_COUNT_SECONDS)

    def add(
        self, at: float, services: Iterable[ServiceView], launches: Counter[str], failures: Counter[str]
    ) -> None:
        """Take one sample; services that are not among these are forgotten."""
        tracks: dict[str, _Track] = {}
        all_counts = []
        for view in services:
            counts = Counts(view.wanted, view.running, view.healthy, launches[view.name], failures[view.name])
            all_counts.append(counts)
            if len(tracks) < MOST_SERVICES:
                track = tracks[view.name] = self._services.get(view.name) or _Track(self._next)
                track.put(self._next, counts)
        self._services = tracks
        self._total.put(self._next, _sum(all_counts, launches, failures))
        self._at.append(at)
        self._next += 1

    def series(self, service: str | None = None, after: float = 0.0) -> Series:
        """The samples of a service, or of all together (None), that are newer than a time of the epoch.

        None at all for a service that is not known (yet), or is one too many.
        """
        track = self._total if service is None else self._services.get(service)
        if track is None:
            return Series([], [], [], [], [], [])
        oldest = self._next - len(self._at)
        numbers = range(max(oldest, track.first), self._next)
        times = list(self._at)[numbers.start - oldest :]
        skipped = sum(1 for time in times if time <= after)
        return Series(times[skipped:], *track.columns(numbers[skipped:]))


def _sum(all_counts: Iterable[Counts], launches: Counter[str], failures: Counter[str]) -> Counts:
    """The sample of all services together; what ended of services that are gone counts as well."""
    wanted = running = healthy = 0
    for counts in all_counts:
        wanted += counts.wanted
        running += counts.running
        healthy += counts.healthy
    return Counts(wanted, running, healthy, launches.total(), failures.total())
