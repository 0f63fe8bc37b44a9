"""What a round is called failed for, and what is explained."""

from __future__ import annotations

import pytest
from chaos_judge import (
    ENDING_SECONDS,
    GIVEN_UP_SECONDS,
    SILENT_AFTER_SECONDS,
    STARTING_SECONDS,
    SURPLUS_SECONDS,
    Failure,
    Toll,
    Wanted,
    doubled,
    lost,
    unexplained,
)
from chaos_lives import Life

SIX = Wanted("web:1", 6)


def life(name: str, host: str = "a", *, began: float = 0, ended: float | None = None) -> Life:
    return Life(name, f"task of {name}", host, "web:1", 31000, began, ended)


def six(*ended: str) -> list[Life]:
    """Two on each of three hosts, of which some have ended."""
    return [
        life(f"{host}{number}", host, ended=50 if f"{host}{number}" in ended else None)
        for host in "abc"
        for number in (1, 2)
    ]


def away(seconds: float) -> Toll:
    return Toll("frozen", away=frozenset("a"), silent=frozenset("a"), injected=10, healed=10 + seconds)


@pytest.mark.parametrize(
    ("ended", "tolls", "new", "expected"),
    [
        ([], [], SIX, set()),
        (["a1"], [], SIX, {"a1"}),
        (["a1", "a2"], [Toll("off", hosts=frozenset("a"))], SIX, set()),
        (["a1", "b1"], [Toll("off", hosts=frozenset("a"))], SIX, {"b1"}),
        (["a1"], [Toll("container", containers=frozenset({"a1"}))], SIX, set()),
        (["a2"], [Toll("container", containers=frozenset({"a1"}))], SIX, {"a2"}),
        (["a1"], [away(GIVEN_UP_SECONDS - 1)], SIX, {"a1"}),
        (["a1", "b1"], [away(GIVEN_UP_SECONDS)], SIX, set()),
        (["a1", "b1", "c1"], [away(GIVEN_UP_SECONDS)], SIX, {"a1", "b1", "c1"}),
        (["a1", "c1"], [], Wanted("web:1", 4), set()),
        (["a1", "b1", "c1"], [], Wanted("web:1", 4), {"a1", "b1", "c1"}),
        (["a1"], [], Wanted("web:1", 7), {"a1"}),
        (["a1", "a2", "b1", "b2", "c1", "c2"], [], Wanted("web:2", 6), set()),
    ],
    ids=[
        "all live",
        "one has ended",
        "its host was off",
        "another host was off",
        "it was killed",
        "another one was killed",
        "its slave was away for a short time",
        "its slave was given up, as many are stopped",
        "its slave was given up, more are stopped",
        "fewer are wanted",
        "fewer are wanted, and even fewer left",
        "more are wanted",
        "another image",
    ],
)
def test_who_should_have_lived(ended: list[str], tolls: list[Toll], new: Wanted, expected: set[str]) -> None:
    assert {each.id for each in lost(six(*ended), tolls, SIX, new)} == expected


def test_more_than_wanted_for_long_are_doubled() -> None:
    more = life("d1", began=20)
    assert doubled([*six(), more], [], 6, 0, 20 + SURPLUS_SECONDS) == (0, [])
    number, sentences = doubled([*six(), more], [], 6, 0, 21 + SURPLUS_SECONDS)
    assert number == 1
    assert sentences == [f"for {SURPLUS_SECONDS + 1} s more than 6 ran, 7 at most"]


def test_those_of_a_slave_that_was_given_up_may_be_doubled_until_it_is_back() -> None:
    more = [life("d1", "b", began=85), life("d2", "c", began=85)]
    toll = away(100)
    assert doubled([*six(), *more], [toll], 6, 0, toll.healed + SURPLUS_SECONDS) == (0, [])
    number, _ = doubled([*six(), *more], [toll], 6, 0, toll.healed + SURPLUS_SECONDS + 1)
    assert number == 2


def test_two_containers_of_one_task_are_doubled_at_once() -> None:
    twin = Life("d1", "task of a1", "b", "web:1", 31000, 5, 6)
    assert doubled([*six("b1"), twin], [], 7, 0, 60) == (
        1,
        ["task task of a1 had two containers at the same time"],
    )


@pytest.mark.parametrize(
    ("asked", "until", "host", "is_explained"),
    [
        (30, 35, "a", False),
        (STARTING_SECONDS - 1, STARTING_SECONDS, "a", True),
        (100 - ENDING_SECONDS - 6, 100 - ENDING_SECONDS - 1, "a", False),
        (100 - ENDING_SECONDS, 100 - ENDING_SECONDS + 1, "a", True),
        (51, 52, "b", False),
        (50, 55, "a", True),
        (44, 49, "a", False),
        (44, 50, "a", True),
        (60 + SILENT_AFTER_SECONDS, 80, "a", True),
        (61 + SILENT_AFTER_SECONDS, 80, "a", False),
    ],
    ids=[
        "nothing happened",
        "it had just started",
        "long before it ended",
        "when it ended",
        "another host was silent",
        "its host was silent",
        "before its host was silent",
        "until its host was silent",
        "its host had just come back",
        "its host had come back",
    ],
)
def test_which_requests_may_fail(asked: float, until: float, host: str, is_explained: bool) -> None:
    toll = Toll("off", silent=frozenset("a"), injected=50, healed=60)
    failure = Failure("x", host, asked, until, "timed out")
    assert unexplained([failure], [life("x", host, ended=100)], [toll]) == ([] if is_explained else [failure])
