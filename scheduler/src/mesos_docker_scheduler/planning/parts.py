"""The instances of a service that are there and were not told to stop, by what is to become of them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mesos_docker_scheduler.records.task_index import VersionTasks
from mesos_docker_scheduler.records.tasks import Task


@dataclass(slots=True)
class Part:
    """Those of one or several versions; what is known of `stale` ones may be outdated."""

    healthy: list[Mapping[str, Task]] = field(default_factory=list)
    unready: list[Mapping[str, Task]] = field(default_factory=list)
    on_agents: list[Counter[str]] = field(default_factory=list)
    stale: int = 0
    stale_healthy: int = 0

    def add(self, group: VersionTasks) -> None:
        """Take in all of a version."""
        self.add_healthy(group)
        self.add_unready(group)

    def add_healthy(self, group: VersionTasks) -> None:
        """Take in those that serve."""
        self.healthy.append(group.healthy)
        self.on_agents.append(group.on_agents)
        self.stale += group.stale_healthy
        self.stale_healthy += group.stale_healthy

    def add_unready(self, group: VersionTasks) -> None:
        """Take in the others."""
        self.unready += [group.starting, group.unhealthy]
        self.stale += len(group.stale) - group.stale_healthy

    def items(self) -> Iterator[tuple[str, Task]]:
        """All of them, by id."""
        return itertools.chain.from_iterable(part.items() for part in (*self.healthy, *self.unready))

    def __len__(self) -> int:
        return self.count_healthy + sum(len(part) for part in self.unready)

    @property
    def count_healthy(self) -> int:
        """How many serve."""
        return sum(len(part) for part in self.healthy)

    def __contains__(self, task_id: object) -> bool:
        return any(task_id in part for part in (*self.healthy, *self.unready))


@dataclass(frozen=True, slots=True)
class Parts:
    """`current` is of the version that should run, `outdated` of others.

    Of `current`, others of the same version are to stand in for those that are `moving`, and those that are
    `not_yet_ready` have not served for long enough to stand in for any. `moving_ready`: how many of the
    former serve, for sure.
    """

    current: Part
    outdated: Part
    moving: Mapping[str, Task]
    not_yet_ready: Mapping[str, Task]
    moving_ready: int

    @property
    def replaced(self) -> int:
        """How many are to be replaced."""
        return len(self.outdated) + len(self.moving)

    @property
    def staying(self) -> int:
        """How many are to stay."""
        return len(self.current) - len(self.moving)

    @property
    def outdated_ready(self) -> int:
        """How many of other versions serve, for sure."""
        return self.outdated.count_healthy - self.outdated.stale_healthy

    @property
    def ready(self) -> int:
        """How many serve, for sure and for long enough."""
        current = self.current.count_healthy - self.current.stale_healthy - len(self.not_yet_ready)
        return current + self.outdated_ready

    def on_agents(self) -> Mapping[str, int]:
        """Where those are that stay, by agent."""
        if not self.moving and len(self.current.on_agents) == 1:
            return self.current.on_agents[0]  # as a rule; there may be very many
        staying = sum(self.current.on_agents, Counter[str]())
        staying.subtract(task.agent_id for task in self.moving.values())
        return +staying
