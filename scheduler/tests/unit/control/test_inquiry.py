from __future__ import annotations

from pathlib import Path

from memory_store import MemoryStore
from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.control.recovery_query import RecoveryQuery
from scheduler_fakes import MASTER, NOW, Bench, service


def test_what_is_not_answered_is_asked_again_and_wakes_nobody_meanwhile() -> None:
    recovery_query = RecoveryQuery()
    recovery_query.want()
    assert recovery_query.due(NOW)
    assert recovery_query.next_at(NOW) == NOW + 15
    assert recovery_query.next_at(NOW + 15) == NOW + 30
    assert not recovery_query.due(NOW + 29)
    assert recovery_query.due(NOW + 30)
    recovery_query.answered(None)
    assert recovery_query.next_at(NOW + 30) is None


def test_a_master_that_never_answers_costs_next_to_nothing() -> None:
    bench = Bench(Path(), service(count=1), store=MemoryStore())
    bench.take(events.Subscribed("framework", MASTER))  # a new id: the master is asked for all frameworks
    assert bench.surveys
    rounds = 0
    until = bench.now + 60
    while bench.now < until and rounds < 1000:
        bench.now = max(bench.now, bench.controller.wake_at)
        bench.take()
        rounds += 1
    assert rounds < 40
