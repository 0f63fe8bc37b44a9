"""A driver in the test's own process, and a scheduler that keeps what it hears."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mesos_docker_scheduler.driver import Scheduler, SchedulerDriver

FRAMEWORK: dict[str, Any] = {"user": "root", "name": "test", "roles": ["web", "db"]}
CALLBACKS = [
    "registered", "reregistered", "disconnected", "resourceOffers", "inverseOffers", "offerRescinded",
    "inverseOfferRescinded", "statusUpdate", "operationStatusUpdate", "frameworkMessage", "slaveLost",
    "executorLost", "error", "callFailed",
]  # fmt: skip


class Recorder(Scheduler):
    """Keeps what it is told, and does in a callback what a test wants."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, tuple[Any, ...]]] = []
        self.reactions: dict[str, Callable[..., Any]] = {}
        self._changed = threading.Condition()
        for name in CALLBACKS:
            setattr(self, name, self._callback(name))

    def _callback(self, name: str) -> Callable[..., None]:
        def hear(driver: SchedulerDriver, *arguments: Any) -> None:
            with self._changed:
                self.heard.append((name, arguments))
                self._changed.notify_all()
            if name in self.reactions:
                self.reactions[name](driver, *arguments)

        return hear

    def all(self, name: str) -> list[tuple[Any, ...]]:
        """Return the arguments of every such callback so far."""
        return [arguments for heard, arguments in self.heard if heard == name]

    def wait_for(self, name: str, count: int = 1, seconds: float = 10.0) -> tuple[Any, ...]:
        """Wait for the count-th callback of that name."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.all(name)) >= count, seconds), self.heard
        return self.all(name)[count - 1]


@contextmanager
def running(
    master: str, recorder: Recorder | None = None, framework: dict[str, Any] | None = None, **options: Any
) -> Iterator[tuple[SchedulerDriver, Recorder]]:
    """Run a driver; stop it in the end, which must not take long."""
    recorder = recorder or Recorder()
    driver = SchedulerDriver(recorder, framework or FRAMEWORK, master, **options)
    driver.start()
    try:
        yield driver, recorder
    finally:
        began = time.monotonic()
        driver.stop()
        driver.join()
        assert time.monotonic() - began < 5
