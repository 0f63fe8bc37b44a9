"""Goes round: takes events, writes down what changed, plans, and acts.

One thread owns all of the state. What is known stands in the ledger, which sends nothing that is not durable;
launching, stopping, status updates and what others see are modules of their own.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from mesos_docker_scheduler.config import Config, Service
from mesos_docker_scheduler.control import events, launching, ownership, status_updates, stopping
from mesos_docker_scheduler.control.desired_state import DesiredState
from mesos_docker_scheduler.control.framework import Registration
from mesos_docker_scheduler.control.inquiry import Inquiry
from mesos_docker_scheduler.control.launching import Launching
from mesos_docker_scheduler.control.leader import Leader
from mesos_docker_scheduler.control.ledger import Ledger
from mesos_docker_scheduler.control.maintenance import Maintenance
from mesos_docker_scheduler.control.messages import Messages, task_of
from mesos_docker_scheduler.control.offers import OfferBook, Wish
from mesos_docker_scheduler.control.operations import Operations, RefusedError, UnavailableError
from mesos_docker_scheduler.control.publisher import Publisher
from mesos_docker_scheduler.control.reconciliation import Reconciliation
from mesos_docker_scheduler.control.recovery import BEGIN_ANEW, UNSEEN
from mesos_docker_scheduler.control.start_timeouts import StartTimeouts
from mesos_docker_scheduler.control.status_updates import StatusUpdates
from mesos_docker_scheduler.control.stopping import Stopping
from mesos_docker_scheduler.control.unconfirmed import Unconfirmed
from mesos_docker_scheduler.observability.event_log import EventLog
from mesos_docker_scheduler.observability.metrics import Metrics
from mesos_docker_scheduler.observability.snapshot import ConfigView, Snapshot, Views
from mesos_docker_scheduler.planning.placement import hosts_for, role_of, suiting
from mesos_docker_scheduler.planning.planner import Inputs, Memory, Plan, plan
from mesos_docker_scheduler.planning.shortage import Explanations
from mesos_docker_scheduler.records.dependencies import Dependencies
from mesos_docker_scheduler.records.failures import Failures
from mesos_docker_scheduler.records.overrides import Overrides
from mesos_docker_scheduler.records.rollout import Rollout, Rollouts
from mesos_docker_scheduler.records.store import Event, Remembered, Store
from mesos_docker_scheduler.records.tasks import new_task_id, wait_key
from mesos_docker_scheduler.records.versions import Versions
from mesos_docker_scheduler.records.wishes import Wishes
from mesos_docker_scheduler.wording import clock, instances

_STORE_RETRY_SECONDS = 2.0
_TICK_SECONDS = 5.0
_BATCH = 10_000


class Driver(launching.Driver, stopping.Driver, status_updates.Driver, Protocol):
    """What is used of the Mesos driver. Calls are queued; they answer False when disconnected."""

    @property
    def problem(self) -> str | None:
        """Why there is no subscription."""

    def suppressOffers(self, roles: Sequence[str] | None = None) -> bool:
        """SUPPRESS, for these roles or all."""

    def reviveOffers(self, roles: Sequence[str] | None = None) -> bool:
        """REVIVE, for these roles or all."""

    def updateFramework(
        self, framework: dict[str, Any], offer_constraints: dict[str, Any] | None = None
    ) -> bool:
        """UPDATE_FRAMEWORK; offer constraints stay as they are when None."""

    def acceptInverseOffers(self, offer_ids: Sequence[str]) -> bool:
        """ACCEPT_INVERSE_OFFERS."""

    def declineInverseOffer(self, offer_ids: Sequence[str]) -> bool:
        """DECLINE_INVERSE_OFFERS."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Mesos refuses us for good: what it said."""

    message: str


