"""The driver and the store as one process of the scheduler sees them, for as long as it leads.

A leader may be frozen between any two steps, or cut off from ZooKeeper, for longer than its session. It goes
on then, and knows nothing of the one that has taken over. Its store is fenced, and Mesos has put out its
connection.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from mesos_docker_scheduler.records.store import Change, Remembered, StoreError
from mesos_docker_scheduler.records.zookeeper_store import FencedError

from simulated_mesos.disk import Disk
from simulated_mesos.wire import Wire


class Tenure:
    """The driver and the store of one process. `over`: another one leads by now.

    `cut_off`: it can't reach ZooKeeper. `attempts`: calls that it has made since, which reach nobody.
    """

    def __init__(self, disk: Disk, wire: Wire) -> None:
        self.over = False
        self.cut_off = False
        self.attempts: list[str] = []
        self.store = _Store(disk, self.check)
        self.driver = _Driver(wire, self)

    def check(self) -> None:
        """The fence, looked at in the transaction of each write."""
        if self.cut_off:
            raise StoreError("there is no connection")
        if self.over:
            raise FencedError("another scheduler leads by now")


class _Store:
    def __init__(self, disk: Disk, check: Callable[[], None]) -> None:
        self._disk = disk
        self._check = check

    def load(self) -> Remembered:
        return self._disk.load()

    def commit(self, change: Change) -> None:
        self._check()
        self._disk.commit(change, self._check)

    def check(self) -> None:
        """A fence is seen with the next write."""

    def close(self) -> None:
        """It is opened anew by whoever loads it next."""


class _Driver:
    def __init__(self, wire: Wire, tenure: Tenure) -> None:
        self._wire = wire
        self._tenure = tenure

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._wire, name)
        if not callable(value):
            return value

        @functools.wraps(value)
        def call(*arguments: Any, **named: Any) -> Any:
            # When it is made, not when it is asked for: calls wait until what they rest on is written.
            if not self._tenure.over:
                return value(*arguments, **named)
            self._tenure.attempts.append(name)
            return True  # it knows nothing of the end of its connection yet

        return call
