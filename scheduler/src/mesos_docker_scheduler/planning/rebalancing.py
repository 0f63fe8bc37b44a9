"""Finds out whether the instances of a service are spread badly, and where one of them should go. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.planning.cluster import Agent
from mesos_docker_scheduler.planning.constraints import Constraint, SpreadCounter, field_of, suits_all
from mesos_docker_scheduler.planning.placement import need_of, role_of

_FRESH_SECONDS = 300.0
_BAD = 2
"""Where there are so many more than elsewhere, one of them moves: with fewer, nothing would be gained."""


@dataclass(frozen=True, slots=True)
class Destinations:
    """One instance should move from an agent of `away_from` to one of `agents`."""

    away_from: Collection[str]
    agents: Collection[str]


def destinations(
    service: Service,
    there: Mapping[str, int],
    proved: Mapping[str, int],
    agents: Mapping[str, Agent],
    closed: Collection[str],
    now: float,
    role: str,
) -> Destinations | None:
    """Where an instance should go, by what GROUP_BY keeps even, or else by agents within it; None: nowhere.

    `there`: how many are on each agent; `proved`: how many of these have been healthy for long enough. One
    that has come to its destination counts there when it has proved itself: until then what it is to replace
    stays the one to go. `closed`: agents that get none. `role`: that of services without one of their own.
    """
    room = [
        agent
        for agent in agents.values()
        if _is_open(agent, closed, now) and _suits(service, agent)
        # What has just come there has taken the room that there was.
        if there.get(agent.id, 0) > proved.get(agent.id, 0) or _has_room(service, agent, role)
    ]
    room = list(_within_limits(service, proved, agents, room))
    groups = list(_groups(service))
    levels = [*groups, lambda agent: agent.id]
    for depth in range(1, len(levels) + 1):
        found = _at(levels[:depth], there, proved, agents, room, evenly=depth <= len(groups))
        if found is not None:
            return found
    return None


Level = Callable[[Agent], str | None]
"""What is to be even: a value of an agent."""


def _at(
    levels: Sequence[Level],
    there: Mapping[str, int],
    proved: Mapping[str, int],
    agents: Mapping[str, Agent],
    room: Collection[Agent],
    *,
    evenly: bool,
) -> Destinations | None:
    """Where to go by the last of these levels, within what has the same values at those before.

    `evenly`: GROUP_BY is about it, and lets one more come only where the fewest are.
    """

    def key(agent: Agent) -> tuple[str | None, ...]:
        return tuple(level(agent) for level in levels)

    counts, ready = _by(key, there, agents), _by(key, proved, agents)
    most: dict[tuple[str | None, ...], int] = {}
    for full, count in counts.items():
        most[full[:-1]] = max(count, most.get(full[:-1], 0))
    for within, highest in sorted(most.items(), key=lambda item: -item[1]):
        open_to = [agent for agent in room if key(agent)[:-1] == within and None not in key(agent)]
        if evenly:
            fewest = min(ready[one] for one in counts if one[:-1] == within)
            open_to = [agent for agent in open_to if ready[key(agent)] in (0, fewest)]
        if any(ready[key(agent)] + _BAD <= highest for agent in open_to):
            fullest = {full for full, count in counts.items() if full[:-1] == within and count == highest}
            return Destinations(
                [agent_id for agent_id in there if agent_id in agents and key(agents[agent_id]) in fullest],
                {agent.id for agent in open_to if counts[key(agent)] + _BAD <= highest},
            )
    return None


def _groups(service: Service) -> Iterator[Level]:
    """What GROUP_BY keeps even, the most important first."""
    for one in service.constraints:
        if one.operator == "GROUP_BY":
            yield lambda agent, field=one.field: field_of(agent, field)  # type: ignore[misc]


Key = TypeVar("Key")


def _by(
    value: Callable[[Agent], Key], counts: Mapping[str, int], agents: Mapping[str, Agent]
) -> Counter[Key]:
    found: Counter[Key] = Counter()
    for agent_id, count in counts.items():
        if agent_id in agents:
            found[value(agents[agent_id])] += count
    return found


def _is_open(agent: Agent, closed: Collection[str], now: float) -> bool:
    avoided = agent.avoid is not None and agent.avoid.until > now
    # What was offered long ago may have been taken by others since, and nobody says so.
    known = now < agent.offered_at + _FRESH_SECONDS
    return known and not avoided and not agent.in_maintenance and agent.id not in closed


def _has_room(service: Service, agent: Agent, role: str) -> bool:
    pool = agent.free.get(role_of(service, role))
    return pool is not None and pool.lacks(need_of(service)) is None


def _suits(service: Service, agent: Agent) -> bool:
    """Whether it would come there by its constraints, and with all its preferences met."""
    return suits_all((*service.constraints, *service.preferences), agent)


def _within_limits(
    service: Service, there: Mapping[str, int], agents: Mapping[str, Agent], room: Collection[Agent]
) -> Iterator[Agent]:
    """Those where limits such as MAX_PER allow one more. CLUSTER keeps all on its value."""
    limits = [_counter(one, there, agents) for one in service.constraints]
    for agent in room:
        values = [(counter, field_of(agent, counter.constraint.field) or "") for counter in limits]
        if not any(counter.full(value) or _leaves_cluster(counter, value) for counter, value in values):
            yield agent


def _counter(constraint: Constraint, there: Mapping[str, int], agents: Mapping[str, Agent]) -> SpreadCounter:
    counts = _by(lambda agent: field_of(agent, constraint.field), there, agents)
    return SpreadCounter(constraint, [(value, count) for value, count in counts.items() if value is not None])


def _leaves_cluster(counter: SpreadCounter, value: str) -> bool:
    return counter.constraint.operator == "CLUSTER" and bool(counter.values) and value not in counter.values
