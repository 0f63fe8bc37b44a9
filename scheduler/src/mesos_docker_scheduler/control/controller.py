"""Goes round: takes events, writes down what changed, plans, and acts.

One thread owns all of the state. What is known stands in the ledger, which sends nothing that is not durable.
Here the parts are put together and each event goes to the one that it is for: `session` is how we stand with
Mesos, `status_updates` what becomes of tasks, `decisions` what to do next, `operations` what operators ask
for.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from mesos_docker_scheduler.config import Config, Service
from mesos_docker_scheduler.control import (
    decisions,
    events,
    launching,
    ownership,
    session,
    status_updates,
    stopping,
)
from mesos_docker_scheduler.control.decisions import Decisions
from mesos_docker_scheduler.control.desired_state import DesiredState
from mesos_docker_scheduler.control.edition import Edition, Editions, recorded
from mesos_docker_scheduler.control.framework import Registration
from mesos_docker_scheduler.control.kept_versions import KeptVersions
from mesos_docker_scheduler.control.launching import Launching
from mesos_docker_scheduler.control.leader import Leader
from mesos_docker_scheduler.control.ledger import Ledger
from mesos_docker_scheduler.control.maintenance import Maintenance
from mesos_docker_scheduler.control.messages import Messages, task_of
from mesos_docker_scheduler.control.offers import OfferBook
from mesos_docker_scheduler.control.operations import HandOver, Operations, RefusedError, UnavailableError
from mesos_docker_scheduler.control.principal import as_registered
from mesos_docker_scheduler.control.publisher import Publisher
from mesos_docker_scheduler.control.reconciliation import Reconciliation
from mesos_docker_scheduler.control.recovery import BEGIN_ANEW, OLDER, UNSEEN
from mesos_docker_scheduler.control.recovery_query import RecoveryQuery
from mesos_docker_scheduler.control.session import Session
from mesos_docker_scheduler.control.start_timeouts import StartTimeouts
from mesos_docker_scheduler.control.status_updates import StatusUpdates
from mesos_docker_scheduler.control.stopping import Stopping
from mesos_docker_scheduler.control.unconfirmed import Unconfirmed
from mesos_docker_scheduler.observability.event_log import EventLog
from mesos_docker_scheduler.observability.metrics import Metrics
from mesos_docker_scheduler.observability.snapshot import ConfigView, Snapshot, Views
from mesos_docker_scheduler.planning.placement import suiting_ids
from mesos_docker_scheduler.records.dependencies import Dependencies
from mesos_docker_scheduler.records.desired import Desired
from mesos_docker_scheduler.records.failures import Failures
from mesos_docker_scheduler.records.overrides import Overrides
from mesos_docker_scheduler.records.rollout import Rollouts
from mesos_docker_scheduler.records.store import Event, Remembered, Writer
from mesos_docker_scheduler.records.tasks import new_task_id, wait_key
from mesos_docker_scheduler.records.tokens import Token, Tokens
from mesos_docker_scheduler.records.versions import Versions
from mesos_docker_scheduler.wording import clock

_STORE_RETRY_SECONDS = 2.0
_TICK_SECONDS = 5.0
_BATCH = 10_000


class Driver(
    launching.Driver, stopping.Driver, status_updates.Driver, session.Driver, decisions.Driver, Protocol
):
    """What is used of the Mesos driver: what each part uses. Calls are queued."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Mesos refuses us for good: what it said."""

    message: str


