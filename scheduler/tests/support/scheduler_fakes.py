"""What tests of the scheduler share: short ways to make services, tasks and offers; a fake driver."""

from __future__ import annotations

import itertools
import json
import queue
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mesos_docker_scheduler.config import Config, Service
from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.control.controller import Controller
from mesos_docker_scheduler.observability.metrics import Metrics
from mesos_docker_scheduler.observability.snapshot import ServiceView
from mesos_docker_scheduler.planning.cluster import Offer
from mesos_docker_scheduler.records.store import Event, SqliteStore, Store
from mesos_docker_scheduler.records.tasks import Task, TaskState

Message = dict[str, Any]
NOW = 1_000_000.0
MASTER: Message = {"id": "master-1", "hostname": "m1", "port": 5050}
_numbers = itertools.count(1)


def service(**fields: Any) -> Service:
    """A service `web` with what is given; an instance that leaves the list is stopped at once."""
    usual = {"name": "web", "image": "demo/web:1", "shutdown_delay_seconds": 0}
    return Service.model_validate_json(json.dumps({**usual, **fields}))


def configuration(*services: Service, **fields: Any) -> Config:
    return Config(**{"master": "m1:5050", "services": services, **fields})


def task(task_id: str, of: Service, agent_id: str = "a", **fields: Any) -> Task:
    """A task that has run for an hour."""
    values: Message = {
        "id": task_id,
        "service": of.name,
        "version": of.version,
        "image": of.image or "",
        "containerizer": of.containerizer,
        "agent_id": agent_id,
        "hostname": f"host-{agent_id}",
        "launched_at": NOW - 3600,
        "state_since": NOW - 3600,
        "running_since": NOW - 3600,
        "state": TaskState.RUNNING,
        "has_health_check": of.health_check is not None,
        "confirmed": True,
        **fields,
    }
    return Task(**values)


def resources(
    cpus: float = 4, mem: float = 4096, disk: float = 10_000, ports: str = "31000-31009"
) -> list[Message]:
    """v1 Resources, unreserved."""
    scalars = {"cpus": cpus, "mem": mem, "disk": disk}
    result: list[Message] = [
        {
            "name": name,
            "type": "SCALAR",
            "scalar": {"value": value},
            "allocation_info": {"role": "*"},
        }
        for name, value in scalars.items()
        if value
    ]
    if ports:
        ranges = [
            {"begin": int(first), "end": int(last)}
            for first, last in (part.split("-") for part in ports.split(","))
        ]
        result.append(
            {"name": "ports", "type": "RANGES", "ranges": {"range": ranges}, "allocation_info": {"role": "*"}}
        )
    return result


def offer_message(agent_id: str = "a", *, more: Message | None = None, **amounts: Any) -> Message:
    """A v1 Offer of one agent."""
    return {
        "id": {"value": f"offer-{next(_numbers)}"},
        "agent_id": {"value": agent_id},
        "hostname": f"host-{agent_id}",
        "framework_id": {"value": "framework"},
        "resources": resources(**amounts),
        **(more or {}),
    }


def offer(agent_id: str = "a", **amounts: Any) -> Offer:
    return Offer.from_message(offer_message(agent_id, **amounts))


def status(task_id: str, state: str, agent_id: str | None = "a", **fields: Any) -> Message:
    """A v1 TaskStatus as an executor sends it: with a uuid."""
    message: Message = {
        "task_id": {"value": task_id},
        "state": f"TASK_{state}",
        "uuid": f"uuid-{next(_numbers)}",
    }
    if agent_id is not None:
        message["agent_id"] = {"value": agent_id}
    return {**message, **fields}


def answer(task_id: str, state: str, agent_id: str | None = "a") -> Message:
    """A v1 TaskStatus as the master answers a reconciliation: without a uuid."""
    message = status(task_id, state, agent_id, reason="REASON_RECONCILIATION")
    del message["uuid"]
    return message


