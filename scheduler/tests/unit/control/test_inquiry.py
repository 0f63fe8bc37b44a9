from __future__ import annotations

from pathlib import Path

from memory_store import MemoryStore
from mesos_docker_scheduler.control import events
from mesos_docker_scheduler.control.recovery_query import RecoveryQuery
from mesos_docker_scheduler.records.tasks import new_task_id
from scheduler_fakes import MASTER, NOW, Bench, answer, service, task


def test_what_is_not_answered_is_asked_again_and_wakes_nobody_meanwhile() -> None:
    recovery_query = RecoveryQuery()
    recovery_query.want("first")
    assert recovery_query.due(NOW)
    assert recovery_query.next_at(NOW) == NOW + 15
    assert recovery_query.next_at(NOW + 15) == NOW + 30
    assert not recovery_query.due(NOW + 29)
    assert recovery_query.due(NOW + 30)
    recovery_query.answered(None, ["first"], NOW + 30)
    assert recovery_query.next_at(NOW + 30) is None


def test_what_is_wanted_after_the_question_is_asked_again_after_a_pause() -> None:
    recovery_query = RecoveryQuery()
    recovery_query.want("first")
    assert recovery_query.due(NOW)
    recovery_query.want("second")
    recovery_query.answered(None, ["first"], NOW + 20)
    assert recovery_query.next_at(NOW + 20) == NOW + 50
    assert not recovery_query.due(NOW + 49)
    assert recovery_query.due(NOW + 50)
    recovery_query.answered(None, ["first", "second"], NOW + 51)
    assert not recovery_query.due(NOW + 1000)
    recovery_query.want("third")
    assert recovery_query.due(NOW + 1000)


def test_what_is_told_of_all_the_same_is_not_asked_again() -> None:
    recovery_query = RecoveryQuery()
    recovery_query.want("first")
    assert recovery_query.due(NOW)
    recovery_query.want("second")
    recovery_query.answered(None, ["first", "second"], NOW + 1)
    assert recovery_query.next_at(NOW + 1) is None
    assert not recovery_query.due(NOW + 1000)


def test_what_nobody_can_tell_is_not_asked_again() -> None:
    recovery_query = RecoveryQuery()
    recovery_query.want("first")
    assert recovery_query.due(NOW)
    recovery_query.answered(None, [], NOW + 1)
    assert not recovery_query.due(NOW + 1000)


def test_what_failed_is_asked_again_also_when_an_earlier_question_was_answered_meanwhile() -> None:
    recovery_query = RecoveryQuery()
    recovery_query.want("first")
    assert recovery_query.due(NOW)
    recovery_query.want("second")
    assert recovery_query.due(NOW + 30)
    recovery_query.answered(None, ["first"], NOW + 40)
    recovery_query.failed()
    assert not recovery_query.due(NOW + 69)
    assert recovery_query.due(NOW + 70)


def test_agents_that_come_back_one_after_the_other_hold_everything_only_once() -> None:
    recovery_query = RecoveryQuery()
    asked, held = 0, 0
    for second in range(600):  # one a second, and a master that needs ten for an answer
        if second % 40 == 10:
            recovery_query.answered(None, map(str, range(second - 9)), NOW + second)
        recovery_query.want(str(second))
        asked += recovery_query.due(NOW + second)
        held += recovery_query.why_not(NOW + second) is not None
    assert (asked, held) == (15, 10)
    assert recovery_query.due(NOW + 630)
    assert recovery_query.why_not(NOW + 630) is not None


def test_a_question_that_gets_no_answer_holds_everything_only_once() -> None:
    recovery_query = RecoveryQuery()
    recovery_query.want("first")
    assert recovery_query.due(NOW)
    assert recovery_query.why_not(NOW + 14) is not None
    assert recovery_query.why_not(NOW + 15) is None
    assert recovery_query.due(NOW + 30)
    assert recovery_query.why_not(NOW + 30) is None


def test_what_comes_back_while_the_master_answers_becomes_known_too() -> None:
    web = service(count=2)
    bench = Bench(Path(), web, store=MemoryStore())
    bench.subscribe()
    first, second = (task(new_task_id("web", web.version), web, agent) for agent in ("a", "b"))
    bench.take(events.Update(answer(first.id, "RUNNING", "a")))
    assert bench.surveys == [("framework", False)]
    bench.take(events.Update(answer(second.id, "RUNNING", "b")))
    bench.answer_survey(first)
    assert bench.surveys == []
    bench.take(after=30)
    assert bench.surveys == [("framework", False)]
    assert bench.view.waiting != ("asking the master about instances that were not on record",)
    bench.answer_survey(first, second)
    assert {made.hostname for made in bench.store.load().tasks.values()} == {"host-a", "host-b"}
    bench.take(after=60)
    assert bench.surveys == []


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
