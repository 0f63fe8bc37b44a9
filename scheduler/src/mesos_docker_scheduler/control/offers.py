"""The offers at hand, what they told us of the agents, and whether we want more of them."""

from __future__ import annotations

import json
from collections import ChainMap
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from pydantic import TypeAdapter
from typing_extensions import NotRequired, TypedDict

from mesos_docker_scheduler.planning.cluster import Accept, Agent, Offer
from mesos_docker_scheduler.planning.resources import Pool
from mesos_docker_scheduler.records.backoff import Wait
from mesos_docker_scheduler.records.store import read_record


class _Facts(TypedDict):
    hostname: str
    attributes: dict[str, str]
    region: NotRequired[str | None]
    zone: NotRequired[str | None]
    url: NotRequired[str | None]


_RECORDED = TypeAdapter(_Facts)
_FACTS = tuple(_Facts.__annotations__)
RECORD = "agent"
"""The kind of the store's records that hold the facts of agents."""

_GATHER_AFTER_SUBSCRIBING = 1.0
_GATHER_AFTER_REVIVING = 0.25
_SHORTEST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_LONGEST_GATHERING = 10.0
_STRANDED_SECONDS = 5.0


class Demand(Enum):
    """What to tell Mesos about offers."""

    REVIVE = "revive"
    SUPPRESS = "suppress"


@dataclass(slots=True)
class _Asking:
    """How we stand with Mesos about the offers to one role."""

    revived_at: float
    suppressed: bool = False
    watched: bool = False
    asked_for: Mapping[str, int] = field(default_factory=dict)
    revive_at: float = 0.0
    pause: float = _SHORTEST_PAUSE

    def demand(self, wanted: Mapping[str, int], watching: bool, now: float) -> Demand | None:
        """`watching`: whether an agent that joins is of interest even if nothing is wanted."""
        begins, self.watched = watching and not self.watched, watching
        if begins:
            self.asked_for = {}  # what was refused so far may be of interest now
        if not wanted:
            self.asked_for = {}
            if begins or (watching and self.suppressed):
                self.suppressed = False
                return Demand.REVIVE
            if watching or self.suppressed:
                return None
            self.suppressed = True
            return Demand.SUPPRESS
        if wanted != self.asked_for:
            self.asked_for = dict(wanted)
            self.pause = _SHORTEST_PAUSE
            self.revive_at = max(now, self.revived_at + _SHORTEST_PAUSE)
        if now < self.revive_at:
            return None
        self.suppressed = False
        self.revived_at = now
        self.revive_at = now + self.pause
        self.pause = min(2 * self.pause, _LONGEST_PAUSE)
        return Demand.REVIVE