class Controller:
    """Keeps what runs as the configuration says.

    `process` is one round, and needs no thread: tests and the simulation call it. `run` calls it for what is
    put into `inbox`. `clock` gives seconds of the epoch and never goes back; `tell` hears each event.
    `survey` asks the master for all tasks of the framework with this id, and whether a new one is our only
    one; the answer comes as events.Surveyed. `skipped_ports` is the OfferBook's, `hand_over` the Operations',
    `exec_secret` that of the tasks' keys (`exec_sessions`).
    `written_at`: when the configuration was, in seconds of the epoch. `started_with`: what the process had
    read at its start, if that was not this one.
    """

    def __init__(
        self,
        config: Config,
        sha256: str,
        store: Writer,
        remembered: Remembered,
        driver: Driver,
        *,
        inbox: queue.SimpleQueue[events.AnyEvent],
        clock: Callable[[], float],
        metrics: Metrics,
        tell: Callable[[Event], None],
        survey: Callable[[str, bool], None] | None = None,
        new_id: Callable[[str, str], str] = new_task_id,
        skipped_ports: int = 0,
        written_at: float = 0.0,
        started_with: Config | None = None,
        hand_over: HandOver | None = None,
        exec_secret: str = "",
    ) -> None:
        now = clock()
        self._started_with = started_with or config
        waiting = tuple(self._started_with.restart_needed(config))
        edition = Edition.of(config, written_at)
        self._config_view = ConfigView(sha256, now, edition.digest, restart_needed=waiting)
        self._inbox = inbox
        self._clock = clock
        self._metrics = metrics

        self._offers = OfferBook(skipped_ports)
        self._failures = Failures(lambda service: len(suiting_ids(service, self._offers.agents.values())))
        self._rollouts = Rollouts(metrics.update_ended)
        self._overrides = Overrides()
        self._dependencies = Dependencies()
        self._tokens = Tokens()
        self._editions = Editions(recorded(remembered.records))
        self._editions.take(edition)
        self._versions = Versions(remembered.versions)
        self._reconciliation = Reconciliation()
        self._recovery_query = RecoveryQuery()
        self._leader = Leader()
        self._maintenance = Maintenance()
        registration = Registration(config, as_registered(config, remembered))
        keepers = (
            self._failures,
            self._offers,
            self._rollouts,
            self._overrides,
            self._leader,
            self._dependencies,
            self._tokens,
            self._editions,
        )
        self._ledger = Ledger(store, remembered, keepers, metrics, tell)
        self._rollouts.restore_by(remembered.records, now)
        self._overrides.restore(remembered.records)
        self._dependencies.restore(remembered.records)
        self._tokens.restore(remembered.records)
        self._kept_versions = KeptVersions(self._ledger, self._versions, self._rollouts)
        self._desired = DesiredState(self._overrides, self._rollouts, self._dependencies, self._versions)
        self._take_desired(config, now)
        self._messages = Messages(self._ledger, driver, metrics)
        self._stopping = Stopping(self._ledger, driver, metrics, self._desired.configured)
        self._status_updates = StatusUpdates(
            self._ledger,
            driver,
            metrics,
            offers=self._offers,
            reconciliation=self._reconciliation,
            recovery_query=self._recovery_query,
            leader=self._leader,
            failures=self._failures,
            overrides=self._overrides,
            versions=self._versions,
            configured=self._desired.configured,
        )
        self._operations = Operations(
            self._ledger,
            self._overrides,
            self._rollouts,
            self._versions,
            self._failures,
            self._stopping,
            self._tokens,
            configured=self._desired.in_file,
            refusals=self._desired.refusals,
            hand_over=hand_over,
        )
        self._session = Session(
            self._ledger,
            driver,
            metrics,
            offers=self._offers,
            maintenance=self._maintenance,
            messages=self._messages,
            status_updates=self._status_updates,
            reconciliation=self._reconciliation,
            recovery_query=self._recovery_query,
            leader=self._leader,
            registration=registration,
            survey=survey,
            begins_anew=BEGIN_ANEW in remembered.records,
        )
        self._decisions = Decisions(
            self._ledger,
            driver,
            metrics,
            self._session,
            self._desired,
            offers=self._offers,
            maintenance=self._maintenance,
            registration=registration,
            failures=self._failures,
            rollouts=self._rollouts,
            overrides=self._overrides,
            versions=self._versions,
            kept_versions=self._kept_versions,
            dependencies=self._dependencies,
            unconfirmed=Unconfirmed(self._ledger, self._reconciliation, self._leader),
            launching=Launching(
                self._ledger,
                self._offers,
                driver,
                metrics,
                self._overrides,
                keep_version=self._kept_versions.keep,
                new_id=new_id,
                secret_values=lambda: self._desired.secret_values,
                exec_secret=exec_secret,
            ),
            stopping=self._stopping,
            start_timeouts=StartTimeouts(
                self._ledger, self._stopping, self._failures, metrics, self._desired.configured
            ),
            expect=self._expect,
        )
        self._remember(remembered, now)

        self._views = Views(self._versions.made_of)
        self._answers: list[Callable[[Exception | None], None]] = []
        self._wake_at = now
        self._ended_threads: list[str] = []
        self._publisher = Publisher(self._ledger, metrics, self._snapshot, now)
        self.alive_at = time.monotonic()
        self._let_watch(metrics)
        self.outcome: Refused | events.Deposed | events.Stop | None = None

    def _remember(self, remembered: Remembered, now: float) -> None:
        self._failures.restore(remembered.records, now)
        self._offers.restore(remembered.records)
        self._leader.restore(remembered.records, now)
        if UNSEEN in remembered.records:
            self._recovery_query.begin()
        if OLDER in remembered.records or remembered.records.get(ownership.RECORD) == ownership.BY_COMMAND:
            self._recovery_query.begin_older()
        self._ledger.restore(remembered.tasks.values(), now, self._stopping.delay)

    def _take_desired(self, config: Config, now: float) -> None:
        """Take what the file says, and what operators have asked for on top of it."""
        for void in self._desired.take(config):
            configured = self._desired.file_services[void.service]
            now_is = (
                f"count is now {configured.count}"
                if configured.mode == "replicated"
                else "mode is now global"
            )
            text = f"the configuration's {now_is}: scaling to {void.count} is over"
            self._ledger.note(now, "operator", text, void.service)
        self._expect()

    def _expect(self) -> None:
        self._failures.expect(sum(service.count for service in self._desired.services.values()))
        self._metrics.expect(self._desired.services)

    def _let_watch(self, metrics: Metrics) -> None:
        """Show what is looked at when Prometheus asks, on the web's thread: it costs a round nothing."""
        ledger, reconciliation, failures = self._ledger, self._reconciliation, self._failures
        metrics.kills_open.set_function(lambda: len(ledger.kills))
        metrics.unanswered.set_function(lambda: len(reconciliation.unanswered))
        metrics.settled.set_function(lambda: self._session.is_certain)
        metrics.agents.set_function(lambda: len(self._offers.agents))
        metrics.inbox.set_function(self._inbox.qsize)
        metrics.launches_held.set_function(lambda: failures.open_until(self._clock()) is not None)
        metrics.last_round.set_function(lambda: time.time() - (time.monotonic() - self.alive_at))
        metrics.watch_waits(failures.service_waits, failures.agent_waits, self._clock)

    @property
    def snapshot(self) -> Snapshot:
        """Everything that others may see, as it was a moment ago."""
        return self._publisher.snapshot

    @property
    def log(self) -> EventLog:
        """What has happened lately."""
        return self._ledger.log

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens that were made over the API. Any thread may ask."""
        return self._tokens.all

    # The loop

    def run(self, after_round: Callable[[], None] = lambda: None) -> Refused | events.Deposed | events.Stop:
        """Work until told to stop or refused by Mesos; returns why it ended.

        `after_round` hears that all is well. It hears nothing more once a thread has ended.
        """
        while self.outcome is None:
            batch = self._next_batch()
            with self._metrics.loop_seconds.time():
                self.process(batch, self._clock())
            self.alive_at = time.monotonic()
            if not self._ended_threads:
                after_round()
        return self.outcome

    def process(self, batch: Iterable[events.AnyEvent], now: float) -> None:
        """One round: take the events, write, plan, write, act."""
        for event in batch:
            self._take(event, now)
        self._status_updates.forget_absent(now)
        if self._flush(now) and self.outcome is None:
            self._status_updates.ask(now)
            self._session.ask(now)
            self._decisions.decide(now, self._publisher)
            if self._session.connected:
                self._stopping.send_due(now)
            self._flush(now)
        self._publisher.publish(now, at_once=self.outcome is not None)
        # What was asked for can be seen by now.
        answers, self._answers = self._answers, []
        for reply in answers:
            reply(None)
        self._wake_at = self._next_wake(now)

    @property
    def wake_at(self) -> float:
        """When the next round is due, even without an event."""
        return self._wake_at

    def _next_batch(self) -> list[events.AnyEvent]:
        batch: list[events.AnyEvent] = []
        try:
            batch.append(self._inbox.get(timeout=max(0.0, self._wake_at - self._clock())))
            while len(batch) < _BATCH:
                batch.append(self._inbox.get_nowait())
        except queue.Empty:
            pass
        return batch

    def _next_wake(self, now: float) -> float:
        times: list[float | None] = [now + _TICK_SECONDS]
        if self._ledger.problem is not None:
            times.append(now + _STORE_RETRY_SECONDS)
        elif self._ledger.unfinished:
            times.append(now)
        else:
            times += self._publisher.waiting_told_at()
        if self._ledger.problem is None and self._session.connected:
            times += [
                self._ledger.kills.next_at(),
                # As long as we don't know what to do, nobody looks at offers.
                self._offers.next_at() if self._session.not_yet(now) is None else None,
                self._decisions.plan.wake_at,
                self._session.next_at(now),
            ]
        times.append(self._publisher.next_at())
        return max(now, min(time for time in times if time is not None))

    def _flush(self, now: float) -> bool:
        """Commit what changed, then send what waits for it; False when the store failed."""
        if not self._ledger.commit(now):
            self._stopping.take_back()
            return False
        self._stopping.written()
        self._ledger.dispatch(now)
        return True

    # Events

    def _take(self, event: events.AnyEvent, now: float) -> None:
        match event:
            case events.Update():
                self._take_update(event, now)
            case events.Offers():
                self._take_offers(event, now)
            case events.OfferRescinded():
                self._offers.remove([event.offer_id])
                self._metrics.offers["rescinded"].inc()
            case events.Subscribed():
                self._session.subscribed(event, now)
            case events.Disconnected():
                self._session.disconnected(now)
            case events.AgentLost():
                self._metrics.agents_lost.inc()
                self._offers.agent_lost(event.agent_id)
            case events.InverseOffers() | events.InverseOfferRescinded():
                self._session.asked_back(event, now)
            case events.CallFailed():
                self._session.call_failed(event, now)
            case events.FrameworkError():
                self._session.connected = False
                self._ledger.note(now, "refused", f"Mesos refuses this framework: {event.message}")
                self.outcome = self.outcome or Refused(event.message)
            case events.Recovering() | events.Recovered() | events.Surveyed():
                self._session.answered(event, now)
            case events.Owned() | events.ThreadEnded():
                self._take_own(event, now)
            case events.ConfigRead() | events.Command() | events.Deposed() | events.Stop():
                self._take_order(event, now)
            # Others have none of their own here: the round that they bring about is enough.

    def _take_own(self, event: events.Owned | events.ThreadEnded, now: float) -> None:
        match event:
            case events.Owned():
                self._session.owned(event.owner)
            case events.ThreadEnded():
                text = f"the thread {event.thread} has ended by a {event.error}; the journal has more"
                self._ended_threads.append(text)
                self._ledger.note(now, "thread ended", text)

    def _take_update(self, event: events.Update, now: float) -> None:
        if self._messages.is_understood(event.status, now):
            self._status_updates.take(event.status, now)
            if event.status.get("reason") == "REASON_AGENT_DRAINING":
                self._offers.agent_drains(event.status.get("agent_id", {}).get("value", ""))
            return
        task_id = task_of(event.status)
        if task_id is not None:  # the master knows what has become of it
            self._status_updates.mark_stale([task_id], now)

    def _take_offers(self, event: events.Offers, now: float) -> None:
        offers = self._messages.offers(event.offers, now)
        self._metrics.offers["received"].inc(self._offers.add(offers, now))
        self._maintenance.offered(offers, now)
        self._status_updates.heard_of(offer["agent_id"]["value"] for offer in offers)

    def _take_order(
        self, event: events.ConfigRead | events.Command | events.Deposed | events.Stop, now: float
    ) -> None:
        """Do what operators ask for, by the file, by the API, by a signal; and end when another leads."""
        match event:
            case events.ConfigRead():
                self._take_config(event, now)
            case events.Command():
                self._execute(event, now)
            case events.Deposed() | events.Stop():
                self.outcome = event

    def _execute(self, asked: events.Command, now: float) -> None:
        if self._ledger.problem is not None:
            asked.reply(UnavailableError(f"nothing can be done at the moment: {self._ledger.problem}"))
            return
        try:
            asked.execute(self._operations, now)
        except RefusedError as error:
            asked.reply(error)
        else:
            self._desired.apply()
            self._expect()
            self._publisher.hurry()
            self._ledger.send(partial(self._answers.append, asked.reply))

    def _take_config(self, event: events.ConfigRead, now: float) -> None:
        if event.config is None:
            if event.error != self._config_view.error:
                self._config_view = replace(self._config_view, error=event.error)
                self._ledger.note(now, "config refused", f"the old configuration stays: {event.error}")
            return
        before = self._desired.services
        edition = Edition.of(event.config, event.written_at)
        self._editions.take(edition)
        self._take_desired(event.config, now)
        for kept in (self._rollouts, self._views):
            kept.forget_except(self._desired.services)
        self._kept_versions.forget_except(self._desired.services)
        if event.asked:
            self._failures.reset_all()
            again = self._try_again(self._desired.services, "the scheduler was told to reload", now)
        else:
            changed = [name for name, one in before.items() if _is_run_otherwise(one, self._desired.services)]
            again = self._try_again(changed, "its configuration has changed", now)
        self._decisions.read_anew(before, again)
        waiting = tuple(self._started_with.restart_needed(event.config))
        self._config_view = ConfigView(event.sha256, now, edition.digest, restart_needed=waiting)
        text = f"applied ({event.sha256[:12]})"
        if waiting:
            text += f"; with the next restart of the scheduler: {', '.join(waiting)}"
        self._ledger.note(now, "config", text)

    def _try_again(self, names: Collection[str], why: str, now: float) -> list[str]:
        again = self._rollouts.ask_again(names, now)
        for rollout in again:
            self._failures.forget(wait_key(rollout.service, rollout.target))
            text = f"version {rollout.target} is tried again: {why}"
            self._ledger.note(now, "update", text, rollout.service)
        return [rollout.service for rollout in again]

    # What is seen

    def _snapshot(self, now: float) -> Snapshot:
        certain = self._session.is_certain
        return Snapshot(
            at=now,
            framework_id=self._ledger.framework_id,
            connected=self._session.connected,
            master=self._session.master,
            config=self._config_view,
            services=tuple(
                self._views.show(
                    service,
                    self._ledger.task_index.of_service(service.name),
                    self._decisions.plan.waiting.get(service.name, ()),
                    Desired(
                        self._desired.file_services[service.name],
                        self._overrides.of(service.name),
                        self._rollouts.records.get(service.name),
                    ),
                    self._offers.agents,
                    certain,
                )
                for service in self._desired.config.services
            ),
            agents=self._offers.agents,
            avoided={
                agent_id: f"until {clock(wait.until)}, after: {wait.why}"
                for agent_id, wait in self._failures.agent_waits().items()
            },
            problem=self._ledger.problem,
            broken=next(iter(self._ended_threads), None),
            events=tuple(self._ledger.events),
        )


def _is_run_otherwise(before: Service, services: Mapping[str, Service]) -> bool:
    """Whether a service has other settings now, not counting how many instances it has."""
    after = services.get(before.name)
    if after is None or after.version != before.version:
        return False
    return before.model_copy(update={"count": after.count}) != after
