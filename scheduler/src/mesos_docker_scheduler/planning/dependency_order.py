"""Starts a service when those that it depends on are healthy, and stops them when it has ended."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.planning.explanation import Reason
from mesos_docker_scheduler.planning.service_planner import ServicePlan
from mesos_docker_scheduler.records.rollout import Rollout
from mesos_docker_scheduler.records.task_index import TaskIndex
from mesos_docker_scheduler.wording import instances


class Order:
    """What waits for what. `dependents`: by service, those that depend on it, or did when configured."""

    def __init__(
        self, services: Sequence[Service], task_index: TaskIndex, dependents: Mapping[str, Collection[str]]
    ) -> None:
        self._counts = {service.name: service.count for service in services} if dependents else {}
        self._task_index = task_index
        self._dependents = dependents

    def lacking(self, service: Service, rollout: Rollout | None) -> str | None:
        """What a service is to be started after, and is not there yet; None: it may start."""
        lacks = [self._lacks(name, rollout) for name in service.depends_on]
        return " and ".join(filter(None, lacks)) or None

    def kept(
        self, service: Service, step: ServicePlan, lacking: str | None
    ) -> tuple[ServicePlan, Reason | None]:
        """The step without what is not its turn yet, and why."""
        if lacking is not None and step.launches:
            text = f"{instances(step.launches)} waiting for {lacking}"
            return replace(step, launches=0), Reason("dependency", text, step.launches)
        if not service.count and step.kills:
            first = self.stop_first(service.name)
            if first:
                number = len(step.kills)
                text = (
                    f"{instances(number)} to stop when {' and '.join(first)} have ended, which depend on it"
                )
                return replace(step, kills=()), Reason("dependency", text, number)
        return step, None

    def stop_first(self, name: str) -> list[str]:
        """The services that must end before this one is stopped: they depend on it, and are to stop, too."""
        return [
            other
            for other in sorted(self._dependents.get(name, ()))
            if not self._counts.get(other) and self._some_there(other)
        ]

    def _some_there(self, name: str) -> bool:
        service_tasks = self._task_index.of_service(name)
        return len(service_tasks.tasks) > len(service_tasks.absent)

    def _lacks(self, name: str, rollout: Rollout | None) -> str | None:
        """What one service is waited for; None: nothing.

        For the first start all of it must be healthy. Later an outage of a part of it holds nothing up.
        """
        count = self._counts.get(name, 0)
        is_first = rollout is None or (rollout.good is None and not rollout.ready)
        needed = max(1, count if is_first else 1)
        healthy = sum(len(group.healthy) for group in self._task_index.of_service(name).versions.values())
        if healthy >= needed:
            return None
        return f"{name} ({healthy} of {needed} healthy)" if count else f"{name}, which has no instances"
