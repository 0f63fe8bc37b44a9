"""What changes come to, one after the other, for stores that keep the changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from mesos_docker_scheduler.records import store
from mesos_docker_scheduler.records.store import Change, Event, Remembered
from mesos_docker_scheduler.records.tasks import Task

Key = TypeVar("Key")


@dataclass(slots=True)
class Content:
    """Everything that a store holds."""

    framework_id: str | None = None
    tasks: dict[str, Task] = field(default_factory=dict)
    versions: dict[tuple[str, str], str] = field(default_factory=dict)
    records: dict[tuple[str, str], str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def apply(self, change: Change) -> None:
        """Take in a change. One that is applied twice, or with more in it than before, does no harm."""
        self.framework_id = change.framework_id or self.framework_id
        self.tasks |= change.tasks
        for task_id in change.forget:
            self.tasks.pop(task_id, None)
        _put(self.versions, change.versions)
        _put(self.records, change.records)
        for event in change.events:
            latest = self.events[-1].id if self.events else 0
            if event.id == 0:
                self.events.append(replace(event, id=latest + 1))
            elif event.id > latest:
                self.events.append(event)
        del self.events[: -store.EVENTS_KEPT]

    def remembered(self) -> Remembered:
        """What it is now; it does not change with the content."""
        return Remembered(
            self.framework_id, dict(self.tasks), dict(self.versions), tuple(self.events), dict(self.records)
        )


def _put(kept: dict[Key, str], changes: Mapping[Key, str | None]) -> None:
    for key, value in changes.items():
        kept.pop(key, None)
        if value is not None:
            kept[key] = value
