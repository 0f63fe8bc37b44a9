from __future__ import annotations

import time

import pytest
from mesos_docker_scheduler.expressions import fits, problem


@pytest.mark.parametrize("text", ["([a-z0-9]+-?)+\\.prod", "(a|a)*b", "(.*)*x"])
def test_no_text_is_held_for_long_against_an_expression(text: str) -> None:
    value = "node-" + "a1-" * 20_000 + "!"
    began = time.process_time()
    assert not fits(text, value)
    assert time.process_time() - began < 1  # Python's own would take longer than the world is old


def test_an_expression_fits_the_whole_value() -> None:
    assert fits("r[12]", "r1")
    assert not fits("r", "r1")
    assert fits("a|b", "b")
    assert not fits("a|b", "ab")
    assert fits("r.ck", "rück")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a(", "missing ): a("),
        ("(?=a)a", "invalid perl operator: (?="),
        (r"(a)\1", r"invalid escape sequence: \1"),
        ("r{,2}1", "{,2} is no repetition; write {0,2}"),
    ],
)
def test_what_is_no_expression_is_told(text: str, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert problem(text) == said
    assert capfd.readouterr().err == ""
