from __future__ import annotations

from mesos_docker_scheduler.observability.event_log import EventLog
from mesos_docker_scheduler.records.store import Event


def event(number: int, service: str = "web") -> Event:
    return Event(number, "kind", str(number), service, "", number)


def numbers(events: list[Event]) -> list[int]:
    return [one.id for one in events]


def test_events_after_an_id() -> None:
    log = EventLog([event(3), event(4)])
    log.extend([event(5), event(7)])
    assert numbers(log.after(0, 10)) == [3, 4, 5, 7]
    assert numbers(log.after(4, 10)) == [5, 7]
    assert numbers(log.after(5, 1)) == [7]
    assert numbers(log.after(4, 1)) == [5]
    assert log.after(7, 10) == log.after(99, 10) == []


def test_the_latest_of_all_and_of_one_service() -> None:
    log = EventLog([event(1), event(2, "db"), event(3), event(4, "db")])
    assert numbers(log.latest(2)) == [3, 4]
    assert numbers(log.latest(1, "web")) == [3]
    assert log.latest(0) == []


def test_the_next_of_one_service_lie_behind_any_number_of_others() -> None:
    log = EventLog([event(1), event(2, "db"), event(3, "db"), event(4), event(5)])
    assert numbers(log.after(1, 1, "web")) == [4]
    assert numbers(log.after(0, 2, "db")) == [2, 3]


def test_who_listens_is_told_of_new_ones_until_he_leaves() -> None:
    log, heard = EventLog(), list[int]()
    leave = log.listen(lambda: heard.append(log.newest_id))
    log.extend([event(1), event(2)])
    log.extend([])
    log.extend([event(3)])
    leave()
    log.extend([event(4)])
    assert heard == [2, 3]


def test_an_empty_log() -> None:
    assert (EventLog().newest_id, EventLog().after(0, 5), EventLog().latest(5)) == (0, [], [])
