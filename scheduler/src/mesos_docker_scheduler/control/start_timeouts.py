"""Gives up on instances that do not come to run in time: a download that hangs, an agent that does.

Nobody else does: Mesos waits for an executor, and an executor for Docker. Such an instance is stopped, which
lets another take its place, and counts as a failure that may be the fault of either, of the service or of the
agent (see `blame`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.control.ledger import Ledger
from mesos_docker_scheduler.control.stopping import Stopping
from mesos_docker_scheduler.observability.metrics import Metrics
from mesos_docker_scheduler.planning.service_planner import Kill
from mesos_docker_scheduler.records.blame import Fault
from mesos_docker_scheduler.records.failures import Failures
from mesos_docker_scheduler.records.tasks import Task

_LOOK_SECONDS = 1.0


class StartTimeouts:
    """Looks once a second at what has not come to run. Times are seconds of the epoch.

    `configured` finds a service of the configuration in force.
    """

    def __init__(
        self,
        ledger: Ledger,
        stopping: Stopping,
        failures: Failures,
        metrics: Metrics,
        configured: Callable[[str], Service | None],
    ) -> None:
        self._ledger = ledger
        self._stopping = stopping
        self._failures = failures
        self._metrics = metrics
        self._configured = configured
        self._look_at = 0.0

    def enforce(self, acting_since: float, now: float) -> None:
        """Stop what has taken too long; time before `acting_since` does not count."""
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_SECONDS
        for name in sorted(self._ledger.task_index.services):
            service = self._configured(name)
            if service is not None and service.start_timeout_seconds:
                for task, why in list(self._late(service, acting_since, now)):
                    self._stopping.intend(Kill(task.id, why), now)
                    self._failures.never_started(task, service, why, now)
                    self._metrics.of(name).failed(Fault.UNCLEAR.value, task.reason)

    def _late(self, service: Service, acting_since: float, now: float) -> Iterator[tuple[Task, str]]:
        timeout, check = service.start_timeout_seconds, service.health_check
        patience = 0.0
        if check is not None:
            # A failure in the grace period is not told: the next check may be the first that is heard of.
            patience = (
                check.delay_seconds + check.grace_seconds + check.interval_seconds + check.timeout_seconds
            )
        stale = self._ledger.task_index.stale
        for group in self._ledger.task_index.of_service(service.name).versions.values():
            for task in group.starting.values():
                late = now >= max(task.launched_at, acting_since) + timeout
                if late and task.id not in stale:
                    yield task, f"did not start {task.where} within {timeout:g} seconds"
            for task in group.unhealthy.values():
                since = max(task.running_since or task.launched_at, acting_since)
                silent = task.healthy is None and now >= since + timeout + patience
                if silent and task.id not in stale:
                    silence = timeout + patience
                    yield task, f"its health check said nothing {task.where} for {silence:g} seconds"
