"""The cluster as offers show it: agents, what they offer, and what we take of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.planning.constraints import attribute_texts
from mesos_docker_scheduler.planning.resources import Pool
from mesos_docker_scheduler.records.backoff import Wait
from mesos_docker_scheduler.wording import printable, printable_if_any

Message = Mapping[str, Any]

AHEAD_SECONDS = 3600.0
"""Before maintenance begins nothing is started for so long, and what runs moves."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What Mesos offers of one agent to one role. `pool` holds the resources: take from a copy of it.

    `unavailable_from` and `unavailable_until`: the agent's next maintenance. `attributes`: as constraints
    read them; of several with one name, the first.
    """

    id: str
    agent_id: str
    hostname: str
    resources: tuple[Message, ...]
    pool: Pool
    unavailable_from: float | None = None
    unavailable_until: float | None = None
    role: str = "*"
    attributes: Mapping[str, str] = field(default_factory=dict)
    region: str | None = None
    zone: str | None = None
    url: str | None = None

    @classmethod
    def from_message(cls, message: Message) -> Offer:
        """Read a v1 Offer."""
        start = end = None
        if "unavailability" in message:
            start = message["unavailability"]["start"]["nanoseconds"] / 1e9
            duration = message["unavailability"].get("duration")
            end = None if duration is None else start + duration["nanoseconds"] / 1e9
        resources = tuple(message.get("resources", ()))
        place = message.get("domain", {}).get("fault_domain", {})
        return cls(
            message["id"]["value"],
            message["agent_id"]["value"],
            printable(message["hostname"]),
            resources,
            Pool(resources),
            start,
            end,
            message.get("allocation_info", {}).get("role", "*"),
            attribute_texts(message.get("attributes", ())),
            printable_if_any(place.get("region", {}).get("name")),
            printable_if_any(place.get("zone", {}).get("name")),
            _url(message.get("url")),
        )

    def in_maintenance(self, now: float) -> bool:
        """Whether the agent is away, or will be so soon that what is started there would have to move."""
        return self._announced(now) and now >= (self.unavailable_from or 0.0) - AHEAD_SECONDS

    def days_until_maintenance(self, now: float) -> int | None:
        """Whole days until the agent goes away; None when it is not announced to."""
        if not self._announced(now):
            return None
        return max(0, int(((self.unavailable_from or 0.0) - now) // 86_400))

    def _announced(self, now: float) -> bool:
        over = self.unavailable_until is not None and now >= self.unavailable_until
        return self.unavailable_from is not None and not over


@dataclass(frozen=True, slots=True)
class Agent:
    """What we know of an agent.

    `free`: by role, what was free when the agent was last offered to it, less what we took of it since.
    `url`: where it serves its files, such as `http://10.0.0.5:5051`. `offered_at`: when it was offered last,
    in seconds of the epoch.
    """

    id: str
    hostname: str
    free: Mapping[str, Pool] = field(default_factory=dict)
    in_maintenance: bool = False
    avoid: Wait | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    region: str | None = None
    zone: str | None = None
    url: str | None = None
    offered_at: float = 0.0


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
    """Launch on one agent with all that it offers to one role."""

    agent_id: str
    offer_ids: tuple[str, ...]
    launches: tuple[Launch, ...]
    left: Pool
    role: str = "*"


def _url(message: Message | None) -> str | None:
    """Where a v1 URL leads, without its path."""
    if message is None:
        return None
    address = message.get("address", {})
    host = address.get("ip") or address.get("hostname")
    if message.get("scheme") == "https":  # certificates have names
        host = address.get("hostname") or host
    if not host or "port" not in address:
        return None
    return f"{message.get('scheme', 'http')}://{f'[{host}]' if ':' in host else host}:{address['port']}"
