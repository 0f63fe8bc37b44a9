"""The agents on offer, best first for each service, without looking at all of them for each instance.

Thousands of agents and of services share a few heaps: one for each role and set of tests that look at the
agent alone, split by the values that have to be kept even or limited (`fields`). A search takes from the top
of them and puts back what others may still use. Within one round loads only grow and what is free only
shrinks, so an entry that is too old is put right when it comes up.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from mesos_docker_scheduler.planning.cluster import Agent, Launch, Offer
from mesos_docker_scheduler.planning.constraints import (
    Constraint,
    Facts,
    SpreadCounter,
    field_of,
    looks_at_agent_alone,
    suits,
)
from mesos_docker_scheduler.planning.resources import Pool, ResourceRequest

_GPU_BIAS = 1_000_000
"""Added to the load of agents with GPUs: they are for those who ask for some."""
_DAY_BIAS = 10_000
_DAYS = 30
"""The nearer an agent's maintenance is, the later it is used: by so much for each day of so many."""


@dataclass(frozen=True, slots=True)
class Pin:
    """The value that CLUSTER without one has come to."""

    field: str
    value: str
    operator: str = "CLUSTER"


@dataclass(slots=True)
class AgentOffers:
    """All that one agent offers to one role, and what is left of it.

    `load`: how much is there already, and a `bias` that ranks those last that should be kept free.
    """

    agent_id: str
    hostname: str
    role: str
    facts: Facts
    offers: list[Offer]
    pool: Pool
    load: int = 0
    bias: int = 0
    launches: list[Launch] = field(default_factory=list)


@dataclass(slots=True)
class _Group:
    """Lots that pass the same tests, by their values of some fields; numbers are indexes of the list of lots.

    `buckets` hold heaps of (load, number), or numbers in the order in which to fill them when packing.
    `hopeless`: needs that none of them can meet.
    """

    buckets: dict[tuple[str, ...], list[tuple[int, int]]]
    bucket_of: dict[int, tuple[str, ...]]
    hopeless: list[ResourceRequest] = field(default_factory=list)

    def has_no_room_for(self, need: ResourceRequest) -> bool:
        """Whether that is known already."""
        return any(_at_least(need, known) for known in self.hopeless)


