"""The one thread that owns the state: it takes events, writes down what changed, plans, and acts.

Nothing is sent to Mesos before what it rests on is durable: calls wait in an outbox until the store has committed.
When the store fails, nothing is sent at all until it works again.
"""

from __future__ import annotations

import json
import queue
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from mesos_docker_scheduler import events
from mesos_docker_scheduler.backoff import STABLE_SECONDS, Backoff, CircuitBreaker, Delay
from mesos_docker_scheduler.config import Config, Service
from mesos_docker_scheduler.framework import framework_info
from mesos_docker_scheduler.metrics import Metrics
from mesos_docker_scheduler.planner import Accept, Agent, Kill, Offer, Plan, clock, plan, wait_key
from mesos_docker_scheduler.reconciliation import Reconciliation
from mesos_docker_scheduler.resources import Pool
from mesos_docker_scheduler.snapshot import ConfigView, Snapshot, view
from mesos_docker_scheduler.store import Change, Event, Remembered, Store, StoreError
from mesos_docker_scheduler.taskinfo import task_info
from mesos_docker_scheduler.tasks import Status, Task, TaskState, advance, new_task_id, parse_task_id

Message = dict[str, Any]

REFUSE_SECONDS = 3600.0
"""How long Mesos need not offer again what we declined: REVIVE clears it as soon as we want something."""

_GATHER_AFTER_SUBSCRIBING = 1.0
_GATHER_AFTER_REVIVING = 0.25
_FIRST_REVIVE_PAUSE = 1.0
_LONGEST_REVIVE_PAUSE = 60.0
_FIRST_KILL_PAUSE = 5.0
_LONGEST_KILL_PAUSE = 60.0
_UNCONFIRMED_SECONDS = 20.0
_ABSENT_SECONDS = 3600.0
_STORE_RETRY_SECONDS = 2.0
_TICK_SECONDS = 5.0
_PUBLISH_SECONDS = 0.2
_ENDED_KEPT = 1_000
_EVENTS_SHOWN = 50
_BATCH = 10_000
_AGENT_DELAY = Delay(initial=5.0, factor=2.0, maximum=300.0)


class Driver(Protocol):
    """The part of the Mesos driver that the controller uses. Calls are queued and answer False when disconnected."""

    @property
    def problem(self) -> str | None:
        """Why there is no subscription."""

    def acceptOffers(
        self, offer_ids: Sequence[str], operations: Sequence[Message], refuse_seconds: float
    ) -> bool:
        """ACCEPT."""

    def declineOffer(self, offer_ids: Sequence[str], refuse_seconds: float) -> bool:
        """DECLINE."""

    def suppressOffers(self) -> bool:
        """SUPPRESS."""

    def reviveOffers(self) -> bool:
        """REVIVE."""

    def killTask(self, task_id: str, agent_id: str | None, grace_seconds: float | None) -> bool:
        """KILL."""

    def acknowledgeStatusUpdate(self, status: Any) -> bool:
        """ACKNOWLEDGE."""

    def reconcileTasks(self, tasks: Iterable[tuple[str, str | None]]) -> bool:
        """RECONCILE."""

    def updateFramework(self, framework: Message) -> bool:
        """UPDATE_FRAMEWORK."""

    def acceptInverseOffers(self, offer_ids: Sequence[str]) -> bool:
        """ACCEPT_INVERSE_OFFERS."""

    def declineInverseOffer(self, offer_ids: Sequence[str]) -> bool:
        """DECLINE_INVERSE_OFFERS."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Mesos refuses us for good: what it said."""

    message: str


@dataclass(slots=True)
class _Repeat:
    """When to send a call again, with growing pauses."""

    at: float
    pause: float


