"""How we stand with Mesos: subscribed or not, what it knows of us, and what it asks back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Protocol

from mesos_docker_scheduler.control import events, ownership
from mesos_docker_scheduler.control.framework import Registration
from mesos_docker_scheduler.control.leader import Leader
from mesos_docker_scheduler.control.ledger import Ledger
from mesos_docker_scheduler.control.maintenance import Maintenance
from mesos_docker_scheduler.control.messages import Messages
from mesos_docker_scheduler.control.offers import OfferBook
from mesos_docker_scheduler.control.reconciliation import Reconciliation
from mesos_docker_scheduler.control.recovery import OLDER, UNSEEN, not_come_back
from mesos_docker_scheduler.control.recovery_query import RecoveryQuery
from mesos_docker_scheduler.control.status_updates import StatusUpdates
from mesos_docker_scheduler.observability.metrics import Metrics
from mesos_docker_scheduler.wording import instances


class Driver(Protocol):
    """What is used of the Mesos driver."""

    @property
    def problem(self) -> str | None:
        """Why there is no subscription."""

    def acceptInverseOffers(self, offer_ids: Sequence[str]) -> bool:
        """ACCEPT_INVERSE_OFFERS."""

    def declineInverseOffer(self, offer_ids: Sequence[str]) -> bool:
        """DECLINE_INVERSE_OFFERS."""


class Session:
    """Takes what Mesos says of the framework as a whole. Times are seconds of the epoch.

    `survey` asks the master for all tasks of the framework with this id, and whether a new one is our only
    one. `begins_anew`: an operator has said that there is nothing to be found.
    """

    def __init__(
        self,
        ledger: Ledger,
        driver: Driver,
        metrics: Metrics,
        *,
        offers: OfferBook,
        maintenance: Maintenance,
        messages: Messages,
        status_updates: StatusUpdates,
        reconciliation: Reconciliation,
        recovery_query: RecoveryQuery,
        leader: Leader,
        registration: Registration,
        survey: Callable[[str, bool], None] | None,
        begins_anew: bool,
    ) -> None:
        self._ledger = ledger
        self._driver = driver
        self._metrics = metrics
        self._offers = offers
        self._maintenance = maintenance
        self._messages = messages
        self._status_updates = status_updates
        self._reconciliation = reconciliation
        self._recovery_query = recovery_query
        self._leader = leader
        self._registration = registration
        self._survey = survey
        self._begins_anew = begins_anew
        self._owner: str | None = None
        self.connected = False

    @property
    def is_certain(self) -> bool:
        """Whether Mesos sees our tasks as we do."""
        return self.connected and self._reconciliation.settled

    @property
    def master(self) -> str | None:
        """The address of the master that we are subscribed to."""
        return self._leader.address if self.connected else None

    def owned(self, owner: str) -> None:
        """Take in who owns the framework from the next subscription on."""
        self._owner = owner

    def next_at(self, now: float) -> float | None:
        """When something is to be asked again."""
        times = (
            self._reconciliation.next_at(),
            self._recovery_query.next_at(now) if self._survey is not None else None,
        )
        return min((time for time in times if time is not None), default=None)

    def subscribed(self, event: events.Subscribed, now: float) -> None:
        """Begin anew with what a master says."""
        self._metrics.subscriptions.inc()
        self.connected = True
        self._leader.subscribed(event.master, now)
        if event.framework_id is not None and event.framework_id != self._ledger.framework_id:
            if self._survey is not None and not self._begins_anew:
                self._recovery_query.begin()
                self._ledger.record(UNSEEN, "")
            self._ledger.register(event.framework_id)
        if self._recovery_query.older is not None:
            self._ledger.record(OLDER, "")  # whose record it was is overwritten now
        if self._owner is not None:
            self._ledger.record(ownership.RECORD, self._owner)
        text = f"subscribed to the master {self._leader.address} as framework {self._ledger.framework_id}"
        self._ledger.note(now, "connected", text)
        busy = {task.agent_id for task in self._ledger.tasks.values()}
        self._offers.subscribed(now, busy)
        self._maintenance.clear()
        self._ledger.kills.restart()
        self._ledger.task_index.mark_stale(self._ledger.tasks.values())
        self._reconciliation.start({task.id: task.agent_id for task in self._ledger.tasks.values()}, now)

    def disconnected(self, now: float) -> None:
        """Note that the connection is gone, and offers with it."""
        self._metrics.disconnections.inc()
        self.connected = False
        self._offers.void()
        self._reconciliation.stop()
        self._ledger.note(now, "disconnected", f"the connection to the master {self._leader.address} is lost")

    def answered(self, event: events.Recovering | events.Recovered | events.Surveyed, now: float) -> None:
        """Take what the master says, or doesn't, of what is not on record."""
        match event:
            case events.Recovering():
                self._recovery_query.recovering = event.problem
                self._ledger.note(now, "recovering", event.problem)
            case events.Recovered():
                self._recovery_query.recovering = None
                if event.framework_id is not None:
                    self._ledger.register(event.framework_id)
                    known = f"the master knows framework {event.framework_id} as ours"
                    text = f"{known}, with {instances(len(event.tasks))}: it is taken over"
                    self._ledger.note(now, "recovered", text)
                self._learn(event, now)
                self._ledger.send(event.go_on)
            case events.Surveyed(error=None):
                if event.problem is not None and event.problem != self._recovery_query.unseen:
                    self._ledger.note(now, "recovering", event.problem)
                if self._recovery_query.unseen is not None and event.problem is None:
                    self._ledger.record(UNSEEN, None)
                away = not_come_back(event.away) if event.away else None
                if self._recovery_query.older is not None and away is None:
                    self._ledger.record(OLDER, None)
                elif self._recovery_query.older not in (None, away):
                    self._ledger.note(now, "recovering", away or "")
                told = (task.id for task in event.tasks if task.hostname)
                self._recovery_query.answered(event.problem, told, now, away)
                self._learn(event, now)
            case events.Surveyed():
                self._recovery_query.failed()
                self._ledger.note(now, "survey failed", f"asked what runs: {event.error}")

    def _learn(self, event: events.Recovered | events.Surveyed, now: float) -> None:
        for agent in event.agents:
            self._offers.learn(agent)
        self._status_updates.learn(event.tasks, now)

    def asked_back(self, event: events.InverseOffers | events.InverseOfferRescinded, now: float) -> None:
        """Agree where nothing of ours runs; not yet where something does: we are asked again in a moment."""
        if isinstance(event, events.InverseOfferRescinded):
            self._maintenance.rescinded(event.offer_id)
            return
        for message in self._messages.inverse_offers(event.offers, now):
            self._maintenance.asked_back(message, now)
            offer_ids = [message["id"]["value"]]
            here = self._ledger.task_index.here(message.get("agent_id", {}).get("value", ""))
            if any(task.present for task in here.values()):
                self._ledger.send(partial(self._driver.declineInverseOffer, offer_ids))
            else:
                self._ledger.send(partial(self._driver.acceptInverseOffers, offer_ids))

    def call_failed(self, event: events.CallFailed, now: float) -> None:
        """Take in that a call was refused, or got no answer."""
        kind = event.call["type"]
        self._metrics.failed_calls.labels(kind).inc()
        self._ledger.note(now, "call failed", f"{kind}: {event.error}")
        if kind in ("ACCEPT", "DECLINE"):
            self._offers.strand([one["value"] for one in event.call[kind.lower()]["offer_ids"]], now)
        if kind == "ACCEPT":
            # It may have been carried out all the same: Mesos is asked.
            launched = [
                info["task_id"]["value"]
                for operation in event.call["accept"]["operations"]
                for info in operation["launch"]["task_infos"]
            ]
            self._status_updates.mark_stale(launched, now)
        elif kind == "UPDATE_FRAMEWORK":
            refused = event.status is not None and event.status < HTTPStatus.INTERNAL_SERVER_ERROR
            self._registration.failed(None if refused else now)
        elif kind == "SUPPRESS":
            self._offers.suppress_failed()

    def ask(self, now: float) -> None:
        """Ask Mesos for what we should know of our tasks."""
        framework_id = self._ledger.framework_id
        if self._survey is None or framework_id is None or not self.connected:
            return
        if self._recovery_query.due(now):
            self._ledger.send(partial(self._survey, framework_id, self._recovery_query.unseen is not None))

    def not_yet(self, now: float) -> str | None:
        """Why we can't know yet what to do."""
        if self._recovery_query.recovering is not None:
            return f"not known yet which instances run: {self._recovery_query.recovering}"
        if not self.connected:
            problem = self._driver.problem
            return f"not connected to a Mesos master{f': {problem}' if problem else ''}"
        if not self._reconciliation.settled:
            return "asking the master which instances run"
        return self._recovery_query.why_not(now)