class Candidates:
    """What is on offer in one round. `unfit`: agents that get nothing now."""

    def __init__(
        self, lots: Iterable[AgentOffers], agents: Mapping[str, Agent], unfit: Mapping[str, str], now: float
    ) -> None:
        def days_until(offer: Offer) -> int | None:
            return offer.days_until_maintenance(now)

        self.lots = sorted(lots, key=lambda lot: (lot.hostname, lot.agent_id, lot.role))
        for lot in self.lots:
            if any(resource["name"] == "gpus" for offer in lot.offers for resource in offer.resources):
                lot.bias += _GPU_BIAS
            days = min((one for one in map(days_until, lot.offers) if one is not None), default=_DAYS)
            lot.bias += _DAY_BIAS * max(0, _DAYS - days)
            lot.load += lot.bias
        self._agents = agents
        self._numbers: dict[str, dict[str, int]] = {}
        for number, lot in enumerate(self.lots):
            if lot.agent_id not in unfit:
                self._numbers.setdefault(lot.role, {})[lot.agent_id] = number
        self._facts: dict[str, Facts] = {lot.agent_id: lot.facts for lot in self.lots}
        self._values: dict[tuple[str, str], dict[str, list[int]]] = {}
        self._one_each: dict[tuple[str, str], bool] = {}
        self._groups: dict[object, _Group] = {}

    def value(self, agent_id: str, field: str) -> str | None:
        """The value of a constraint's field, on an agent that is offered or remembered."""
        facts = self._facts.get(agent_id) or self._agents.get(agent_id)
        return None if facts is None else field_of(facts, field)

    def numbers(self, role: str) -> Mapping[str, int]:
        """The lots of a role that may be used, by agent."""
        return self._numbers.get(role, {})

    def values(self, role: str, field: str) -> Mapping[str, list[int]]:
        """The lots of a role that may be used, by their value of a field."""
        known = self._values.get((role, field))
        if known is None:
            known = self._values[role, field] = {}
            for number in self.numbers(role).values():
                value = field_of(self.lots[number].facts, field)
                if value is not None:
                    known.setdefault(value, []).append(number)
        return known

    def one_each(self, role: str, field: str) -> bool:
        """Whether no two lots have the same value of a field."""
        known = self._one_each.get((role, field))
        if known is None:
            known = all(len(numbers) == 1 for numbers in self.values(role, field).values())
            self._one_each[role, field] = known
        return known

    def passing(self, role: str, tests: Iterable[Constraint | Pin], fields: Iterable[str]) -> list[int]:
        """The lots that pass all tests and have all fields."""
        numbers: Iterable[int] = self.numbers(role).values()
        for test in sorted(tests, key=lambda test: test.operator not in ("IS", "CLUSTER")):
            if test.operator == "UNLIKE":
                numbers = [
                    number for number in numbers if suits(test, field_of(self.lots[number].facts, test.field))
                ]
            else:
                suiting = [
                    number
                    for value, own in self.values(role, test.field).items()
                    if suits(test, value)
                    for number in own
                ]
                before = set(numbers)
                numbers = [number for number in suiting if number in before]
        for name in fields:
            numbers = [number for number in numbers if field_of(self.lots[number].facts, name) is not None]
        return list(numbers)

    def group(
        self,
        role: str,
        tests: Sequence[Constraint | Pin],
        fields: tuple[str, ...],
        others: tuple[str, ...],
        pack: bool,
    ) -> _Group:
        """The lots that pass the tests and have the fields, in buckets by the values of `fields`."""
        tested = frozenset((test.field, test.operator, test.value) for test in tests)
        key = (role, tested, fields, others, pack)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = self._new_group(self.passing(role, tests, (*fields, *others)), fields)
            for bucket in group.buckets.values():
                if pack:
                    bucket.sort(key=self._packing_order)
                else:
                    heapq.heapify(bucket)
        return group

    def _packing_order(self, entry: tuple[int, int]) -> tuple[int, int, int, int]:
        load, number = entry
        lot = self.lots[number]
        return (lot.bias, -load, lot.pool.free("mem"), number)

    def _new_group(self, numbers: Iterable[int], fields: tuple[str, ...]) -> _Group:
        lots = self.lots
        if not fields:
            entries = [(lots[number].load, number) for number in numbers]
            return _Group({(): entries}, {number: () for _, number in entries})
        group = _Group({}, {})
        for number in numbers:
            lot = lots[number]
            values = tuple(field_of(lot.facts, name) or "" for name in fields)
            group.buckets.setdefault(values, []).append((lot.load, number))
            group.bucket_of[number] = values
        return group


class _Miss(Enum):
    """Why a bucket has no lot for an instance."""

    LATER = "it may have one when others have got theirs"
    NEVER = "it will have none in this round"


