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
class VersionTasks:
    """Instances of one version that stay (they are there, and were not told to leave), by how they are.

    `healthy` holds them in the order in which they became so. `stale`: what we know of these may be outdated;
    `stale_healthy` of them are in `healthy`.
    """

    starting: dict[str, Task] = field(default_factory=dict)
    healthy: dict[str, Task] = field(default_factory=dict)
    unhealthy: dict[str, Task] = field(default_factory=dict)
    stale: set[str] = field(default_factory=set)
    stale_healthy: int = 0
    returned: set[str] = field(default_factory=set)
    on_agents: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self.starting) + len(self.healthy) + len(self.unhealthy)


@dataclass(slots=True)
class ServiceTasks:
    """Where one service stands. `generation` changes with everything here, and never repeats.

    `stopping` have been told to stop, or stop by themselves; `drained` ones are stopped by Mesos itself.
    `absent` ones may come back.
    """

    tasks: dict[str, Task] = field(default_factory=dict)
    versions: dict[str, VersionTasks] = field(default_factory=dict)
    stopping: dict[str, Task] = field(default_factory=dict)
    drained: dict[str, Task] = field(default_factory=dict)
    absent: dict[str, Task] = field(default_factory=dict)
    on_agents: Counter[str] = field(default_factory=Counter)
    states: Counter[TaskState] = field(default_factory=Counter)
    generation: int = 0

    @property
    def staying(self) -> int:
        """How many are there and were not told to leave."""
        return len(self.tasks) - len(self.stopping) - len(self.drained) - len(self.absent)

    def version(self, version: str) -> VersionTasks:
        """The staying instances of a version."""
        return self.versions.get(version, _NO_VERSION)


_NO_VERSION = VersionTasks()
_EMPTY = ServiceTasks()


