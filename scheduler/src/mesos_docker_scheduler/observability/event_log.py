"""What has happened lately, for readers on other threads."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable
from operator import attrgetter

from mesos_docker_scheduler.records.store import EVENTS_KEPT, Event


class EventLog:
    """The durable events, the latest alone, oldest first. Any thread may call any method."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._lock = threading.Lock()
        self._events = deque(events, maxlen=EVENTS_KEPT)
        self._listeners: list[Callable[[], None]] = []

    def extend(self, events: Iterable[Event]) -> None:
        """Take in what has become durable."""
        with self._lock:
            before = self.newest_id
            self._events.extend(events)
            listeners = list(self._listeners) if self.newest_id != before else []
        for listener in listeners:
            listener()

    def after(self, event_id: int, limit: int, service: str | None = None) -> list[Event]:
        """The oldest `limit` of the events that came after one, of one service or of all."""
        with self._lock:
            if event_id >= self.newest_id:
                return []  # as nearly always: readers ask twice a second
            events = list(self._events)
        later = events[bisect_right(events, event_id, key=attrgetter("id")) :]
        return _of(service, later)[:limit]

    def latest(self, limit: int, service: str | None = None) -> list[Event]:
        """The newest `limit` events, of one service or of all, oldest first."""
        with self._lock:
            events = list(self._events)
        return _of(service, events)[-limit:] if limit else []

    @property
    def newest_id(self) -> int:
        """The id of the newest event; 0 when there is none."""
        return self._events[-1].id if self._events else 0

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` when there are new events, on the thread that brings them. The result ends that."""
        with self._lock:
            self._listeners.append(listener)

        def leave() -> None:
            with self._lock:
                self._listeners.remove(listener)

        return leave


def _of(service: str | None, events: list[Event]) -> list[Event]:
    return events if service is None else [event for event in events if event.service == service]
