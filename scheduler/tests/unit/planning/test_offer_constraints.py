from __future__ import annotations

from typing import Any

import pytest
from mesos_docker_scheduler.config import Service
from mesos_docker_scheduler.planning.offer_constraints import filters_for
from scheduler_fakes import service


def limited(*constraints: tuple[str, ...], **fields: Any) -> Service:
    limits = [dict(zip(("field", "operator", "value"), one, strict=False)) for one in constraints]
    return service(constraints=limits, **fields)


def rack(expression: str, predicate: str = "text_matches") -> dict[str, Any]:
    return {"selector": {"attribute_name": "rack"}, "predicate": {predicate: {"regex": expression}}}


def test_says_to_the_master_what_it_can_check() -> None:
    web = limited(
        ("rack", "LIKE", "r[12]"),
        ("hostname", "UNLIKE", "old.*"),
        ("@zone", "IS", "z1"),
        ("@region", "CLUSTER", "eu"),
        ("level", "IS", "0.80"),
        ("hostname", "UNIQUE"),
    )
    filters = filters_for([web], "*")
    (group,) = filters.message["role_constraints"]["*"]["groups"]
    assert group["attribute_constraints"] == [
        rack("r[12]"),
        {
            "selector": {"pseudoattribute_type": "HOSTNAME"},
            "predicate": {"text_not_matches": {"regex": "old.*"}},
        },
        {"selector": {"pseudoattribute_type": "ZONE"}, "predicate": {"text_equals": {"value": "z1"}}},
        {"selector": {"pseudoattribute_type": "REGION"}, "predicate": {"text_equals": {"value": "eu"}}},
        {"selector": {"attribute_name": "level"}, "predicate": {"text_equals": {"value": "0.8"}}},
    ]
    assert "rack LIKE r[12]" in filters.texts["*"]
    assert "UNIQUE" not in filters.texts["*"]


def test_each_service_that_asks_is_a_group_of_its_role() -> None:
    asking = [
        limited(("rack", "LIKE", "a"), name="one"),
        limited(("rack", "LIKE", "b"), name="two"),
        limited(("rack", "LIKE", "a"), name="three"),
        limited(("rack", "UNLIKE", "c"), name="four", role="db"),
    ]
    filters = filters_for(asking, "web")
    assert filters.message["role_constraints"] == {
        "db": {"groups": [{"attribute_constraints": [rack("c", "text_not_matches")]}]},
        "web": {"groups": [{"attribute_constraints": [rack("a")]}, {"attribute_constraints": [rack("b")]}]},
    }
    assert filters.texts == {"db": "rack UNLIKE c", "web": "rack LIKE a or rack LIKE b"}


@pytest.mark.parametrize(
    "other",
    [limited(name="other"), limited(("hostname", "UNIQUE"), name="other")],
    ids=["none", "not sayable"],
)
def test_nothing_is_kept_from_a_role_in_which_somebody_takes_any_agent(other: Service) -> None:
    assert filters_for([limited(("rack", "LIKE", "a")), other], "*").message == {}


def test_nothing_asked_nothing_said() -> None:
    assert filters_for([], "*").message == {}


@pytest.mark.parametrize(
    ("text", "goes"),
    [
        ("^rack-[1-3]$", True),
        (r"10\.0\.\d{1,3}", True),
        ("rück", True),
        ("(?i)a|b", True),
        ("a" * 200, False),
        ("((a{5}){5}){5}", False),
        ("(" + "." * 12 + ")+", False),
        (r"\pL+", False),
        ("(?<n>rack)-1", False),  # RE2 has it only since 2023
        (r"\p{Kawi}", False),
    ],
)
def test_only_expressions_that_the_master_allows_go_along(text: str, goes: bool) -> None:
    assert bool(filters_for([limited(("rack", "LIKE", text))], "*").message) is goes
