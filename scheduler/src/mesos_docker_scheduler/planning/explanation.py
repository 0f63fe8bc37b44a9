"""Why an instance that should run does not: what planning says of it, for people and for programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason, in a sentence, and what a program may want to know of it.

    `kind`: "held" (nothing may be started or stopped), "back-off", "starting", "stopping", "unhealthy",
    "update", "update paused", "rolled back", "moving" (away from agents that will go), "misplaced" (the
    constraints keep them off their agents), "rebalancing", "restart", "unconfirmed" (a new master doesn't
    know them yet), "unreachable" (they may come back), "not allowed" (by the configuration as it is now),
    "dependency" (on other services) or "resources".
    `instances`: how many it holds back, or is about.
    `until`: when it ends, in seconds of the epoch, where time alone ends it. `agents`, of kind "resources":
    how many agents lack what ("cpus", "port 8080", "maintenance", ...).
    """

    kind: str
    text: str
    instances: int = 0
    until: float | None = None
    agents: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As the API gives it."""
        return dataclasses.asdict(self)


def sentences(reasons: Iterable[Reason]) -> tuple[str, ...]:
    """What people read of them."""
    return tuple(reason.text for reason in reasons)
