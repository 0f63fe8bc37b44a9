"""A store that keeps to the contract of all stores, except that it ends with the process."""

from __future__ import annotations

from mesos_docker_scheduler.records.content import Content
from mesos_docker_scheduler.records.store import Change, Remembered


class MemoryStore(Content):
    """What was committed, to be looked at."""

    def load(self) -> Remembered:
        """Copies of everything."""
        return self.remembered()

    def commit(self, change: Change) -> None:
        """Take in a change."""
        self.apply(change)

    def check(self) -> None:
        """There is always room."""

    def close(self) -> None:
        """Nothing to let go of."""
