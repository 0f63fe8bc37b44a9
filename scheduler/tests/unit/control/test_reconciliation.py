from __future__ import annotations

from mesos_docker_scheduler.control.reconciliation import Question, Reconciliation


def started(*task_ids: str) -> Reconciliation:
    made = Reconciliation()
    made.start(dict.fromkeys(task_ids, "agent"), 0)
    return made


def fence_of(questions: list[Question]) -> str:
    return next(task_id for question in questions for task_id, _ in question.tasks if "fence" in task_id)


def asked(questions: list[Question]) -> list[str]:
    return [task_id for question in questions for task_id, _ in question.tasks if "fence" not in task_id]


def test_asks_for_everything_first_and_for_the_fence_last() -> None:
    implicit, explicit = started("1", "2").due(0)
    assert implicit.tasks == ()
    assert explicit.tasks[:2] == (("1", "agent"), ("2", "agent"))
    assert "fence" in explicit.tasks[2][0]


def test_asks_again_ever_more_slowly_and_only_for_what_is_unanswered() -> None:
    made = started("1", "2")
    made.answered(fence_of(made.due(0)))
    made.answered("1")
    times = [second for second in range(1, 300) if asked(made.due(second)) == ["2"]]
    assert times == [2, 6, 14, 30, 62, 122, 182, 242]


def test_one_round_at_a_time() -> None:
    made = started("1")
    made.due(0)
    assert made.due(1) == []


def test_is_settled_when_the_fence_is_answered_even_if_a_task_is_not() -> None:
    made = started("1")
    fence = fence_of(made.due(0))
    assert not made.settled
    assert made.answered(fence)
    assert made.settled
    assert made.unanswered == {"1"}


def test_asks_nothing_more_when_all_is_answered_until_the_next_quarter_of_an_hour() -> None:
    made = started("1")
    made.answered(fence_of(made.due(0)))
    assert not made.answered("1")
    assert made.next_at() == 900
    assert made.due(899) == []
    assert made.due(900) == [Question(())]
    assert made.next_at() == 1800


def test_a_doubt_is_asked_at_once() -> None:
    made = started()
    made.answered(fence_of(made.due(0)))
    made.mark_stale([("1", "agent")], 100)
    assert asked(made.due(100)) == ["1"]
    made.mark_stale([("1", "agent")], 101)
    assert made.due(101) == []


def test_a_doubt_does_not_ask_again_about_what_is_being_answered() -> None:
    made = started("1", "2")
    made.due(0)
    made.mark_stale([("3", "agent")], 1)
    assert made.next_at() == 0
    assert asked(made.due(1)) == ["3"]
    assert made.next_at() == 2
    assert asked(made.due(2)) == ["1", "2", "3"]


def test_so_many_answers_take_their_time() -> None:
    made = started(*map(str, range(100_000)))
    made.due(0)
    assert made.due(19) == []
    assert len(asked(made.due(21))) == 100_000


def test_what_may_be_told_now_is_asked_at_once_if_it_is_unanswered() -> None:
    made = started("1", "2", "3")
    fence = fence_of(made.due(0))
    made.ask_again(["1", "2"])
    assert made.due(1) == []  # the first answers are still on their way
    made.answered(fence)
    made.answered("1")
    made.ask_again(["1", "2"])
    assert made.next_at() == 0
    assert asked(made.due(1)) == ["2"]
    assert made.next_at() == 2


def test_asks_when_there_is_more_to_be_told_at_the_latest() -> None:
    made = started("1")
    made.answered(fence_of(made.due(0)))
    made.ask_by(100)
    times = [second for second in range(1, 300) if asked(made.due(second)) == ["1"]]
    assert times == [2, 6, 14, 30, 62, 100, 160, 220, 280]


def test_asks_nobody_while_there_is_nobody() -> None:
    made = started("1")
    made.due(0)
    made.stop()
    made.mark_stale([("2", "agent")], 5)
    assert made.due(10_000) == []
    assert made.next_at() is None


def test_a_new_start_forgets_the_old_fence() -> None:
    made = started("1")
    old = fence_of(made.due(0))
    made.start({"1": "agent"}, 10)
    assert made.answered(old)
    assert not made.settled
