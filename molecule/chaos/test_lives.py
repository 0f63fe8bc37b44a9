"""The record of containers' lives."""

from __future__ import annotations

import pytest
from chaos_lives import Life, Lives, Seen, longest_surplus, twice
from chaos_observer import parse

IMAGE = "registry:5000/demo/web:1"


def seen(container: str, *, task: str = "", runs: bool = True) -> Seen:
    return Seen(container, task or f"task of {container}", IMAGE, 31000, runs)


def life(name: str, began: float, ended: float | None = None, *, host: str = "a", task: str = "") -> Life:
    return Life(name, task or name, host, IMAGE, 31000, began, ended)


def test_a_life_lasts_from_the_first_look_to_the_first_without_it() -> None:
    lives = Lives()
    for at, containers in ((1.0, [seen("x")]), (2.0, [seen("x"), seen("y")]), (3.0, [seen("y")])):
        lives.look("a", at, containers)
    assert [(each.id, each.began, each.ended) for each in lives.all()] == [("x", 1.0, 3.0), ("y", 2.0, None)]
    assert [each.id for each in lives.running()] == ["y"]


def test_a_slave_tells_nothing_of_another_ones_containers() -> None:
    lives = Lives()
    lives.look("a", 1.0, [seen("x")])
    lives.look("b", 2.0, [])
    assert [each.ended for each in lives.all()] == [None]


def test_a_container_that_is_seen_again_has_not_ended() -> None:
    lives = Lives()
    for at, containers in ((1.0, [seen("x")]), (2.0, []), (3.0, [seen("x")])):
        lives.look("a", at, containers)
    assert [(each.began, each.ended) for each in lives.all()] == [(1.0, None)]


def test_one_that_has_stopped_and_was_not_removed_is_told_apart() -> None:
    lives = Lives()
    lives.look("a", 1.0, [seen("x"), seen("y")])
    lives.look("a", 2.0, [seen("x", runs=False), seen("y")])
    assert [each.id for each in lives.running()] == ["y"]
    assert lives.stopped() == {"a": frozenset({"x"})}
    lives.look("a", 3.0, [seen("y")])
    assert lives.stopped() == {"a": frozenset()}


@pytest.mark.parametrize(
    ("lives", "expected"),
    [
        ([life("x", 0), life("y", 0)], (0, 0.0)),
        ([life("x", 0, 5), life("y", 0), life("z", 5)], (0, 0.0)),
        ([life("x", 0, 7), life("y", 0), life("z", 5)], (1, 2.0)),
        ([life("x", 0), life("y", 0), life("z", 5)], (1, 15.0)),
        ([life("x", 0), life("y", 0), life("z", 5, 6), life("w", 8, 9)], (1, 1.0)),
        ([life("x", 0), life("y", 0), life("z", 5, 9), life("w", 8, 12)], (2, 7.0)),
        ([life("x", 0), life("y", 0), life("z", 30)], (0, 0.0)),
    ],
    ids=["as wanted", "one for another", "a moment", "for good", "two moments", "two overlap", "later"],
)
def test_the_surplus_is_the_longest_time_that_too_many_ran(
    lives: list[Life], expected: tuple[int, float]
) -> None:
    assert longest_surplus(lives, 2, 0, 20, {}) == expected


def test_those_of_a_host_that_nobody_reached_count_from_its_return() -> None:
    lives = [life("x", 0, host="a"), life("y", 0, host="b"), life("z", 8, host="b")]
    assert longest_surplus(lives, 2, 0, 20, {"a": 15.0}) == (1, 5.0)
    lives[0].ended = 15.0
    assert longest_surplus(lives, 2, 0, 20, {"a": 15.0}) == (0, 0.0)


def test_a_task_has_one_container_at_a_time() -> None:
    assert twice([life("x", 0, 5, task="t"), life("y", 5, task="t")], 20) == []
    assert twice([life("x", 0, 6, task="t"), life("y", 5, task="t"), life("z", 0)], 20) == ["t"]
    assert twice([life("x", 0, task="t"), life("y", 5, task="t")], 20) == ["t"]


def test_a_line_of_docker_ps() -> None:
    ports = "0.0.0.0:31302->80/tcp, :::31302->80/tcp"
    assert parse(f"52a4\trunning\tweb.1\t{IMAGE}\t{ports}") == Seen("52a4", "web.1", IMAGE, 31302, True)
    assert parse(f"52a4\texited\tweb.1\t{IMAGE}\t") == Seen("52a4", "web.1", IMAGE, 0, False)
