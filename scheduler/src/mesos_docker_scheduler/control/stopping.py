"""Stops instances: says so first, then sends KILL until each has ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.control.ledger import Ledger
from mesos_docker_scheduler.observability.metrics import Metrics
from mesos_docker_scheduler.planning.service_planner import Kill
from mesos_docker_scheduler.records.tasks import Task

_DELAY_SECONDS = 2.0  # of a service that is configured no more


class Driver(Protocol):
    """What is used of the Mesos driver."""

    def killTask(self, task_id: str, agent_id: str | None, grace_seconds: float | None) -> bool:
        """KILL."""


class Stopping:
    """From the intent to stop an instance to its end. Times are seconds of the epoch.

    `configured` finds a service of the configuration in force.
    """

    def __init__(
        self, ledger: Ledger, driver: Driver, metrics: Metrics, configured: Callable[[str], Service | None]
    ) -> None:
        self._ledger = ledger
        self._driver = driver
        self._metrics = metrics
        self._configured = configured
        self._unwritten: set[str] = set()

    def delay(self, task: Task) -> float:
        """Seconds between leaving the list of healthy instances and KILL."""
        service = self._configured(task.service)
        return service.shutdown_delay_seconds if service is not None else _DELAY_SECONDS

    def intend(self, kill: Kill, now: float) -> bool:
        """Note that an instance is to stop; returns whether it leaves the list of healthy ones."""
        task = self._ledger.tasks[kill.task_id]
        was_well = task.in_service
        # A healthy one leaves the list first: nobody should be sent to it when it stops.
        kill_at = now + self.delay(task) if was_well else now
        self._ledger.put(replace(task, kill_reason=kill.reason, kill_at=kill_at))
        self._unwritten.add(task.id)
        self._ledger.note(now, "kill", kill.reason, task.service, task.id)
        return was_well

    def written(self) -> None:
        """Note that all that was intended is durable."""
        self._unwritten.clear()

    def take_back(self) -> None:
        """Leave alone what was to stop, but could not be written down: by then others may have gone."""
        for task_id in self._unwritten:
            task = self._ledger.tasks.get(task_id)
            if task is not None:
                self._ledger.kills.remove(task_id)
                self._ledger.put(replace(task, kill_reason=None))
        self._unwritten.clear()

    def send_due(self, now: float) -> None:
        """Send KILL, again and again, for what should stop and is there."""
        for task_id in self._ledger.kills.due(now):
            task = self._ledger.tasks[task_id]
            service = self._configured(task.service)
            grace = service.kill_grace_seconds if service is not None else None
            repeated = self._ledger.kills.sent(task_id, now, grace or 0.0)
            if task.present:
                self._metrics.of(task.service).kills.inc()
                if repeated:
                    self._metrics.kills_repeated.inc()
                self._ledger.send(partial(self._kill, task.id, grace))

    def _kill(self, task_id: str, grace: float | None) -> None:
        task = self._ledger.tasks.get(task_id)
        if task is not None and task.kill_reason is not None:
            self._driver.killTask(task.id, task.agent_id or None, grace)
