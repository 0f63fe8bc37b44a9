"""Launches what the plan says, and gives back offers: durable first, then sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from mesos_docker_scheduler.config import Service, secrets
from mesos_docker_scheduler.control.ledger import Ledger
from mesos_docker_scheduler.control.offers import OfferBook
from mesos_docker_scheduler.control.taskinfo import TaskInfos
from mesos_docker_scheduler.observability.metrics import Metrics
from mesos_docker_scheduler.planning.cluster import Accept, Launch
from mesos_docker_scheduler.records.overrides import Overrides
from mesos_docker_scheduler.records.tasks import Task, TaskState

Message = dict[str, Any]

REFUSE_SECONDS = 3600.0
"""How long Mesos need not offer again what we declined: REVIVE clears it as soon as we want something."""
MAINTENANCE_SECONDS = 60.0
"""The same of an agent in maintenance, where somebody wants to know when that ends."""


class Driver(Protocol):
    """What is used of the Mesos driver; the calls answer False when disconnected."""

    def acceptOffers(
        self, offer_ids: Sequence[str], operations: Sequence[Message], refuse_seconds: float
    ) -> bool:
        """ACCEPT."""

    def declineOffer(self, offer_ids: Sequence[str], refuse_seconds: float) -> bool:
        """DECLINE."""


class Launching:
    """What becomes of offers. Times are seconds of the epoch.

    `keep_version` puts on record what a service is made of. `new_id` makes a task id of a service's name and
    version. `secret_values`: by path, what the configuration's secrets hold.
    """

    def __init__(
        self,
        ledger: Ledger,
        offers: OfferBook,
        driver: Driver,
        metrics: Metrics,
        overrides: Overrides,
        *,
        keep_version: Callable[[Service], None],
        new_id: Callable[[str, str], str],
        secret_values: Callable[[], Mapping[str, str]],
        exec_secret: str = "",
    ) -> None:
        self._ledger = ledger
        self._offers = offers
        self._driver = driver
        self._metrics = metrics
        self._overrides = overrides
        self._keep_version = keep_version
        self._new_id = new_id
        self._secret_values = secret_values
        self._task_infos = TaskInfos(exec_secret)
        self._unreadable: set[str] = set()  # services whose secrets can't be

    def launch(self, accept: Accept, now: float) -> None:
        """Launch on one agent what the plan has for it."""
        infos: list[Message] = []
        for launch in accept.launches:
            values, problems = secrets.read(launch.service, self._secret_values())
            if problems:
                self._unreadable.add(launch.service.name)
                self._ledger.touch()
            else:
                infos.append(self._intend(launch, values, now))
        if not infos:
            self._metrics.offers_unused["secrets"].inc(len(accept.offer_ids))
            self.decline(accept.offer_ids)
            return
        self._offers.remove(accept.offer_ids)
        self._offers.launched(accept)
        self._metrics.offers["accepted"].inc(len(accept.offer_ids))
        self._ledger.send(partial(self._accept, accept.offer_ids, infos, now))

    def decline(self, offer_ids: Sequence[str], seconds: float = REFUSE_SECONDS) -> None:
        """Give offers back. `seconds`: how long Mesos need not offer the same again."""
        self._offers.remove(offer_ids)
        self._metrics.offers["declined"].inc(len(offer_ids))
        self._ledger.send(partial(self._driver.declineOffer, offer_ids, seconds))

    def held(self, services: Iterable[Service]) -> dict[str, str]:
        """Why services are held that need secrets which can't be read."""
        held: dict[str, str] = {}
        for service in services:
            if service.lacks_secrets or service.name in self._unreadable:
                problems = secrets.read(service, self._secret_values())[1]
                if problems:
                    held[service.name] = "; ".join(problems)
                elif service.lacks_secrets:
                    # They can by now; its version is known when the configuration has been read again.
                    held[service.name] = "its secrets could not be read with the configuration"
        self._unreadable = set(held)
        return held

    def _intend(self, launch: Launch, values: Mapping[str, str], now: float) -> Message:
        service = launch.service
        task = Task(
            id=self._new_id(service.name, service.version),
            service=service.name,
            version=service.version,
            image=service.image or "",
            containerizer=service.containerizer,
            agent_id=launch.agent_id,
            hostname=launch.hostname,
            launched_at=now,
            state_since=now,
            has_health_check=service.health_check is not None,
            host_ports=launch.host_ports,
            restarts=self._overrides.of(service.name).restarts,
        )
        self._ledger.put(task)
        self._keep_version(service)
        self._metrics.of(service.name).launches.inc()
        self._ledger.note(now, "launch", f"{service.made_of} on {launch.hostname}", service.name, task.id)
        return self._task_infos.make(task.id, launch, values)

    def _accept(self, offer_ids: Sequence[str], infos: list[Message], planned_at: float) -> None:
        operation = {"type": "LAUNCH", "launch": {"task_infos": infos}}
        if planned_at < self._ledger.sent_at:
            # The store failed in the round that planned this: what it rests on may have changed.
            self._driver.declineOffer(offer_ids, REFUSE_SECONDS)
            why = "was not launched: it could not be written down in time"
        elif self._driver.acceptOffers(offer_ids, [operation], REFUSE_SECONDS):
            return
        else:
            why = "was not launched: the connection was lost"
        for info in infos:
            task = self._ledger.tasks.get(info["task_id"]["value"])
            if task is not None:
                self._ledger.put(replace(task, state=TaskState.DROPPED, message=why))
                self._ledger.note(planned_at, "ended", why, task.service, task.id)
