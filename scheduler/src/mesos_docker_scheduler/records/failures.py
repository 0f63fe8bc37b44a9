"""What must wait because of how tasks ended: a service's version, an agent, or the one on the other.

The fault of a service holds its version back, and that of an agent the agent. Where it is unclear (nothing of
the task ever ran; see `blame`), the version leaves that agent alone for a while, and is started on others
first. Then what happens there tells:

- The version fails on a second agent, too, or there is no other: it counts as the fault of the version.
- A second service fails there that fails nowhere else: it counts as the fault of the agent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict

from pydantic import TypeAdapter

from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.records.backoff import STABLE_SECONDS, Backoff, CircuitBreaker, Delay, Wait
from mesos_docker_scheduler.records.blame import Fault, blame
from mesos_docker_scheduler.records.store import read_record
from mesos_docker_scheduler.records.tasks import Task, service_of_wait, wait_key

_AGENT_DELAY = Delay(initial=5.0, factor=2.0, maximum=300.0)
_FLOOD = 50
_AGENT = "agent "
_PLACE = "place "
_PLACE_SECONDS = 7200.0
"""So long after its wait is over a place is still the last to be tried: for longer than starts may take."""
_AGENT_SECONDS = 600.0
"""So long after its wait is over an agent's faults are remembered."""
RECORD = "wait"
"""The kind of the store's records that hold what waits."""

_WAIT = TypeAdapter(Wait)


class Failures:
    """Back-off of service versions, agents and places, and the circuit breaker. Times: seconds of the epoch.

    A place is one version on one agent. What waits outlives the process, as records of the store: a restart
    does not start a crash loop over. The circuit breaker does not. `agents`: how many suit a service.
    """

    def __init__(self, agents: Callable[[Service], int] = lambda service: 1) -> None:
        self._agents = agents
        self._backoff = Backoff()
        self._breaker = CircuitBreaker()

    def restore(self, records: Mapping[tuple[str, str], str], now: float) -> None:
        """Take in what an earlier process has written. StoreError when a record is damaged."""
        waits = {
            key: read_record(_WAIT, (kind, key), text)
            for (kind, key), text in records.items()
            if kind == RECORD
        }
        self._backoff.restore(waits, now)

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
        fault = blame(task)
        if fault is Fault.NOBODY:
            return fault
        self._breaker.failed(now)
        if fault is Fault.INFRASTRUCTURE:
            if task.running_since is None and task.reason != "REASON_INVALID_OFFERS":
                self._fault_of_agent(task, why, now)
        elif fault is Fault.UNCLEAR:
            self._fault_of_either(task, service, why, now)
        else:
            self._fault_of_version(task, service, why, now)
        return fault

    def never_started(self, task: Task, service: Service, why: str, now: float) -> None:
        """Take into account that a task has not come to run in time, and is told to stop."""
        self._breaker.failed(now)
        self._fault_of_either(task, service, why, now)

    def _fault_of_agent(self, task: Task, why: str, now: float) -> None:
        why = f"{task.service}: {why}"
        self._backoff.failed(_agent_key(task.agent_id), task.launched_at, now, _AGENT_DELAY, why)

    def _fault_of_version(self, task: Task, service: Service | None, why: str, now: float) -> None:
        if service is not None:
            key = wait_key(task.service, task.version)
            if _ran_well(task, now):
                self._backoff.succeeded(key, task.launched_at)
            self._backoff.failed(key, task.launched_at, now, _delay(service), why)

    def _fault_of_either(self, task: Task, service: Service | None, why: str, now: float) -> None:
        if service is None:
            return
        if self._agents(service) <= 1:
            self._fault_of_version(task, service, why, now)
            return
        version, delay = wait_key(task.service, task.version), _delay(service)
        self._backoff.failed(_place_key(version, task.agent_id), task.launched_at, now, delay, why)
        places = self.places()
        elsewhere = [wait for agent_id, wait in places[version].items() if agent_id != task.agent_id]
        if elsewhere:
            if version not in self._backoff.waits():
                for wait in sorted(elsewhere, key=lambda wait: wait.last_failure):
                    self._backoff.failed(version, wait.last_failure, wait.last_failure, delay, wait.why)
            self._fault_of_version(task, service, why, now)
            return
        only_here = {
            service_of_wait(key) for key, agents in places.items() if agents.keys() == {task.agent_id}
        }
        if len(only_here) > 1:
            self._fault_of_agent(task, why, now)

    def runs(self, task: Task) -> None:
        """Note that a task came to run: its agent works, and its version does there."""
        self._backoff.succeeded(_agent_key(task.agent_id), task.launched_at)
        version = wait_key(task.service, task.version)
        self._backoff.succeeded(_place_key(version, task.agent_id), task.launched_at)

    def expire(self, runs: Mapping[str, bool], now: float) -> None:
        """Forget what has expired, and what nobody asks for any more.

        `runs`: by `wait_key` of each version that is asked for, whether an instance of it is healthy. The
        failures of a version expire when one is, and nothing of it failed for a minute since it might start;
        those of agents and places with time.
        """
        kept = set()
        for key, wait in self._backoff.waits().items():
            if key.startswith(_AGENT):
                expired = now >= wait.until + _AGENT_SECONDS
            elif key.startswith(_PLACE):
                expired = _place_of(key)[0] not in runs or now >= wait.until + _PLACE_SECONDS
            else:
                expired = key not in runs or (runs[key] and now >= wait.until + STABLE_SECONDS)
            if not expired:
                kept.add(key)
        self._backoff.forget_except(kept)

    def reset_all(self) -> None:
        """Forget everything: an operator asks to try again."""
        self._backoff.forget_except(set())

    def has(self, version: str) -> bool:
        """Whether anything under a `wait_key` has failed lately, anywhere."""
        return version in self._backoff.waits() or version in self.places()

    def forget(self, version: str) -> None:
        """Forget the failures under one `wait_key`."""
        places = {_place_key(version, agent_id) for agent_id in self.places().get(version, ())}
        self._backoff.forget_except(self._backoff.waits().keys() - {version} - places)

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

    def places(self) -> dict[str, dict[str, Wait]]:
        """Failures in a row by `wait_key` and agent, of what never ran there."""
        places: dict[str, dict[str, Wait]] = {}
        for key, wait in self._backoff.waits().items():
            if key.startswith(_PLACE):
                version, agent_id = _place_of(key)
                places.setdefault(version, {})[agent_id] = wait
        return places

    def service_waits(self) -> dict[str, Wait]:
        """Failures in a row by service: of the version that has the most. Any thread may ask."""
        worst: dict[str, Wait] = {}
        for key, wait in self._backoff.waits().items():
            service = service_of_wait(key)
            if not key.startswith((_AGENT, _PLACE)) and (
                service not in worst or wait.failures > worst[service].failures
            ):
                worst[service] = wait
        return worst

    def open_until(self, now: float) -> float | None:
        """Until when nothing is launched because too much failed; None when all is normal."""
        return self._breaker.open_until(now)


def _ran_well(task: Task, now: float) -> bool:
    return task.running_since is not None and now >= task.running_since + STABLE_SECONDS


def _delay(service: Service) -> Delay:
    own = service.backoff
    return Delay(own.initial_seconds, own.factor, own.max_seconds)


def _place_key(version: str, agent_id: str) -> str:
    return f"{_PLACE}{version} {agent_id}"


def _place_of(key: str) -> tuple[str, str]:
    _, version, agent_id = key.split(" ", 2)
    return version, agent_id


def _agent_key(agent_id: str) -> str:
    return _AGENT + agent_id
