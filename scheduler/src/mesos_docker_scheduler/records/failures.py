"""Judges how tasks end: whose fault it was, and what must wait because of it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, fields
from enum import Enum

from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.records.backoff import STABLE_SECONDS, Backoff, CircuitBreaker, Delay, Wait
from mesos_docker_scheduler.records.tasks import Task, TaskState, service_of_wait, wait_key

_AGENT_DELAY = Delay(initial=5.0, factor=2.0, maximum=300.0)
_FLOOD = 50
_AGENT = "agent "
RECORD = "wait"
"""The kind of the store's records that hold what waits."""

_WAIT_FIELDS = tuple(item.name for item in fields(Wait))


class Fault(Enum):
    """Who is to blame for the end of a task."""

    NOBODY = "nobody"
    SERVICE = "service"
    INFRASTRUCTURE = "infrastructure"


class Failures:
    """Back-off of service versions and of agents, and the circuit breaker. Times are seconds of the epoch.

    What waits outlives the process, as records of the store: a restart does not start a crash loop over. The
    circuit breaker does not.
    """

    def __init__(self) -> None:
        self._backoff = Backoff()
        self._breaker = CircuitBreaker()

    def restore(self, records: Mapping[tuple[str, str], str], now: float) -> None:
        """Take in what an earlier process has written."""
        waits = {key: json.loads(text) for (kind, key), text in records.items() if kind == RECORD}
        self._backoff.restore(
            {key: Wait(**{name: wait[name] for name in _WAIT_FIELDS}) for key, wait in waits.items()}, now
        )

    def take_records(self) -> dict[tuple[str, str], str | None]:
        """Return what is to be written of the changes since the last call; None: to be deleted."""
        return {
            (RECORD, key): None if wait is None else json.dumps(asdict(wait))
            for key, wait in self._backoff.take_changes().items()
        }

    def expect(self, instances: int) -> None:
        """Take in how many instances there should be: a host that goes down takes its own along, no flood."""
        self._breaker.limit = max(_FLOOD, instances)

    def ended(self, task: Task, service: Service | None, why: str, now: float) -> Fault:
        """Take the end of a task into account; `service`: what it belongs to, if that is still configured."""
        if task.kill_reason is not None:
            return Fault.NOBODY
        if task.state is TaskState.KILLED and not task.failed_by_itself:
            # Somebody else's doing (an operator, a drain): nothing to wait for.
            return Fault.NOBODY
        self._breaker.failed(now)
        if not task.failed_by_itself:
            if task.running_since is None and task.reason != "REASON_INVALID_OFFERS":
                self._backoff.failed(_agent_key(task.agent_id), task.launched_at, now, _AGENT_DELAY, why)
            return Fault.INFRASTRUCTURE
        if service is not None:
            key = wait_key(task.service, task.version)
            if _ran_well(task, now):
                self._backoff.succeeded(key, task.launched_at)
            own = service.backoff
            delay = Delay(own.initial_seconds, own.factor, own.max_seconds)
            self._backoff.failed(key, task.launched_at, now, delay, why)
        return Fault.SERVICE

    def runs(self, task: Task) -> None:
        """Note that a task came to run: its agent works."""
        self._backoff.succeeded(_agent_key(task.agent_id), task.launched_at)

    def forgive(self, runs: Mapping[str, bool], agents: Collection[str], now: float) -> None:
        """Forget what has been lived down, and what nobody asks for any more.

        `runs`: by `wait_key` of each version that is asked for, whether an instance of it is well. A version
        has lived its failures down when one is, and nothing of it failed for a minute since it might start.
        """
        waits = self._backoff.waits()
        wanted = {
            key
            for key, well in runs.items()
            if not (well and key in waits and now >= waits[key].until + STABLE_SECONDS)
        }
        self._backoff.forget_except(wanted | {_agent_key(agent_id) for agent_id in agents})

    def forgive_all(self) -> None:
        """Forget everything: an operator asks to try again."""
        self._backoff.forget_except(set())

    def forget(self, key: str) -> None:
        """Forget the failures under one `wait_key`."""
        self._backoff.forget_except(self._backoff.waits().keys() - {key})

    def waits(self) -> Mapping[str, Wait]:
        """Failures in a row by `wait_key`."""
        return self._backoff.waits()

    def agent_waits(self) -> dict[str, Wait]:
        """Faults in a row by agent."""
        return {
            key.removeprefix(_AGENT): wait
            for key, wait in self._backoff.waits().items()
            if key.startswith(_AGENT)
        }

    def service_waits(self) -> dict[str, Wait]:
        """Failures in a row by service: of the version that has the most. Any thread may ask."""
        worst: dict[str, Wait] = {}
        for key, wait in self._backoff.waits().items():
            service = service_of_wait(key)
            if not key.startswith(_AGENT) and (
                service not in worst or wait.failures > worst[service].failures
            ):
                worst[service] = wait
        return worst

    def flooded_until(self, now: float) -> float | None:
        """Until when nothing is launched because too much failed; None when all is normal."""
        return self._breaker.open_until(now)


def _ran_well(task: Task, now: float) -> bool:
    return task.running_since is not None and now >= task.running_since + STABLE_SECONDS


def _agent_key(agent_id: str) -> str:
    return _AGENT + agent_id
