"""Which agents are about to go away for maintenance, as Mesos' offers and inverse offers tell.

See docs/maintenance.md of Mesos: offers of such an agent carry its unavailability; a framework that runs
something there gets inverse offers, again and again while the schedule stands. When one is withdrawn only
open inverse offers are rescinded, so what is no longer repeated is void.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mesos_docker_scheduler.planning.cluster import AHEAD_SECONDS

_VOID_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Window:
    start: float
    end: float | None
    heard_at: float
    offer_id: str | None


class Maintenance:
    """The announced windows by agent. Times are seconds of the epoch."""

    def __init__(self) -> None:
        self._windows: dict[str, _Window] = {}

    def clear(self) -> None:
        """Forget all: a new master tells anew."""
        self._windows.clear()

    def offered(self, offers: Iterable[Mapping[str, Any]], now: float) -> None:
        """Take what v1 Offers say of their agents."""
        for offer in offers:
            self._hear(offer, now, None)

    def asked_back(self, inverse_offer: Mapping[str, Any], now: float) -> None:
        """Take what a v1 InverseOffer says of its agent."""
        self._hear(inverse_offer, now, inverse_offer["id"]["value"])

    def rescinded(self, offer_id: str) -> None:
        """Void what an inverse offer said."""
        for agent_id, window in list(self._windows.items()):
            if window.offer_id == offer_id:
                del self._windows[agent_id]

    def going(self, now: float) -> frozenset[str]:
        """The agents that are in maintenance, or will be soon."""
        for agent_id, window in list(self._windows.items()):
            over = window.end is not None and now >= window.end
            if over or now >= window.heard_at + _VOID_SECONDS:
                del self._windows[agent_id]
        return frozenset(
            agent_id for agent_id, window in self._windows.items() if now >= window.start - AHEAD_SECONDS
        )

    def _hear(self, offer: Mapping[str, Any], now: float, offer_id: str | None) -> None:
        agent_id = offer.get("agent_id", {}).get("value")
        if agent_id is None:
            return
        unavailability = offer.get("unavailability")
        if unavailability is None:
            self._windows.pop(agent_id, None)
            return
        start = unavailability["start"]["nanoseconds"] / 1e9
        duration = unavailability.get("duration")
        end = None if duration is None else start + duration["nanoseconds"] / 1e9
        self._windows[agent_id] = _Window(start, end, now, offer_id)
