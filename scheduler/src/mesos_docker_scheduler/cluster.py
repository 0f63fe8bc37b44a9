"""The cluster as offers show it: agents, what they offer, and what we take of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mesos_docker_scheduler.backoff import Wait
from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.resources import Pool

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Offer:
    """What Mesos offers of one agent. `unavailable_from` and `unavailable_until`: its next maintenance."""

    id: str
    agent_id: str
    hostname: str
    resources: tuple[Message, ...]
    unavailable_from: float | None = None
    unavailable_until: float | None = None

    @classmethod
    def from_message(cls, message: Message) -> Offer:
        """Read a v1 Offer."""
        start = end = None
        if "unavailability" in message:
            start = message["unavailability"]["start"]["nanoseconds"] / 1e9
            duration = message["unavailability"].get("duration")
            end = None if duration is None else start + duration["nanoseconds"] / 1e9
        return cls(
            id=message["id"]["value"],
            agent_id=message["agent_id"]["value"],
            hostname=message["hostname"],
            resources=tuple(message.get("resources", ())),
            unavailable_from=start,
            unavailable_until=end,
        )

    def in_maintenance(self, now: float) -> bool:
        """Whether the agent is announced to go away: what is started there would have to move soon."""
        announced = self.unavailable_from is not None
        return announced and (self.unavailable_until is None or now < self.unavailable_until)


@dataclass(frozen=True, slots=True)
class Agent:
    """What an agent had free when it was last offered to us, less what we took of it since."""

    id: str
    hostname: str
    free: Pool
    in_maintenance: bool = False
    avoid: Wait | None = None


@dataclass(frozen=True, slots=True)
class Launch:
    """Start one instance with these resources (v1 Resources)."""

    service: Service
    agent_id: str
    hostname: str
    resources: tuple[Message, ...]
    host_ports: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Accept:
    """Launch on one agent with all that it offers."""

    agent_id: str
    offer_ids: tuple[str, ...]
    launches: tuple[Launch, ...]
    left: Pool
