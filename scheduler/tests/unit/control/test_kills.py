from __future__ import annotations

from mesos_docker_scheduler.control.kills import Kills


def test_a_kill_is_due_at_once_and_then_ever_more_slowly() -> None:
    kills = Kills()
    kills.add("1")
    sent = []
    for second in range(300):
        for task_id in kills.due(second):
            kills.sent(task_id, second, grace_seconds=2)
            sent.append(second)
    assert sent == [0, 7, 19, 41, 83, 145, 207, 269]
    assert kills.next_at() == 331


def test_adding_it_again_does_not_hurry() -> None:
    kills = Kills()
    kills.add("1")
    kills.sent("1", 10, 0)
    kills.add("1")
    assert kills.due(11) == []


def test_a_new_master_hears_all_of_them_at_once() -> None:
    kills = Kills()
    kills.add("1")
    kills.sent("1", 10, 0)
    kills.restart()
    assert kills.due(11) == ["1"]


def test_what_can_hear_it_again_is_told_as_soon_as_it_is_due() -> None:
    kills = Kills()
    kills.add("1")
    kills.add("2", at=30)
    for now in (0, 5, 15, 35):
        kills.sent("1", now, 0)
    kills.hurry("1")
    kills.hurry("2")
    kills.hurry("3")
    assert kills.due(20) == ["1"]


def test_what_has_ended_is_killed_no_more() -> None:
    kills = Kills()
    kills.add("1")
    kills.remove("1")
    kills.remove("1")
    assert kills.due(1000) == []
    assert kills.next_at() is None
