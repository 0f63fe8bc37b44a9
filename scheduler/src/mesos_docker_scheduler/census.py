"""The tasks that have not ended, counted as planning needs them; kept up to date one task at a time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set

from mesos_docker_scheduler.tasks import Task

_NOBODY: Counter[str] = Counter()
_NO_TASKS: Mapping[str, Task] = {}


class Census:
    """Tasks by service, and how many stay on which agent: present ones that were not told to leave."""

    def __init__(self, tasks: Iterable[Task] = ()) -> None:
        self.load: Counter[str] = Counter()
        self._tasks: dict[str, dict[str, Task]] = {}
        self._on_agents: defaultdict[tuple[str, str | None], Counter[str]] = defaultdict(Counter)
        for task in tasks:
            self.put(task)

    def put(self, task: Task) -> None:
        """Take in a task, or what has become of it; one that has ended is left out."""
        self.remove(task)
        if not task.state.ended:
            self._tasks.setdefault(task.service, {})[task.id] = task
            self._count(task, 1)

    def remove(self, task: Task) -> None:
        """Forget a task."""
        own = self._tasks.get(task.service, {})
        known = own.pop(task.id, None)
        if known is not None:
            self._count(known, -1)
            if not own:
                del self._tasks[task.service]

    def of(self, service: str) -> Iterable[Task]:
        """The tasks of a service."""
        return self._tasks.get(service, _NO_TASKS).values()

    @property
    def services(self) -> Set[str]:
        """The services that have tasks."""
        return self._tasks.keys()

    def on_agents(self, service: str, version: str | None = None) -> Mapping[str, int]:
        """How many of a service (and version) stay on each agent; 0 for others."""
        return self._on_agents.get((service, version), _NOBODY)

    def __iter__(self) -> Iterator[Task]:
        for tasks in self._tasks.values():
            yield from tasks.values()

    def _count(self, task: Task, step: int) -> None:
        if task.leaving or not task.present:
            return
        for counter, key in (
            (self.load, None),
            (self._on_agents[task.service, None], (task.service, None)),
            (self._on_agents[task.service, task.version], (task.service, task.version)),
        ):
            counter[task.agent_id] += step
            if not counter[task.agent_id]:
                del counter[task.agent_id]
                if not counter and key is not None:
                    del self._on_agents[key]