class Controller:
    """Keeps what runs as the configuration says.

    `process` is one round, and needs no thread: tests and the simulation call it. `run` calls it for what is
    put into `inbox`. `clock` gives seconds of the epoch and never goes back; `tell` hears each event.
    `survey` asks the master for all tasks of the framework with this id, and whether a new one is our only
    one; the answer comes as events.Surveyed. `skipped_ports` is the OfferBook's.
    """

    def __init__(
        self,
        config: Config,
        sha256: str,
        store: Store,
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
    ) -> None:
        now = clock()
        self._started_with = config
        self._config_view = ConfigView(sha256, now)
        self._driver = driver
        self._inbox = inbox
        self._clock = clock
        self._metrics = metrics
        self._survey = survey

        self._offers = OfferBook(skipped_ports)
        self._failures = Failures(lambda service: suiting(service, self._offers.agents.values()))
        self._rollouts = Rollouts(metrics.update_ended)
        self._rollouts.restore_by(remembered.records, now)
        self._overrides = Overrides()
        self._overrides.restore(remembered.records)
        self._inquiry = Inquiry()
        self._reconciliation = Reconciliation()
        self._leader = Leader()
        self._registration = Registration(config)
        self._maintenance = Maintenance()
        self._versions = Versions(remembered.versions)
        self._dependencies = Dependencies()
        self._dependencies.restore(remembered.records)
        self._desired = DesiredState(self._overrides, self._rollouts, self._dependencies, self._versions)
        keepers = (
            self._failures,
            self._offers,
            self._rollouts,
            self._overrides,
            self._leader,
            self._dependencies,
        )
        self._ledger = Ledger(store, remembered, keepers, metrics, tell)
        self._messages = Messages(self._ledger, driver, metrics)
        self._unconfirmed = Unconfirmed(self._ledger, self._reconciliation, self._leader)
        self._take_desired(config, now)
        self._launching = Launching(
            self._ledger,
            self._offers,
            driver,
            metrics,
            self._overrides,
            keep_version=self._keep_version,
            new_id=new_id,
            secret_values=lambda: self._desired.secret_values,
        )
        self._stopping = Stopping(self._ledger, driver, metrics, self._desired.configured)
        self._start_timeouts = StartTimeouts(
            self._ledger, self._stopping, self._failures, metrics, self._desired.configured
        )
        self._status_updates = StatusUpdates(
            self._ledger,
            driver,
            metrics,
            reconciliation=self._reconciliation,
            inquiry=self._inquiry,
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
            configured=self._desired.in_file,
        )
        self._remember(remembered, now)

        self._connected = False
        self._plan = Plan()
        self._memory = Memory()
        self._explanations = Explanations()
        self._views = Views(self._versions.image)
        self._acting_since: float | None = None
        self._answers: list[Callable[[Exception | None], None]] = []
        self._wake_at = now
        self._ended_threads: list[str] = []
        self._publisher = Publisher(self._ledger, metrics, self._snapshot, now)
        self.alive_at = time.monotonic()
        self._let_watch(metrics)
        self.outcome: Refused | events.Stop | None = None

    def _remember(self, remembered: Remembered, now: float) -> None:
        self._failures.restore(remembered.records, now)
        self._offers.restore(remembered.records)
        self._leader.restore(remembered.records, now)
        self._owner: str | None = None
        self._begins_anew = BEGIN_ANEW in remembered.records
        if UNSEEN in remembered.records:
            self._inquiry.begin()
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

    def _follow_agents(self, going: frozenset[str]) -> None:
        """Count the hosts on which services with mode "global" should run."""
        role = self._desired.config.framework.role
        agents, census = self._offers.agents, self._ledger.census
        hosts = {
            service.name: hosts_for(service, role, agents, census, going)
            for service in self._desired.file_services.values()
            if service.mode == "global"
        }
        if self._desired.follow(hosts):
            self._expect()
            self._ledger.touch()

    def _let_watch(self, metrics: Metrics) -> None:
        """Show what is looked at when Prometheus asks, on the web's thread: it costs a round nothing."""
        ledger, reconciliation, failures = self._ledger, self._reconciliation, self._failures
        metrics.kills_open.set_function(lambda: len(ledger.kills))
        metrics.unanswered.set_function(lambda: len(reconciliation.unanswered))
        metrics.settled.set_function(lambda: reconciliation.settled and self._connected)
        metrics.agents.set_function(lambda: len(self._offers.agents))
        metrics.inbox.set_function(self._inbox.qsize)
        metrics.launches_held.set_function(lambda: failures.flooded_until(self._clock()) is not None)
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

    # The loop

    def run(self, after_round: Callable[[], None] = lambda: None) -> Refused | events.Stop:
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
            self._ask(now)
            self._decide(now)
            if self._connected:
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
        if self._ledger.problem is None and self._connected:
            times += [
                self._ledger.kills.next_at(),
                self._reconciliation.next_at(),
                # As long as we don't know what to do, nobody looks at offers.
                self._offers.next_at() if self._not_yet(now) is None else None,
                self._plan.wake_at,
                self._inquiry.next_at(now) if self._survey is not None else None,
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
                self._take_subscription(event, now)
            case events.Disconnected():
                self._take_disconnection(now)
            case events.AgentLost():
                self._metrics.agents_lost.inc()
                self._offers.agent_lost(event.agent_id)
            case events.InverseOffers() | events.InverseOfferRescinded():
                self._take_maintenance(event, now)
            case events.CallFailed():
                self._take_failed_call(event, now)
            case events.FrameworkError():
                self._connected = False
                self._ledger.note(now, "refused", f"Mesos refuses this framework: {event.message}")
                self.outcome = Refused(event.message)
            case events.Recovering() | events.Recovered() | events.Surveyed():
                self._take_answer(event, now)
            case events.Owned() | events.ThreadEnded():
                self._take_own(event, now)
            case events.ConfigRead() | events.Asked() | events.Stop():
                self._take_order(event, now)

    def _take_own(self, event: events.Owned | events.ThreadEnded, now: float) -> None:
        match event:
            case events.Owned():
                self._owner = event.owner
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
            self._status_updates.doubt([task_id], now)

    def _take_offers(self, event: events.Offers, now: float) -> None:
        offers = self._messages.offers(event.offers, now)
        self._metrics.offers["received"].inc(self._offers.add(offers, now))
        self._maintenance.offered(offers, now)
        self._status_updates.heard_of(offer["agent_id"]["value"] for offer in offers)

    def _take_order(self, event: events.ConfigRead | events.Asked | events.Stop, now: float) -> None:
        """Do what operators ask for: by the file, by the API, by a signal."""
        match event:
            case events.ConfigRead():
                self._take_config(event, now)
            case events.Asked():
                self._carry_out(event, now)
            case events.Stop():
                self.outcome = event

    def _carry_out(self, asked: events.Asked, now: float) -> None:
        if self._ledger.problem is not None:
            asked.reply(UnavailableError(f"nothing can be done at the moment: {self._ledger.problem}"))
            return
        try:
            asked.carry_out(self._operations, now)
        except RefusedError as error:
            asked.reply(error)
        else:
            self._desired.apply()
            self._expect()
            self._publisher.hurry()
            self._ledger.send(partial(self._answers.append, asked.reply))

    def _take_subscription(self, event: events.Subscribed, now: float) -> None:
        self._metrics.subscriptions.inc()
        self._connected = True
        self._leader.subscribed(event.master, now)
        if event.framework_id is not None and event.framework_id != self._ledger.framework_id:
            if self._survey is not None and not self._begins_anew:
                self._inquiry.begin()
                self._ledger.record(UNSEEN, "")
            self._ledger.register(event.framework_id)
        if self._owner is not None:
            self._ledger.record(ownership.RECORD, self._owner)
        text = f"subscribed to the master {self._leader.address} as framework {self._ledger.framework_id}"
        self._ledger.note(now, "connected", text)
        busy = {task.agent_id for task in self._ledger.tasks.values()}
        self._offers.subscribed(now, busy)
        self._maintenance.clear()
        self._ledger.kills.restart()
        self._ledger.census.doubt(self._ledger.tasks.values())
        self._reconciliation.start({task.id: task.agent_id for task in self._ledger.tasks.values()}, now)

    def _take_answer(self, event: events.Recovering | events.Recovered | events.Surveyed, now: float) -> None:
        """Take what the master says, or doesn't, of what is not on record."""
        match event:
            case events.Recovering():
                self._inquiry.recovering = event.problem
                self._ledger.note(now, "recovering", event.problem)
            case events.Recovered():
                self._inquiry.recovering = None
                if event.framework_id is not None:
                    self._ledger.register(event.framework_id)
                    known = f"the master knows framework {event.framework_id} as ours"
                    text = f"{known}, with {instances(len(event.tasks))}: it is taken over"
                    self._ledger.note(now, "recovered", text)
                self._learn(event, now)
                self._ledger.send(event.go_on)
            case events.Surveyed(error=None):
                if event.problem is not None and event.problem != self._inquiry.unseen:
                    self._ledger.note(now, "recovering", event.problem)
                if self._inquiry.unseen is not None and event.problem is None:
                    self._ledger.record(UNSEEN, None)
                self._inquiry.answered(event.problem)
                self._learn(event, now)
            case events.Surveyed():
                self._inquiry.failed()
                self._ledger.note(now, "survey failed", f"asked what runs: {event.error}")

    def _learn(self, event: events.Recovered | events.Surveyed, now: float) -> None:
        for agent in event.agents:
            self._offers.learn(agent)
        self._status_updates.learn(event.tasks, now)

    def _take_disconnection(self, now: float) -> None:
        self._metrics.disconnections.inc()
        self._connected = False
        self._offers.void()
        self._reconciliation.stop()
        self._ledger.note(now, "disconnected", f"the connection to the master {self._leader.address} is lost")

    def _take_maintenance(
        self, event: events.InverseOffers | events.InverseOfferRescinded, now: float
    ) -> None:
        """Agree where nothing of ours runs; not yet where something does: we are asked again in a moment."""
        if isinstance(event, events.InverseOfferRescinded):
            self._maintenance.rescinded(event.offer_id)
            return
        for message in self._messages.inverse_offers(event.offers, now):
            self._maintenance.asked_back(message, now)
            offer_ids = [message["id"]["value"]]
            here = self._ledger.census.here(message.get("agent_id", {}).get("value", ""))
            if any(task.present for task in here.values()):
                self._ledger.send(partial(self._driver.declineInverseOffer, offer_ids))
            else:
                self._ledger.send(partial(self._driver.acceptInverseOffers, offer_ids))

    def _take_failed_call(self, event: events.CallFailed, now: float) -> None:
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
            self._status_updates.doubt(launched, now)
        elif kind == "UPDATE_FRAMEWORK":
            self._registration.refused()
        elif kind == "SUPPRESS":
            self._offers.suppress_failed()

    def _take_config(self, event: events.ConfigRead, now: float) -> None:
        if event.config is None:
            if event.error != self._config_view.error:
                self._config_view = replace(self._config_view, error=event.error)
                self._ledger.note(now, "config refused", f"the old configuration stays: {event.error}")
            return
        before = self._desired.services
        self._take_desired(event.config, now)
        # While the store fails nothing is planned: what was said of the old must not stand at the new.
        self._plan = replace(
            self._plan,
            waiting={
                name: reasons
                for name, reasons in self._plan.waiting.items()
                if self._desired.services.get(name) == before[name]
            },
        )
        for kept in (self._rollouts, self._memory, self._views):
            kept.forget_except(self._desired.services)
        self._ledger.keep_versions(self._versions.forget_except(self._desired.services, self._in_use))
        if event.asked:
            self._failures.forgive_all()
            self._try_again(self._desired.services, "the scheduler was told to reload", now)
        else:
            changed = [name for name, one in before.items() if _is_run_otherwise(one, self._desired.services)]
            self._try_again(changed, "its configuration has changed", now)
        waiting = tuple(self._started_with.restart_needed(event.config))
        self._config_view = ConfigView(event.sha256, now, restart_needed=waiting)
        text = f"applied ({event.sha256[:12]})"
        if waiting:
            text += f"; with the next restart of the scheduler: {', '.join(waiting)}"
        self._ledger.note(now, "config", text)

    def _try_again(self, names: Collection[str], why: str, now: float) -> None:
        for rollout in self._rollouts.ask_again(names, now):
            self._failures.forget(wait_key(rollout.service, rollout.target))
            text = f"version {rollout.target} is tried again: {why}"
            self._ledger.note(now, "update", text, rollout.service)

    def _ask(self, now: float) -> None:
        """Ask Mesos for what we should know of our tasks."""
        self._status_updates.ask(now)
        framework_id = self._ledger.framework_id
        if self._survey is None or framework_id is None or not self._connected:
            return
        if self._inquiry.due(now):
            self._ledger.send(partial(self._survey, framework_id, self._inquiry.unseen is not None))

    # Decisions

    def _decide(self, now: float) -> None:
        self._forgive(now)
        gathering = self._offers.gathering(now)
        not_yet = self._not_yet(now)
        until = self._failures.flooded_until(now)
        flooded = f"too much failed within a minute: nothing is started or stopped until {clock(until or 0)}"
        hold = not_yet or (flooded if until is not None else None)
        self._acting_since = None if hold else self._acting_since or now
        if self._acting_since is not None and self._connected:
            self._start_timeouts.enforce(self._acting_since, now)
        # While we only wait for a moment, offers are kept for what comes then.
        offers = [] if gathering or not_yet else self._offers.at_hand()
        going = self._maintenance.going(now)
        self._follow_agents(going)
        services = self._desired.config.services
        if self._dependencies.records:
            self._dependencies.forget_except(self._desired.services.keys() | self._ledger.census.services)
        before = self._before()
        with self._metrics.plan_seconds.time():
            inputs = Inputs(
                services,
                self._ledger.census,
                offers,
                self._offers.agents_avoiding(self._failures.agent_waits()),
                self._failures.waits(),
                now,
                places=self._failures.places(),
                rollouts=self._rollouts.records,
                before=before,
                going=going,
                acting_since=self._acting_since or now,
                hold=hold,
                held={**self._unsettled(now), **self._launching.held(services)},
                role=self._desired.config.framework.role,
                filters=self._registration.filters.texts,
                restarts=self._overrides.restarts(),
                unconfirmed=self._unconfirmed.reasons(now),
                dependents=self._dependencies.dependents(),
                facts_generation=self._offers.facts_generation,
            )
            decided = plan(inputs, self._memory, self._explanations)
        self._take_rollouts(decided.rollouts, now)
        self._publisher.tell_waiting(decided.waiting, now)
        self._plan = decided
        self._tell_framework(before, decided.asking)
        if not_yet:
            return
        for kill in decided.kills:
            if self._stopping.intend(kill, now):
                self._publisher.hurry()
        for accept in decided.accepts:
            self._launching.launch(accept, now)
        for why, count in decided.unused.items():
            self._metrics.offers_unused[why].inc(count)
        given_back = [*decided.declines, *self._offers.stranded(now)]
        if given_back:
            self._launching.decline(given_back)
        if not gathering:
            self._tell_wishes(decided, now)

    def _unsettled(self, now: float) -> dict[str, str]:
        """Why nothing may be done yet for services with mode "global": too few slaves may be known."""
        if self._offers.have_come(now):
            return {}
        return {
            service.name: "asking Mesos which slaves there are"
            for service in self._desired.config.services
            if service.mode == "global"
        }

    def _forgive(self, now: float) -> None:
        """Forget failures that have been lived down; see `Failures.forgive`."""
        if not self._failures.waits():
            return
        runs = {}
        for service in self._desired.config.services:
            for made in (service, self._rollouts.before(service, self._versions)):
                if made is not None:
                    well = self._ledger.census.standing(service.name).version(made.version).well
                    runs[wait_key(service.name, made.version)] = bool(well)
        self._failures.forgive(runs, now)

    def _before(self) -> dict[str, Service]:
        """The good versions of services whose update may end, or has ended, without success."""
        before = {}
        for service in self._desired.config.services:
            rollout = self._rollouts.records.get(service.name)
            if rollout is not None and rollout.good not in (None, service.version):
                good = self._rollouts.before(service, self._versions)
                if good is not None:
                    before[service.name] = good
        return before

    def _take_rollouts(self, steps: Iterable[Rollout], now: float) -> None:
        for rollout in steps:
            before = self._rollouts.records.get(rollout.service)
            service = self._desired.services[rollout.service]
            self._keep_version(service)
            self._rollouts.put(rollout)
            if before is not None and rollout.state != before.state:
                text = f"the update to {service.image} is {rollout.state}"
                text += f": {rollout.reason}" if rollout.reason else ""
                self._ledger.note(now, "update", text, rollout.service)

    def _not_yet(self, now: float) -> str | None:
        """Why we can't know yet what to do."""
        if self._inquiry.recovering is not None:
            return f"not known yet which instances run: {self._inquiry.recovering}"
        if not self._connected:
            problem = self._driver.problem
            return f"not connected to a Mesos master{f': {problem}' if problem else ''}"
        if not self._reconciliation.settled:
            return "asking the master which instances run"
        return self._inquiry.why_not(now)

    def _keep_version(self, service: Service) -> None:
        """Keep on record what the service's version is made of."""
        self._ledger.keep_versions(self._versions.put(service, self._in_use))

    def _in_use(self, name: str, version: str) -> bool:
        """Whether a version of a service must stay on record."""
        rollout = self._rollouts.records.get(name)
        if rollout is not None and version in (rollout.target, rollout.good, rollout.previous):
            return True
        return any(task.version == version for task in self._ledger.census.of(name))

    def _tell_framework(self, before: Mapping[str, Service], asking: Mapping[str, Service]) -> None:
        """Tell Mesos which roles are in use and, while somebody asks for offers, which agents to offer."""
        watching = {
            service.name: service for service in self._desired.config.services if service.watches_agents
        }
        change = self._registration.change(self._desired.config, before, {**watching, **asking})
        if change is not None:
            self._ledger.send(partial(self._driver.updateFramework, *change))

    def _tell_wishes(self, decided: Plan, now: float) -> None:
        """Ask for offers to the roles that want some, and for none to the others."""
        roles: list[str] = self._registration.info["roles"]
        by_role: dict[str, dict[str, int]] = {role: {} for role in roles}
        for name, service in decided.asking.items():
            by_role[role_of(service, self._desired.config.framework.role)][name] = decided.wanted[name]
        watching = {
            role_of(service, self._desired.config.framework.role)
            for service in self._desired.config.services
            if service.watches_agents
        }
        for wish, told in self._offers.wishes(by_role, now, watching).items():
            call = self._driver.reviveOffers if wish is Wish.REVIVE else self._driver.suppressOffers
            self._ledger.send(partial(call, None if len(told) == len(roles) else told))

    def _snapshot(self, now: float) -> Snapshot:
        certain = self._connected and self._reconciliation.settled
        return Snapshot(
            at=now,
            framework_id=self._ledger.framework_id,
            connected=self._connected,
            master=self._leader.address if self._connected else None,
            config=self._config_view,
            services=tuple(
                self._views.show(
                    service,
                    self._ledger.census.standing(service.name),
                    self._plan.waiting.get(service.name, ()),
                    Wishes(
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
    return after is not None and before.model_copy(update={"count": after.count}) != after
