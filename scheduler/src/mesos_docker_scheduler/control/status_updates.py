"""What Mesos says of tasks, and what has to be asked because it said nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import takewhile
from typing import Any, Protocol

from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.control.events import Message
from mesos_docker_scheduler.control.leader import Leader, proves_agent
from mesos_docker_scheduler.control.ledger import Ledger
from mesos_docker_scheduler.control.offers import OfferBook
from mesos_docker_scheduler.control.reconciliation import Reconciliation
from mesos_docker_scheduler.control.recovery import with_facts
from mesos_docker_scheduler.control.recovery_query import RecoveryQuery
from mesos_docker_scheduler.observability.metrics import Metrics
from mesos_docker_scheduler.records.blame import Fault
from mesos_docker_scheduler.records.failures import Failures
from mesos_docker_scheduler.records.overrides import Overrides
from mesos_docker_scheduler.records.tasks import Status, Task, TaskState, advance, parse_task_id
from mesos_docker_scheduler.records.versions import Versions

_UNCONFIRMED_SECONDS = 20.0
_ABSENT_SECONDS = 3600.0
# Mesos itself remembers unreachable agents for two weeks (registry_max_agent_age), and the others not at all.
_UNREACHABLE_SECONDS = 15 * 86_400.0


class Driver(Protocol):
    """What is used of the Mesos driver."""

    def acknowledgeStatusUpdate(self, status: Any) -> bool:
        """ACKNOWLEDGE."""

    def reconcileTasks(self, tasks: Sequence[tuple[str, str | None]]) -> bool:
        """RECONCILE."""


class StatusUpdates:
    """Keeps the tasks on record as Mesos says. Times are seconds of the epoch.

    `configured` finds a service of the configuration in force.
    """

    def __init__(
        self,
        ledger: Ledger,
        driver: Driver,
        metrics: Metrics,
        *,
        offers: OfferBook,
        reconciliation: Reconciliation,
        recovery_query: RecoveryQuery,
        leader: Leader,
        failures: Failures,
        overrides: Overrides,
        versions: Versions,
        configured: Callable[[str], Service | None],
    ) -> None:
        self._ledger = ledger
        self._driver = driver
        self._metrics = metrics
        self._offers = offers
        self._reconciliation = reconciliation
        self._recovery_query = recovery_query
        self._leader = leader
        self._failures = failures
        self._overrides = overrides
        self._versions = versions
        self._configured = configured
        self._foreign: set[str] = set()

    def take(self, message: Message, now: float) -> None:
        """Take a v1 TaskStatus; it is acknowledged once it is durable."""
        status = Status.from_message(message)
        self._metrics.updates[status.state].inc()
        sent_by_agent = bool(message.get("uuid"))
        if self._is_premature(status, now):
            self.mark_stale([status.task_id], now)
            self._reconciliation.ask_by(self._leader.sure_at)
            return
        if status.agent_id is not None and proves_agent(status, sent_by_agent):
            self.heard_of([status.agent_id])
        if self._reconciliation.answered(status.task_id):
            self._ledger.touch()  # what is shown may be certain now
            took = self._reconciliation.take_seconds(now)
            if took is not None:
                self._metrics.reconciliation_seconds.observe(took)
        else:
            task = self._ledger.find(status.task_id)
            if task is None:
                task = self._adopt(status, now)
                if task is not None:
                    # What tells of it may be older than its end, which nobody tells again.
                    self._reconciliation.mark_stale([(task.id, status.agent_id)], now)
            if task is not None:
                self._ask_for_facts(task, status)
                self._ledger.task_index.confirm(task)
                self._apply(task, status, now)
        if sent_by_agent:
            self._ledger.send(partial(self._driver.acknowledgeStatusUpdate, message))

    def learn(self, tasks: Iterable[Task], now: float) -> None:
        """Take over what the master knows and we don't: tasks of ours, and facts about them."""
        new = []
        for told in tasks:
            known = self._ledger.tasks.get(told.id)
            if known is None and self._ledger.find(told.id) is None:
                self._note_adopted(told, now)
                self._ledger.put(replace(told, restarts=self._overrides.of(told.service).restarts))
                new.append(told.id)
            elif known is not None and with_facts(known, told) != known:
                self._ledger.put(with_facts(known, told))
        # They may have ended since the master was asked.
        self.mark_stale(new, now)

    def mark_stale(self, task_ids: Iterable[str], now: float) -> None:
        """Ask Mesos about tasks to which something may have happened."""
        doubted = [self._ledger.tasks[task_id] for task_id in task_ids if task_id in self._ledger.tasks]
        self._ledger.task_index.mark_stale(doubted)
        self._reconciliation.mark_stale([(task.id, task.agent_id) for task in doubted], now)

    def heard_of(self, agent_ids: Iterable[str]) -> None:
        """Note that the master knows these agents: it can tell what runs there."""
        for agent_id in agent_ids:
            here = self._ledger.task_index.here(agent_id)
            if here:  # something may have been adopted before the agent was offered
                self._offers.keep(agent_id)
            if self._leader.heard_of(agent_id):
                self._reconciliation.ask_again(here)

    def ask(self, now: float) -> None:
        """Send the questions that are due."""
        unconfirmed = self._ledger.unconfirmed
        overdue = list(
            takewhile(lambda task_id: now - unconfirmed[task_id] > _UNCONFIRMED_SECONDS, unconfirmed)
        )
        self.mark_stale(overdue, now)
        for task_id in overdue:  # it is asked about until it is answered
            del unconfirmed[task_id]
        for question in self._reconciliation.due(now):
            self._metrics.reconciliations["explicit" if question.tasks else "implicit"].inc()
            self._ledger.send(partial(self._driver.reconcileTasks, question.tasks))

    def forget_absent(self, now: float) -> None:
        """Drop records of what nobody remembers: should such a task come back, it is adopted."""
        gone = [
            task.id
            for task in self._ledger.task_index.absent.values()
            if now - task.state_since > _absent_seconds(task)
        ]
        for task_id in gone:
            self._ledger.forget(task_id)

    def _is_premature(self, status: Status, now: float) -> bool:
        """Whether the master doesn't know a task only because it doesn't know the task's agent yet."""
        if status.state is not TaskState.UNKNOWN or not status.from_reconciliation:
            return False
        task = self._ledger.tasks.get(status.task_id)
        return task is not None and task.present and not self._leader.is_sure(task.agent_id, now)

    def _adopt(self, status: Status, now: float) -> Task | None:
        """Take over a task of ours that we have no record of (the store is an older copy, say)."""
        if status.state.ended or status.state.absent or status.task_id in self._foreign:
            return None
        named = parse_task_id(status.task_id)
        if named is None:
            self._foreign.add(status.task_id)
            text = "runs in our framework, but was not started by us: left alone"
            self._ledger.note(now, "foreign", text, task_id=status.task_id)
            return None
        name, version = named
        service = self._configured(name)
        same = service if service is not None and service.version == version else None
        if status.agent_id is not None:
            self._offers.keep(status.agent_id)
        adopted = Task(
            id=status.task_id,
            service=name,
            version=version,
            image=self._versions.image(name, version) if same is None else same.image or "",
            containerizer=(
                self._versions.containerizer(name, version) if same is None else same.containerizer
            ),
            agent_id=status.agent_id or "",
            hostname="",
            launched_at=now,
            state_since=now,
            state=TaskState.UNKNOWN,
            has_health_check=same is not None and same.health_check is not None,
            # A restart that it may be too old for would replace it again and again.
            restarts=self._overrides.of(name).restarts,
        )
        self._note_adopted(adopted, now)
        return adopted

    def _ask_for_facts(self, task: Task, status: Status) -> None:
        """Have the master asked about a task of which only the name is known, when it is news that it runs.

        An earlier process may have ended, or another master led, before there was an answer.
        """
        is_news = task.state.absent or task.id in self._ledger.task_index.stale
        if is_news and not task.hostname and not status.state.ended and not status.state.absent:
            self._recovery_query.want(task.id)

    def _note_adopted(self, task: Task, now: float) -> None:
        self._ledger.note(now, "adopted", "runs and is ours, but was not on record", task.service, task.id)

    def _apply(self, task: Task, status: Status, now: float) -> None:
        changed = advance(task, status, now)
        if changed is task:
            return
        self._ledger.put(changed)
        if changed.state is task.state:
            return
        if task.state.absent and changed.present:
            self._ledger.kills.hurry(changed.id)  # none has reached it where it was
        where = changed.where
        why = f"TASK_{changed.state.value} {where}: {changed.message or changed.reason or 'no reason given'}"
        if changed.state is TaskState.RUNNING:
            self._failures.runs(changed)
            self._ledger.note(now, "running", f"runs {where}", changed.service, changed.id)
        elif changed.state.absent:
            self._metrics.of(changed.service).lost.inc()
            self._ledger.note(now, "lost", why, changed.service, changed.id)
        elif changed.state.ended:
            fault = self._failures.ended(changed, self._configured(changed.service), why, now)
            if changed.kill_reason is not None:
                self._ledger.note(now, "stopped", changed.kill_reason, changed.service, changed.id)
                return
            self._ledger.note(now, "ended", why, changed.service, changed.id)
            if fault is not Fault.NOBODY:
                self._metrics.of(changed.service).failed(fault.value, changed.reason)


def _absent_seconds(task: Task) -> float:
    """How long a task that is absent is remembered."""
    return _UNREACHABLE_SECONDS if task.state is TaskState.UNREACHABLE else _ABSENT_SECONDS
