"""Which instances of a service to stop first, so that what is left stays even and spread out."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import inf

from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.planning.cluster import Agent
from mesos_docker_scheduler.planning.constraints import field_of
from mesos_docker_scheduler.records.task_index import ServiceTasks, TaskIndex
from mesos_docker_scheduler.records.tasks import Task


class StopOrder:
    """Ranks the instances of one service. Those that came back when they had been replaced go first."""

    def __init__(
        self,
        service: Service,
        service_tasks: ServiceTasks,
        task_index: TaskIndex,
        agents: Mapping[str, Agent],
    ) -> None:
        self._service = service
        self._service_tasks = service_tasks
        self._task_index = task_index
        self._agents = agents

    def sort(self, tasks: Iterable[Task]) -> list[Task]:
        """Put these in order: the newest on the fullest agent first."""
        left: dict[str, int] = {}
        ranked = []
        for task in sorted(tasks, key=lambda task: (task.returned, task.launched_at, task.id), reverse=True):
            left[task.agent_id] = left.get(task.agent_id, self._service_tasks.on_agents[task.agent_id]) - 1
            ranked.append((task.returned, left[task.agent_id], task.launched_at, task.id, task))
        return [item[-1] for item in sorted(ranked, key=lambda item: item[:-1], reverse=True)]

    def search(self, ours: Callable[[str], bool]) -> Iterator[Task]:
        """Find those with `ours` ids among very many, in order and as they are asked for.

        The fullest group of each GROUP_BY comes before the fullest agent, and that before the newest.
        """
        returned = {
            task_id: self._service_tasks.tasks[task_id]
            for group in self._service_tasks.versions.values()
            for task_id in group.returned
            if ours(task_id)
        }
        yield from self.sort(returned.values())
        groups = _Groups(self._service, self._service_tasks.on_agents, self._agents)
        for task in returned.values():
            groups.take(task.agent_id)
        # Bounds: no more of these than of all are on an agent. They are put right once they lead.
        heap: list[tuple[tuple[int, ...], float, float, str, list[Task] | None]] = [
            (groups.rank(agent_id), -number, -inf, agent_id, None)
            for agent_id, number in self._service_tasks.on_agents.items()
        ]
        heapq.heapify(heap)
        while heap:
            rank, number, launched, agent_id, own = heapq.heappop(heap)
            if rank != groups.rank(agent_id):
                heapq.heappush(heap, (groups.rank(agent_id), number, launched, agent_id, own))
                continue
            if own is None:
                here = self._task_index.here(agent_id).values()
                own = [task for task in here if task.id not in returned and ours(task.id)]
                own.sort(key=lambda task: (task.launched_at, task.id))
            else:
                yield own.pop()
                groups.take(agent_id)
            if own:
                entry = (groups.rank(agent_id), -len(own), -own[-1].launched_at, agent_id, own)
                heapq.heappush(heap, entry)


class _Groups:
    """How many instances share the values that GROUP_BY keeps even, while some of them are taken away."""

    def __init__(self, service: Service, on_agents: Mapping[str, int], agents: Mapping[str, Agent]) -> None:
        fields = [limit.field for limit in service.constraints if limit.operator == "GROUP_BY"]
        self._values: dict[str, list[tuple[str, str | None]]] = {}
        self._counts: Counter[tuple[str, str | None]] = Counter()
        for agent_id, number in on_agents.items() if fields else ():
            agent = agents.get(agent_id)
            own = [] if agent is None else [(field, field_of(agent, field)) for field in fields]
            self._values[agent_id] = own
            for value in own:
                self._counts[value] += number

    def rank(self, agent_id: str) -> tuple[int, ...]:
        """The lower, the sooner an instance there should go: by how many share its values."""
        return tuple(-self._counts[value] for value in self._values.get(agent_id, ()))

    def take(self, agent_id: str) -> None:
        """Note that one there goes."""
        self._counts.subtract(self._values.get(agent_id, ()))