@dataclass
class FakeDriver:
    """Writes down the calls as (name, arguments); `up` False is a lost connection."""

    up: bool = True
    problem: str | None = None
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def _call(self, *call: Any) -> bool:
        if self.up:
            self.calls.append(call)
        return self.up

    def acceptOffers(
        self, offer_ids: Sequence[str], operations: Sequence[Message], refuse_seconds: float
    ) -> bool:
        return self._call("accept", list(offer_ids), operations[0]["launch"]["task_infos"])

    def declineOffer(self, offer_ids: Sequence[str], refuse_seconds: float) -> bool:
        return self._call("decline", list(offer_ids), refuse_seconds)

    def suppressOffers(self, roles: Sequence[str] | None = None) -> bool:
        return self._call("suppress", *([list(roles)] if roles else []))

    def reviveOffers(self, roles: Sequence[str] | None = None) -> bool:
        return self._call("revive", *([list(roles)] if roles else []))

    def killTask(self, task_id: str, agent_id: str | None, grace_seconds: float | None) -> bool:
        return self._call("kill", task_id, agent_id, grace_seconds)

    def acknowledgeStatusUpdate(self, status: Mapping[str, Any]) -> bool:
        return self._call("acknowledge", status["uuid"])

    def reconcileTasks(self, tasks: Iterable[tuple[str, str | None]]) -> bool:
        return self._call("reconcile", list(tasks))

    def updateFramework(self, framework: Message, offer_constraints: Message | None = None) -> bool:
        constrained = [] if offer_constraints is None else [offer_constraints]
        return self._call("update framework", framework, *constrained)

    def acceptInverseOffers(self, offer_ids: Sequence[str]) -> bool:
        return self._call("accept inverse", list(offer_ids))

    def declineInverseOffer(self, offer_ids: Sequence[str]) -> bool:
        return self._call("decline inverse", list(offer_ids))

    def take(self, *names: str) -> list[tuple[Any, ...]]:
        """The calls of these names since they were last taken."""
        taken = [call for call in self.calls if call[0] in names]
        self.calls = [call for call in self.calls if call[0] not in names]
        return taken


class Bench:
    """A controller with a real store, a fake driver and a clock that the test sets."""

    def __init__(
        self,
        folder: Path,
        *services: Service,
        store: Store | None = None,
        now: float = NOW,
        **config: Any,
    ) -> None:
        self.now = now
        self.driver = FakeDriver()
        self.events: list[Event] = []
        self.surveys: list[tuple[str, bool]] = []
        self.store: Store = store or SqliteStore(folder)
        self.controller = Controller(
            configuration(*services, **config),
            "sha",
            self.store,
            self.store.load(),
            self.driver,
            inbox=queue.SimpleQueue(),
            clock=lambda: self.now,
            metrics=Metrics(),
            tell=self.events.append,
            survey=lambda framework_id, is_new: self.surveys.append((framework_id, is_new)),
        )

    def take(self, *batch: events.AnyEvent, after: float = 0.0) -> None:
        """Let time pass, then one round with these events."""
        self.now += after
        self.controller.process(batch, self.now)

    def subscribe(self, framework_id: str = "framework") -> None:
        """Subscribe, and answer that there is nothing to reconcile beyond what the test tells."""
        self.take(events.Subscribed(framework_id, MASTER))
        self.answer_fence()

    def answer_survey(self, *tasks: Task) -> None:
        """Answer what the master was asked about what is not on record."""
        for _ in range(len(self.surveys)):
            self.surveys.pop()
            self.take(events.Surveyed(tasks))

    def answer_fence(self) -> None:
        """Answer what the master was asked after the subscription."""
        self.answer_survey()
        for _, tasks in self.driver.take("reconcile"):
            for task_id, _ in tasks:
                if task_id.startswith("reconciliation-fence."):
                    self.take(events.Update(answer(task_id, "UNKNOWN")))

    def offer(self, *agents: str, after: float = 0.0, **amounts: Any) -> None:
        """Offers of these agents, and the moment in which others could come."""
        self.take(events.Offers(tuple(offer_message(agent, **amounts) for agent in agents)), after=after)
        self.take(after=1.0)

    def launched(self) -> list[Message]:
        """The TaskInfos launched since the last call."""
        return [info for _, _, infos in self.driver.take("accept") for info in infos]

    def launch(self, *agents: str) -> list[str]:
        """Offer, let it launch, and have everything run; returns the task ids."""
        self.offer(*agents)
        ids = []
        for info in self.launched():
            ids.append(info["task_id"]["value"])
            self.tell(ids[-1], "RUNNING", info["agent_id"]["value"])
        return ids

    def tell(self, task_id: str, state: str, agent_id: str | None = "a", **fields: Any) -> None:
        """A status update."""
        self.take(events.Update(status(task_id, state, agent_id, **fields)))

    @property
    def view(self) -> ServiceView:
        """What the first service looks like from outside, now."""
        self.take(after=1.0)
        return self.controller.snapshot.services[0]
