"""The tasks as we know them, what of that is not on the disk yet, and the calls that wait until it is.

Nothing is sent to Mesos before what it rests on is durable. When the store fails, nothing is sent at all
until it works again.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Protocol

from mesos_docker_scheduler.control.kills import Kills
from mesos_docker_scheduler.observability.event_log import EventLog
from mesos_docker_scheduler.observability.metrics import Metrics
from mesos_docker_scheduler.records.store import Change, Event, Remembered, StoreError, Writer
from mesos_docker_scheduler.records.task_index import TaskIndex
from mesos_docker_scheduler.records.tasks import Task

_ENDED_KEPT = 1_000
_EVENTS_SHOWN = 50

Records = Mapping[tuple[str, str], str | None]


class Keeper(Protocol):
    """Something that keeps records of its own in the store."""

    def take_records(self) -> Records:
        """Return what is to be written of the changes since the last call; None: to be deleted."""


class Ledger:
    """Every change of what we know goes through here. Times are seconds of the epoch.

    `tasks` have not ended; `task_index`, `kills` and `unconfirmed` (since when nothing is heard of a task,
    the oldest first) are kept in step with them. `generation` changes with all that can be seen from outside.
    `tell` hears each event, and `log` has those that are durable. `problem`: why the store can't be written,
    while it can't. `sent_at`: in which round the calls are sent that are being sent.
    """

    def __init__(
        self,
        store: Writer,
        remembered: Remembered,
        keepers: Iterable[Keeper],
        metrics: Metrics,
        tell: Callable[[Event], None],
    ) -> None:
        self._store = store
        self._keepers = tuple(keepers)
        self._metrics = metrics
        self._tell = tell
        self._change = Change()
        self._outbox: list[Callable[[], object]] = []
        # Updates of tasks that have ended may still come: these are told apart from tasks we never knew.
        self._ended: OrderedDict[str, Task] = OrderedDict()
        self.tasks: dict[str, Task] = {}
        self.task_index = TaskIndex()
        self.kills = Kills()
        self.unconfirmed: dict[str, float] = {}
        self.events = deque(remembered.events[-_EVENTS_SHOWN:], maxlen=_EVENTS_SHOWN)
        self.log = EventLog(remembered.events)
        self._event_id = remembered.events[-1].id if remembered.events else 0
        self.framework_id = remembered.framework_id
        self.problem: str | None = None
        self.sent_at = 0.0
        self.generation = 0

    def restore(self, tasks: Iterable[Task], now: float, kill_delay: Callable[[Task], float]) -> None:
        """Take in an earlier process's tasks. `kill_delay`: how long a task's KILL may wait, in seconds."""
        # The clock may have been set back: what is on record was not in the future.
        tasks = [task.by(now) for task in tasks]
        for task in sorted(tasks, key=lambda task: task.state_since):
            (self._ended if task.state.ended else self.tasks)[task.id] = task
        for task in sorted(self.tasks.values(), key=lambda task: task.well_since or 0.0):
            self.task_index.put(task)
            if task.kill_reason is not None:
                # The list without it may never have been shown: then clients learn only now that it goes.
                unseen = replace(task, kill_reason=None).in_service
                at_latest = now + kill_delay(task)
                self.kills.add(task.id, at_latest if unseen else min(task.kill_at or 0.0, at_latest))
        for task in sorted(self.tasks.values(), key=lambda task: task.launched_at):
            if not task.confirmed:
                self.unconfirmed[task.id] = task.launched_at

    def find(self, task_id: str) -> Task | None:
        """A task on record, also one that has ended."""
        return self.tasks.get(task_id) or self._ended.get(task_id)

    def put(self, task: Task) -> None:
        """Take in a task, or what has become of it."""
        self.generation += 1
        self._change.tasks[task.id] = task
        self._change.forget.discard(task.id)
        if not task.state.ended:
            self._ended.pop(task.id, None)
            self.tasks[task.id] = task
            self.task_index.put(task)
            if task.kill_reason is not None:
                self.kills.add(task.id, task.kill_at or 0.0)
            if task.confirmed:
                self.unconfirmed.pop(task.id, None)
            else:
                self.unconfirmed.setdefault(task.id, task.launched_at)
            return
        self._drop(task.id)
        self._ended[task.id] = task
        while len(self._ended) > _ENDED_KEPT:
            self.forget(self._ended.popitem(last=False)[0])

    def forget(self, task_id: str) -> None:
        """Delete the record of a task."""
        self.generation += 1
        self._drop(task_id)
        self._change.tasks.pop(task_id, None)
        self._change.forget.add(task_id)

    def register(self, framework_id: str) -> None:
        """Note under which id Mesos knows us from now on."""
        self.framework_id = self._change.framework_id = framework_id

    def record(self, name: tuple[str, str], value: str | None) -> None:
        """Write a record of this kind and key; None deletes it."""
        self._change.records[name] = value

    def keep_versions(self, changes: Records) -> None:
        """Write what versions are made of, by (service, version); None deletes one."""
        self._change.versions |= changes

    def touch(self) -> None:
        """Note that something can be seen that is not on record."""
        self.generation += 1

    def note(self, now: float, kind: str, text: str, service: str = "", task_id: str = "") -> None:
        """Write and tell something worth telling."""
        self._event_id += 1
        event = Event(now, kind, text, service, task_id, self._event_id)
        self._change.events.append(event)
        self._announce(event)

    def send(self, call: Callable[[], object]) -> None:
        """Make the call once everything up to now is durable."""
        self._outbox.append(call)

    @property
    def unfinished(self) -> bool:
        """Whether something is to be written or sent."""
        return bool(self._change or self._outbox)

    def commit(self, now: float) -> bool:
        """Write what has changed; returns whether all of it is durable."""
        for keeper in self._keepers:
            self._change.records.update(keeper.take_records())
        try:
            self._write()
        except StoreError as error:
            self._metrics.store_errors.inc()
            if self.problem is None:
                # Not a note: that would have to be stored, too.
                self._announce(Event(now, "store", f"nothing is done until this is put right: {error}"))
            self.problem = str(error)
            return False
        if self.problem is not None:
            self.problem = None
            self.note(now, "store", "the state can be written again; going on")
        return True

    def _write(self) -> None:
        if not self._change:
            self._store.check()
            return
        with self._metrics.commit_seconds.time():
            self._store.commit(self._change)
        self._metrics.commit_records.observe(self._change.size)
        self.log.extend(self._change.events)
        self._change = Change()

    def dispatch(self, now: float) -> None:
        """Send what has waited for a commit."""
        self.sent_at = now
        outbox, self._outbox = self._outbox, []
        for send in outbox:
            send()

    def _announce(self, event: Event) -> None:
        self.generation += 1
        self.events.append(event)
        self._metrics.events[event.kind].inc()
        self._tell(event)

    def _drop(self, task_id: str) -> None:
        task = self.tasks.pop(task_id, None)
        if task is not None:
            self.task_index.remove(task)
        self.kills.remove(task_id)
        self.unconfirmed.pop(task_id, None)
