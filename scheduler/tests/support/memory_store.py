"""A store that keeps to the contract of all stores, except that it ends with the process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from mesos_docker_scheduler.records import store as store_module
from mesos_docker_scheduler.records.store import Change, Event, Remembered
from mesos_docker_scheduler.records.tasks import Task

Key = TypeVar("Key")


@dataclass
class MemoryStore:
    """What was committed, to be looked at."""

    framework_id: str | None = None
    tasks: dict[str, Task] = field(default_factory=dict)
    versions: dict[tuple[str, str], str] = field(default_factory=dict)
    records: dict[tuple[str, str], str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def load(self) -> Remembered:
        """Copies of everything."""
        return Remembered(
            self.framework_id,
            dict(self.tasks),
            dict(self.versions),
            tuple(self.events),
            dict(self.records),
        )

    def commit(self, change: Change) -> None:
        """Take in a change."""
        self.framework_id = change.framework_id or self.framework_id
        self.tasks |= change.tasks
        for task_id in change.forget:
            self.tasks.pop(task_id, None)
        _put(self.versions, change.versions)
        _put(self.records, change.records)
        self.events += change.events
        del self.events[: -store_module.EVENTS_KEPT]

    def close(self) -> None:
        """Nothing to let go of."""


def _put(kept: dict[Key, str], changes: Mapping[Key, str | None]) -> None:
    for key, value in changes.items():
        kept.pop(key, None)
        if value is not None:
            kept[key] = value
