"""The offers at hand, what they told us of the agents, and whether we want more of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any

from mesos_docker_scheduler.cluster import Agent, Offer
from mesos_docker_scheduler.resources import Pool

_GATHER_AFTER_SUBSCRIBING = 1.0
_GATHER_AFTER_REVIVING = 0.25
_SHORTEST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_STRANDED_SECONDS = 5.0


class Wish(Enum):
    """What to tell Mesos about offers."""

    REVIVE = "revive"
    SUPPRESS = "suppress"


class OfferBook:
    """Keeps offers until they are used, declined, rescinded, or void. Times are seconds of the epoch.

    Offers of several agents do not come at the same moment: after a subscription or a REVIVE the book gathers
    for a short while before it shows them, so that instances are spread over all agents.
    """

    def __init__(self) -> None:
        self._offers: dict[str, Offer] = {}
        self._agents: dict[str, Agent] = {}
        self._stranded: list[tuple[float, tuple[str, ...]]] = []
        self._gather_seconds = 0.0
        self._gather_until: float | None = None
        self._suppressed = False
        self._asked_for: dict[str, int] = {}
        self._revived_at = 0.0
        self._revive_at = 0.0
        self._revive_pause = _SHORTEST_PAUSE

    def subscribed(self, now: float) -> None:
        """Begin anew: Mesos will offer what there is by itself."""
        self.void()
        self._agents.clear()
        self._gather_seconds = _GATHER_AFTER_SUBSCRIBING
        self._suppressed = False
        self._asked_for = {}
        self._revived_at = now + _SHORTEST_PAUSE

    def void(self) -> None:
        """Drop all offers: they die with the connection."""
        self._offers.clear()
        self._stranded.clear()
        self._gather_until = None

    def add(self, messages: Iterable[Mapping[str, Any]], now: float) -> int:
        """Take in v1 Offers; returns how many."""
        new = [Offer.from_message(message) for message in messages]
        self._offers.update((offer.id, offer) for offer in new)
        by_agent: dict[str, list[Offer]] = {}
        for offer in self._offers.values():
            by_agent.setdefault(offer.agent_id, []).append(offer)
        for agent_id in {offer.agent_id for offer in new}:
            own = by_agent[agent_id]
            self._agents[agent_id] = Agent(
                agent_id,
                own[0].hostname,
                Pool(resource for offer in own for resource in offer.resources),
                any(offer.in_maintenance(now) for offer in own),
            )
        if self._gather_seconds and self._gather_until is None:
            self._gather_until = now + self._gather_seconds
        return len(new)

    def remove(self, offer_ids: Iterable[str]) -> None:
        """Forget offers that were used, declined or rescinded."""
        for offer_id in offer_ids:
            self._offers.pop(offer_id, None)

    def strand(self, offer_ids: Iterable[str], now: float) -> None:
        """Note that the call that used or declined these was lost: Mesos may hold them for us for ever."""
        self._stranded.append((now + _STRANDED_SECONDS, tuple(offer_ids)))

    def stranded(self, now: float) -> list[str]:
        """Offers to decline (again) now; Mesos ignores those that it knows to be used."""
        due = [offer_ids for at, offer_ids in self._stranded if now >= at]
        self._stranded = [(at, offer_ids) for at, offer_ids in self._stranded if now < at]
        return [offer_id for offer_ids in due for offer_id in offer_ids]

    def launched(self, agent_id: str, left: Pool) -> None:
        """Remember what we left of an agent."""
        self._agents[agent_id] = replace(self._agents[agent_id], free=left)

    def agent_lost(self, agent_id: str) -> None:
        """Forget an agent."""
        self._agents.pop(agent_id, None)

    @property
    def agents(self) -> Mapping[str, Agent]:
        """The agents that have offered something since we subscribed."""
        return self._agents

    def gathering(self, now: float) -> bool:
        """Whether to wait a little longer for the offers of other agents."""
        if self._gather_until is None:
            return False
        here = {offer.agent_id for offer in self._offers.values()}
        all_here = self._gather_seconds == _GATHER_AFTER_REVIVING and self._agents.keys() <= here
        if now < self._gather_until and not all_here:
            return True
        self._gather_until, self._gather_seconds = None, 0.0
        return False

    def at_hand(self) -> Sequence[Offer]:
        """All offers."""
        return list(self._offers.values())

    def wish(self, wanted: Mapping[str, int], now: float) -> Wish | None:
        """What to tell Mesos now, given the instances that could start if an offer fitted.

        REVIVE at once when they change, then ever more slowly while that does not help; SUPPRESS when none is
        left.
        """
        if not wanted:
            self._asked_for = {}
            if self._suppressed:
                return None
            self._suppressed = True
            return Wish.SUPPRESS
        if wanted != self._asked_for:
            self._asked_for = dict(wanted)
            self._revive_pause = _SHORTEST_PAUSE
            self._revive_at = max(now, self._revived_at + _SHORTEST_PAUSE)
        if now < self._revive_at:
            return None
        self._suppressed = False
        self._revived_at = now
        self._revive_at = now + self._revive_pause
        self._revive_pause = min(2 * self._revive_pause, _LONGEST_PAUSE)
        self._gather_seconds, self._gather_until = _GATHER_AFTER_REVIVING, None
        return Wish.REVIVE

    def suppress_failed(self) -> None:
        """Note that Mesos does not know that we want nothing."""
        self._suppressed = False

    def next_at(self) -> float | None:
        """When gathering ends or REVIVE is due."""
        if self._gather_until is not None:
            return self._gather_until
        return self._revive_at if self._asked_for and not self._offers else None
