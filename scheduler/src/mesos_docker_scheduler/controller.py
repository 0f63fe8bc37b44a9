"""The one thread that owns the state: it takes events, writes down what changed, plans, and acts.

Nothing is sent to Mesos before what it rests on is durable: calls wait in an outbox until the store has
committed. When the store fails, nothing is sent at all until it works again.
"""

from __future__ import annotations

import queue
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from typing import Any, Protocol

from mesos_docker_scheduler import events
from mesos_docker_scheduler.census import Census
from mesos_docker_scheduler.cluster import Accept, Launch
from mesos_docker_scheduler.config import Config, Service, secrets
from mesos_docker_scheduler.explanation import Reason, sentences
from mesos_docker_scheduler.failures import Failures, Fault
from mesos_docker_scheduler.framework import Registration
from mesos_docker_scheduler.inquiry import Inquiry
from mesos_docker_scheduler.kills import Kills
from mesos_docker_scheduler.maintenance import Maintenance
from mesos_docker_scheduler.metrics import Metrics
from mesos_docker_scheduler.offers import OfferBook, Wish
from mesos_docker_scheduler.placement import role_of
from mesos_docker_scheduler.planner import Kill, Memory, Plan, plan
from mesos_docker_scheduler.reconciliation import Reconciliation
from mesos_docker_scheduler.recovery import BEGIN_ANEW, UNSEEN, with_facts
from mesos_docker_scheduler.rollout import Rollout, Rollouts
from mesos_docker_scheduler.shortage import Explanations
from mesos_docker_scheduler.snapshot import ConfigView, Snapshot, Views
from mesos_docker_scheduler.store import Change, Event, Remembered, Store, StoreError
from mesos_docker_scheduler.taskinfo import TaskInfos
from mesos_docker_scheduler.tasks import (
    Status,
    Task,
    TaskState,
    advance,
    new_task_id,
    parse_task_id,
    wait_key,
)
from mesos_docker_scheduler.versions import Versions
from mesos_docker_scheduler.wording import clock, instances

Message = dict[str, Any]

REFUSE_SECONDS = 3600.0
"""How long Mesos need not offer again what we declined: REVIVE clears it as soon as we want something."""

_UNCONFIRMED_SECONDS = 20.0
_ABSENT_SECONDS = 3600.0
_SHUTDOWN_DELAY_SECONDS = 2.0  # of a service that is configured no more
_STORE_RETRY_SECONDS = 2.0
_TICK_SECONDS = 5.0
_WAITING_SECONDS = 1.0
_TOLD_AT_ONCE = frozenset({"back-off", "update paused", "rolled back"})
_PUBLISH_SECONDS = 0.2
_ENDED_KEPT = 1_000
_EVENTS_SHOWN = 50
_BATCH = 10_000