class TaskIndex:
    """Tasks by service, and how many stay on which agent: present ones that were not told to leave."""

    def __init__(self, tasks: Iterable[Task] = (), stale: Collection[str] = ()) -> None:
        self.load: Counter[str] = Counter()
        self.absent: dict[str, Task] = {}
        self._service_tasks: dict[str, ServiceTasks] = {}
        self._here: defaultdict[str, dict[str, Task]] = defaultdict(dict)
        self._stale: set[str] = set(stale)
        self._generation = 0
        for task in tasks:
            self.put(task)

    def put(self, task: Task) -> None:
        """Take in a task, or what has become of it; one that has ended is left out."""
        if task.state.ended:
            self.remove(task)
            return
        service_tasks = self._service_tasks.get(task.service)
        if service_tasks is None:
            service_tasks = self._service_tasks[task.service] = ServiceTasks()
        self._generation += 1
        service_tasks.generation = self._generation
        known = service_tasks.tasks.get(task.id)
        place = _place(service_tasks, task)
        service_tasks.states[task.state] += 1
        if known is not None:
            service_tasks.states[known.state] -= 1
            before = _place(service_tasks, known)
            if before is place and known.agent_id == task.agent_id and known.returned == task.returned:
                # Most updates change nothing that is counted; the order in `healthy` stays as well.
                service_tasks.tasks[task.id] = place[task.id] = task
                self._here[task.agent_id][task.id] = task
                if place is service_tasks.absent:
                    self.absent[task.id] = task
                return
            self._take_out(service_tasks, known, before)
            place = _place(service_tasks, task)  # the group went if this was its last one
        service_tasks.tasks[task.id] = place[task.id] = task
        self._here[task.agent_id][task.id] = task
        if place is service_tasks.absent:
            self.absent[task.id] = task
        elif place is not service_tasks.stopping and place is not service_tasks.drained:
            self._count(service_tasks, task, place, 1)

    def remove(self, task: Task) -> None:
        """Forget a task."""
        self._stale.discard(task.id)
        service_tasks = self._service_tasks.get(task.service, _EMPTY)
        known = service_tasks.tasks.get(task.id)
        if known is not None:
            self._generation += 1
            service_tasks.generation = self._generation
            service_tasks.states[known.state] -= 1
            self._take_out(service_tasks, known, _place(service_tasks, known))
            if not service_tasks.tasks:
                del self._service_tasks[task.service]

    def mark_stale(self, tasks: Iterable[Task]) -> None:
        """Note that what we know of these may be outdated."""
        for task in tasks:
            if task.id not in self._stale:
                self._stale.add(task.id)
                self._doubt_changed(task, 1)

    def confirm(self, task: Task) -> None:
        """Note that Mesos has spoken of a task."""
        if task.id in self._stale:
            self._stale.remove(task.id)
            self._doubt_changed(task, -1)

    @property
    def stale(self) -> Set[str]:
        """The ids of the tasks of which our knowledge may be outdated."""
        return self._stale

    def of(self, service: str) -> Iterable[Task]:
        """The tasks of a service."""
        return self.of_service(service).tasks.values()

    def of_service(self, service: str) -> ServiceTasks:
        """Where a service stands."""
        return self._service_tasks.get(service, _EMPTY)

    def here(self, agent_id: str) -> Mapping[str, Task]:
        """The tasks on an agent."""
        return self._here.get(agent_id, _NO_TASKS)

    @property
    def services(self) -> Set[str]:
        """The services that have tasks."""
        return self._service_tasks.keys()

    def on_agents(self, service: str, version: str | None = None) -> Mapping[str, int]:
        """How many of a service (and version) stay on each agent; 0 for others."""
        service_tasks = self.of_service(service)
        return service_tasks.on_agents if version is None else service_tasks.version(version).on_agents

    def __iter__(self) -> Iterator[Task]:
        for service_tasks in self._service_tasks.values():
            yield from service_tasks.tasks.values()

    def _take_out(self, service_tasks: ServiceTasks, known: Task, place: dict[str, Task]) -> None:
        del service_tasks.tasks[known.id], place[known.id]
        here = self._here[known.agent_id]
        del here[known.id]
        if not here:
            del self._here[known.agent_id]
        if place is service_tasks.absent:
            del self.absent[known.id]
        elif place is not service_tasks.stopping and place is not service_tasks.drained:
            self._count(service_tasks, known, place, -1)

    def _count(self, service_tasks: ServiceTasks, task: Task, place: dict[str, Task], step: int) -> None:
        group = service_tasks.versions[task.version]
        for counter in (self.load, service_tasks.on_agents, group.on_agents):
            counter[task.agent_id] += step
            if not counter[task.agent_id]:
                del counter[task.agent_id]
        if task.returned:
            (group.returned.add if step > 0 else group.returned.discard)(task.id)
        # A doubted task that ends is trusted first: what left the set is no longer in the group's.
        if step > 0 and task.id in self._stale:
            group.stale.add(task.id)
            group.stale_healthy += place is group.healthy
        elif step < 0 and task.id in group.stale:
            group.stale.discard(task.id)
            group.stale_healthy -= place is group.healthy
        if step < 0 and not len(group):
            del service_tasks.versions[task.version]

    def _doubt_changed(self, task: Task, step: int) -> None:
        service_tasks = self._service_tasks.get(task.service, _EMPTY)
        known = service_tasks.tasks.get(task.id)
        if known is None:
            return
        self._generation += 1
        service_tasks.generation = self._generation
        place = _place(service_tasks, known)
        if place is service_tasks.absent or place is service_tasks.stopping or place is service_tasks.drained:
            return
        group = service_tasks.versions[known.version]
        (group.stale.add if step > 0 else group.stale.discard)(known.id)
        group.stale_healthy += step if place is group.healthy else 0


def _place(service_tasks: ServiceTasks, task: Task) -> dict[str, Task]:
    """Where a task that has not ended belongs."""
    state = task.state
    if state.absent:
        return service_tasks.absent
    if task.drained:
        return service_tasks.drained
    if task.stopping:
        return service_tasks.stopping
    group = service_tasks.versions.get(task.version)
    if group is None:
        group = service_tasks.versions[task.version] = VersionTasks()
    if state is not TaskState.RUNNING:
        return group.starting
    return group.healthy if task.in_service else group.unhealthy