class PlacementSearch:
    """Finds lots for the instances of one service, one after the other. `close` it before the next one's.

    Spread: first where the fewest instances of the same version are, then of the same service, then of any.
    Pack: fill up what is loaded most, then what has least memory left. What meets more `preferences` comes
    before both, and GROUP_BY before that. Agents in `last` are used when there is no other, those in `closed`
    not at all. `wanted`: how many instances there shall be in all. `same_version` counts those that keep
    others off, `staying` those to keep together with.
    """

    def __init__(
        self,
        candidates: Candidates,
        role: str,
        constraints: Iterable[Constraint],
        need: ResourceRequest,
        wanted: int,
        pack: bool,
        same_version: Mapping[str, int],
        same_service: Mapping[str, int],
        *,
        staying: Mapping[str, int],
        last: Collection[str] = (),
        closed: Collection[str] = (),
        preferences: Sequence[Constraint] = (),
    ) -> None:
        self._candidates = candidates
        self._lots = candidates.lots
        self.need = self._need = need
        self.tests: list[Constraint | Pin] = []
        self.counters: list[SpreadCounter] = []
        numbers = candidates.numbers(role)
        self._closed = {numbers[agent_id] for agent_id in closed if agent_id in numbers}
        self._resorts = {numbers[agent_id] for agent_id in last if agent_id in numbers}
        clusters: list[Constraint] = []
        for constraint in constraints:
            if looks_at_agent_alone(constraint):
                self.tests.append(constraint)
            elif constraint.operator == "CLUSTER":
                clusters.append(constraint)
            else:
                self.counters.append(
                    SpreadCounter(constraint, self._counts(constraint, same_version).items())
                )
        for constraint in clusters:
            value = self._pin(constraint, role, wanted, staying, same_service)
            if value is not None:
                self.tests.append(Pin(constraint.field, value))

        by_agent = [
            counter for counter in self.counters if candidates.one_each(role, counter.constraint.field)
        ]
        # GROUP_BY first: it comes before mere limits.
        self._shared = sorted(
            (counter for counter in self.counters if counter not in by_agent),
            key=lambda counter: counter.constraint.operator != "GROUP_BY",
        )
        self._own_fields = [(counter, counter.constraint.field) for counter in by_agent]
        self._own_grouped = [own for own in self._own_fields if own[0].constraint.operator == "GROUP_BY"]
        self._pack = pack and not self._own_grouped
        self._preferences = preferences
        # With GROUP_BY, agents where it has failed are used last within each group only: to pass them over
        # at first would fill the others.
        grouped = any(counter.constraint.operator == "GROUP_BY" for counter in self.counters)
        self._last = frozenset(last) if grouped else frozenset()
        self._ranks_all = bool(self._preferences or self._last)
        group = candidates.group(
            role,
            self.tests,
            tuple(counter.constraint.field for counter in self._shared),
            tuple(sorted({name for _, name in self._own_fields} | {one.field for one in clusters})),
            self._pack,
        )
        self._group = group
        self._open: list[tuple[tuple[int, ...], tuple[str, ...]]] = []
        self._passed_over = self._closed if grouped else self._closed | self._resorts
        if not group.has_no_room_for(need):
            self._open_all()
        # What has instances of ours that count is ranked by their number, in heaps of this search alone.
        self._marked: dict[int, tuple[int, int, int, int]] = {}
        self._own: dict[tuple[str, ...], list[tuple[int, int, int, int, int, int]]] = {}
        self._aside: dict[tuple[str, ...], list[int]] = {}
        self._later: dict[tuple[str, ...], list[int]] = {}
        self._own_later: dict[tuple[str, ...], list[tuple[int, int, int, int, int, int]]] = {}
        self._order: dict[tuple[str, ...], list[tuple[int, int]]] = {}
        self._filled: Counter[tuple[str, ...]] = Counter()
        if not self._pack:
            self._mark(role, same_version, same_service)

    def next(self) -> AgentOffers | None:
        """The next best lot with room, and count one more instance there; None when there is none."""
        found = self._find()
        if found is None and self._passed_over != self._closed:
            self._take_the_last()
            found = self._find()
        if found is None:
            if not self.counters and not self._closed and not self._group.has_no_room_for(self._need):
                self._group.hopeless.append(self._need)
            return None
        self._count(found)
        return self._lots[found]

    def _find(self) -> int | None:
        blocked = []
        found: int | _Miss = _Miss.NEVER
        while self._open and isinstance(found, _Miss):
            counts, values = self._open[0]
            if not values:
                # No field to keep even: one bucket.
                found = self._look(values)
                break
            current = self._bucket_counts(values)
            if current != counts:
                heapq.heapreplace(self._open, (current, values))
            elif all(map(SpreadCounter.allows, self._shared, values)):
                found = self._look(values)
                if found is _Miss.NEVER:
                    heapq.heappop(self._open)
                elif found is _Miss.LATER:
                    blocked.append(heapq.heappop(self._open))
            else:
                entry = heapq.heappop(self._open)
                if not any(map(SpreadCounter.full, self._shared, values)):
                    blocked.append(entry)
        for entry in blocked:
            heapq.heappush(self._open, entry)
        return None if isinstance(found, _Miss) else found

    def _look(self, values: tuple[str, ...]) -> int | _Miss:
        """The best lot of a bucket."""
        return self._first_fit(values) if self._pack else self._best(values)

    def close(self) -> None:
        """Put back what other services may use."""
        for values, numbers in self._later.items():
            self._aside.setdefault(values, []).extend(numbers)
        for values, numbers in self._aside.items():
            heap = self._group.buckets[values]
            if len(numbers) * 8 > len(heap):
                heap += [(self._lots[number].load, number) for number in numbers]
                heapq.heapify(heap)
            else:
                for number in numbers:
                    heapq.heappush(heap, (self._lots[number].load, number))
        self._aside.clear()

    # Preparation

    def _open_all(self) -> None:
        self._open = [(self._bucket_counts(values), values) for values in self._group.buckets]
        heapq.heapify(self._open)

    def _take_the_last(self) -> None:
        """Go on with what was passed over so far, but for what is closed."""
        self._passed_over = self._closed
        for values, numbers in self._later.items():
            for number in numbers:
                heapq.heappush(self._group.buckets[values], (self._lots[number].load, number))
        for values, entries in self._own_later.items():
            for entry in entries:
                heapq.heappush(self._own[values], entry)
        self._later.clear()
        self._own_later.clear()
        self._filled.clear()
        if not self._group.has_no_room_for(self._need):
            self._open_all()

    def _counts(self, constraint: Constraint, same_version: Mapping[str, int]) -> Counter[str]:
        counts: Counter[str] = Counter()
        for agent_id, count in same_version.items():
            value = self._candidates.value(agent_id, constraint.field)
            if value is not None:
                counts[value] += count
        return counts

    def _pin(
        self,
        constraint: Constraint,
        role: str,
        wanted: int,
        staying: Mapping[str, int],
        same_service: Mapping[str, int],
    ) -> str | None:
        """The value on which the service is or should be: that with most instances, or with room for most.

        Room is what is offered, and what other versions of the service will give back. What is closed has
        none, and what comes last is counted last: the value of an agent where nothing can start would keep
        the service off all others.
        """
        counts = self._counts(constraint, staying)
        if not counts:
            limits = {
                counter.constraint.field: counter.limit
                for counter in self.counters
                if counter.limit is not None and self._candidates.one_each(role, counter.constraint.field)
            }
            limit = min(limits.values(), default=wanted)
            passing = self._candidates.passing(role, self.tests, [constraint.field, *limits])
            open_lots = (number for number in passing if number not in self._closed)
            for number in sorted(open_lots, key=lambda one: (one in self._resorts, self._lots[one].load)):
                lot = self._lots[number]
                value = field_of(lot.facts, constraint.field) or ""
                room = lot.pool.room_for(self._need) + same_service.get(lot.agent_id, 0)
                counts[value] += min(limit, room)
                if counts[value] >= wanted:
                    return value
        return max(counts, key=lambda value: (counts[value], value), default=None)

    def _mark(self, role: str, same_version: Mapping[str, int], same_service: Mapping[str, int]) -> None:
        numbers = self._candidates.numbers(role)
        # Preferences and failures are this service's own: all that it may use is ranked for it alone.
        marked = set(numbers.values()) if self._ranks_all else set()
        marked |= {numbers[agent_id] for agent_id in same_service if agent_id in numbers}
        for counter, name in self._own_fields:
            by_value = self._candidates.values(role, name)
            marked.update(
                number for value in counter.values if value in by_value for number in by_value[value]
            )
        for number in marked & self._group.bucket_of.keys():
            lot = self._lots[number]
            rank = (
                self._own_count(lot),
                self._unmet(lot),
                same_version.get(lot.agent_id, 0),
                same_service.get(lot.agent_id, 0),
            )
            self._marked[number] = rank
            self._own.setdefault(self._group.bucket_of[number], []).append((*rank, lot.load, number))
        for heap in self._own.values():
            heapq.heapify(heap)

    def _own_count(self, lot: AgentOffers) -> int:
        # As a rule there are none, and this is asked for each instance.
        if not self._own_grouped:
            return 0
        return sum(counter.count(field_of(lot.facts, name) or "") for counter, name in self._own_grouped)

    def _unmet(self, lot: AgentOffers) -> int:
        """How many preferences an agent does not meet; one where it has failed meets none."""
        if lot.agent_id in self._last:
            return len(self._preferences) + 1
        return sum(not suits(one, field_of(lot.facts, one.field)) for one in self._preferences)

    def _bucket_counts(self, values: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(map(SpreadCounter.count, self._shared, values))

    # Steps of the search

    def _best(self, values: tuple[str, ...]) -> int | _Miss:
        """Spread: the one with the fewest."""
        lots, marked, need = self._lots, self._marked, self._need
        heap = self._group.buckets[values]
        aside = self._aside.setdefault(values, [])
        while heap and not self._ranks_all:
            load, number = heap[0]
            lot = lots[number]
            if load != lot.load:
                heapq.heapreplace(heap, (lot.load, number))
                continue
            heapq.heappop(heap)
            if number in self._passed_over:
                self._later.setdefault(values, []).append(number)
                continue
            aside.append(number)
            if number not in marked and lot.pool.lacks(need) is None:
                return number
        own = self._own.get(values, [])
        while own:
            number = own[0][-1]
            lot = lots[number]
            if number in self._passed_over:
                self._own_later.setdefault(values, []).append(heapq.heappop(own))
            elif self._full(lot) or lot.pool.lacks(need) is not None:
                heapq.heappop(own)
            elif self._allowed(lot):
                heapq.heappop(own)
                return number
            else:
                return _Miss.LATER
        return _Miss.NEVER

    def _first_fit(self, values: tuple[str, ...]) -> int | _Miss:
        """Pack: the first in order that has room."""
        order = self._order.get(values)
        if order is None:
            order = self._group.buckets[values]
            if self._ranks_all:
                order = sorted(order, key=lambda entry: self._unmet(self._lots[entry[1]]))
            self._order[values] = order
        while self._filled[values] < len(order):
            number = order[self._filled[values]][1]
            lot = self._lots[number]
            fits = not self._full(lot) and lot.pool.lacks(self._need) is None
            if fits and number not in self._passed_over:
                return number
            self._filled[values] += 1
        return _Miss.NEVER

    def _full(self, lot: AgentOffers) -> bool:
        return any(counter.full(field_of(lot.facts, name) or "") for counter, name in self._own_fields)

    def _allowed(self, lot: AgentOffers) -> bool:
        return all(counter.allows(field_of(lot.facts, name) or "") for counter, name in self._own_fields)

    def _count(self, number: int) -> None:
        lot = self._lots[number]
        lot.load += 1
        for counter in self.counters:
            counter.add(field_of(lot.facts, counter.constraint.field) or "")
        if not self._pack:
            _, unmet, same_version, same_service = self._marked.get(number, (0, 0, 0, 0))
            rank = (self._own_count(lot), unmet, same_version + 1, same_service + 1)
            self._marked[number] = rank
            own = self._own.setdefault(self._group.bucket_of[number], [])
            heapq.heappush(own, (*rank, lot.load, number))


def _at_least(need: ResourceRequest, other: ResourceRequest) -> bool:
    return (
        need.cpus >= other.cpus
        and need.mem >= other.mem
        and need.disk >= other.disk
        and need.gpus >= other.gpus
        and need.ports_in_all >= other.ports_in_all
        and need.fixed_ports >= other.fixed_ports
    )