class Driver(Protocol):
    """What the controller uses of the Mesos driver. Calls are queued; they answer False when disconnected."""

    @property
    def problem(self) -> str | None:
        """Why there is no subscription."""

    def acceptOffers(
        self, offer_ids: Sequence[str], operations: Sequence[Message], refuse_seconds: float
    ) -> bool:
        """ACCEPT."""

    def declineOffer(self, offer_ids: Sequence[str], refuse_seconds: float) -> bool:
        """DECLINE."""

    def suppressOffers(self, roles: Sequence[str] | None = None) -> bool:
        """SUPPRESS, for these roles or all."""

    def reviveOffers(self, roles: Sequence[str] | None = None) -> bool:
        """REVIVE, for these roles or all."""

    def killTask(self, task_id: str, agent_id: str | None, grace_seconds: float | None) -> bool:
        """KILL."""

    def acknowledgeStatusUpdate(self, status: Any) -> bool:
        """ACKNOWLEDGE."""

    def reconcileTasks(self, tasks: Iterable[tuple[str, str | None]]) -> bool:
        """RECONCILE."""

    def updateFramework(self, framework: Message, offer_constraints: Message | None = None) -> bool:
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
    one; the answer comes as events.Surveyed.
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
    ) -> None:
        now = clock()
        self._config = self._started_with = config
        self._services = {service.name: service for service in config.services}
        self._config_view = ConfigView(sha256, now)
        self._store = store
        self._driver = driver
        self._inbox = inbox
        self._clock = clock
        self._metrics = metrics
        self._tell = tell
        self._survey = survey
        self._new_id = new_id

        self._framework_id = remembered.framework_id
        self._connected = False
        self._master: str | None = None
        self._tasks: dict[str, Task] = {}
        self._census = Census()
        self._unconfirmed: dict[str, float] = {}  # since when, the oldest first
        # Updates of tasks that have ended may still come: these are told apart from tasks we never knew.
        self._ended: OrderedDict[str, Task] = OrderedDict()
        self._foreign: set[str] = set()
        self._offers = OfferBook()
        self._explanations = Explanations()
        self._registration = Registration(config)
        self._inquiry = Inquiry()
        self._kills = Kills()
        self._reconciliation = Reconciliation()
        self._failures = Failures()
        self._unreadable: set[str] = set()  # services whose secrets can't be
        self._rollouts = Rollouts()
        self._maintenance = Maintenance()
        self._remember(remembered, now)

        self._change = Change()
        self._outbox: list[Callable[[], object]] = []
        self._undurable_kills: set[str] = set()
        self._store_problem: str | None = None
        self._plan = Plan()
        self._task_infos = TaskInfos()
        self._memory = Memory()
        self._views = Views()
        self._acting_since: float | None = None
        self._round_at = self._wake_at = now

        self._recent = deque(remembered.events[-_EVENTS_SHOWN:], maxlen=_EVENTS_SHOWN)
        self._told: dict[str, tuple[Reason, ...]] = {}
        self._untold: dict[str, float] = {}
        self._published_at = 0.0
        self._stale = True
        self._urgent = False  # something left the list: that is shown at once
        self.snapshot = self._snapshot(now)
        self.alive_at = time.monotonic()
        self.outcome: Refused | events.Stop | None = None

    def _remember(self, remembered: Remembered, now: float) -> None:
        self._failures.restore(remembered.records, now)
        self._offers.restore(remembered.records)
        self._begins_anew = BEGIN_ANEW in remembered.records
        if UNSEEN in remembered.records:
            self._inquiry.begin()
        self._rollouts.restore(remembered.records)
        for task in sorted(remembered.tasks.values(), key=lambda task: task.state_since):
            (self._ended if task.state.ended else self._tasks)[task.id] = task
        for task in sorted(self._tasks.values(), key=lambda task: task.well_since or 0.0):
            if task.well_since is not None and task.well_since > now:
                # The clock was set back.
                self._tasks[task.id] = replace(task, well_since=now)
            self._census.put(self._tasks[task.id])
            if task.kill_reason is not None:
                self._kills.add(task.id, min(task.kill_at or 0.0, now + self._shutdown_delay(task)))
        for task in sorted(self._tasks.values(), key=lambda task: task.launched_at):
            if not task.confirmed:
                self._unconfirmed[task.id] = task.launched_at
        self._versions = Versions(remembered.versions)

    # The loop

    def run(self, after_round: Callable[[], None] = lambda: None) -> Refused | events.Stop:
        """Work until told to stop or refused by Mesos; returns why it ended."""
        while self.outcome is None:
            batch = self._next_batch()
            with self._metrics.loop_seconds.time():
                self.process(batch, self._clock())
            self.alive_at = time.monotonic()
            after_round()
        return self.outcome

    def process(self, batch: Iterable[events.AnyEvent], now: float) -> None:
        """One round: take the events, write, plan, write, act."""
        self._round_at = now
        for event in batch:
            self._take(event, now)
        self._forget_absent(now)
        if self._flush(now) and self.outcome is None:
            self._ask_about_tasks(now)
            self._decide(now)
            self._repeat_kills(now)
            self._flush(now)
        self._publish(now)
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
        if self._store_problem is not None:
            times.append(now + _STORE_RETRY_SECONDS)
        elif self._change or self._outbox:
            times.append(now)
        else:
            times += [since + _WAITING_SECONDS for since in self._untold.values()]
        if self._store_problem is None and self._connected:
            times += [
                self._kills.next_at(),
                self._reconciliation.next_at(),
                # As long as we don't know what to do, nobody looks at offers.
                self._offers.next_at() if self._not_yet() is None else None,
                self._plan.wake_at,
                self._inquiry.next_at() if self._survey is not None else None,
            ]
        if self._stale:
            times.append(self._published_at + _PUBLISH_SECONDS)
        return max(now, min(time for time in times if time is not None))

    # Durable first

    def _flush(self, now: float) -> bool:
        """Commit what changed, then send what waits for it; False when the store failed."""
        self._change.records.update(self._failures.take_records())
        self._change.records.update(self._offers.take_records())
        self._change.records.update(self._rollouts.take_records())
        if self._change:
            try:
                with self._metrics.commit_seconds.time():
                    self._store.commit(self._change)
            except StoreError as error:
                self._metrics.store_errors.inc()
                if self._store_problem is None:
                    # Not through _note: such an event would have to be stored, too.
                    self._announce(Event(now, "store", f"nothing is done until this is put right: {error}"))
                self._store_problem = str(error)
                self._take_back_kills()
                return False
            self._change = Change()
            self._undurable_kills.clear()
        if self._store_problem is not None:
            self._store_problem = None
            self._note(now, "store", "the state can be written again; going on")
        outbox, self._outbox = self._outbox, []
        for send in outbox:
            send()
        return True

    def _send(self, call: Callable[[], object]) -> None:
        """Make the call once everything up to now is durable."""
        self._outbox.append(call)

    def _take_back_kills(self) -> None:
        """Leave alone what was to stop, but could not be written down: by then others may have gone."""
        for task_id in self._undurable_kills:
            if task_id in self._tasks:
                self._kills.remove(task_id)
                self._put(replace(self._tasks[task_id], kill_reason=None))
        self._undurable_kills.clear()

    def _put(self, task: Task) -> None:
        self._stale = True
        self._change.tasks[task.id] = task
        self._change.forget.discard(task.id)
        if not task.state.ended:
            self._ended.pop(task.id, None)
            self._tasks[task.id] = task
            self._census.put(task)
            if task.kill_reason is not None:
                self._kills.add(task.id, task.kill_at or 0.0)
            return
        self._drop(task.id)
        self._ended[task.id] = task
        while len(self._ended) > _ENDED_KEPT:
            self._forget(self._ended.popitem(last=False)[0])

    def _drop(self, task_id: str) -> None:
        task = self._tasks.pop(task_id, None)
        if task is not None:
            self._census.remove(task)
        self._kills.remove(task_id)
        self._unconfirmed.pop(task_id, None)

    def _forget(self, task_id: str) -> None:
        self._stale = True
        self._drop(task_id)
        self._change.tasks.pop(task_id, None)
        self._change.forget.add(task_id)

    def _note(self, now: float, kind: str, text: str, service: str = "", task_id: str = "") -> None:
        event = Event(now, kind, text, service, task_id)
        self._change.events.append(event)
        self._announce(event)

    def _announce(self, event: Event) -> None:
        self._recent.append(event)
        self._stale = True
        self._tell(event)

    # Events

    def _take(self, event: events.AnyEvent, now: float) -> None:
        match event:
            case events.Update():
                self._take_update(event.status, now)
            case events.Offers():
                self._metrics.offers.labels("received").inc(self._offers.add(event.offers, now))
                self._maintenance.offered(event.offers, now)
            case events.OfferRescinded():
                self._offers.remove([event.offer_id])
                self._metrics.offers.labels("rescinded").inc()
            case events.Subscribed():
                self._take_subscription(event, now)
            case events.Disconnected():
                self._take_disconnection(now)
            case events.AgentLost():
                self._offers.agent_lost(event.agent_id)
            case events.InverseOffers() | events.InverseOfferRescinded():
                self._take_maintenance(event, now)
            case events.CallFailed():
                self._take_failed_call(event, now)
            case events.ConfigRead():
                self._take_config(event, now)
            case events.FrameworkError():
                self._connected = False
                self._note(now, "refused", f"Mesos refuses this framework: {event.message}")
                self.outcome = Refused(event.message)
            case events.Recovering() | events.Recovered() | events.Surveyed():
                self._take_answer(event, now)
            case events.Stop():
                self.outcome = event

    def _take_subscription(self, event: events.Subscribed, now: float) -> None:
        self._metrics.subscriptions.inc()
        self._connected = True
        self._master = _master_address(event.master)
        if event.framework_id is not None and event.framework_id != self._framework_id:
            if self._survey is not None and not self._begins_anew:
                self._inquiry.begin()
                self._change.records[UNSEEN] = ""
            self._framework_id = self._change.framework_id = event.framework_id
        text = f"subscribed to the master {self._master} as framework {self._framework_id}"
        self._note(now, "connected", text)
        busy = {task.agent_id for task in self._tasks.values()}
        self._offers.subscribed(now, busy)
        self._maintenance.clear()
        self._kills.restart()
        self._census.doubt(self._tasks.values())
        self._reconciliation.start({task.id: task.agent_id for task in self._tasks.values()}, now)

    def _take_answer(self, event: events.Recovering | events.Recovered | events.Surveyed, now: float) -> None:
        """Take what the master says, or doesn't, of what is not on record."""
        match event:
            case events.Recovering():
                self._inquiry.recovering = event.problem
                self._note(now, "recovering", event.problem)
            case events.Recovered():
                self._inquiry.recovering = None
                if event.framework_id is not None:
                    self._framework_id = self._change.framework_id = event.framework_id
                    known = f"the master knows framework {event.framework_id} as ours"
                    text = f"{known}, with {instances(len(event.tasks))}: it is taken over"
                    self._note(now, "recovered", text)
                self._learn(event, now)
                self._send(event.go_on)
            case events.Surveyed(error=None):
                if event.problem is not None and event.problem != self._inquiry.unseen:
                    self._note(now, "recovering", event.problem)
                if self._inquiry.unseen is not None and event.problem is None:
                    self._change.records[UNSEEN] = None
                self._inquiry.answered(event.problem)
                self._learn(event, now)
            case events.Surveyed():
                self._inquiry.failed()
                self._note(now, "survey failed", f"asked what runs: {event.error}")

    def _learn(self, event: events.Recovered | events.Surveyed, now: float) -> None:
        """Take over what the master knows and we don't: tasks of ours, facts about them and their agents."""
        for agent in event.agents:
            self._offers.learn(agent)
        new = []
        for told in event.tasks:
            known = self._tasks.get(told.id)
            if known is None and told.id not in self._ended:
                self._note_adopted(told, now)
                self._put(told)
                new.append(told.id)
            elif known is not None and with_facts(known, told) != known:
                self._put(with_facts(known, told))
        # They may have ended since the master was asked.
        self._doubt(new, now)

    def _take_disconnection(self, now: float) -> None:
        self._connected = False
        self._offers.void()
        self._reconciliation.stop()
        self._note(now, "disconnected", f"the connection to the master {self._master} is lost")

    def _take_maintenance(
        self, event: events.InverseOffers | events.InverseOfferRescinded, now: float
    ) -> None:
        """Agree where nothing of ours runs; not yet where something does: we are asked again in a moment."""
        if isinstance(event, events.InverseOfferRescinded):
            self._maintenance.rescinded(event.offer_id)
            return
        for message in event.offers:
            self._maintenance.asked_back(message, now)
            offer_ids = [message["id"]["value"]]
            here = self._census.here(message.get("agent_id", {}).get("value", ""))
            if any(task.present for task in here.values()):
                self._send(partial(self._driver.declineInverseOffer, offer_ids))
            else:
                self._send(partial(self._driver.acceptInverseOffers, offer_ids))

    def _take_failed_call(self, event: events.CallFailed, now: float) -> None:
        kind = event.call["type"]
        self._metrics.failed_calls.labels(kind).inc()
        self._note(now, "call failed", f"{kind}: {event.error}")
        if kind in ("ACCEPT", "DECLINE"):
            self._offers.strand([one["value"] for one in event.call[kind.lower()]["offer_ids"]], now)
        if kind == "ACCEPT":
            # It may have been carried out all the same: Mesos is asked.
            launched = [
                info["task_id"]["value"]
                for operation in event.call["accept"]["operations"]
                for info in operation["launch"]["task_infos"]
            ]
            self._doubt([task_id for task_id in launched if task_id in self._tasks], now)
        elif kind == "UPDATE_FRAMEWORK":
            self._registration.refused()
        elif kind == "SUPPRESS":
            self._offers.suppress_failed()

    def _take_config(self, event: events.ConfigRead, now: float) -> None:
        if event.config is None:
            if event.error != self._config_view.error:
                self._config_view = replace(self._config_view, error=event.error)
                self._note(now, "config refused", f"the old configuration stays: {event.error}")
            return
        self._config = event.config
        self._services = {service.name: service for service in event.config.services}
        for kept in (self._rollouts, self._memory, self._views):
            kept.forget_except(self._services)
        if event.asked:
            self._failures.forgive_all()
            for rollout in self._rollouts.ask_again(now):
                text = f"version {rollout.target} is tried again: the scheduler was told to reload"
                self._note(now, "update", text, rollout.service)
        waiting = tuple(self._started_with.restart_needed(event.config))
        self._config_view = ConfigView(event.sha256, now, restart_needed=waiting)
        text = f"applied ({event.sha256[:12]})"
        if waiting:
            text += f"; with the next restart of the scheduler: {', '.join(waiting)}"
        self._note(now, "config", text)

    def _tell_framework(self, before: Mapping[str, Service], asking: Mapping[str, Service]) -> None:
        """Tell Mesos which roles are in use and, while somebody asks for offers, which agents to offer."""
        change = self._registration.change(self._config, before, asking)
        if change is not None:
            self._send(partial(self._driver.updateFramework, *change))

    # Status updates

    def _take_update(self, message: events.Message, now: float) -> None:
        status = Status.from_message(message)
        self._metrics.updates[status.state].inc()
        if self._reconciliation.answered(status.task_id):
            self._stale = True  # what is shown may be certain now
        else:
            task = self._tasks.get(status.task_id) or self._ended.get(status.task_id)
            if task is None:
                task = self._adopt(status, now)
                if task is not None:
                    # What tells of it may be older than its end, which nobody tells again.
                    self._reconciliation.doubt([(task.id, status.agent_id)], now)
            if task is not None:
                self._census.trust(task)
                self._apply(task, status, now)
        if message.get("uuid"):
            self._send(partial(self._driver.acknowledgeStatusUpdate, message))

    def _adopt(self, status: Status, now: float) -> Task | None:
        """Take over a task of ours that we have no record of (the store is an older copy, say)."""
        if status.state.ended or status.state.absent or status.task_id in self._foreign:
            return None
        named = parse_task_id(status.task_id)
        if named is None:
            self._foreign.add(status.task_id)
            text = "runs in our framework, but was not started by us: left alone"
            self._note(now, "foreign", text, task_id=status.task_id)
            return None
        name, version = named
        service = self._service(name)
        same = service if service is not None and service.version == version else None
        self._inquiry.want()
        adopted = Task(
            id=status.task_id,
            service=name,
            version=version,
            image=same.image if same else self._versions.image(name, version),
            agent_id=status.agent_id or "",
            hostname="",
            launched_at=now,
            state_since=now,
            state=TaskState.UNKNOWN,
            has_health_check=same is not None and same.health_check is not None,
        )
        self._note_adopted(adopted, now)
        return adopted

    def _note_adopted(self, task: Task, now: float) -> None:
        self._note(now, "adopted", "runs and is ours, but was not on record", task.service, task.id)

    def _apply(self, task: Task, status: Status, now: float) -> None:
        changed = advance(task, status, now)
        self._unconfirmed.pop(task.id, None)
        if changed is task:
            return
        self._put(changed)
        if changed.state is task.state:
            return
        where = f"on {changed.hostname or changed.agent_id}"
        why = f"TASK_{changed.state.value} {where}: {changed.message or changed.reason or 'no reason given'}"
        if changed.state is TaskState.RUNNING:
            self._failures.runs(changed)
            self._note(now, "running", f"runs {where}", changed.service, changed.id)
        elif changed.state.absent:
            self._note(now, "lost", why, changed.service, changed.id)
        elif changed.state.ended:
            fault = self._failures.ended(changed, self._config.services, why, now)
            if changed.kill_reason is not None:
                self._note(now, "stopped", changed.kill_reason, changed.service, changed.id)
                return
            self._note(now, "ended", why, changed.service, changed.id)
            if fault is not Fault.NOBODY:
                self._metrics.failures.labels(changed.service, fault.value).inc()

    def _doubt(self, task_ids: Iterable[str], now: float) -> None:
        doubted = [self._tasks[task_id] for task_id in task_ids]
        self._census.doubt(doubted)
        self._reconciliation.doubt([(task.id, task.agent_id) for task in doubted], now)

    def _ask_about_tasks(self, now: float) -> None:
        overdue = list(
            takewhile(
                lambda task_id: now - self._unconfirmed[task_id] > _UNCONFIRMED_SECONDS, self._unconfirmed
            )
        )
        self._doubt(overdue, now)
        for task_id in overdue:  # it is asked about until it is answered
            del self._unconfirmed[task_id]
        self._ask_for_survey(now)
        for question in self._reconciliation.due(now):
            self._metrics.reconciliations.labels("explicit" if question.tasks else "implicit").inc()
            self._send(partial(self._driver.reconcileTasks, question.tasks))

    def _ask_for_survey(self, now: float) -> None:
        if self._survey is None or self._framework_id is None or not self._connected:
            return
        if self._inquiry.due(now):
            is_new = self._inquiry.unseen is not None
            self._send(partial(self._survey, self._framework_id, is_new))

    def _forget_absent(self, now: float) -> None:
        """Drop records of what nobody remembers: should such a task come back, it is adopted."""
        gone = [
            task.id
            for task in self._census.absent.values()
            # Mesos itself remembers unreachable agents for two weeks, and the others not at all.
            if task.state is not TaskState.UNREACHABLE and now - task.state_since > _ABSENT_SECONDS
        ]
        for task_id in gone:
            self._forget(task_id)

    # Decisions

    def _decide(self, now: float) -> None:
        services = self._config.services
        self._forgive(now)
        gathering = self._offers.gathering(now)
        not_yet = self._not_yet()
        until = self._failures.flooded_until(now)
        flooded = f"too much failed within a minute: nothing is started or stopped until {clock(until or 0)}"
        hold = not_yet or (flooded if until is not None else None)
        self._acting_since = None if hold else self._acting_since or now
        # While we only wait for a moment, offers are kept for what comes then.
        offers = [] if gathering or not_yet else self._offers.at_hand()
        before = self._before()
        with self._metrics.plan_seconds.time():
            decided = plan(
                services,
                self._census,
                offers,
                self._offers.agents_avoiding(self._failures.agent_waits()),
                self._failures.waits(),
                now,
                rollouts=self._rollouts.records,
                before=before,
                going=self._maintenance.going(now),
                acting_since=self._acting_since or now,
                hold=hold,
                memory=self._memory,
                role=self._config.framework.role,
                explanations=self._explanations,
                held=self._without_secrets(),
                filters=self._registration.filters.texts,
            )
        self._take_rollouts(decided.rollouts, now)
        self._tell_waiting(decided, now)
        self._plan = decided
        self._tell_framework(before, decided.asking)
        if not_yet:
            return
        for kill in decided.kills:
            self._intend_kill(kill, now)
        for accept in decided.accepts:
            self._intend_launches(accept, now)
        given_back = [*decided.declines, *self._offers.stranded(now)]
        if given_back:
            self._decline(given_back)
        if not gathering:
            self._tell_wishes(decided, now)

    def _forgive(self, now: float) -> None:
        """Forget failures that have been lived down; see `Failures.forgive`."""
        if not self._failures.waits():
            return
        runs = {}
        for service in self._config.services:
            for made in (service, self._rollouts.before(service, self._versions)):
                if made is not None:
                    well = self._census.standing(service.name).version(made.version).well
                    runs[wait_key(service.name, made.version)] = bool(well)
        self._failures.forgive(runs, self._offers.agents.keys(), now)

    def _before(self) -> dict[str, Service]:
        """The good versions of services whose update may end, or has ended, without success."""
        before = {}
        for service in self._config.services:
            rollout = self._rollouts.records.get(service.name)
            if rollout is not None and rollout.good not in (None, service.version):
                good = self._rollouts.before(service, self._versions)
                if good is not None:
                    before[service.name] = good
        return before

    def _take_rollouts(self, steps: Iterable[Rollout], now: float) -> None:
        for rollout in steps:
            before = self._rollouts.records.get(rollout.service)
            service = self._services[rollout.service]
            self._keep_version(service)
            self._rollouts.put(rollout)
            if before is not None and rollout.state != before.state:
                text = f"the update to {service.image} is {rollout.state}"
                text += f": {rollout.reason}" if rollout.reason else ""
                self._note(now, "update", text, rollout.service)

    def _not_yet(self) -> str | None:
        """Why we can't know yet what to do."""
        if self._inquiry.recovering is not None:
            return f"not known yet which instances run: {self._inquiry.recovering}"
        if not self._connected:
            problem = self._driver.problem
            return f"not connected to a Mesos master{f': {problem}' if problem else ''}"
        if not self._reconciliation.settled:
            return "asking the master which instances run"
        return self._inquiry.why_not(self._round_at)

    def _intend_kill(self, kill: Kill, now: float) -> None:
        task = self._tasks[kill.task_id]
        # A healthy one leaves the list first: nobody should be sent to it when it stops.
        kill_at = now + self._shutdown_delay(task) if task.well else now
        self._urgent = self._urgent or task.well
        task = replace(task, kill_reason=kill.reason, kill_at=kill_at)
        self._put(task)
        self._undurable_kills.add(task.id)
        self._note(now, "kill", kill.reason, task.service, task.id)

    def _shutdown_delay(self, task: Task) -> float:
        service = self._service(task.service)
        return service.shutdown_delay_seconds if service is not None else _SHUTDOWN_DELAY_SECONDS

    def _repeat_kills(self, now: float) -> None:
        if not self._connected:
            return
        for task_id in self._kills.due(now):
            task = self._tasks[task_id]
            service = self._service(task.service)
            grace = service.kill_grace_seconds if service is not None else None
            if task.present:
                self._metrics.kills.labels(task.service).inc()
                self._send(partial(self._kill, task.id, grace))
            self._kills.sent(task_id, now, grace or 0.0)

    def _kill(self, task_id: str, grace: float | None) -> None:
        task = self._tasks.get(task_id)
        if task is not None and task.kill_reason is not None:
            self._driver.killTask(task.id, task.agent_id or None, grace)

    def _without_secrets(self) -> dict[str, str]:
        """Why services are held that need secrets which can't be read."""
        held: dict[str, str] = {}
        for service in self._config.services:
            if service.lacks_secrets or service.name in self._unreadable:
                problems = secrets.read(service)[1]
                if problems:
                    held[service.name] = "; ".join(problems)
                elif service.lacks_secrets:
                    # They can by now; its version is known when the configuration has been read again.
                    held[service.name] = "its secrets could not be read with the configuration"
        self._unreadable = set(held)
        return held

    def _intend_launches(self, accept: Accept, now: float) -> None:
        infos: list[Message] = []
        for launch in accept.launches:
            values, problems = secrets.read(launch.service)
            if problems:
                self._unreadable.add(launch.service.name)
                self._stale = True
            else:
                infos.append(self._intend_launch(launch, values, now))
        if not infos:
            self._decline(accept.offer_ids)
            return
        self._offers.remove(accept.offer_ids)
        self._offers.launched(accept)
        self._metrics.offers.labels("accepted").inc(len(accept.offer_ids))
        self._send(partial(self._accept, accept.offer_ids, infos, now))

    def _intend_launch(self, launch: Launch, values: Mapping[str, str], now: float) -> Message:
        service = launch.service
        task = Task(
            id=self._new_id(service.name, service.version),
            service=service.name,
            version=service.version,
            image=service.image,
            agent_id=launch.agent_id,
            hostname=launch.hostname,
            launched_at=now,
            state_since=now,
            has_health_check=service.health_check is not None,
            host_ports=launch.host_ports,
        )
        self._put(task)
        self._unconfirmed[task.id] = now
        self._keep_version(service)
        self._metrics.launches.labels(service.name).inc()
        self._note(now, "launch", f"{service.image} on {launch.hostname}", service.name, task.id)
        return self._task_infos.make(task.id, launch, values)

    def _keep_version(self, service: Service) -> None:
        """Keep on record what the service's version is made of."""
        if self._versions.spec(service.name, service.version) is None:
            configured = {service.name for service in self._config.services}
            self._change.versions |= self._versions.put(service, configured, self._in_use)

    def _in_use(self, name: str, version: str) -> bool:
        """Whether a version of a service must stay on record."""
        rollout = self._rollouts.records.get(name)
        if rollout is not None and version in (rollout.target, rollout.good):
            return True
        return any(task.version == version for task in self._census.of(name))

    def _accept(self, offer_ids: Sequence[str], infos: list[Message], now: float) -> None:
        operation = {"type": "LAUNCH", "launch": {"task_infos": infos}}
        if now < self._round_at:
            # The store failed in the round that planned this: what it rests on may have changed.
            self._driver.declineOffer(offer_ids, REFUSE_SECONDS)
            why = "was not launched: it could not be written down in time"
        elif self._driver.acceptOffers(offer_ids, [operation], REFUSE_SECONDS):
            return
        else:
            why = "was not launched: the connection was lost"
        for info in infos:
            task = self._tasks.get(info["task_id"]["value"])
            if task is not None:
                self._put(replace(task, state=TaskState.DROPPED, message=why))
                self._note(now, "ended", why, task.service, task.id)

    def _decline(self, offer_ids: Sequence[str]) -> None:
        self._offers.remove(offer_ids)
        self._metrics.offers.labels("declined").inc(len(offer_ids))
        self._send(partial(self._driver.declineOffer, offer_ids, REFUSE_SECONDS))

    def _tell_wishes(self, decided: Plan, now: float) -> None:
        """Ask for offers to the roles that want some, and for none to the others."""
        roles: list[str] = self._registration.info["roles"]
        by_role: dict[str, dict[str, int]] = {role: {} for role in roles}
        for name, service in decided.asking.items():
            by_role[role_of(service, self._config.framework.role)][name] = decided.wanted[name]
        for wish, told in self._offers.wishes(by_role, now).items():
            call = self._driver.reviveOffers if wish is Wish.REVIVE else self._driver.suppressOffers
            self._send(partial(call, None if len(told) == len(roles) else told))

    # What others see

    def _tell_waiting(self, decided: Plan, now: float) -> None:
        """Say why something is missing: at once what stays so, the rest when it has lasted for a moment."""
        for name in self._untold.keys() - decided.waiting.keys():
            del self._untold[name]
        for name in self._told.keys() - decided.waiting.keys():
            del self._told[name]
        for service in self._config.services:
            name, reasons = service.name, decided.waiting[service.name]
            if reasons != self._plan.waiting.get(name):
                self._stale = True
            if reasons == self._told.get(name, ()):
                self._untold.pop(name, None)
            elif not reasons:
                self._told.pop(name)
                self._untold.pop(name, None)
            elif (
                any(reason.kind in _TOLD_AT_ONCE for reason in reasons)
                or now >= self._untold.setdefault(name, now) + _WAITING_SECONDS
            ):
                self._told[name] = reasons
                self._untold.pop(name, None)
                self._note(now, "waiting", "; ".join(sentences(reasons)), name)

    def _service(self, name: str) -> Service | None:
        return self._services.get(name)

    def _publish(self, now: float) -> None:
        problem_shown = self.snapshot.problem == self._store_problem
        due = now >= self._published_at + _PUBLISH_SECONDS or self._urgent or self.outcome is not None
        if problem_shown and not (self._stale and due):
            return
        self._urgent = False
        self._published_at = now
        self._stale = False
        before = {service.name: service.converged for service in self.snapshot.services}
        self.snapshot = self._snapshot(now)
        self._metrics.show(self.snapshot)
        for service in self.snapshot.services:
            if service.converged and not before.get(service.name):
                text = f"all {service.wanted} wanted instances run"
                self._note(now, "converged", text, service.name)

    def _snapshot(self, now: float) -> Snapshot:
        certain = self._connected and self._reconciliation.settled
        return Snapshot(
            at=now,
            framework_id=self._framework_id,
            connected=self._connected,
            master=self._master if self._connected else None,
            config=self._config_view,
            services=tuple(
                self._views.show(
                    service,
                    self._census.standing(service.name),
                    self._plan.waiting.get(service.name, ()),
                    self._offers.agents,
                    certain,
                )
                for service in self._config.services
            ),
            problem=self._store_problem,
            events=tuple(self._recent),
        )


def steady_clock() -> Callable[[], float]:
    """Seconds of the epoch that never go back, whatever happens to the machine's clock."""
    started_at, started = time.time(), time.monotonic()
    return lambda: started_at + time.monotonic() - started


def _master_address(master: events.Message) -> str | None:
    address = master.get("address", {})
    host = address.get("hostname") or address.get("ip") or master.get("hostname")
    port = address.get("port") or master.get("port")
    return f"{host}:{port}" if host and port else None
