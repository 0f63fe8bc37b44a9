from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mesos_docker_scheduler.planning.constraints import SpreadCounter, attribute_text, field_of, suits


@dataclass
class Limit:
    field: str
    operator: str
    value: str | None = None


@dataclass
class Place:
    hostname: str = "h1"
    region: str | None = None
    zone: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("attribute", "text"),
    [
        ({"type": "TEXT", "text": {"value": "r1"}}, "r1"),
        ({"type": "SCALAR", "scalar": {"value": 2.0}}, "2"),
        ({"type": "SCALAR", "scalar": {"value": 100.0}}, "100"),
        ({"type": "SCALAR", "scalar": {"value": 0.8001}}, "0.8"),
        ({"type": "SCALAR", "scalar": {"value": 1.1004999}}, "1.1"),
        ({"type": "SCALAR", "scalar": {"value": 0.0}}, "0"),
        (
            {"type": "RANGES", "ranges": {"range": [{"begin": 5, "end": 6}, {"begin": 1, "end": 2}]}},
            "[1-2,5-6]",
        ),
        ({"type": "SET", "set": {"item": ["b", "a"]}}, "{a,b}"),
        ({"type": "SET", "set": {}}, "{}"),
    ],
    ids=str,
)
def test_reads_attributes_as_marathon_does(attribute: dict[str, Any], text: str) -> None:
    assert attribute_text(attribute) == text


@pytest.mark.parametrize(
    ("name", "value"), [("hostname", "h1"), ("@region", "eu"), ("@zone", "a"), ("rack", "r1"), ("x", None)]
)
def test_finds_the_field(name: str, value: str | None) -> None:
    assert field_of(Place(region="eu", zone="a", attributes={"rack": "r1"}), name) == value


@pytest.mark.parametrize(
    ("operator", "wanted", "value", "answer"),
    [
        ("LIKE", "r[12]", "r1", True),
        ("LIKE", "r[12]", "r3", False),
        ("LIKE", "r", "r1", False),
        ("LIKE", "a|b", "ab", False),
        ("LIKE", ".*", None, False),
        ("UNLIKE", "r[12]", "r1", False),
        ("UNLIKE", "r", "r1", True),
        ("UNLIKE", ".*", None, True),
        ("IS", "r1", "r1", True),
        ("IS", "r.", "r1", False),
        ("IS", "0.80", "0.8", True),
        ("IS", "0.8001", "0.8", True),
        ("IS", "2", "2", True),
        ("IS", "20240101123456789012345678901", "20240101123456791095063609344", True),
        ("IS", "9" * 400, "2", False),
        ("IS", "a", None, False),
        ("CLUSTER", "r1", "r1", True),
        ("CLUSTER", "r1", "r2", False),
        ("CLUSTER", "0.80", "0.8", False),
        ("CLUSTER", None, "r2", True),
        ("CLUSTER", None, None, False),
        ("UNIQUE", None, "r1", True),
        ("UNIQUE", None, None, False),
        ("MAX_PER", "1", None, False),
        ("GROUP_BY", None, None, False),
    ],
)
def test_an_agent_alone(operator: str, wanted: str | None, value: str | None, answer: bool) -> None:
    assert suits(Limit("rack", operator, wanted), value) is answer


@pytest.mark.parametrize(
    ("operator", "number", "there", "value", "answer"),
    [
        ("UNIQUE", None, {}, "a", True),
        ("UNIQUE", None, {"a": 1}, "a", False),
        ("UNIQUE", None, {"a": 1}, "b", True),
        ("MAX_PER", "2", {"a": 1}, "a", True),
        ("MAX_PER", "2", {"a": 2}, "a", False),
        ("GROUP_BY", None, {}, "a", True),
        ("GROUP_BY", None, {"a": 1}, "a", True),
        ("GROUP_BY", None, {"a": 2, "b": 1}, "a", False),
        ("GROUP_BY", None, {"a": 2, "b": 1}, "b", True),
        ("GROUP_BY", None, {"a": 2, "b": 1}, "c", True),
        ("GROUP_BY", "3", {"a": 1, "b": 1}, "a", False),
        ("GROUP_BY", "3", {"a": 1, "b": 1}, "c", True),
        ("GROUP_BY", "3", {"a": 1, "b": 1, "c": 1}, "a", True),
        ("GROUP_BY", "2", {"a": 1, "b": 1, "c": 1}, "d", True),
    ],
)
def test_compares_with_the_instances_there_are(
    operator: str, number: str | None, there: dict[str, int], value: str, answer: bool
) -> None:
    assert SpreadCounter(Limit("rack", operator, number), there.items()).allows(value) is answer


@given(st.lists(st.sampled_from("abcde"), max_size=30), st.integers(1, 5))
def test_group_by_adds_only_to_the_values_that_have_fewest(tries: list[str], groups: int) -> None:
    counter = SpreadCounter(Limit("rack", "GROUP_BY", str(groups)))
    for value in tries:
        if counter.allows(value):
            counter.add(value)
        least = min(counter.count(one) for one in counter.values)
        for one in counter.values:
            assert counter.allows(one) == (counter.count(one) == least and len(counter.values) >= groups)
