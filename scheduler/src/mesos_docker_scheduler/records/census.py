"""The tasks that have not ended, grouped as planning needs them; kept up to date one task at a time.

Planning 100,000 tasks anew for each status update would take most of a second: here an update costs the
same however many tasks there are, and `generation` tells what has not changed since it was looked at.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field

from mesos_docker_scheduler.records.tasks import Task, TaskState

_NOBODY: Counter[str] = Counter()
_NO_TASKS: Mapping[str, Task] = {}


@dataclass(slots=True)
class Group:
    """Instances of one version that stay (they are there, and were not told to leave), by how they are.

    `well` holds them in the order in which they became so. `doubtful`: what we know of these may be outdated;
    `doubtful_well` of them are in `well`.
    """

    starting: dict[str, Task] = field(default_factory=dict)
    well: dict[str, Task] = field(default_factory=dict)
    unwell: dict[str, Task] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)
    doubtful_well: int = 0
    returned: set[str] = field(default_factory=set)
    on_agents: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self.starting) + len(self.well) + len(self.unwell)


@dataclass(slots=True)
class Standing:
    """Where one service stands. `generation` changes with everything here, and never repeats.

    `leaving` have been told to stop, or stop by themselves; `drained` ones are stopped by Mesos itself.
    `absent` ones may come back.
    """

    tasks: dict[str, Task] = field(default_factory=dict)
    versions: dict[str, Group] = field(default_factory=dict)
    leaving: dict[str, Task] = field(default_factory=dict)
    drained: dict[str, Task] = field(default_factory=dict)
    absent: dict[str, Task] = field(default_factory=dict)
    on_agents: Counter[str] = field(default_factory=Counter)
    states: Counter[TaskState] = field(default_factory=Counter)
    generation: int = 0

    @property
    def staying(self) -> int:
        """How many are there and were not told to leave."""
        return len(self.tasks) - len(self.leaving) - len(self.drained) - len(self.absent)

    def version(self, version: str) -> Group:
        """The staying instances of a version."""
        return self.versions.get(version, _EMPTY_GROUP)


_EMPTY_GROUP = Group()
_EMPTY = Standing()


class Census:
    """Tasks by service, and how many stay on which agent: present ones that were not told to leave."""

    def __init__(self, tasks: Iterable[Task] = (), doubtful: Collection[str] = ()) -> None:
        self.load: Counter[str] = Counter()
        self.absent: dict[str, Task] = {}
        self._standings: dict[str, Standing] = {}
        self._here: defaultdict[str, dict[str, Task]] = defaultdict(dict)
        self._doubtful: set[str] = set(doubtful)
        self._generation = 0
        for task in tasks:
            self.put(task)

    def put(self, task: Task) -> None:
        """Take in a task, or what has become of it; one that has ended is left out."""
        if task.state.ended:
            self.remove(task)
            return
        standing = self._standings.get(task.service)
        if standing is None:
            standing = self._standings[task.service] = Standing()
        self._generation += 1
        standing.generation = self._generation
        known = standing.tasks.get(task.id)
        place = _place(standing, task)
        standing.states[task.state] += 1
        if known is not None:
            standing.states[known.state] -= 1
            before = _place(standing, known)
            if before is place and known.agent_id == task.agent_id and known.returned == task.returned:
                # Most updates change nothing that is counted; the order in `well` stays as well.
                standing.tasks[task.id] = place[task.id] = task
                self._here[task.agent_id][task.id] = task
                if place is standing.absent:
                    self.absent[task.id] = task
                return
            self._take_out(standing, known, before)
            place = _place(standing, task)  # the group went if this was its last one
        standing.tasks[task.id] = place[task.id] = task
        self._here[task.agent_id][task.id] = task
        if place is standing.absent:
            self.absent[task.id] = task
        elif place is not standing.leaving and place is not standing.drained:
            self._count(standing, task, place, 1)

    def remove(self, task: Task) -> None:
        """Forget a task."""
        self._doubtful.discard(task.id)
        standing = self._standings.get(task.service, _EMPTY)
        known = standing.tasks.get(task.id)
        if known is not None:
            self._generation += 1
            standing.generation = self._generation
            standing.states[known.state] -= 1
            self._take_out(standing, known, _place(standing, known))
            if not standing.tasks:
                del self._standings[task.service]

    def doubt(self, tasks: Iterable[Task]) -> None:
        """Note that what we know of these may be outdated."""
        for task in tasks:
            if task.id not in self._doubtful:
                self._doubtful.add(task.id)
                self._doubt_changed(task, 1)

    def trust(self, task: Task) -> None:
        """Note that Mesos has spoken of a task."""
        if task.id in self._doubtful:
            self._doubtful.remove(task.id)
            self._doubt_changed(task, -1)

    @property
    def doubtful(self) -> Set[str]:
        """The ids of the tasks of which our knowledge may be outdated."""
        return self._doubtful

    def of(self, service: str) -> Iterable[Task]:
        """The tasks of a service."""
        return self.standing(service).tasks.values()

    def standing(self, service: str) -> Standing:
        """Where a service stands."""
        return self._standings.get(service, _EMPTY)

    def here(self, agent_id: str) -> Mapping[str, Task]:
        """The tasks on an agent."""
        return self._here.get(agent_id, _NO_TASKS)

    @property
    def services(self) -> Set[str]:
        """The services that have tasks."""
        return self._standings.keys()

    def on_agents(self, service: str, version: str | None = None) -> Mapping[str, int]:
        """How many of a service (and version) stay on each agent; 0 for others."""
        standing = self.standing(service)
        return standing.on_agents if version is None else standing.version(version).on_agents

    def __iter__(self) -> Iterator[Task]:
        for standing in self._standings.values():
            yield from standing.tasks.values()

    def _take_out(self, standing: Standing, known: Task, place: dict[str, Task]) -> None:
        del standing.tasks[known.id], place[known.id]
        here = self._here[known.agent_id]
        del here[known.id]
        if not here:
            del self._here[known.agent_id]
        if place is standing.absent:
            del self.absent[known.id]
        elif place is not standing.leaving and place is not standing.drained:
            self._count(standing, known, place, -1)

    def _count(self, standing: Standing, task: Task, place: dict[str, Task], step: int) -> None:
        group = standing.versions[task.version]
        for counter in (self.load, standing.on_agents, group.on_agents):
            counter[task.agent_id] += step
            if not counter[task.agent_id]:
                del counter[task.agent_id]
        if task.returned:
            (group.returned.add if step > 0 else group.returned.discard)(task.id)
        # A doubted task that ends is trusted first: what left the set is no longer in the group's.
        if step > 0 and task.id in self._doubtful:
            group.doubtful.add(task.id)
            group.doubtful_well += place is group.well
        elif step < 0 and task.id in group.doubtful:
            group.doubtful.discard(task.id)
            group.doubtful_well -= place is group.well
        if step < 0 and not len(group):
            del standing.versions[task.version]

    def _doubt_changed(self, task: Task, step: int) -> None:
        standing = self._standings.get(task.service, _EMPTY)
        known = standing.tasks.get(task.id)
        if known is None:
            return
        self._generation += 1
        standing.generation = self._generation
        place = _place(standing, known)
        if place is standing.absent or place is standing.leaving or place is standing.drained:
            return
        group = standing.versions[known.version]
        (group.doubtful.add if step > 0 else group.doubtful.discard)(known.id)
        group.doubtful_well += step if place is group.well else 0


def _place(standing: Standing, task: Task) -> dict[str, Task]:
    """Where a task that has not ended belongs."""
    state = task.state
    if state.absent:
        return standing.absent
    if task.drained:
        return standing.drained
    if task.leaving:
        return standing.leaving
    group = standing.versions.get(task.version)
    if group is None:
        group = standing.versions[task.version] = Group()
    if state is not TaskState.RUNNING:
        return group.starting
    return group.well if task.well else group.unwell
