"""The instances of a service that are there and were not told to stop, by what is to become of them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mesos_docker_scheduler.records.census import Group
from mesos_docker_scheduler.records.tasks import Task


@dataclass(slots=True)
class Part:
    """Those of one or several versions; what is known of `doubtful` ones may be outdated."""

    well: list[Mapping[str, Task]] = field(default_factory=list)
    unready: list[Mapping[str, Task]] = field(default_factory=list)
    on_agents: list[Counter[str]] = field(default_factory=list)
    doubtful: int = 0
    doubtful_well: int = 0

    def add(self, group: Group) -> None:
        """Take in all of a version."""
        self.add_well(group)
        self.add_unready(group)

    def add_well(self, group: Group) -> None:
        """Take in those that serve."""
        self.well.append(group.well)
        self.on_agents.append(group.on_agents)
        self.doubtful += group.doubtful_well
        self.doubtful_well += group.doubtful_well

    def add_unready(self, group: Group) -> None:
        """Take in the others."""
        self.unready += [group.starting, group.unwell]
        self.doubtful += len(group.doubtful) - group.doubtful_well

    def items(self) -> Iterator[tuple[str, Task]]:
        """All of them, by id."""
        return itertools.chain.from_iterable(part.items() for part in (*self.well, *self.unready))

    def __len__(self) -> int:
        return self.count_well + sum(len(part) for part in self.unready)

    @property
    def count_well(self) -> int:
        """How many serve."""
        return sum(len(part) for part in self.well)

    def __contains__(self, task_id: object) -> bool:
        return any(task_id in part for part in (*self.well, *self.unready))


@dataclass(frozen=True, slots=True)
class Parts:
    """`current` is of the version that should run, `outdated` of others.

    Of `current`, others of the same version are to stand in for those that are `moving`, and `fresh` ones
    have not served for long enough yet to stand in for any. `moving_ready`: how many of the former serve, for
    sure.
    """

    current: Part
    outdated: Part
    moving: Mapping[str, Task]
    fresh: Mapping[str, Task]
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
        return self.outdated.count_well - self.outdated.doubtful_well

    @property
    def ready(self) -> int:
        """How many serve, for sure and for long enough."""
        current = self.current.count_well - self.current.doubtful_well - len(self.fresh)
        return current + self.outdated_ready

    def on_agents(self) -> Mapping[str, int]:
        """Where those are that stay, by agent."""
        if not self.moving and len(self.current.on_agents) == 1:
            return self.current.on_agents[0]  # as a rule; there may be very many
        staying = sum(self.current.on_agents, Counter[str]())
        staying.subtract(task.agent_id for task in self.moving.values())
        return +staying