class Controller:
    """Keeps what runs as the configuration says.

    `process` is one round, and needs no thread: tests and the simulation call it. `run` calls it for what is put into
    `inbox`. `clock` gives seconds of the epoch and never goes back; `tell` hears each event as it happens.
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
        new_id: Callable[[str, str], str] = new_task_id,
    ) -> None:
        now = clock()
        self._config = self._started_with = config
        self._config_view = ConfigView(sha256, now)
        self._store = store
        self._driver = driver
        self._inbox = inbox
        self._clock = clock
        self._metrics = metrics
        self._tell = tell
        self._new_id = new_id

        self._framework_id = remembered.framework_id
        self._tasks = {id: task for id, task in remembered.tasks.items() if not task.state.ended}
        self._ended = OrderedDict(
            sorted(
                ((id, task) for id, task in remembered.tasks.items() if task.state.ended),
                key=lambda item: item[1].state_since,
            )
        )
        self._images: dict[tuple[str, str], str] = {
            key: json.loads(spec)["image"] for key, spec in remembered.versions.items()
        }
        self._recent = deque(remembered.events[-_EVENTS_SHOWN:], maxlen=_EVENTS_SHOWN)
        self._foreign: set[str] = set()

        self._connected = False
        self._master: str | None = None
        self._offers: dict[str, Offer] = {}
        self._agents: dict[str, Agent] = {}
        self._gather_seconds = _GATHER_AFTER_SUBSCRIBING
        self._gather_until: float | None = None
        self._suppressed = False
        self._asked_for: dict[str, int] = {}
        self._revive = _Repeat(now, _FIRST_REVIVE_PAUSE)
        self._revived_at = 0.0
        self._kills = {
            task.id: _Repeat(now, _FIRST_KILL_PAUSE)
            for task in self._tasks.values()
            if task.kill_reason is not None
        }
        self._reconciliation = Reconciliation()
        self._backoff = Backoff()
        self._breaker = CircuitBreaker()
        self._unconfirmed = {task.id for task in self._tasks.values() if not task.confirmed}

        self._change = Change()
        self._outbox: list[Callable[[], object]] = []
        self._store_problem: str | None = None
        self._plan = Plan()
        self._wake_at = now
        self._published_at = 0.0
        self._stale = True
        self.snapshot = self._snapshot(now)
        self.alive_at = time.monotonic()
        self.outcome: Refused | events.Stop | None = None

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
        for event in batch:
            self._take(event, now)
        self._take_time(now)
        if self._flush(now):
            self._decide(now)
            self._flush(now)
        self._wake_at = self._next_wake(now)
        self._publish(now)

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
        times = [now + _TICK_SECONDS]
        if self._store_problem is not None:
            times.append(now + _STORE_RETRY_SECONDS)
        elif self._change or self._outbox:
            times.append(now)
        if self._connected and self._store_problem is None:
            times += [repeat.at for repeat in self._kills.values()]
            times += [
                time
                for time in (self._reconciliation.next_at(), self._plan.wake_at, self._gather_until)
                if time is not None
            ]
            if self._plan.wanted and not self._offers:
                times.append(self._revive.at)
        if self._stale:
            times.append(self._published_at + _PUBLISH_SECONDS)
        return max(now, min(times))

    # Durable first

    def _flush(self, now: float) -> bool:
        """Commit what changed, then send what waits for it; False when the store failed."""
        if self._change:
            try:
                with self._metrics.commit_seconds.time():
                    self._store.commit(self._change)
            except StoreError as error:
                self._metrics.store_errors.inc()
                if self._store_problem is None:
                    # Not through _note: an event would have to be stored, too.
                    self._announce(Event(now, "store", f"nothing is done until this is put right: {error}"))
                self._store_problem = str(error)
                self._stale = True
                return False
            self._change = Change()
        if self._store_problem is not None:
            self._store_problem = None
            self._note(now, "store", "the state is written again; going on")
        outbox, self._outbox = self._outbox, []
        for send in outbox:
            send()
        return True

    def _send(self, call: Callable[[], object]) -> None:
        """Make the call once everything up to now is durable."""
        self._outbox.append(call)

    def _put(self, task: Task) -> None:
        self._change.tasks[task.id] = task
        self._stale = True
        if not task.state.ended:
            self._ended.pop(task.id, None)
            self._tasks[task.id] = task
            if task.kill_reason is not None:
                self._kills.setdefault(task.id, _Repeat(0.0, _FIRST_KILL_PAUSE))
            return
        self._tasks.pop(task.id, None)
        self._kills.pop(task.id, None)
        self._unconfirmed.discard(task.id)
        self._ended[task.id] = task
        while len(self._ended) > _ENDED_KEPT:
            self._forget(self._ended.popitem(last=False)[0])

    def _forget(self, task_id: str) -> None:
        self._tasks.pop(task_id, None)
        self._kills.pop(task_id, None)
        self._unconfirmed.discard(task_id)
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
                self._take_offers(event.offers, now)
            case events.OfferRescinded():
                self._offers.pop(event.offer_id, None)
                self._metrics.offers.labels("rescinded").inc()
            case events.Subscribed():
                self._take_subscription(event, now)
            case events.Disconnected():
                self._take_disconnection(now)
            case events.AgentLost():
                self._agents.pop(event.agent_id, None)
            case events.InverseOffers():
                self._answer_inverse_offers(event.offers)
            case events.CallFailed():
                self._take_failed_call(event, now)
            case events.ConfigRead():
                self._take_config(event, now)
            case events.FrameworkError():
                self._connected = False
                self._note(now, "refused", f"Mesos refuses this framework: {event.message}")
                self.outcome = Refused(event.message)
            case events.Stop():
                self.outcome = event

    def _take_subscription(self, event: events.Subscribed, now: float) -> None:
        self._metrics.subscriptions.inc()
        self._connected = True
        self._master = _master_address(event.master)
        if event.framework_id is not None and event.framework_id != self._framework_id:
            self._framework_id = self._change.framework_id = event.framework_id
        self._note(
            now, "connected", f"subscribed to the master {self._master} as framework {self._framework_id}"
        )
        self._offers.clear()
        self._agents.clear()
        self._gather_seconds, self._gather_until = _GATHER_AFTER_SUBSCRIBING, None
        self._suppressed = False
        # Mesos offers by itself after a subscription.
        self._revived_at = now + _FIRST_REVIVE_PAUSE
        self._reconciliation.start({task.id: task.agent_id for task in self._tasks.values()}, now)
        for task_id in self._kills:
            self._kills[task_id] = _Repeat(now, _FIRST_KILL_PAUSE)

    def _take_disconnection(self, now: float) -> None:
        self._connected = False
        self._offers.clear()
        self._gather_until = None
        self._reconciliation.stop()
        self._note(now, "disconnected", f"the connection to the master {self._master} is lost")

    def _take_offers(self, messages: Iterable[events.Message], now: float) -> None:
        for message in messages:
            offer = Offer.from_message(message)
            self._offers[offer.id] = offer
            self._metrics.offers.labels("received").inc()
        by_agent: dict[str, list[Offer]] = {}
        for offer in self._offers.values():
            by_agent.setdefault(offer.agent_id, []).append(offer)
        for agent_id, own in by_agent.items():
            self._agents[agent_id] = Agent(
                agent_id,
                own[0].hostname,
                Pool(resource for offer in own for resource in offer.resources),
                any(offer.in_maintenance(now) for offer in own),
            )
        if self._gather_seconds and self._gather_until is None and self._offers:
            self._gather_until = now + self._gather_seconds

    def _answer_inverse_offers(self, messages: Iterable[events.Message]) -> None:
        """Agree where nothing of ours runs; say no where something does."""
        busy = {task.agent_id for task in self._tasks.values() if task.present}
        for message in messages:
            ids = [message["id"]["value"]]
            if message["agent_id"]["value"] in busy:
                self._send(lambda ids=ids: self._driver.declineInverseOffer(ids))  # type: ignore[misc]
            else:
                self._send(lambda ids=ids: self._driver.acceptInverseOffers(ids))  # type: ignore[misc]

    def _take_failed_call(self, event: events.CallFailed, now: float) -> None:
        kind = event.call["type"]
        self._metrics.failed_calls.labels(kind).inc()
        self._note(now, "call failed", f"{kind}: {event.error}")
        if kind == "ACCEPT":
            # It may have been carried out all the same: Mesos is asked.
            launched = [
                info["task_id"]["value"]
                for operation in event.call["accept"]["operations"]
                for info in operation["launch"]["task_infos"]
            ]
            self._doubt([task_id for task_id in launched if task_id in self._tasks], now)
        elif kind == "SUPPRESS":
            self._suppressed = False

    def _take_config(self, event: events.ConfigRead, now: float) -> None:
        if event.config is None:
            if event.error != self._config_view.error:
                self._config_view = replace(self._config_view, error=event.error)
                self._note(now, "config refused", f"the old configuration stays: {event.error}")
            return
        previous, self._config = self._config, event.config
        waiting = tuple(self._started_with.restart_needed(event.config))
        self._config_view = ConfigView(event.sha256, now, restart_needed=waiting)
        text = f"applied ({event.sha256[:12]})"
        if waiting:
            text += f"; with the next restart of the scheduler: {', '.join(waiting)}"
        self._note(now, "config", text)
        unchangeable = self._started_with.framework
        wish = replace_framework(event.config, unchangeable.user, unchangeable.principal)
        if wish != replace_framework(previous, unchangeable.user, unchangeable.principal):
            self._send(lambda: self._driver.updateFramework(wish))

    # Status updates

    def _take_update(self, message: events.Message, now: float) -> None:
        status = Status.from_message(message)
        self._metrics.updates.labels(status.state.value.lower()).inc()
        if not self._reconciliation.answered(status.task_id):
            task = self._tasks.get(status.task_id) or self._ended.get(status.task_id)
            if task is None:
                task = self._adopt(status, now)
            if task is not None:
                self._apply(task, status, now)
        if message.get("uuid"):
            self._send(lambda: self._driver.acknowledgeStatusUpdate(message))

    def _adopt(self, status: Status, now: float) -> Task | None:
        """Take over a task of ours that we have no record of (an older copy of the store, say)."""
        if status.state.ended or status.state.absent or status.task_id in self._foreign:
            return None
        named = parse_task_id(status.task_id)
        if named is None:
            self._foreign.add(status.task_id)
            self._note(
                now,
                "foreign",
                "runs in our framework, but was not started by us: left alone",
                "",
                status.task_id,
            )
            return None
        service, version = named
        self._note(now, "adopted", "runs, and is of ours, but was not on record", service, status.task_id)
        return Task(
            id=status.task_id,
            service=service,
            version=version,
            image=self._image_of(service, version),
            agent_id=status.agent_id or "",
            hostname="",
            launched_at=now,
            state_since=now,
            state=TaskState.UNKNOWN,
            has_health_check=self._has_health_check(service, version),
        )

    def _image_of(self, service: str, version: str) -> str:
        configured = self._service(service)
        if configured is not None and configured.version == version:
            return configured.image
        return self._images.get((service, version), "")

    def _has_health_check(self, service: str, version: str) -> bool:
        configured = self._service(service)
        return (
            configured is not None and configured.version == version and configured.health_check is not None
        )

    def _apply(self, task: Task, status: Status, now: float) -> None:
        changed = advance(task, status, now)
        self._unconfirmed.discard(task.id)
        if changed is task:
            return
        self._put(changed)
        if changed.state is task.state:
            return
        where = f"on {changed.hostname or changed.agent_id}"
        if changed.state is TaskState.RUNNING:
            self._backoff.succeeded(f"agent {changed.agent_id}", changed.launched_at)
            self._note(now, "running", f"runs {where}", changed.service, changed.id)
        elif changed.state.absent:
            words = f"{changed.state.value.lower()} {where}: {changed.message}"
            self._note(now, "lost", words, changed.service, changed.id)
        elif changed.state.ended:
            self._take_end(changed, where, now)

    def _take_end(self, task: Task, where: str, now: float) -> None:
        why = f"TASK_{task.state.value} {where}: {task.message or task.reason or 'no reason given'}"
        self._note(now, "ended", why, task.service, task.id)
        if task.kill_reason is not None or task.state is TaskState.KILLED and not task.failed_by_itself:
            return
        self._breaker.limit = max(50, sum(service.count for service in self._config.services))
        self._breaker.failed(now)
        if not task.failed_by_itself:
            self._metrics.failures.labels(task.service, "infrastructure").inc()
            if task.running_since is None and task.reason != "REASON_INVALID_OFFERS":
                self._backoff.failed(f"agent {task.agent_id}", task.launched_at, now, _AGENT_DELAY, why)
            return
        self._metrics.failures.labels(task.service, "service").inc()
        service = self._service(task.service)
        if service is None:
            return
        key = wait_key(task.service, task.version)
        if task.running_since is not None and now - task.running_since >= STABLE_SECONDS:
            self._backoff.succeeded(key, task.launched_at)
        delay = Delay(service.backoff.initial_seconds, service.backoff.factor, service.backoff.max_seconds)
        self._backoff.failed(key, task.launched_at, now, delay, why)

    def _doubt(self, task_ids: Iterable[str], now: float) -> None:
        self._reconciliation.doubt([(task_id, self._tasks[task_id].agent_id) for task_id in task_ids], now)

    # What time alone brings

    def _take_time(self, now: float) -> None:
        for task in [task for task in self._tasks.values() if task.state.absent]:
            # Unreachable agents are told apart by Mesos for two weeks; the others are gone or forgotten there, too.
            if task.state is not TaskState.UNREACHABLE and now - task.state_since > _ABSENT_SECONDS:
                self._forget(task.id)
        overdue = [
            task_id
            for task_id in self._unconfirmed
            if now - self._tasks[task_id].launched_at > _UNCONFIRMED_SECONDS
        ]
        self._doubt(overdue, now)
        for question in self._reconciliation.due(now):
            self._metrics.reconciliations.labels("explicit" if question.tasks else "implicit").inc()
            self._send(lambda tasks=question.tasks: self._driver.reconcileTasks(tasks))  # type: ignore[misc]
        if self._backoff.waits():
            self._forgive(now)

    def _forgive(self, now: float) -> None:
        """Forget failures that instances have lived down, and those of versions nobody wants any more."""
        for task in self._tasks.values():
            since = task.running_since
            if task.state is TaskState.RUNNING and since is not None and now - since >= STABLE_SECONDS:
                self._backoff.succeeded(wait_key(task.service, task.version), task.launched_at)
        wanted = {wait_key(service.name, service.version) for service in self._config.services}
        self._backoff.forget_except(wanted | {f"agent {agent_id}" for agent_id in self._agents})

    # Decisions

    def _decide(self, now: float) -> None:
        if self.outcome is not None:
            return
        waits = self._backoff.waits()
        agents = {
            agent_id: replace(agent, avoid=waits.get(f"agent {agent_id}"))
            for agent_id, agent in self._agents.items()
        }
        gathered = self._gathered(now)
        hold, keeps_offers = self._hold(now)
        offers = list(self._offers.values()) if gathered and not keeps_offers else []
        decided = plan(
            self._config.services,
            self._tasks.values(),
            offers,
            agents,
            waits,
            now,
            doubtful=self._reconciliation.unanswered,
            hold=hold,
        )
        self._tell_waiting(decided, now)
        self._plan = decided
        if not self._connected:
            return
        for kill in decided.kills:
            self._intend_kill(kill, now)
        for accept in decided.accepts:
            self._intend_launches(accept, now)
        if decided.declines:
            self._decline(decided.declines)
        self._repeat_kills(now)
        if gathered:
            self._ask_for_offers(decided, now)

    def _gathered(self, now: float) -> bool:
        """Whether to plan with the offers at hand, rather than wait a moment for those of other agents."""
        if self._gather_until is None:
            return True
        here = {offer.agent_id for offer in self._offers.values()}
        expected = self._gather_seconds == _GATHER_AFTER_REVIVING and self._agents.keys() <= here
        if now < self._gather_until and not expected:
            return False
        self._gather_until, self._gather_seconds = None, 0.0
        return True

    def _hold(self, now: float) -> tuple[str | None, bool]:
        """Why nothing may be started or stopped now, and whether offers are kept meanwhile."""
        if not self._connected:
            problem = self._driver.problem
            return f"not connected to a Mesos master{f': {problem}' if problem else ''}", True
        if not self._reconciliation.settled:
            return "asking the master which instances run", True
        until = self._breaker.open_until(now)
        if until is not None:
            return (
                f"too many instances failed within a minute: nothing is started or stopped until {clock(until)}",
                False,
            )
        return None, False

    def _intend_kill(self, kill: Kill, now: float) -> None:
        task = replace(self._tasks[kill.task_id], kill_reason=kill.reason)
        self._put(task)
        self._note(now, "kill", kill.reason, task.service, task.id)

    def _repeat_kills(self, now: float) -> None:
        """Send KILL for what is to go and has not gone: calls may be lost."""
        for task_id, repeat in self._kills.items():
            task = self._tasks[task_id]
            if now < repeat.at:
                continue
            service = self._service(task.service)
            grace = service.kill_grace_seconds if service else None
            if task.present:
                self._metrics.kills.labels(task.service).inc()
                self._send(
                    lambda task=task, grace=grace: self._driver.killTask(
                        task.id, task.agent_id or None, grace
                    )  # type: ignore[misc]
                )
            repeat.at = now + repeat.pause + (grace or 0.0)
            repeat.pause = min(2 * repeat.pause, _LONGEST_KILL_PAUSE)

    def _intend_launches(self, accept: Accept, now: float) -> None:
        infos = []
        for launch in accept.launches:
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
            infos.append(task_info(task.id, launch))
            self._put(task)
            self._unconfirmed.add(task.id)
            key = (service.name, service.version)
            if key not in self._images:
                self._images[key] = service.image
                self._change.versions[key] = service.model_dump_json()
            self._metrics.launches.labels(service.name).inc()
            self._note(now, "launch", f"{service.image} on {launch.hostname}", service.name, task.id)
        for offer_id in accept.offer_ids:
            del self._offers[offer_id]
        self._metrics.offers.labels("accepted").inc(len(accept.offer_ids))
        agent = self._agents[accept.agent_id]
        self._agents[accept.agent_id] = replace(agent, free=accept.left)
        self._send(lambda: self._launch(accept.offer_ids, infos, now))

    def _launch(self, offer_ids: Sequence[str], infos: list[Message], now: float) -> None:
        operation = {"type": "LAUNCH", "launch": {"task_infos": infos}}
        if not self._driver.acceptOffers(offer_ids, [operation], REFUSE_SECONDS):
            for info in infos:
                task = self._tasks[info["task_id"]["value"]]
                self._put(replace(task, state=TaskState.DROPPED, message="not sent: disconnected"))
                self._note(now, "ended", "was not sent: the connection was lost", task.service, task.id)

    def _decline(self, offer_ids: Sequence[str]) -> None:
        for offer_id in offer_ids:
            del self._offers[offer_id]
        self._metrics.offers.labels("declined").inc(len(offer_ids))
        self._send(lambda: self._driver.declineOffer(offer_ids, REFUSE_SECONDS))

    def _ask_for_offers(self, decided: Plan, now: float) -> None:
        """REVIVE while something is wanted, ever more slowly while that does not help; else SUPPRESS."""
        wanted = dict(decided.wanted)
        if not wanted:
            self._asked_for = {}
            if not self._suppressed and self._reconciliation.settled:
                self._suppressed = True
                self._send(self._driver.suppressOffers)
            return
        if wanted != self._asked_for:
            self._asked_for = wanted
            self._revive = _Repeat(max(now, self._revived_at + _FIRST_REVIVE_PAUSE), _FIRST_REVIVE_PAUSE)
        if now >= self._revive.at:
            self._suppressed = False
            self._revived_at = now
            self._gather_seconds, self._gather_until = _GATHER_AFTER_REVIVING, None
            pause = self._revive.pause
            self._revive = _Repeat(now + pause, min(2 * pause, _LONGEST_REVIVE_PAUSE))
            self._send(self._driver.reviveOffers)

    # What others see

    def _tell_waiting(self, decided: Plan, now: float) -> None:
        """Say at once why something is missing, and when a service is as wanted."""
        for service in self._config.services:
            reasons = decided.waiting[service.name]
            before = self._plan.waiting.get(service.name)
            if reasons == before:
                continue
            self._stale = True
            if reasons:
                self._note(now, "waiting", "; ".join(reasons), service.name)

    def _service(self, name: str) -> Service | None:
        return next((service for service in self._config.services if service.name == name), None)

    def _publish(self, now: float) -> None:
        if self._stale and now - self._published_at >= _PUBLISH_SECONDS:
            self._published_at = now
            self._stale = False
            before = {service.name: service.converged for service in self.snapshot.services}
            self.snapshot = self._snapshot(now)
            self._metrics.show(self.snapshot)
            for service in self.snapshot.services:
                if service.converged and not before.get(service.name):
                    self._note(now, "converged", f"all {service.wanted} wanted instances run", service.name)

    def _snapshot(self, now: float) -> Snapshot:
        by_service: dict[str, list[Task]] = {}
        for task in self._tasks.values():
            by_service.setdefault(task.service, []).append(task)
        hostnames = {agent.id: agent.hostname for agent in self._agents.values()}
        return Snapshot(
            at=now,
            framework_id=self._framework_id,
            connected=self._connected,
            master=self._master if self._connected else None,
            config=self._config_view,
            services=tuple(
                view(
                    service,
                    by_service.get(service.name, []),
                    self._plan.waiting.get(service.name, ()),
                    hostnames,
                )
                for service in self._config.services
            ),
            problem=self._store_problem,
            events=tuple(self._recent),
        )


def replace_framework(config: Config, user: str, principal: str | None) -> Message:
    """FrameworkInfo as configured, but with what Mesos can't change while we are subscribed as it was."""
    framework = config.framework.model_copy(update={"user": user, "principal": principal})
    return framework_info(config.model_copy(update={"framework": framework}), None)


def steady_clock() -> Callable[[], float]:
    """Seconds of the epoch that never go back, whatever happens to the machine's clock."""
    started_at, started = time.time(), time.monotonic()
    return lambda: started_at + time.monotonic() - started


def _master_address(master: events.Message) -> str | None:
    address = master.get("address", {})
    host = address.get("hostname") or address.get("ip") or master.get("hostname")
    port = address.get("port") or master.get("port")
    return f"{host}:{port}" if host and port else None
