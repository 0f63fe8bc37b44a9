"""Ends the framework: the only way by which its tasks are ever killed as a whole."""

from __future__ import annotations

import queue
import time

from mesos_docker_scheduler.config import Config
from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.exits import EXIT_REFUSED, SchedulerError
from mesos_docker_scheduler.mesos_access import Access
from mesos_docker_scheduler.offline import offline_store
from mesos_docker_scheduler.process import make_driver, was_removed
from mesos_docker_scheduler.records.store import Remembered

_ANSWER_SECONDS = 30.0


def teardown(config: Config, confirmed: bool) -> int:
    """End the framework of this state and forget it; returns the exit status.

    Without `confirmed` it only says what it would do. SchedulerError when Mesos does not do it.
    """
    with offline_store(config) as store:
        remembered = store.load()
        if remembered.framework_id is None:
            print(f"{store.place}: no framework was ever registered from here: nothing to end")
            return 0
        tasks = sum(not task.state.ended for task in remembered.tasks.values())
        if not confirmed:
            print(f"This would end framework {remembered.framework_id} and kill its {tasks} tasks: add --yes")
            return 2
        _end(config, remembered)
        store.discard()
    print(f"Framework {remembered.framework_id} has ended, and with it {tasks} tasks.")
    return 0


def _end(config: Config, remembered: Remembered) -> None:
    inbox: queue.SimpleQueue[events.AnyEvent] = queue.SimpleQueue()
    driver = make_driver(config, Access.of(config), remembered, inbox.put)
    deadline = time.monotonic() + _ANSWER_SECONDS
    asked = False
    driver.start()
    try:
        # The driver stops by itself once the master has accepted TEARDOWN.
        while not (asked and driver.aborted):
            if time.monotonic() > deadline:
                raise SchedulerError(EXIT_REFUSED, f"no master has answered in {_ANSWER_SECONDS:g} s")
            try:
                event = inbox.get(timeout=0.05)
            except queue.Empty:
                continue
            if isinstance(event, events.Subscribed):
                asked = driver.teardown(confirm=True)
            elif isinstance(event, events.CallFailed):
                raise SchedulerError(EXIT_REFUSED, f"Mesos does not end the framework: {event.error}")
            elif isinstance(event, events.FrameworkError):
                if was_removed(event.message):
                    return
                raise SchedulerError(EXIT_REFUSED, f"Mesos refuses the framework: {event.message}")
    finally:
        driver.stop()