class OfferBook:
    """Keeps offers until they are used, declined, rescinded, or void. Times are seconds of the epoch.

    Offers of several agents do not come at the same moment: after a subscription or a REVIVE the book gathers
    for a short while before it shows them, so that instances are spread over all agents.

    The facts of agents where something of ours is (hostname, attributes, region, zone) outlive the process,
    as records of the store: constraints compare offers with them.

    `facts_generation` grows when these change. `skipped_ports`: how many free ports are passed over when the
    first is taken of an agent. It should not be the same for two processes in a row.
    """

    def __init__(self, skipped_ports: int = 0) -> None:
        self._skipped_ports = skipped_ports
        self._next_ports: dict[tuple[str, str], int | None] = {}
        self._offers: dict[str, Offer] = {}
        self._by_agent: dict[str, dict[str, Offer]] = {}
        self._agents: dict[str, Agent] = {}
        self._recorded: dict[str, str] = {}
        self._changes: dict[tuple[str, str], str | None] = {}
        self._stranded: list[tuple[float, tuple[str, ...]]] = []
        self._gather_seconds = 0.0
        self._gather_until: float | None = None
        self._subscribed_at = 0.0
        self._asking: dict[str, _Asking] = {}
        self._have_come = False
        self.facts_generation = 0

    def restore(self, records: Mapping[tuple[str, str], str]) -> None:
        """Take in the facts that an earlier process has written. StoreError when a record is damaged."""
        for (kind, agent_id), text in records.items():
            if kind == RECORD:
                facts = read_record(_RECORDED, (kind, agent_id), text)
                self._recorded[agent_id] = text
                self._agents[agent_id] = Agent(agent_id, **facts)

    def take_records(self) -> dict[tuple[str, str], str | None]:
        """Return what is to be written of the changes since the last call; None: to be deleted."""
        changes, self._changes = self._changes, {}
        return changes

    def learn(self, agent: Agent) -> None:
        """Take in the facts of an agent where something of ours runs, from elsewhere than an offer."""
        if agent.id not in self._agents:
            self._agents[agent.id] = agent
            self.facts_generation += 1
        self._record(self._agents[agent.id])

    def keep(self, agent_id: str) -> None:
        """Record the facts of an agent where something of ours runs, if it has told them."""
        if agent_id in self._agents and agent_id not in self._recorded:
            self._record(self._agents[agent_id])

    def subscribed(self, now: float, busy: Container[str]) -> None:
        """Begin anew: Mesos will offer what there is by itself. Only of `busy` agents anything is kept."""
        self.void()
        for agent_id in [agent_id for agent_id in self._recorded if agent_id not in busy]:
            del self._recorded[agent_id]
            self._changes[RECORD, agent_id] = None
        self._agents = {agent_id: self._facts_of(agent_id) for agent_id in self._recorded}
        self.facts_generation += 1
        self._gather_seconds = _GATHER_AFTER_SUBSCRIBING
        self._subscribed_at = now
        self._have_come = False
        self._asking = {}

    def void(self) -> None:
        """Drop all offers: they die with the connection."""
        self._offers.clear()
        self._by_agent.clear()
        self._stranded.clear()
        self._gather_until = None

    def add(self, messages: Iterable[Mapping[str, Any]], now: float) -> int:
        """Take in v1 Offers; returns how many."""
        new = [Offer.from_message(message) for message in messages]
        for offer in new:
            offer.pool.next_port = self._next_ports.get((offer.agent_id, offer.role))
            offer.pool.skipped = self._skipped_ports
            self._offers[offer.id] = offer
            self._by_agent.setdefault(offer.agent_id, {})[offer.id] = offer
        for offer in new:
            before = self._agents.get(offer.agent_id)
            own = [one for one in self._by_agent[offer.agent_id].values() if one.role == offer.role]
            pool = offer.pool
            if len(own) > 1:
                together = [part for one in own for part in one.resources]
                pool = Pool(together, pool.next_port, pool.skipped)
            agent = self._agents[offer.agent_id] = Agent(
                offer.agent_id,
                offer.hostname,
                {offer.role: pool} if before is None else {**before.free, offer.role: pool},
                offer.in_maintenance(now),
                None,
                offer.attributes,
                offer.region,
                offer.zone,
                offer.url,
                now,
            )
            if before is None or any(getattr(agent, name) != getattr(before, name) for name in _FACTS):
                self.facts_generation += 1
                if agent.id in self._recorded:
                    self._record(agent)
        if self._gather_seconds and self._gather_until is None:
            self._gather_until = now + self._gather_seconds
        return len(new)

    def remove(self, offer_ids: Iterable[str]) -> None:
        """Forget offers that were used, declined or rescinded."""
        for offer_id in offer_ids:
            offer = self._offers.pop(offer_id, None)
            if offer is not None:
                own = self._by_agent[offer.agent_id]
                del own[offer_id]
                if not own:
                    del self._by_agent[offer.agent_id]

    def strand(self, offer_ids: Iterable[str], now: float) -> None:
        """Note that the call that used or declined these was lost: Mesos may hold them for us for ever."""
        self._stranded.append((now + _STRANDED_SECONDS, tuple(offer_ids)))

    def stranded(self, now: float) -> list[str]:
        """Offers to decline (again) now; Mesos ignores those that it knows to be used."""
        due = [offer_ids for at, offer_ids in self._stranded if now >= at]
        self._stranded = [(at, offer_ids) for at, offer_ids in self._stranded if now < at]
        return [offer_id for offer_ids in due for offer_id in offer_ids]

    def launched(self, accept: Accept) -> None:
        """Remember what we left of an agent, and its facts for as long as something of ours is there."""
        agent = self._agents[accept.agent_id]
        self._agents[agent.id] = replace(agent, free={**agent.free, accept.role: accept.left})
        self._next_ports[agent.id, accept.role] = accept.left.next_port
        self._record(agent)

    def agent_lost(self, agent_id: str) -> None:
        """Forget what an agent offered, and the agent unless something of ours may still be there."""
        for key in [key for key in self._next_ports if key[0] == agent_id]:
            del self._next_ports[key]
        if agent_id in self._recorded:
            self._agents[agent_id] = self._facts_of(agent_id)
        else:
            self._agents.pop(agent_id, None)

    def agent_drains(self, agent_id: str) -> None:
        """Note that Mesos empties an agent: it is as in maintenance until it is offered again.

        What tells of it may be late, and the agent be in use again: roles that watch agents ask for offers.
        """
        agent = self._agents.get(agent_id)
        if agent is not None and not agent.in_maintenance:
            self._agents[agent_id] = replace(agent, in_maintenance=True)
            for state in self._asking.values():
                state.watched = False

    @property
    def agents(self) -> Mapping[str, Agent]:
        """The agents that have offered something since we subscribed, and those of which we have a record."""
        return self._agents

    def agents_avoiding(self, waits: Mapping[str, Wait]) -> Mapping[str, Agent]:
        """The same, with those marked that are to be avoided."""
        avoided = {
            agent_id: replace(self._agents[agent_id], avoid=wait)
            for agent_id, wait in waits.items()
            if agent_id in self._agents
        }
        return ChainMap(avoided, self._agents) if avoided else self._agents

    def gathering(self, now: float) -> bool:
        """Whether to wait a little longer for the offers of other agents."""
        if self._gather_until is None:
            return False
        after_reviving = self._gather_seconds == _GATHER_AFTER_REVIVING
        all_here = after_reviving and self._agents.keys() <= self._by_agent.keys()
        if now < self._gather_until and not all_here:
            return True
        self._gather_until, self._gather_seconds = None, 0.0
        self._have_come = True
        return False

    def have_come(self, now: float) -> bool:
        """Whether there has been time for the first offers since we subscribed, if there are any."""
        return self._have_come or now >= self._subscribed_at + _LONGEST_GATHERING

    def at_hand(self) -> Sequence[Offer]:
        """All offers."""
        return list(self._offers.values())

    def in_maintenance(self, offer_ids: Iterable[str], now: float) -> list[str]:
        """Those of these offers whose agents are in maintenance, or soon will be."""
        return [one for one in offer_ids if one in self._offers and self._offers[one].in_maintenance(now)]

    def demands(
        self, wanted: Mapping[str, Mapping[str, int]], now: float, watching: Collection[str] = ()
    ) -> Mapping[Demand, list[str]]:
        """What to tell Mesos now, for which roles.

        `wanted` has each of our roles with the instances, by service, that could start now if an offer to it
        fitted. REVIVE at once when they change, then ever more slowly while that does not help; SUPPRESS when
        none is left, unless the role is among those `watching` for agents that join.
        """
        self._asking = {role: state for role, state in self._asking.items() if role in wanted}
        demands: dict[Demand, list[str]] = {}
        for role, instances in wanted.items():
            if role not in self._asking:
                self._asking[role] = _Asking(self._subscribed_at + _SHORTEST_PAUSE)
            demand = self._asking[role].demand(instances, role in watching, now)
            if demand is not None:
                demands.setdefault(demand, []).append(role)
        if Demand.REVIVE in demands:
            self._gather_seconds, self._gather_until = _GATHER_AFTER_REVIVING, None
        return demands

    def suppress_failed(self) -> None:
        """Note that Mesos does not know of which roles we want nothing."""
        for state in self._asking.values():
            state.suppressed = False

    def next_at(self) -> float | None:
        """When gathering ends or REVIVE is due."""
        if self._gather_until is not None:
            return self._gather_until
        if self._offers:
            return None
        return min((state.revive_at for state in self._asking.values() if state.asked_for), default=None)

    def _facts_of(self, agent_id: str) -> Agent:
        known = self._agents[agent_id]
        return replace(known, free={}, in_maintenance=False, avoid=None)

    def _record(self, agent: Agent) -> None:
        facts = {**{name: getattr(agent, name) for name in _FACTS}, "attributes": dict(agent.attributes)}
        text = json.dumps(facts, sort_keys=True)
        if self._recorded.get(agent.id) != text:
            self._recorded[agent.id] = self._changes[RECORD, agent.id] = text
